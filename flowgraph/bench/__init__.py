"""Measure a diagram: the emitted numpy at every level against the emitted PyTorch, on its own data.

Assumes a checked diagram. Promises times of whole training steps (`Trainer.run`, `train_step`) and of
forward passes, on one batch that stays the same, taken in turns by processes of their own, each
held to the same number of threads; and that what is timed computes the same, or a word that it does
not.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.load import load_data
from ..diagram import LEVELS, Diagram
from ..errors import Diagnostics, fail
from ..params import Params, find_params
from ..passes.simulate import ShapeClash, bind_sizes
from ..train.place import need_torch
from ..train.plan import misnumbered
from ..verify.cases import random_case
from .modules import Job, in_numpy
from .progress import Silent, Watcher
from .report import Bench, Measured, Row, count_text
from .turns import Failed, Times, Worker, take_turns

ROUNDS = 15
RANDOM_ROWS = 32
"""Examples of a batch where neither data nor anybody says how many."""
CHECKED_STEPS = 3
TOLERANCE = {"float32": 1e-3, "float64": 1e-8}
"""How far parameters may lie apart after these steps, relative to the largest entry."""

NO_TORCH = "PyTorch is not installed, so there is nothing to compare with: pip install 'flowgraph[torch]'"
NO_LOSS = "There is no loss to train by: forward passes alone are measured."
NO_PARAMS = "There is nothing to train: forward passes alone are measured."

Arrays = dict[str, np.ndarray]


def bench(
    diagram: Diagram,
    *,
    data: str | Path | None = None,
    params: Params | None = None,
    batch: int | str | None = None,
    rounds: int = ROUNDS,
    threads: int | None = None,
    dtype: str = "float32",
    seed: int = 0,
    compiled: bool = False,
    seconds: float = 0.1,
    watcher: Watcher | None = None,
) -> Bench:
    """Times of a training step and a forward pass, by contestant. Raises FlowError.

    data: a file of examples in place of the diagram's own; without any, random ones. params: first
    parameters, as `Diagram.run` takes them. batch: rows in a step, or "all"; None as the `train`
    statement says. threads: None for as many as there are cores. compiled: the torch module under
    torch.compile besides; needs a C++ compiler (E0605). seconds: that a turn takes, about.
    """
    if batch is not None and batch != "all" and (said := misnumbered("batch", batch)):
        raise fail("E0404", said, path=diagram.source.path, help="give another number, or `all`")
    has_torch = importlib.util.find_spec("torch") is not None
    if compiled:
        need_torch()
        need_compiler()
    threads = threads or cores()
    first = first_values(diagram, params, seed, dtype=dtype)
    texts = {f"numpy -O{level}": diagram.compile("numpy", level=level, dtype=dtype) for level in LEVELS[1:]}
    rows, what = _examples(diagram, data, batch, first, next(iter(texts.values())), dtype, seed)
    jobs = dict.fromkeys(texts, job_of(diagram, "numpy"))
    if has_torch:
        texts["torch"] = diagram.compile("torch", dtype=dtype)
        jobs["torch"] = job_of(diagram, "torch", threads=threads)
    if compiled:
        texts["torch.compile"] = texts["torch"]
        jobs["torch.compile"] = replace(jobs["torch"], compiled=True)
    found = Bench(diagram.name, what, _count(rows), dtype, threads, rounds)
    if not has_torch:
        found.notes.append(NO_TORCH)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flowc-bench-")))
        workers = {}
        for number, (name, job) in enumerate(jobs.items()):
            job.write(folder / str(number), texts[name], first, rows)
            command = ["-m", "flowgraph.bench", str(folder / str(number))]
            workers[name] = Worker(name, command, threads)
            stack.callback(workers[name].close)
        can_train = "\nclass Trainer" in next(iter(texts.values()))
        _measure(diagram, found, workers, folder, seconds, can_train, watcher or Silent())
    return found


def job_of(diagram: Diagram, target: str, *, threads: int = 1, log: int = 1) -> Job:
    """What a worker is told of a diagram's module."""
    graph = diagram.graph
    inputs, targets = (tuple(str(graph[n].hint) for n in nodes) for nodes in (graph.inputs, graph.targets))
    return Job(target, diagram.name, inputs, targets, log, threads)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy_text() -> str:
    """That the machine is not idle, a sentence; empty where it is, or where it cannot be known."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load < 0.5 * cores():
        return ""
    said = f"a load of {load:.1f} on {count_text(cores(), 'core')} in the last minute"
    return f"The machine was not idle when this began ({said}): times may be too long."


def has_compiler() -> bool:
    """Whether torch.compile finds a C++ compiler."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++"))


def need_compiler() -> None:
    """Raise FlowError (E0605) where torch.compile finds no C++ compiler."""
    if not has_compiler():
        said = "torch.compile needs a C++ compiler, and there is none"
        raise fail("E0605", said, help="install g++ or clang++, or leave out --compile")


# ---------------------------------------------------------------------------------------
# On what


def first_values(
    diagram: Diagram, params: Params | None = None, seed: int = 0, *, dtype: str = "float32"
) -> Arrays:
    """First parameters and buffers by name. Raises FlowError. params: as `Diagram.run` takes them."""
    found = Diagnostics()
    by_node, _ = find_params(diagram.graph, params, seed, found, dtype)
    found.raise_errors()
    return {str(diagram.graph[node].hint): value.astype(dtype) for node, value in by_node.items()}


def _examples(
    diagram: Diagram,
    data: str | Path | None,
    batch: int | str | None,
    first: Arrays,
    text: str,
    dtype: str,
    seed: int,
) -> tuple[Arrays, str]:
    """The columns of one batch by name, and what they are in words. Raises FlowError."""
    graph = diagram.graph
    if not graph.inputs and not graph.targets:
        return {}, "no inputs"
    wanted = diagram.training.batch if batch is None else batch
    if data is None and diagram.program.data is None:
        drawn = _random(diagram, first, text, dtype, seed)
        rows = RANDOM_ROWS if wanted == "all" else int(wanted)
        return _repeated(drawn, rows), f"{count_text(rows, 'random example')}{_sizes_text(diagram, drawn)}"
    found = Diagnostics()
    needs = bool(graph.results_of("loss"))
    place = Path(diagram.source.path).parent
    table = load_data(diagram.program, place, found, path=data, targets=needs, seed=seed)
    found.raise_errors()
    assert table is not None
    columns = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in table.columns.items()}
    count = table.count
    if not count:
        raise fail("E0501", "the data have no rows to measure on", path=diagram.source.path)
    rows = count if wanted == "all" else int(wanted)
    if batch is None:
        rows = min(rows, count)
    said = (
        f"a batch of {rows}"
        if rows <= count
        else f"a batch of {rows}, its {count_text(count, 'row')} repeated"
    )
    return _repeated(columns, rows), f"{said}{_sizes_text(diagram, columns)}"


def _random(diagram: Diagram, first: Arrays, text: str, dtype: str, seed: int) -> Arrays:
    """A few random examples on which the diagram has numbers, if trying finds them. Raises FlowError."""
    own = {n: a.astype(np.float64) for n, a in first.items()}

    def ready(examples: Mapping[str, np.ndarray]) -> Arrays:
        return {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in examples.items()}

    def has_numbers(case: Any) -> bool:
        with np.errstate(all="ignore"):
            forward = in_numpy(job_of(diagram, "numpy"), text, first, ready(case.examples)).forward
            assert forward is not None
            outputs = forward()
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        return all(bool(np.all(np.isfinite(o))) for o in several)

    case = random_case(diagram.graph, own, seed, has_numbers)
    if case is None:
        cure = "give data with --data, or sizes with --set"
        raise fail("E0301", "no sizes were found for random examples", path=diagram.source.path, help=cure)
    return ready(case.examples)


def _repeated(columns: Arrays, rows: int) -> Arrays:
    """So many rows, those that there are from the first on again and again."""
    return {n: np.ascontiguousarray(a[np.arange(rows) % len(a)]) for n, a in columns.items()}


def _sizes_text(diagram: Diagram, columns: Arrays) -> str:
    """The sizes that examples decide, such as ` with T = 64`. Raises FlowError (E0503) if they do not fit."""
    graph = diagram.graph
    by_name = {str(graph[node].hint): node for node in (*graph.inputs, *graph.targets)}
    try:
        sizes = bind_sizes(graph, {by_name[n]: a[0] for n, a in columns.items() if n in by_name})
    except ShapeClash as clash:
        raise clash.refusal("E0503", diagram.source.path) from None
    shown = [
        f"{name} = {size}" for name, size in sizes.items() if name in graph.sizes and name != graph.batch
    ]
    return f" with {', '.join(shown)}" if shown else ""


def _count(rows: Arrays) -> int:
    return next((len(a) for a in rows.values()), 0)


# ---------------------------------------------------------------------------------------
# Measuring


def _measure(
    diagram: Diagram,
    found: Bench,
    workers: dict[str, Worker],
    folder: Path,
    seconds: float,
    can_train: bool,
    watcher: Watcher,
) -> None:
    """Fill in the rows, and notes on what does not agree."""
    names = ", ".join(workers)
    failed: dict[str, Measured] = {}
    steps: dict[str, Measured] = dict.fromkeys(workers)
    try:
        watcher.phase(f"{found.name}: making ready {names}", len(workers))
        for name, worker in workers.items():
            try:
                worker.wait()
                if can_train:
                    worker.check(CHECKED_STEPS, str(folder / f"{name}.npz"))
            except Failed as error:
                failed[name] = error
            watcher.turn(name)
        able = {name: worker for name, worker in workers.items() if name not in failed}
        if can_train:
            draws = any(node.op.draws for node in diagram.expanded)
            found.notes += [] if draws else disagreements(able, folder, TOLERANCE[found.dtype])
            watcher.phase(f"{found.name}: training steps", len(able) * found.rounds)
            steps |= take_turns(able, "train", found.rounds, seconds=seconds, told=watcher.turn)
        else:
            has_loss = bool(diagram.graph.results_of("loss"))
            found.notes.append(NO_PARAMS if has_loss else NO_LOSS)
        able = {name: worker for name, worker in able.items() if not isinstance(steps[name], Failed)}
        watcher.phase(f"{found.name}: forward passes", len(able) * found.rounds)
        forward = take_turns(able, "forward", found.rounds, seconds=seconds, told=watcher.turn)
    finally:
        watcher.close()
    for name in workers:
        bad = failed.get(name)
        found.rows.append(Row(name, bad or steps[name], bad or forward.get(name)))


def disagreements(names: Mapping[str, Any], folder: Path, tolerance: float) -> list[str]:
    """What is not the same after the checked steps, in sentences; the first name is the measure.

    The values are in files NAME.npz of the folder.
    """
    said: list[str] = []
    base: dict[str, np.ndarray] = {}
    for name in names:
        with np.load(folder / f"{name}.npz") as held:
            values = {key: held[key] for key in held.files}
        if not base:
            base, first = values, name
            continue
        for key, value in values.items():
            other = base.get(key)
            if other is None or np.shape(other) != np.shape(value) or not np.size(value):
                continue
            error = float(np.max(np.abs(value - other)) / (np.max(np.abs(other)) or 1.0))
            if not error <= tolerance:
                what = key.removeprefix("params/")
                said.append(
                    f"{name} and {first} do not compute the same: after {CHECKED_STEPS} steps `{what}`"
                    f" differs by {error:.1e} of its largest entry. `flowc verify` says more."
                )
                break
    return said


__all__ = ["Bench", "Times", "bench", "busy_text", "cores", "first_values", "has_compiler", "job_of"]
