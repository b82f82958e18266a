"""A run from what the caller says: plan, data, first parameters, folder, learner; then the loop.

Assumes a checked diagram. Promises that whatever is wrong with settings, data and parameters is
reported together, before a step is taken and before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.examples import Opened, check_batch, open_examples
from ..errors import Diagnostic, Diagnostics, fail
from ..graph import Graph
from ..params import Params, find_params
from ..passes.simulate import ShapeClash, bind_sizes
from ..version import __version__
from .checkpoint import Checkpoint, checkpoint_name, newest_checkpoint
from .distributed import Group, processes, refuse_several
from .evaluate import loss_by
from .fingerprint import check_same, describe, fingerprint
from .folder import RunFolder
from .learner import Learner
from .loop import train
from .numpy_learner import NumpyLearner
from .plan import Plan, make_plan, misnumbered
from .progress import Reporter, Silent
from .report import Trained
from .subject import Subject
from .torch_learner import TorchLearner


@dataclass(frozen=True)
class Wishes:
    """What the caller says of a run; None is as the file says. `Diagram.train` describes them."""

    data: str | Path | None = None
    target: str = "numpy"
    params: Params | None = None
    epochs: int | None = None
    steps: int | None = None
    batch: int | str | None = None
    lr: float | None = None
    seed: int | None = None
    dtype: str = "float32"
    out: str | Path | None = None
    resume: bool = False
    device: str | None = None
    log: int | None = None
    save_every: int | None = None
    split: float | None = None
    allow_nan: bool = False
    stream: bool | None = None
    detect_anomaly: bool = False
    fsdp: bool = False
    level: int = 1


def start(diagram: Subject, wishes: Wishes, reporter: Reporter) -> Trained:
    """Train a diagram. Raises FlowError."""
    _check(wishes)
    if wishes.target == "numpy":
        refuse_several("numpy")
        return _start(diagram, wishes, reporter, None)
    with processes(wishes.device, wishes.dtype, fsdp=wishes.fsdp) as group:
        return _start(diagram, wishes, reporter if group.rank == 0 else Silent(), group)


def _check(wishes: Wishes) -> None:
    """What is wrong with the wishes whatever the diagram and the data. Raises FlowError."""
    if wishes.resume and wishes.out is None:
        raise fail("E0403", "a run is resumed in its folder, and none is given", help="name it with --out")
    for name in ("log", "save_every"):
        steps = getattr(wishes, name)
        if steps is not None and (said := misnumbered(name, steps, like="steps")):
            raise fail("E0404", said, help="give a number of steps")
    if wishes.target != "numpy":
        return
    torch = "add --target torch"
    if wishes.device not in (None, "cpu"):
        raise fail("E0806", f"the numpy target computes on the CPU, not on `{wishes.device}`", help=torch)
    if wishes.fsdp:
        raise fail("E0806", "the numpy target trains in one process, and has nothing to split", help=torch)


def _start(diagram: Subject, wishes: Wishes, reporter: Reporter, group: Group | None) -> Trained:
    found = Diagnostics()
    plan, opened = _plan(diagram, wishes, found), _open(diagram, wishes, found)
    if plan is not None and opened is not None:
        _check_batch(plan, opened, diagram, wishes, found)
    if opened is not None:
        _check_sizes(diagram, opened, found)
    seed = 0 if plan is None else plan.seed
    first, _ = find_params(diagram.graph, wishes.params, seed, found, wishes.dtype)
    found.raise_errors()
    assert plan is not None and opened is not None
    _refuse_coupling(diagram, group)
    if group is not None:
        group.agree(opened.digest.encode(), "data")
    reporter.warn(found.warnings)
    if wishes.out is None:
        learner = _learner(diagram, plan, first, wishes, group)
        return _train(diagram, plan, opened, learner, wishes, reporter, None, None, {})
    with RunFolder(wishes.out) as folder:
        if group is None or group.rank == 0:
            folder.prepare(wishes.resume)
        belongs = _belongs(diagram, plan, opened)
        checkpoint, damaged = _found(folder, belongs, wishes, group)
        reporter.warn(damaged)
        if checkpoint is not None and wishes.params is not None:
            reporter.note("parameters are those of the checkpoint: --params gives first ones only")
        learner = _learner(diagram, plan, first, wishes, group)
        if learner.is_writer:
            folder.write_config(_config(diagram, plan, opened, belongs))
        return _train(diagram, plan, opened, learner, wishes, reporter, folder, checkpoint, belongs)


def _train(
    diagram: Subject,
    plan: Plan,
    opened: Opened,
    learner: Learner,
    wishes: Wishes,
    reporter: Reporter,
    folder: RunFolder | None,
    checkpoint: Checkpoint | None,
    belongs: Mapping[str, Any],
) -> Trained:
    for said in plan.said:
        reporter.note(said)
    return train(
        diagram, plan, learner, opened,
        reporter=reporter, folder=folder, resume=checkpoint, belongs=belongs,
        log=wishes.log, save_every=wishes.save_every, detect_anomaly=wishes.detect_anomaly,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------
# What a run is made of


def _plan(diagram: Subject, wishes: Wishes, found: Diagnostics) -> Plan | None:
    return make_plan(
        diagram.program, diagram.expanded, found,
        target=wishes.target, dtype=wishes.dtype, epochs=wishes.epochs, steps=wishes.steps,
        batch=wishes.batch, lr=wishes.lr, seed=wishes.seed, path=diagram.source.path,
    )  # fmt: skip


def _open(diagram: Subject, wishes: Wishes, found: Diagnostics) -> Opened | None:
    folder = Path(diagram.source.path).parent
    return open_examples(
        diagram.program, folder, found,
        path=wishes.data, split=wishes.split, allow_nan=wishes.allow_nan, stream=wishes.stream,
    )  # fmt: skip


def _check_batch(plan: Plan, opened: Opened, diagram: Subject, wishes: Wishes, found: Diagnostics) -> None:
    given = diagram.program.training is not None and "batch" in diagram.training.settings
    span = diagram.training.span if given and wishes.batch is None else None
    check_batch(plan.batch, opened.train.count, found, streamed=opened.streamed, span=span)
    _check_rows(plan, opened.train.count, diagram.expanded, found)


def _check_rows(plan: Plan, count: int, graph: Graph, found: Diagnostics) -> None:
    """Report E0404 where a batch has fewer rows than an operation needs in training."""
    size = count if plan.batch is None else min(plan.batch, count)
    rows = count % size or size if size else 0
    for node in graph:
        least = node.op.least_rows([graph[o].type for o in node.operands])
        if rows < least:
            which = "a batch" if rows == size else f"the last batch of an epoch over {count} rows"
            said = f"`{node.op.name}` needs {least} rows in training, and {which} has {rows}"
            found.report("E0404", said, node.span, "here", help="choose another size for the batches")
            return


def _refuse_coupling(diagram: Subject, group: Group | None) -> None:
    """Raise FlowError (E0806) where several processes would each take a part for the whole batch."""
    if group is None or group.world == 1:
        return
    node = next((n for n in diagram.expanded if n.op.couples), None)
    if node is not None:
        said = f"`{node.op.name}` would take the rows of each process for the whole batch"
        cure = "train in one process, or use `groupnorm` or `layernorm`"
        raise fail("E0806", said, node.span, "over a batch", help=cure)


def _check_sizes(diagram: Subject, opened: Opened, found: Diagnostics) -> None:
    """Report E0503 where the sizes of the examples are not those that the diagram needs."""
    graph, first = diagram.graph, next(iter(opened.train.chunks(1)), {})
    columns = {str(graph[node].hint): node for node in (*graph.inputs, *graph.targets)}
    try:
        bind_sizes(graph, {columns[name]: rows[0] for name, rows in first.items()})
    except ShapeClash as clash:
        found.items += clash.refusal("E0503", diagram.source.path).diagnostics


def _learner(
    diagram: Subject, plan: Plan, first: Mapping[str, np.ndarray], wishes: Wishes, group: Group | None
) -> Learner:
    text = diagram.compile(plan.target, level=wishes.level, dtype=plan.dtype, training=plan.training)
    params = {str(diagram.graph[node].hint): array for node, array in first.items()}
    if plan.target == "numpy":
        return NumpyLearner(text, params, plan)
    by = loss_by(diagram.graph)
    draws = any(node.op.draws for node in diagram.expanded)
    return TorchLearner(text, diagram.name, params, plan, fsdp=wishes.fsdp, group=group, by=by, draws=draws)


def _found(
    folder: RunFolder, belongs: Mapping[str, Any], wishes: Wishes, group: Group | None
) -> tuple[Checkpoint | None, list[Diagnostic]]:
    """The checkpoint to go on from, if there is one, and what is wrong with others. Raises FlowError."""
    if not wishes.resume:
        return None, []
    checkpoint, damaged = newest_checkpoint(folder.path)
    if group is not None:
        step = -1 if checkpoint is None else checkpoint.about["step"]
        group.agree(str(step).encode(), "checkpoints")
    if checkpoint is not None:
        path = folder.path / checkpoint_name(checkpoint.about["step"])
        check_same(checkpoint.about["run"], belongs["run"], path)
    return checkpoint, damaged


# ---------------------------------------------------------------------------------------
# What is written about a run


def _belongs(diagram: Subject, plan: Plan, opened: Opened) -> dict[str, Any]:
    """What a checkpoint says of the run it belongs to: `run` in full, `fingerprint` in short."""
    settings = {
        "target": plan.target,
        "dtype": plan.dtype,
        "optimiser": plan.training.optimiser,
        "batch": "all" if plan.batch is None else plan.batch,
        "seed": plan.seed,
        "clip": plan.clip,
        "frozen": plan.frozen,
    }
    data = {
        "examples": opened.train.count,
        "validation": 0 if opened.valid is None else opened.valid.count,
        "digest": opened.digest,
    }
    run = describe(diagram.graph, settings, data)
    return {"run": run, "fingerprint": fingerprint(run)}


def _config(diagram: Subject, plan: Plan, opened: Opened, belongs: Mapping[str, Any]) -> dict[str, Any]:
    run = belongs["run"]
    return {
        "diagram": diagram.name,
        "file": Path(diagram.source.path).name,
        "settings": run["settings"] | {"epochs": plan.epochs, "steps": plan.steps},
        "data": run["data"] | {"origin": opened.origin},
        "params": run["params"],
        "fingerprint": belongs["fingerprint"],
        "flowgraph": __version__,
    }
