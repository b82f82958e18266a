"""What each optimisation of -O2 gains: training steps with all of them, and with each left out alone.

    python benchmarks/ablation.py
    python benchmarks/ablation.py --only cubic digits gpt2 --rounds 31 --threads 1 -o ablation.md

A column is a workload of `workloads.py`, or a network drawn by single wires; a row is an optimisation
(`flowc compile -O2 --without NAME`) or a lower level, and a cell the time of a step without it over that
with all. Contestants are measured as in `peers.py`: a process each, by turns, after the same first steps
have led all to the same parameters; a cell is the median of the rounds' ratios. Where leaving something
out changes no line of the module, nothing is measured. A second table has the peak memory of a step, as
planned and as tracemalloc finds it, with and without the sharing of arrays.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import tracemalloc
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from workloads import BY_NAME, Arrays, Workload, rows

from flowgraph.bench import busy_text, disagreements, first_values, job_of
from flowgraph.bench.report import Measured, ratio_text, time_text
from flowgraph.bench.turns import Times, Worker, take_turns
from flowgraph.diagram import Diagram, loads
from flowgraph.emit.planned.report import memory
from flowgraph.emit.planned.trainer import BLOCK
from flowgraph.emit.planned.write import training_plan
from flowgraph.execute import execute
from flowgraph.pipelines import OPTIMISATIONS

ALL = "all of -O2"
SAME = "="
"""In place of a ratio: the module is the same."""
CHECKED_STEPS = 3
TOLERANCE = {"float32": 2e-3, "float64": 1e-8}
MEASURED_STEPS = 3
KIB = 1024
PEAKS = ("planned", "found", "planned without `reuse`", "found without it", "found with `-O1`")


def drawn_digits() -> Diagram:
    """64-32-10 with every circle and each of the 2,410 wires by itself."""
    x, h, o = ", ".join(f"x[{i}]" for i in range(64)), _circles("h", 32), _circles("o", 10)
    lines = [
        "input x : [64]; target y : class(10)",
        f"node {h} : relu; node {o}",
        f"1, {x} -> {h}; 1, {h} -> {o}",
        f"z = [{o}]",
        "loss cross_entropy(z, y)",
        "train sgd(lr=0.1), batch=64",
    ]
    return loads("\n".join(lines) + "\n")


def _circles(letter: str, count: int) -> str:
    return ", ".join(f"{letter}{i}" for i in range(count))


DRAWN = Workload(
    "drawn",
    "the same, drawn by 2,410 wires",
    drawn_digits,
    rows(64, 64, classes=10),
    aims={},
)
WORKLOADS = {**BY_NAME, DRAWN.name: DRAWN}
USUAL = ("cubic", "xor", "2-3-2", "digits", "mlp")
"""What is measured unless --only says otherwise; the others take minutes each."""


class Processor(Worker):
    """A contestant timed by the time that it has of a processor: other work does not count, nor do waits."""

    def seconds(self, what: str, count: int) -> float:
        found: float = self._ask(do=what, count=count)["cpu"]
        return found


@dataclass
class Column:
    """A workload: the times by what was left out, or that nothing changes; peaks in bytes by PEAKS."""

    workload: Workload
    times: dict[str, Measured | str]
    notes: list[str]
    peaks: dict[str, int]

    def cell(self, without: str) -> str:
        """The ratio to the time with all, or a word."""
        value, base = self.times.get(without), self.times.get(ALL)
        if isinstance(value, Times) and isinstance(base, Times):
            return ratio_text(value.over(base))
        return value if isinstance(value, str) else "failed"

    def head(self) -> str:
        """The time with all."""
        base = self.times.get(ALL)
        return time_text(base.median) if isinstance(base, Times) else "failed"


def measure(workload: Workload, rounds: int, threads: int, seconds: float, cpu: bool = False) -> Column:
    """Let all variants of a workload take turns. cpu: by processor time."""
    kind = Processor if cpu else Worker
    diagram = workload.diagram()
    dtype = workload.dtype
    texts = {ALL: diagram.compile(level=2, dtype=dtype)}
    for name in OPTIMISATIONS:
        texts[name] = diagram.compile(level=2, dtype=dtype, without=[name])
    texts |= {f"-O{level}": diagram.compile(level=level, dtype=dtype) for level in (1, 0)}
    different = {name: text for name, text in texts.items() if name == ALL or text != texts[ALL]}
    first = first_values(diagram, dtype=dtype)
    batch = workload.batch(np.random.default_rng(0))
    job = job_of(diagram, "numpy", threads=threads, log=workload.log)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ablation-")))
        workers: dict[str, Worker] = {}
        for number, (name, text) in enumerate(different.items()):
            job.write(folder / str(number), text, first, batch)
            workers[name] = kind(name, ["-m", "flowgraph.bench", str(folder / str(number))], threads)
            stack.callback(workers[name].close)
        for name, worker in workers.items():
            worker.check(CHECKED_STEPS, str(folder / f"{name}.npz"))
        notes = disagreements(workers, folder, TOLERANCE[dtype])
        found = take_turns(workers, "train", rounds, seconds=seconds)
    times: dict[str, Measured | str] = {name: found.get(name, SAME) for name in texts}
    made = (
        planned_peak(diagram, dtype, batch, ()),
        found_peak(texts[ALL], first, batch),
        planned_peak(diagram, dtype, batch, ("reuse",)),
        found_peak(texts["reuse"], first, batch),
        found_peak(texts["-O1"], first, batch),
    )
    peaks = dict(zip(PEAKS, made, strict=True))
    return Column(workload, times, [f"{workload.title}: {note}" for note in notes], peaks)


def planned_peak(diagram: Diagram, dtype: str, batch: Arrays, without: Collection[str]) -> int:
    """The bytes that the plan of a step says it needs at most."""
    graph = diagram.planned("loss_and_grad", without=without)
    plan = training_plan(graph, frozenset(without))
    sizes: dict[str, int] = {}
    for node in (*graph.inputs, *graph.targets):
        shape = batch[str(graph[node].hint)].shape
        for dim, size in zip(graph[node].type.shape, shape, strict=True):
            sizes |= {symbol: size for symbol in graph.sizes if str(dim) == symbol}
    return memory(plan, dtype, sizes, diagram.training, BLOCK).peak


def found_peak(text: str, first: Arrays, batch: Arrays) -> int:
    """The bytes that a trainer and its first steps are found to take: the inputs were there before."""
    module = execute(text)
    buffers = {name: first[name] for name in module.get("BUFFERS", ())}
    params = {name: value for name, value in first.items() if name not in buffers}
    module["Trainer"](params).step(**batch)  # what Python keeps for later calls does not count
    tracemalloc.start()
    try:
        trainer = module["Trainer"](params)
        for _ in range(MEASURED_STEPS):
            trainer.step(**batch)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------------------------------
# Telling


def table(columns: list[Column]) -> str:
    """Markdown: how many times as long a step takes without each, and the memory."""
    names = list(dict.fromkeys(name for column in columns for name in column.times if name != ALL))
    lines = [
        f"| left out | {' | '.join(c.workload.title for c in columns)} |",
        f"|---|{'---:|' * len(columns)}",
        f"| nothing | {' | '.join(c.head() for c in columns)} |",
    ]
    for name in names:
        label = f"all: `{name}`" if name.startswith("-") else f"`{name}`"
        lines.append(f"| {label} | {' | '.join(c.cell(name) for c in columns)} |")
    noise = statistics.median(_spread(c.times[ALL]) for c in columns)
    lines += ["", f"Half of the rounds lie within ±{100 * noise:.0f} % of their median.", ""]
    lines += [f"- {note}" for column in columns for note in column.notes]
    return "\n".join([*lines, *memory_lines(columns), ""])


def _spread(times: Measured | str) -> float:
    """Half the distance between the quartiles, over the median."""
    if not isinstance(times, Times) or len(times.rounds) < 2:
        return 0.0
    low, median, high = statistics.quantiles(times.rounds, n=4)
    return (high - low) / 2 / median


def memory_lines(columns: list[Column]) -> list[str]:
    """Markdown: the peaks with and without the sharing of arrays."""
    lines = [f"| peak of a step, KiB | {' | '.join(PEAKS)} |", f"|---|{'---:|' * len(PEAKS)}"]
    for column in columns:
        numbers = [f"{column.peaks[what] / KIB:,.1f}" for what in PEAKS]
        lines.append(f"| {column.workload.title} | {' | '.join(numbers)} |")
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/ablation.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, metavar="WORKLOAD", default=list(USUAL))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.1, help="that a turn takes, about")
    parser.add_argument("--cpu", action="store_true", help="processor time, where the machine is busy")
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE.md")
    wishes = parser.parse_args(arguments)
    if busy := busy_text():
        print(busy, file=sys.stderr)
    columns = []
    for name in wishes.only:
        print(f"{WORKLOADS[name].title} ...", file=sys.stderr, flush=True)
        made = measure(WORKLOADS[name], wishes.rounds, wishes.threads, wishes.seconds, wishes.cpu)
        columns.append(made)
    text = table(columns)
    print(text)
    if wishes.output is not None:
        wishes.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
