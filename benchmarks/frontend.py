"""How fast the front end is: start-up, and `check` on generated drawings of many wires.

    python benchmarks/frontend.py

Prints two tables. Start-up: the time of `flowc check examples/lecture/xor.flow` over that of
importing lark, networkx and numpy, in alternating processes. Wires: the time of a check over
Lark's own bare parse of the same file, both with the garbage collector paused, and the peak
memory of a process that checks it. Medians; a warm-up run of everything comes first.
"""

from __future__ import annotations

import gc
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
XOR = ROOT / "examples" / "lecture" / "xor.flow"
COUNTS = (1_000, 10_000, 100_000)


def drawing(wires: int, seed: int = 0) -> str:
    """A layered drawing of single circles: half the wires with a number, half trainable."""
    rng = random.Random(seed)
    width = max(10, wires // 100)
    lines = ["input " + ", ".join(f"x{i}" for i in range(20))]
    layers = [[f"x{i}" for i in range(20)]]
    per_layer = wires // 5
    for depth in range(5):
        names = [f"h{depth}_{i}" for i in range(width)]
        lines.append("node " + ", ".join(names) + " : tanh")
        pairs: set[tuple[str, str]] = set()
        for number in range(per_layer):
            dest = names[number % width]
            source = rng.choice(layers[-1])
            while (source, dest) in pairs:
                source = rng.choice(layers[-1] + layers[max(0, depth - 1)])
                dest = rng.choice(names)
            pairs.add((source, dest))
            arrow = f"-[{rng.uniform(-1, 1):.3f}]->" if number % 2 else "->"
            lines.append(f"{source} {arrow} {dest}")
        layers.append(names)
    return "\n".join(lines) + "\n"


def timed(action: Callable[[], object]) -> float:
    """Seconds of one call, with the garbage collector paused."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        kept = action()
        taken = time.perf_counter() - start
    finally:
        gc.enable()
    del kept
    return taken


def child(path: str, bare: bool) -> None:
    """Print seconds and peak megabytes of one check, or of Lark's bare parse."""
    text = Path(path).read_text()
    if bare:
        from flowgraph.parse import load_grammar

        parser = load_grammar()
        warm, action = (lambda: parser.parse("input x\n")), (lambda: parser.parse(text))
    else:
        from flowgraph.diagram import load, loads

        warm, action = (lambda: loads("input x\n")), (lambda: load(path))
    warm()
    seconds = timed(action)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(seconds, peak)


def run_child(path: Path, bare: bool) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(path), "bare" if bare else "check"],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak


def seconds_of(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def startup(runs: int = 15) -> None:
    ours = [sys.executable, "-m", "flowgraph", "check", str(XOR)]
    base = [sys.executable, "-c", "import lark, networkx, numpy"]
    seconds_of(ours), seconds_of(base)
    pairs = [(seconds_of(ours), seconds_of(base)) for _ in range(runs)]
    ratio = statistics.median(a / b for a, b in pairs)
    print("| start-up | ms |\n|---|---|")
    print(f"| `flowc check xor.flow` | {1000 * statistics.median(a for a, _ in pairs):.0f} |")
    print(f"| `import lark, networkx, numpy` | {1000 * statistics.median(b for _, b in pairs):.0f} |")
    print(f"| ratio (at most 1.5) | {ratio:.2f} |\n")


def wires(folder: Path, runs: int = 3) -> None:
    print("| wires | check, µs a wire | bare parse, µs a wire | ratio (at most 4) | peak MiB |")
    print("|---|---|---|---|---|")
    per_wire = {}
    for count in COUNTS:
        path = folder / f"wires_{count}.flow"
        path.write_text(drawing(count))
        rounds = [(run_child(path, False), run_child(path, True)) for _ in range(runs)]
        check = statistics.median(c[0] for c, _ in rounds)
        bare = statistics.median(b[0] for _, b in rounds)
        ratio = statistics.median(c[0] / b[0] for c, b in rounds)
        peak = max(c[1] for c, _ in rounds)
        per_wire[count] = check / count
        print(
            f"| {count} | {1e6 * check / count:.0f} | {1e6 * bare / count:.0f} | {ratio:.2f} | {peak:.0f} |"
        )
    growth = per_wire[COUNTS[-1]] / per_wire[COUNTS[0]]
    print(f"\nTime per wire from {COUNTS[0]} to {COUNTS[-1]} wires grows by {growth:.2f} (at most 1.3).")


def main() -> None:
    if "--child" in sys.argv:
        child(sys.argv[2], sys.argv[3] == "bare")
        return
    import tempfile

    startup()
    with tempfile.TemporaryDirectory() as folder:
        wires(Path(folder))


if __name__ == "__main__":
    main()
