"""Sparse drawings: how fast lists of wires run, and what compiling them costs. `python -m benchmarks.sparse`

A random drawing of levels of circles, each wired to some circles of the level before, is given as a table of
wires. Forward, in float32, batch 32, beside scipy's CSR matrices multiplied level by level by hand; the two
take turns in one process, and the ratio is the median of those of the pairs. A large array is freed before,
as in any program that had one: else the C library gives freed memory back to the system after every call,
and fetching it anew takes longer than the work. Node by node (-O0) only a smaller drawing can be had, as
single wires; its time for one wire stands for that of the larger one. Compile time and peak memory are those
of a process of its own for each size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flowgraph import load
from flowgraph.execute import execute

BATCH = 32


@dataclass(frozen=True)
class Drawing:
    """Levels of circles of one width, with the wires into each: sources, targets, weights."""

    width: int
    levels: list[tuple[np.ndarray, np.ndarray, np.ndarray]]

    @property
    def wires(self) -> int:
        return sum(len(source) for source, _, _ in self.levels)


def drawing(levels: int, width: int, wires: int, seed: int = 0) -> Drawing:
    """A random drawing without double wires; every circle has one wire at least."""
    rng = np.random.default_rng(seed)
    made = []
    for level in range(levels):
        count = wires * (level + 1) // levels - wires * level // levels
        first = np.arange(width) * width + rng.integers(0, width, width)
        pairs = np.unique(np.concatenate([first, rng.integers(0, width * width, 2 * count)]))
        kept = np.isin(pairs, first)
        others = rng.permutation(pairs[~kept])[: max(count - width, 0)]
        pairs = np.sort(np.concatenate([pairs[kept], others]))
        made.append((pairs % width, pairs // width, rng.normal(0, 0.3, len(pairs)).astype(np.float32)))
    return Drawing(width, made)


def write_table(made: Drawing, folder: Path) -> Path:
    """The drawing as layers and a table of wires; returns the path of the diagram."""
    last = len(made.levels) - 1
    nodes = ", ".join(f"h{level}[{made.width}]" for level in range(last + 1))
    text = f"input x : [{made.width}]\nnode {nodes} : tanh\n"
    (folder / "net.flow").write_text(f'{text}wires W from "wires.csv"\noutput h{last}\n', encoding="utf-8")
    with (folder / "wires.csv").open("w", encoding="utf-8") as file:
        file.write("source,target,weight\n")
        for level, wires in enumerate(made.levels):
            before = f"h{level - 1}" if level else "x"
            ends = zip(*(part.tolist() for part in wires), strict=True)
            file.writelines(f"{before}[{s}],h{level}[{t}],{w!r}\n" for s, t, w in ends)
    return folder / "net.flow"


def write_single(made: Drawing, folder: Path) -> Path:
    """The drawing as single circles and wires; returns the path of the diagram."""
    lines = [f"input x : [{made.width}]"]
    for level, wires in enumerate(made.levels):
        lines.append(f"node {', '.join(f'h{level}_{i}' for i in range(made.width))} : tanh")
        before = f"h{level - 1}_{{}}" if level else "x[{}]"
        ends = zip(*(part.tolist() for part in wires), strict=True)
        lines += [f"{before.format(s)} -[{w!r}]-> h{level}_{t}" for s, t, w in ends]
    last = len(made.levels) - 1
    outputs = ", ".join(f"h{last}_{i}" for i in range(made.width))
    path = folder / "single.flow"
    path.write_text("\n".join([*lines, f"output {outputs}"]) + "\n", encoding="utf-8")
    return path


def by_hand(made: Drawing) -> Callable[[np.ndarray], np.ndarray]:
    """Forward as one would write it with scipy: a CSR matrix for each level."""
    from scipy import sparse

    shape = (made.width, made.width)
    matrices = [sparse.csr_array((w, (t, s)), shape=shape) for s, t, w in made.levels]

    def forward(x: np.ndarray) -> np.ndarray:
        h = np.ascontiguousarray(x.T)
        for matrix in matrices:
            h = np.tanh(matrix @ h)
        return h.T

    return forward


def compiled(path: Path, **options: Any) -> Callable[[np.ndarray], Any]:
    """The forward function of the emitted module, with its first parameters."""
    module = execute(load(path).compile(**options))
    params = module["init"]()
    return lambda x: module["forward"](params, x)


def turns(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, np.ndarray]:
    """The seconds of each function, one after another, round by round."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            begun = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - begun)
    return {name: np.array(taken) for name, taken in times.items()}


def run_times(levels: int, width: int, wires: int, rounds: int) -> list[tuple[str, float, float]]:
    """Rows of what is measured: its name, microseconds, and the ratio to CSR by hand."""
    made = drawing(levels, width, wires)
    small = drawing(4, 100, max(wires // 110, 400))
    x = np.random.default_rng(1).normal(size=(BATCH, width)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_table(made, folder)
        hand, plain, scipy = by_hand(made), compiled(path), compiled(path, sparse="scipy")
        one_by_one = compiled(write_single(small, folder), level=0)
    for forward in (plain, scipy):
        assert np.allclose(forward(x), hand(x), atol=1e-4), "the results differ"
    freed = np.ones(4_000_000)
    del freed
    few = x[:, : small.width].copy()
    functions = {
        "CSR by hand": lambda: hand(x),
        "numpy alone": lambda: plain(x),
        "--sparse scipy": lambda: scipy(x),
    }
    turns(functions, 3)
    times = turns(functions, rounds)
    each = np.median(turns({"": lambda: one_by_one(few)}, max(rounds // 4, 3))[""]) / small.wires
    rows = [
        (n, float(np.median(t)) * 1e6, float(np.median(t / times["CSR by hand"]))) for n, t in times.items()
    ]
    nodes = float(each * made.wires)
    return [*rows, ("node by node (-O0)", nodes * 1e6, nodes / float(np.median(times["CSR by hand"])))]


CHILD = """
import json, resource, sys, time
from flowgraph import load
load(sys.argv[2]).compile()  # imports what a compilation imports
begun = time.perf_counter()
diagram = load(sys.argv[1])
checked = time.perf_counter()
text = diagram.compile()
done = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([checked - begun, done - checked, peak * 1024, len(text)]))
"""


def compile_times(sizes: list[int], repeats: int) -> list[tuple[int, float, float, float, int]]:
    """For each size: wires, seconds to check and to compile (medians), peak bytes, letters of the module."""
    rows = []
    for count in sizes:
        width = max(int((count / 20 / 11) or 1), 10)
        made = drawing(20, width, count)
        with tempfile.TemporaryDirectory() as name:
            path = write_table(made, Path(name))
            tiny = Path(name) / "tiny"
            tiny.mkdir()
            warm = write_table(drawing(2, 10, 40), tiny)
            found = []
            for _ in range(repeats):
                command = [sys.executable, "-c", CHILD, str(path), str(warm)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found.append(json.loads(done.stdout))
        check, compile_, peak, letters = (float(v) for v in np.median(found, axis=0))
        rows.append((made.wires, check, compile_, peak, int(letters)))
    return rows


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description="Sparse drawings: run time and compile time.")
    parser.add_argument("--wires", type=int, default=110_000, help="of the drawing that is run")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--largest", type=int, default=1_000_000, help="wires of the largest table")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(f"Forward, 20 levels of 500 circles, {given.wires} wires, batch {BATCH}, float32\n")
    print("| code | µs | ratio to CSR by hand |\n|---|---|---|")
    for name, micro, ratio in run_times(20, 500, given.wires, given.rounds):
        print(f"| {name} | {micro:,.0f} | {ratio:.2f} |")
    print("\nCompiling a table of wires\n")
    print("| wires | check, s | compile, s | µs a wire | peak memory, MiB | module, bytes a wire |")
    print("|---|---|---|---|---|---|")
    sizes = [10**k for k in range(3, 7) if 10**k <= given.largest]
    for wires, check, compile_, peak, letters in compile_times(sizes, given.repeats):
        each = (check + compile_) / wires * 1e6
        print(
            f"| {wires:,} | {check:.2f} | {compile_:.2f} | {each:.1f} | {peak / 2**20:,.0f} "
            f"| {letters / wires:.1f} |"
        )


if __name__ == "__main__":
    main()
