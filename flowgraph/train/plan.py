"""What a run of training is to do: the `train` statement with what the caller says otherwise.

Assumes a checked diagram. Promises a plan in which every number is in its range and something is
left to train, or every reason why not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from numbers import Integral, Real
from typing import Any

from ..data.order import steps_per_epoch
from ..errors import Diagnostics, shorten
from ..graph import Graph
from ..lower.program import DEFAULT_EPOCHS, DEFAULT_TRAINING, Program, Training
from ..lower.training import out_of_range
from ..passes.learn import SHOWN, staying

COLUMNS = ("step", "epoch", "lr", "loss", "val_loss")
"""What the log says besides metrics."""


@dataclass(frozen=True)
class Plan:
    """A run, settled. It depends on the data only by their number of rows.

    target: numpy or torch. dtype: float32 or float64. training: the optimiser with its learning
    rate, and the settings as they hold for this run. batch: rows in a step, None for all of
    them. steps, epochs: how far to go in all, one of them None. seed: of first values and of
    the order of rows. clip: the largest norm of the gradient. frozen: names of parameters that
    stay as they are. said: what was assumed because nobody said otherwise, in words.
    """

    target: str
    dtype: str
    training: Training
    batch: int | None
    steps: int | None
    epochs: int | None
    seed: int
    clip: float | None = None
    frozen: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    def per_epoch(self, count: int) -> int:
        """The steps that an epoch over so many rows takes; the last of them may be smaller."""
        return steps_per_epoch(count, self.batch)

    def total_steps(self, count: int) -> int:
        """The number of the last step on so many rows."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None, "a plan has a length"
        return self.epochs * self.per_epoch(count)


def make_plan(
    program: Program,
    graph: Graph,
    found: Diagnostics,
    *,
    target: str = "numpy",
    dtype: str = "float32",
    epochs: int | None = None,
    steps: int | None = None,
    batch: int | str | None = None,
    lr: float | None = None,
    seed: int | None = None,
    path: str = "",
) -> Plan | None:
    """The plan of a run, or None with the errors (E0403, E0404, E0603, E0801) reported.

    graph: the typed graph of one example, derivatives expanded. What is None is as the file
    says. path: of the diagram, for errors that have no place in it.
    """
    before = found.error_count
    said = program.training or DEFAULT_TRAINING
    given = {"epochs": epochs, "steps": steps, "batch": batch, "seed": seed}
    _check_settings(given, found, path)
    settings = dict(said.settings)
    if epochs is not None or steps is not None:
        settings = {name: value for name, value in settings.items() if name not in ("epochs", "steps")}
    said_here = {name: value for name, value in given.items() if value is not None}
    settings |= {name: int(v) if isinstance(v, Integral) else v for name, v in said_here.items()}
    optimiser = said.optimiser if lr is None else _with_rate(said.optimiser, lr, found, path)
    training = Training(optimiser, settings, said.span)
    names = [str(graph[p].hint) for p in graph.params]
    frozen = tuple(n for n in names if any(fnmatchcase(n, f) for f in training.freeze))
    _check_learning(graph, training, found, path)
    _check_metrics(graph, found)
    if found.error_count > before:
        return None
    total, passes = training.length
    return Plan(
        target,
        dtype,
        replace(training, span=None),  # a plan is the same in every process
        None if training.batch == "all" else int(training.batch),
        total,
        passes,
        training.seed,
        training.clip,
        frozen,
        _assumed(program, training),
    )


def _assumed(program: Program, training: Training) -> tuple[str, ...]:
    """What nobody said, and what is done therefore."""
    said = []
    if program.training is None:
        said.append(
            f"there is no `train` statement: {training.optimiser.name}, lr={training.optimiser.rate:g}"
        )
    if not {"epochs", "steps"} & training.settings.keys():
        said.append(f"nothing says how long to train: {DEFAULT_EPOCHS} epochs")
    return tuple(said)


# ---------------------------------------------------------------------------------------
# What the caller says


def _check_settings(given: dict[str, Any], found: Diagnostics, path: str) -> None:
    if given["epochs"] is not None and given["steps"] is not None:
        said = "both epochs and steps are given"
        found.report("E0403", said, help="say how long to train by one of them", path=path)
    for name, value in given.items():
        if value is None or (name == "batch" and value == "all"):
            continue
        if said := misnumbered(name, value):
            cure = "give another number" + (", or `all`" if name == "batch" else "")
            found.report("E0404", said, help=cure, path=path)


def misnumbered(name: str, value: Any, like: str = "") -> str:
    """What is wrong with a setting that must be a whole number, numpy's included; "" for nothing.

    like: the setting of the `train` statement that has its range, where it has another name.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        return f"`{name}` must be a whole number, and it is {shorten(repr(value))}"
    bound = out_of_range(like or name, int(value))
    return f"`{name}` must be {bound}, and it is {shorten(str(value))}" if bound else ""


def _with_rate(optimiser: Any, lr: float, found: Diagnostics, path: str) -> Any:
    """The optimiser with another learning rate; the shape of a schedule stays. E0404 is reported."""
    if isinstance(lr, bool) or not isinstance(lr, Real):
        said = f"`lr` must be a number, and it is {lr!r}"
        found.report("E0404", said, help="give another learning rate", path=path)
        return optimiser
    chain = [optimiser]
    while hasattr(chain[-1].lr, "lr"):
        chain.append(chain[-1].lr)
    made: Any = float(lr)
    for each in reversed(chain):
        made = each.with_attrs(lr=made)
        for problem in made.problems():
            found.report("E0404", problem, help="give another learning rate", path=path)
    return made


# ---------------------------------------------------------------------------------------
# What is left to train


def _check_learning(graph: Graph, training: Training, found: Diagnostics, path: str) -> None:
    if not graph.results_of("loss"):
        cure = "add a statement such as `loss mse(f, y)`"
        found.report("E0603", "training needs a loss, and the diagram has none", help=cure, path=path)
        return
    names = [str(graph[p].hint) for p in graph.params]
    if len(staying(graph, training.freeze)) < len(names):
        return
    place = None
    if not names:
        why, cure = "the diagram has no parameters", "declare some with `param`, or use layers"
    elif len(staying(graph)) == len(names):
        why = f"no gradient of the loss reaches any parameter ({_listed(names)})"
        cure = "`flowc check` says where the gradient stops"
    else:
        why, cure = "`freeze` holds every parameter that could learn", "freeze fewer of them"
        place = training.span
    found.report("E0801", f"there is nothing to train: {why}", place, help=cure, path="" if place else path)


def _check_metrics(graph: Graph, found: Diagnostics) -> None:
    """Report E0102 for metrics that the log could not tell from its own columns."""
    for metric in graph.results_of("metric"):
        if metric.label in COLUMNS:
            said = f"the metric `{metric.label}` has the name of a column of the log"
            cure = f"name it otherwise, such as `metric {metric.label}_of = ...`"
            found.report("E0102", said, metric.span, "named here", help=cure)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{shorten(n)}`" for n in names[:SHOWN]) or "none"
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
