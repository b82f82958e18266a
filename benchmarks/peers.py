"""A training step of ours beside its peers': time, ratio round by round, and whether the aims are met.

    python benchmarks [--only cubic mlp ...] [--peers hand jax ...] [--rounds 15] [--threads 2]
                      [--level 2] [-o FILE.md|svg|png|json ...]

Ours is the emitted numpy `Trainer.run` at the highest level there is, or at --level, and the emitted
torch module. The workloads are in `workloads.py`, the peers in `rivals/`, numpy by hand in `hand/`.
Peers come with the extra `bench`: pip install 'flowgraph[bench,torch]'; one that is not installed is
named in the table. torch.compile needs a C++ compiler besides.

Each contestant is a process of its own, held to the same number of threads, and they take turns,
each round in another order. Before anything is timed, all take the same few steps from the same first
parameters on the same batch, and losses and parameters must agree with numpy by hand. The loss is computed
at every step by all, but for the cubic, where it is every hundredth. A time is the median of the rounds;
a ratio, in brackets, is ours over the peer's, the median of the rounds' ratios.

The table goes to standard output; -o keeps it, a plot, or all rounds' times. `sparse`, which measures forward
passes of a large sparse drawing, is `benchmarks/sparse.py`, started at the end where it is there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rivals.task import Task
from workloads import ALL, BY_NAME, Workload

from flowgraph.bench import busy_text, first_values, job_of
from flowgraph.bench.report import Measured, ratio_text, time_text
from flowgraph.bench.turns import Failed, Times, Worker, take_turns
from flowgraph.diagram import LEVELS, Diagram

HERE = Path(__file__).parent
PEERS = {
    "our-torch": ("", "ours, torch", "torch"),
    "hand": ("hand", "numpy by hand", None),
    "torch": ("torch_eager", "torch eager", "torch"),
    "torch.compile": ("torch_compile", "torch.compile", "torch"),
    "jax": ("jax_jit", "JAX jit", "jax"),
    "pytensor": ("pytensor_numba", "PyTensor, numba", "pytensor"),
    "autograd": ("autograd_numpy", "autograd", "autograd"),
    "products": ("products", "matrix products alone", None),
}
"""By name: the module of `rivals`, the title, and the package that it needs. Ours in torch is one."""
OURS = "ours"
OUR_TORCH = "our-torch"
JUDGE = "hand"
"""Whose losses and parameters the others' must be."""
CHECKED = {"cubic": 200}
CHECKED_STEPS = 3
TOLERANCE = {"float32": 2e-3, "float64": 1e-8}
COMPUTES_NOTHING = {"products"}
SPARSE = HERE / "sparse.py"


@dataclass
class Outcome:
    """What became of a workload: by contestant its times, or why it has none."""

    workload: Workload
    level: int
    found: dict[str, Measured | str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def ratio(self, peer: str) -> float | None:
        """Ours over a peer's."""
        ours, theirs = self.found.get(OURS), self.found.get(peer)
        return ours.over(theirs) if isinstance(ours, Times) and isinstance(theirs, Times) else None

    def cell(self, name: str) -> str:
        """A time with the ratio, or a word."""
        value = self.found.get(name)
        if isinstance(value, Times):
            ratio = "" if name == OURS else f" ({ratio_text(self.ratio(name))})"
            return time_text(value.median) + ratio
        return "–" if value is None else value if isinstance(value, str) else "failed"

    def aims(self) -> str:
        """Each aim with what was reached."""
        said = []
        for peer, most in self.workload.aims.items():
            ratio = self.ratio(peer)
            if ratio is not None:
                mark = "yes" if ratio <= most else "no"
                said.append(f"{mark}: {peer} {ratio_text(ratio)}, at most {ratio_text(most)}")
        return "; ".join(said) or "–"


# ---------------------------------------------------------------------------------------
# Measuring


def measure(
    workload: Workload, peers: Iterable[str], rounds: int, threads: int, level: int, seconds: float = 0.1
) -> Outcome:
    """Let ours and the peers take turns."""
    diagram = workload.diagram()
    outcome = Outcome(workload, level)
    first = first_values(diagram, dtype=workload.dtype)
    task = Task(workload, first, workload.batch(np.random.default_rng(0)), threads)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        task.write(folder)
        commands = {OURS: ours(diagram, task, folder, "numpy", level)}
        for name in peers:
            module, _, package = PEERS[name]
            if package and importlib.util.find_spec(package) is None:
                outcome.found[name] = "not installed"
            elif name == OUR_TORCH:
                commands[name] = ours(diagram, task, folder, "torch", 1)
            else:
                commands[name] = theirs(module, task, folder)
        workers = {name: Worker(name, command, threads) for name, command in commands.items()}
        for worker in workers.values():
            stack.callback(worker.close)
        able = agreeing(workers, workload, folder, outcome)
        outcome.found |= take_turns(able, "train", rounds, count=workload.steps, seconds=seconds)
    return outcome


def ours(diagram: Diagram, task: Task, folder: Path, target: str, level: int) -> list[str]:
    """The command of a contestant of our own."""
    text = diagram.compile(target, level=level, dtype=task.workload.dtype)
    job = job_of(diagram, target, threads=task.threads, log=task.workload.log)
    job.write(folder / target, text, task.first, task.batch)
    return ["-m", "flowgraph.bench", str(folder / target)]


def theirs(module: str, task: Task, folder: Path) -> list[str]:
    """The command of a peer."""
    return [str(HERE / "rivals" / "program.py"), module, task.name, str(folder), str(task.threads)]


def agreeing(
    workers: dict[str, Worker], workload: Workload, folder: Path, outcome: Outcome
) -> dict[str, Worker]:
    """The workers that are ready and compute the same; of the others the outcome says why not."""
    steps = CHECKED.get(workload.name, CHECKED_STEPS)
    able: dict[str, Worker] = {}
    values: dict[str, dict[str, np.ndarray]] = {}
    for name, worker in workers.items():
        try:
            outcome.said[name] = ", ".join(f"{what} {value}" for what, value in worker.wait().items())
            if name not in COMPUTES_NOTHING:
                worker.check(steps, str(folder / f"{name}.npz"))
                with np.load(folder / f"{name}.npz") as held:
                    values[name] = {key: held[key] for key in held.files}
            able[name] = worker
        except Failed as error:
            why = str(error)
            is_gap = why.startswith("NotWritten: ")
            outcome.found[name] = "–" if is_gap else "failed"
            outcome.said[name] = why.removeprefix("NotWritten: ")
    judge = JUDGE if JUDGE in values else next(iter(values), "")
    for name, found in values.items():
        if said := disagreement(found, values[judge], TOLERANCE[workload.dtype]):
            del able[name]
            outcome.found[name] = "computes something else"
            outcome.said[name] = f"unlike {judge}, {said} after {steps} steps"
    return able


def disagreement(found: dict[str, np.ndarray], right: dict[str, np.ndarray], tolerance: float) -> str:
    """Where losses or parameters lie apart by more than a share of the largest entry, "" if nowhere."""
    if found.keys() != right.keys():
        return f"it has {sorted(found.keys() ^ right.keys())[:3]} besides, or lacks them"
    for name, value in found.items():
        other = right[name]
        if np.shape(value) != np.shape(other):
            return f"`{name}` has the shape {np.shape(value)}, not {np.shape(other)}"
        if np.size(value):
            error = float(np.max(np.abs(value - other)) / (np.max(np.abs(other)) or 1.0))
            if not error <= tolerance:
                return f"`{name}` differs by {error:.1e} of its largest entry"
    return ""


# ---------------------------------------------------------------------------------------
# Telling


def table(outcomes: list[Outcome], peers: list[str]) -> str:
    """Markdown: a line a workload."""
    names = [OURS, *peers]
    titles = {name: title for name, (_, title, _) in PEERS.items()}
    level = outcomes[0].level
    titles[OURS] = f"ours, numpy -O{level}"
    lines = [
        f"| training step | dtype | {' | '.join(titles[n] for n in names)} | aims |",
        f"|---|---|{'---:|' * len(names)}---|",
    ]
    for outcome in outcomes:
        cells = [outcome.workload.title, outcome.workload.dtype, *map(outcome.cell, names), outcome.aims()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *remarks(outcomes, titles), ""])


def remarks(outcomes: list[Outcome], titles: dict[str, str]) -> list[str]:
    """Why cells have no time, and whose versions were measured."""
    lines, versions = [], {}
    for outcome in outcomes:
        for name, said in outcome.said.items():
            value = outcome.found.get(name)
            if isinstance(value, Times):
                versions[titles[name]] = said
            else:
                why = said if isinstance(value, str) else str(value)
                lines.append(f"- {outcome.workload.title}, {titles[name]}: {why}")
    if versions:
        lines.append("- measured: " + "; ".join(f"{name}: {said}" for name, said in versions.items() if said))
    return lines


def plot(outcomes: list[Outcome], peers: list[str], path: Path) -> None:
    """Times over ours, a line of marks for each workload, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.7 * len(outcomes) + 1.6))
    markers = "osD^vP*X"
    for number, peer in enumerate(peers):
        ratios = [outcome.ratio(peer) for outcome in outcomes]
        at = [(1 / ratio, i) for i, ratio in enumerate(ratios) if ratio]
        if at:
            marker = markers[number % len(markers)]
            axes.plot(*zip(*at, strict=True), marker, label=PEERS[peer][1], alpha=0.85)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel(f"time of a training step over that of ours, numpy -O{outcomes[0].level} (right: slower)")
    axes.set_yticks(range(len(outcomes)), [o.workload.title for o in outcomes])
    axes.set_ylim(len(outcomes) - 0.5, -0.5)
    axes.grid(axis="x", which="both", alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def raw(outcomes: list[Outcome]) -> str:
    """JSON of every round, in seconds."""
    found = {
        outcome.workload.name: {
            name: list(value.rounds)
            if isinstance(value, Times)
            else {"none": outcome.said.get(name, str(value))}
            for name, value in outcome.found.items()
        }
        for outcome in outcomes
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=[*BY_NAME, "sparse"], metavar="WORKLOAD")
    parser.add_argument("--peers", nargs="+", choices=PEERS, metavar="PEER", default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--level", type=int, choices=LEVELS, default=LEVELS[-1])
    parser.add_argument("--seconds", type=float, default=0.1, help="that a turn takes, about")
    parser.add_argument("-o", dest="outputs", action="append", type=Path, default=[], metavar="FILE")
    wishes = parser.parse_args(arguments)
    for path in wishes.outputs:
        if path.suffix not in (".md", ".svg", ".png", ".json"):
            parser.error(f"-o {path}: the name must end in .md, .svg, .png or .json")
    if busy := busy_text():
        print(busy, file=sys.stderr)
    outcomes = []
    for workload in ALL if wishes.only is None else [BY_NAME[n] for n in wishes.only if n in BY_NAME]:
        print(f"{workload.title} ...", file=sys.stderr, flush=True)
        made = measure(workload, wishes.peers, wishes.rounds, wishes.threads, wishes.level, wishes.seconds)
        outcomes.append(made)
    if outcomes:
        text = table(outcomes, wishes.peers)
        print(text)
        for path in wishes.outputs:
            if path.suffix in (".svg", ".png"):
                plot(outcomes, wishes.peers, path)
            else:
                path.write_text(text if path.suffix == ".md" else raw(outcomes), encoding="utf-8")
    if SPARSE.exists() and (wishes.only is None or "sparse" in wishes.only):
        return subprocess.run([sys.executable, str(SPARSE)], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
