"""How long a step of training takes: the emitted Trainer and PyTorch beside a loop by hand.

    python benchmarks/training.py [--rounds 9]

Numpy is the emitted `Trainer.step` at -O1 in float32, by hand a plain numpy loop
(benchmarks/loops.py), torch the emitted module's `train_step` in eager mode. All three take the
same steps from the same parameters on the same batches, and their losses are compared first. Then
they take turns in one process, each round in another order; a ratio is the median of the rounds'
ratios. The linear algebra and PyTorch are held to one thread, then to two.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loops
import numpy as np

from flowgraph.diagram import Diagram, load, loads
from flowgraph.execute import execute
from flowgraph.naming import class_name

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
HAS_TORCH = importlib.util.find_spec("torch") is not None
ROUND_SECONDS = 0.05
"""A round of one contestant takes about this long."""

CIRCLES = """
diagram xor_circles
input x1, x2
target y
node h1, h2, f : tanh
1, x1, x2 -> h1, h2
1, h1, h2 -> f
loss mse(f, y)
train sgd(lr=0.3)
"""

MLP = """
diagram mlp_784
input x : [784]
target y : class(10)
z = x |> linear(256) |> relu |> linear(128) |> relu |> linear(10)
loss cross_entropy(z, y)
train sgd(lr=0.05, momentum=0.9), batch=64
"""

Batch = tuple[np.ndarray, ...]
Run = Callable[[], list[float]]
"""Takes a step for each batch, from the first parameters, and returns the losses."""
Contestant = Callable[[list[Batch]], Run]
"""Makes ready what a run over the batches needs."""


@dataclass(frozen=True)
class Case:
    """A network, its loop by hand, and its batches, inputs before targets.

    by_hand_batches: the same in the form that the loop by hand takes, where that is another.
    """

    title: str
    diagram: Diagram
    by_hand: Callable[..., Any]
    batches: list[Batch]
    by_hand_batches: list[Batch] | None = None


def cases() -> list[Case]:
    rng = np.random.default_rng(0)
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    odd = (bits.sum(axis=1) == 1).astype(np.float32)
    both = np.stack([bits[:, 0] * bits[:, 1], odd], axis=1)
    images = rng.normal(size=(20, 64, 784)).astype(np.float32)
    labels = rng.integers(0, 10, (20, 64))
    return [
        Case("XOR 2-2-1", load(EXAMPLES / "lecture/xor_learned.flow"), loops.xor, [(bits, odd)]),
        Case(
            "XOR 2-2-1, circle by circle",
            loads(CIRCLES),
            loops.xor_circles,
            [(bits[:, 0].copy(), bits[:, 1].copy(), odd)],
            [(bits, odd)],
        ),
        Case("2-3-2", load(EXAMPLES / "lecture/mlp_2_3_2.flow"), loops.mlp_2_3_2, [(bits, both)]),
        Case(
            "digits 64-64-10, batch 32",
            load(EXAMPLES / "digits/digits.flow"),
            loops.digits,
            digit_batches(rng),
        ),
        Case("784-256-128-10, batch 64", loads(MLP), loops.mlp_784, list(zip(images, labels, strict=True))),
    ]


def digit_batches(rng: np.random.Generator, size: int = 32) -> list[Batch]:
    rows = np.loadtxt(EXAMPLES / "digits/digits.csv", delimiter=",", skiprows=1)
    order = rng.permutation(len(rows))
    starts = range(0, len(rows) - size, size)
    chosen = [rows[order[i : i + size]] for i in starts]
    return [(c[:, :64].astype(np.float32), c[:, 64].astype(np.int64)) for c in chosen]


# ---------------------------------------------------------------------------------------
# The contestants


def contestants(case: Case) -> dict[str, Contestant]:
    """By name; torch only where PyTorch is installed."""
    space = execute(case.diagram.compile("numpy"))
    first = space["init"](0)

    def by_hand(batches: list[Batch]) -> Run:
        given = repeated(case.by_hand_batches or case.batches, len(batches))
        return lambda: case.by_hand(first, given)[1]

    def numpy(batches: list[Batch]) -> Run:
        trainer = space["Trainer"](first)
        return lambda: [trainer.step(*batch) for batch in batches]

    found = {"by hand": by_hand, "numpy": numpy}
    return found | {"torch": in_torch(case.diagram, first)} if HAS_TORCH else found


def in_torch(diagram: Diagram, first: dict[str, np.ndarray]) -> Contestant:
    """The emitted PyTorch module."""
    import torch

    space = execute(diagram.compile("torch"))
    name = class_name(diagram.graph.name)
    train_step = space["train_step"]

    def contestant(batches: list[Batch]) -> Run:
        model = space[name]()
        model.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in first.items()})
        loss_module, optimizer = space[f"{name}Loss"](model), space["make_optimizer"](model)
        tensors = [tuple(torch.from_numpy(a) for a in batch) for batch in batches]
        return lambda: [float(train_step(loss_module, optimizer, *batch)) for batch in tensors]

    return contestant


def repeated(batches: list[Batch], count: int) -> list[Batch]:
    return [batches[i % len(batches)] for i in range(count)]


def check_same(case: Case, steps: int = 50) -> None:
    """All contestants see the same losses, step by step. Raises AssertionError."""
    losses = {name: ready(repeated(case.batches, steps))() for name, ready in contestants(case).items()}
    for name, found in losses.items():
        np.testing.assert_allclose(
            found, losses["by hand"], rtol=1e-3, atol=1e-5, err_msg=f"{case.title}: {name}"
        )


# ---------------------------------------------------------------------------------------
# Measuring


def seconds_of(contestant: Contestant, batches: list[Batch]) -> float:
    """Of one step, all the batches taken once."""
    run = contestant(batches)
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) / len(batches)


def measure(case: Case, rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds a step and the ratio to the loop by hand, medians, by contestant."""
    racing = contestants(case)
    counts = {}
    for name, contestant in racing.items():
        seconds_of(contestant, repeated(case.batches, 10))  # warm-up
        once = seconds_of(contestant, repeated(case.batches, 20))
        counts[name] = max(20, min(20_000, int(ROUND_SECONDS / once)))
    taken: dict[str, list[float]] = {name: [] for name in racing}
    for number in range(rounds):
        names = list(racing)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            taken[name].append(seconds_of(racing[name], repeated(case.batches, counts[name])))
    base = taken["by hand"]
    return {
        name: (
            statistics.median(found),
            statistics.median(a / b for a, b in zip(found, base, strict=True)),
        )
        for name, found in taken.items()
    }


def main() -> None:
    from threadpoolctl import threadpool_limits

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    everything = cases()
    for case in everything:
        check_same(case)
    print("| network | threads | by hand, µs a step | numpy | torch | numpy / by hand | torch / by hand |")
    print("|---|---|---|---|---|---|---|")
    for case in everything:
        for threads in (1, 2):
            set_torch_threads(threads)
            with threadpool_limits(limits=threads):
                found = measure(case, rounds)
            micro = {name: f"{1e6 * seconds:.0f}" for name, (seconds, _) in found.items()}
            ratio = {name: f"{ratio:.2f}" for name, (_, ratio) in found.items()}
            cells = [case.title, threads, micro["by hand"], micro["numpy"], micro.get("torch", "-")]
            print(
                f"| {' | '.join(map(str, [*cells, ratio['numpy'], ratio.get('torch', '-')]))} |", flush=True
            )


def set_torch_threads(count: int) -> None:
    """Hold PyTorch to a number of threads, where it is installed."""
    if HAS_TORCH:
        import torch

        torch.set_num_threads(count)


if __name__ == "__main__":
    main()
