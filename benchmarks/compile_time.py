"""How long `flowc compile -O1` takes and what it holds, for drawings of growing size: it is to be linear.

    python benchmarks/compile_time.py [--sizes 1000 10000 100000] [--cases dense sparse ...] [--target torch]

Prints a table: seconds of the processor from the text to the emitted module with gradients and Trainer,
microseconds for every wire (of drawings) or statement, how these grow from the first size on, and the peak
memory. Every number is of a fresh process, which compiles a small drawing first.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable

SIZES = (1_000, 10_000, 100_000)


def trained(lines: list[str], output: str) -> str:
    """A diagram of these statements that is trained on a loss of its output."""
    return (
        "\n".join([*lines, "target t", f"loss mse({output}, t)", "train sgd(lr=0.01), batch=32, steps=10"])
        + "\n"
    )


def declared(names: list[str]) -> str:
    return f"node {', '.join(names)} : tanh"


def summed(lines: list[str], names: list[str]) -> str:
    """The diagram with a last circle that all of these lead to."""
    return trained([*lines, "node f", f"{', '.join(names)} -> f"], "f")


def dense(wires: int) -> str:
    """Layers of 16 circles, each joined to all of the layer before by a wire of its own."""
    width = 16
    before = [f"x{i}" for i in range(width)]
    lines = [f"input {', '.join(before)}"]
    for depth in range(wires // width**2):
        names = [f"h{depth}_{i}" for i in range(width)]
        lines.append(declared(names))
        lines += [f"{source} -> {circle}" for circle in names for source in before]
        before = names
    return summed(lines, before)


def sparse(wires: int) -> str:
    """Twenty levels of circles with eleven sources each, anywhere in the level before; half of the wires have
    a number."""
    rng = random.Random(0)
    width = max(wires // 220, 12)
    before = [f"x{i}" for i in range(20)]
    lines = [f"input {', '.join(before)}"]
    for level in range(wires // (11 * width)):
        names = [f"h{level}_{i}" for i in range(width)]
        lines.append(declared(names))
        for circle in names:
            for number, source in enumerate(rng.sample(before, 11)):
                arrow = f"-[{rng.uniform(-1, 1):.3f}]->" if number % 2 else "->"
                lines.append(f"{source} {arrow} {circle}")
        before = names
    return summed(lines, before)


def loose(wires: int) -> str:
    """Circles that each have three sources among the fifty before: as deep as they are many."""
    rng = random.Random(0)
    names = [f"x{i}" for i in range(50)]
    lines = [f"input {', '.join(names)}"]
    for number in range(wires // 3):
        lines.append(f"node h{number} : tanh")
        lines += [f"{source} -> h{number}" for source in rng.sample(names[-50:], 3)]
        names.append(f"h{number}")
    return summed(lines, names[-50:])


def chain(wires: int) -> str:
    """One circle after another."""
    lines = ["input x", declared([f"h{i}" for i in range(wires)]), "x -> h0"]
    lines += [f"h{i - 1} -> h{i}" for i in range(1, wires)]
    return trained(lines, f"h{wires - 1}")


def equations(count: int) -> str:
    """Equations that each use the two before, and a parameter now and then."""
    lines = ["input x", "y0 = x", "y1 = 2 * x"]
    for i in range(2, count):
        if i % 4:
            lines.append(f"y{i} = tanh(0.5 * y{i - 1} - y{i - 2} / 3 + {i % 7})")
        else:
            lines += [f"param w{i} = 0.5", f"y{i} = sin(w{i} * y{i - 1}) * y{i - 2}"]
    return trained(lines, f"y{count - 1}")


def layers(count: int) -> str:
    """One layer after another."""
    lines = ["input x : [8]", "h0 = x"]
    lines += [f"h{i} = relu(linear(h{i - 1}, 8))" for i in range(1, count)]
    return trained([*lines, f"f = sum(h{count - 1})"], "f")


def blocks(count: int) -> str:
    """Calls of a block that calls another one twice."""
    lines = ["block inner(a : [4]) {", "b = tanh(linear(a, 4))", "return a + b", "}"]
    lines += [
        "block outer(a : [4]) {",
        "b = inner(a)",
        "return inner(b) * 0.5",
        "}",
        "input x : [4]",
        "h0 = x",
    ]
    lines += [f"h{i} = outer(h{i - 1})" for i in range(1, count)]
    return trained([*lines, f"f = sum(h{count - 1})"], "f")


def repeats(count: int) -> str:
    """A repeat of many rounds."""
    lines = ["input x : [4]", "u = x", f"repeat {count} as h {{", "u = tanh(linear(u, 4))", "}", "f = sum(u)"]
    return trained(lines, "f")


CASES: dict[str, Callable[[int], str]] = {
    f.__name__: f for f in (dense, sparse, loose, chain, equations, layers, blocks, repeats)
}


# ---------------------------------------------------------------------------------------
# One process's part


def child(case: str, size: int, target: str) -> None:
    """Print the seconds of one compilation, and the peak megabytes of this process."""
    from flowgraph.diagram import loads

    loads(CASES[case](300)).compile(target)
    text = CASES[case](size)
    start = time.process_time()
    loads(text).compile(target)
    print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(case: str, size: int, target: str) -> tuple[float, float]:
    """Seconds and peak megabytes of a compilation in a fresh process."""
    command = [sys.executable, __file__, "--child", case, str(size), target]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak


# ---------------------------------------------------------------------------------------
# All of them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--target", choices=("numpy", "torch"), default="numpy")
    parser.add_argument("--runs", type=int, default=1, help="how often each is measured; the fastest counts")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        case, size, target = given.child
        child(case, int(size), target)
        return
    print("| drawing | wires | seconds | \u00b5s a wire | growth | peak MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for case in given.cases:
        first = 0.0
        for size in given.sizes:
            runs = [measured(case, size, given.target) for _ in range(given.runs)]
            seconds, peak = min(r[0] for r in runs), max(r[1] for r in runs)
            each = 1e6 * seconds / size
            first = first or each
            print(
                f"| {case} | {size} | {seconds:.2f} | {each:.0f} | {each / first:.2f} | {peak:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
