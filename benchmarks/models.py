"""How long the command takes for GPT-2, over the time of `import torch`; and steps of training.

    python benchmarks/models.py [commands] [steps]

Twelve layers, 124 million parameters: `flowc check` and `flowc compile` for both targets, each run
in alternation with `python -c "import torch"`, all as processes from start to end. Medians of the
ratios, which are to be at most 1.5, and the number of lines that are emitted.

Then a step of training of the networks in STEPS, by the emitted numpy `Trainer` and by the emitted
torch module in eager mode, float32, in turns in one process, both held to the same number of threads;
their losses are compared first. Medians of the rounds, and of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import training

from flowgraph.diagram import Diagram, load, loads
from flowgraph.execute import execute

MODELS = Path(__file__).resolve().parents[1] / "examples" / "models"
GPT2 = str(MODELS / "gpt2.flow")
COMMANDS = (
    ("check", GPT2),
    ("compile", GPT2, "--target", "torch"),
    ("compile", GPT2, "--target", "numpy"),
)
RUNS = 7


def run(command: list[str]) -> tuple[float, str]:
    """Seconds of a process, and what it prints."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return time.perf_counter() - start, done.stdout


LENET_32 = """
diagram lenet_32
input x : [1, 32, 32]
target y : class(10)
conv1 = conv2d(x, 6, 5)
conv2 = conv2d(max_pool(tanh(conv1), 2), 16, 5)
fc1 = linear(flatten(max_pool(tanh(conv2), 2)), 120)
fc2 = linear(tanh(fc1), 84)
fc3 = linear(tanh(fc2), 10)
loss cross_entropy(fc3, y)
train sgd(lr=0.05, momentum=0.9), batch=64
"""
"""As it was drawn, for images of 32×32 pixels."""


def images(*shape: int, classes: int = 10, count: int = 8) -> list[training.Batch]:
    """Batches of noise, the first axis that of the examples, and of labels."""
    rng = np.random.default_rng(0)
    return [
        (rng.normal(size=shape).astype(np.float32), rng.integers(0, classes, shape[0])) for _ in range(count)
    ]


def tokens(classes: int, *shape: int, count: int = 8) -> list[training.Batch]:
    """Batches of random tokens, and of those that are to come next."""
    rng = np.random.default_rng(0)
    return [(rng.integers(0, classes, shape), rng.integers(0, classes, shape)) for _ in range(count)]


STEPS: dict[str, Callable[[], tuple[Diagram, list[training.Batch]]]] = {
    "LeNet-5, 8×8 digits, batch 64": lambda: (load(MODELS / "lenet.flow"), images(64, 64)),
    "LeNet-5, 32×32 pixels, batch 64": lambda: (loads(LENET_32), images(64, 1, 32, 32)),
    "GPT-2, 4 layers, width 128, 64 tokens, batch 8": lambda: (
        load(GPT2, settings={"V": 256, "P": 64, "L": 4, "H": 4, "D": 128}),
        tokens(256, 8, 64),
    ),
    "LSTM, width 128, 64 steps, batch 32": lambda: (
        load(MODELS / "lstm_chars.flow", settings={"D": 128, "L": 1}),
        tokens(23, 32, 64),
    ),
}
"""Networks, and batches for them, inputs before targets."""
ROUNDS = 9


def step_seconds(
    diagram: Diagram, batches: list[training.Batch]
) -> Callable[[], Iterator[tuple[float, float]]]:
    """Measures rounds: seconds of a step in numpy and in torch. Raises AssertionError if losses differ."""
    space = execute(diagram.compile("numpy"))
    first = space["init"](0)

    def in_numpy(given: list[training.Batch]) -> training.Run:
        trainer = space["Trainer"](first)
        return lambda: [trainer.step(*batch) for batch in given]

    in_torch = training.in_torch(diagram, first)
    np.testing.assert_allclose(in_numpy(batches)(), in_torch(batches)(), rtol=1e-3, atol=1e-5)

    def rounds() -> Iterator[tuple[float, float]]:
        for _ in range(ROUNDS):
            yield training.seconds_of(in_numpy, batches), training.seconds_of(in_torch, batches)

    return rounds


def steps() -> None:
    from threadpoolctl import threadpool_limits

    print("| network | threads | numpy, ms a step | torch, ms a step | numpy / torch |")
    print("|---|---:|---:|---:|---:|")
    for title, make in STEPS.items():
        measure = step_seconds(*make())
        for threads in (1, 2):
            training.set_torch_threads(threads)
            with threadpool_limits(limits=threads):
                pairs = list(measure())
            ours, of_torch = (1000 * statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"| {title} | {threads} | {ours:.2f} | {of_torch:.2f} | {ratio:.2f} |", flush=True)


def commands() -> None:
    base = [sys.executable, "-c", "import torch"]
    run(base)
    print("| command | s | `import torch`, s | ratio (at most 1.5) | lines |\n|---|---:|---:|---:|---:|")
    for words in COMMANDS:
        ours = [sys.executable, "-m", "flowgraph", *words]
        _, text = run(ours)
        pairs = [(run(ours)[0], run(base)[0]) for _ in range(RUNS)]
        seconds, of_torch = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        title = " ".join(["flowc", words[0], "gpt2.flow", *words[2:]])
        lines = text.count("\n") if words[0] == "compile" else ""
        print(f"| `{title}` | {seconds:.2f} | {of_torch:.2f} | {ratio:.2f} | {lines} |")


def main() -> None:
    wanted = sys.argv[1:] or ["commands", "steps"]
    for part in (commands, steps):
        if part.__name__ in wanted:
            part()


if __name__ == "__main__":
    main()
