"""The ways to compute what a diagram computes, each giving the same quantities by name.

Assumes a checked diagram. Promises for a case (parameters, examples, a direction) what can be
asked of it: `output p`, `loss`, `metric accuracy`, `gradient W`, `jvp` (the derivative of the
loss along the direction) and `hvp W` (the Hessian times it), as float64 arrays. The emitted
texts, which are ours, are executed as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from ..graph import Graph, Node
from ..ops.control import GIVEN
from ..ops.scan import Scan
from ..passes.autodiff import Jvp, Vjp
from ..passes.base import Pipeline
from ..passes.batch import Batch
from ..passes.dce import Dce
from ..passes.inline import Inline
from ..passes.keep import Keep
from ..passes.per_example import PerExample
from ..passes.simulate import as_array, bind_sizes, mode_values, simulate
from ..passes.updates import Updates
from .compare import Arrays, Quantities
from .modes import couples, refused


@dataclass(frozen=True)
class Case:
    """Where to compare: arrays by the diagram's names.

    title: for people, "the data". rows: the number of each example in its source, from 1.
    way: a direction for the parameters. has_targets: whether losses and metrics can be asked
    for. train: whether in training; stream: what seeds the random draws.
    """

    title: str
    params: Arrays
    examples: Arrays
    way: Arrays
    rows: tuple[int, ...]
    has_targets: bool
    buffers: Arrays = field(default_factory=dict)
    train: bool = False
    stream: tuple[int, ...] = (0,)

    def in_training(self) -> Case:
        """The same in training."""
        return replace(self, title=f"{self.title} in training", train=True)

    def rng(self) -> np.random.Generator:
        """What a call draws from, always the same."""
        return np.random.default_rng(self.stream)

    def only(self, index: int) -> Case:
        """The case of one of its examples."""
        examples = {n: a[index : index + 1] for n, a in self.examples.items()}
        return replace(self, examples=examples, rows=(self.rows[index],))

    def moved(self, way: Mapping[str, np.ndarray], step: float = 1.0) -> Case:
        """The case with its parameters moved along a direction."""
        return replace(self, params={n: a + step * way[n] for n, a in self.params.items()})


class Engine(Protocol):
    """One way to compute."""

    name: str
    single: bool
    """Whether in float32."""
    lacks: tuple[str, ...]
    """Groups of quantities that it does not offer."""
    skipped: dict[str, str]
    """Groups that it could not compute for a reason of its own, with the reason."""

    def quantities(self, case: Case) -> Quantities:
        """Everything that can be asked of a case; raises whatever the engine raises."""
        ...


def asked(case: Case, graph: Graph) -> tuple[bool, bool]:
    """Whether a case has a loss to ask for, and whether that has a gradient."""
    has_loss = case.has_targets and bool(graph.results_of("loss"))
    return has_loss, has_loss and bool(graph.params)


# ---------------------------------------------------------------------------------------
# The simulator


class Simulator:
    """The reference: graphs over a batch, run node by node in float64."""

    name = "simulator"

    def __init__(self, batched: Graph, example: Graph | None = None) -> None:
        """example: the graph of one example, needed where anything is random."""
        self.graph = batched
        self.each: Graph | None = None
        if example is not None and example.results_of("loss") and any(n.op.name == "key" for n in example):
            self.each = Pipeline((PerExample(), Batch(), Inline(), Dce())).run(example)
        own = (*batched.inputs, *batched.targets, *batched.params, *batched.buffers)
        self.hints = {n: str(batched[n].hint) for n in own}
        flat = Inline().run(batched)
        loss = Dce().run(Keep(("loss",)).run(flat))
        self.loss_graph = loss
        self.refused = refused(flat)
        allowed = {r.role for r in flat.results} - self.refused
        self.in_training = Dce().run(Keep(tuple(allowed)).run(flat)) if self.refused else batched
        self.couples = couples(flat)
        self.update = Dce().run(Keep(("buffer",)).run(Updates().run(flat)))
        self.parts: list[Graph] = [batched]
        if loss.results and loss.params:
            gradient = Dce().run(Keep(("gradient",)).run(Vjp().run(loss)))
            twice = Dce().run(Keep(("gradient_dot",)).run(Jvp(batched.params).run(gradient)))
            once = Dce().run(Keep(("loss_dot",)).run(Jvp().run(loss)))
            self.parts += [gradient, once, twice]
        self.tangents = [n.name for n in loss if n.name in loss.params]
        self.last: tuple[Case, Quantities] | None = None
        """The case asked for last: every engine is compared with the same answer."""

    def quantities(self, case: Case, noise: float = 0.0, seed: int = 0) -> Quantities:
        """noise: the relative size of an error that every operation is given."""
        if noise:
            return self._computed(case, noise, seed)
        if self.last is None or self.last[0] is not case:
            self.last = case, self._computed(case)
        return self.last[1]

    def _computed(self, case: Case, noise: float = 0.0, seed: int = 0) -> Quantities:
        has_loss, has_gradient = asked(case, self.graph)
        rng = np.random.default_rng(seed)
        found: Quantities = {}
        first = self.in_training if case.train else self.graph
        parts = [first, *(self.parts[1:] if has_gradient else ())]
        if case.train and has_loss and self.graph.buffers:
            parts.append(self.update)
        for part in parts:
            values = self.values(case, part)
            known = simulate(part, values) if not noise else roughly(part, values, noise, rng)
            found |= _results(part, known, case.has_targets)
        if not has_loss:
            found.pop("loss", None)
        if has_gradient and not (case.train and self.couples):
            found |= self._each(case, noise, rng)
        return found

    def _each(self, case: Case, noise: float, rng: np.random.Generator) -> Quantities:
        """The gradient of every example by itself, with what was drawn for it among the others."""
        if self.each is not None:
            values = self.values(case, self.each)
            known = roughly(self.each, values, noise, rng) if noise else simulate(self.each, values)
            return {f"each gradient {r.label}": np.asarray(known[r.node]) for r in self.each.results}
        each = [self.gradient(case.only(i), noise=noise, rng=rng) for i in range(len(case.rows))]
        return {
            f"each gradient {n}": np.reshape([g[f"gradient {n}"] for g in each], (len(each), *a.shape))
            for n, a in case.params.items()
        }

    def values(self, case: Case, graph: Graph) -> Arrays:
        """The case by the names of a graph's nodes, the direction as its tangents."""
        by_hint = {**case.params, **case.examples, **case.buffers}
        values = {node: by_hint[hint] for node, hint in self.hints.items() if hint in by_hint}
        values |= mode_values(graph, train=case.train, rng=case.rng())
        added = graph.inputs[len(self.graph.inputs) :]
        return values | {
            new: case.way[self.hints[old]] for new, old in zip(added, self.tangents, strict=len(added) > 0)
        }

    def loss(self, case: Case, held: Arrays | None = None) -> np.ndarray:
        """The loss alone, as an array of one number; held: values of nodes that do not move."""
        known = simulate(self.loss_graph, self.values(case, self.loss_graph) | (held or {}))
        return np.array([sum(float(known[r.node]) for r in self.loss_graph.results)])

    def gradient(
        self,
        case: Case,
        held: Arrays | None = None,
        noise: float = 0.0,
        rng: np.random.Generator | None = None,
    ) -> Quantities:
        """The gradient alone; held: values of nodes that do not move. noise: as in `quantities`."""
        graph = self.parts[1]
        values = self.values(case, graph) | (held or {})
        known = roughly(graph, values, noise, rng) if noise and rng else simulate(graph, values)
        return _results(graph, known, True)

    def new_buffers(self, case: Case, noise: float, rng: np.random.Generator) -> Arrays:
        """The buffers after a step, by name. noise: as in `quantities`."""
        if not case.buffers:
            return {}
        values = self.values(case, self.update)
        known = roughly(self.update, values, noise, rng) if noise else simulate(self.update, values)
        return {r.label: np.asarray(known[r.node]) for r in self.update.results_of("buffer")}

    def cut(self, case: Case, order: int = 1) -> Arrays:
        """The values that pass no gradient, of the loss or (order 2) of the gradient."""
        graph = self.loss_graph if order == 1 else self.parts[1]
        known = simulate(graph, self.values(case, graph))
        return {n.name: known[n.name] for n in graph if not n.op.differentiable and n.name in known}

    def moves(self, case: Case, way: Arrays, step: float) -> str:
        """The first value that passes no gradient and yet moves along a direction, or nothing."""
        low, high = (self.cut(case.moved(way, t)) for t in (-step, step))
        moving = (
            n for n in self.loss_graph if n.name in low and not np.array_equal(low[n.name], high[n.name])
        )
        node = next(moving, None)
        return "" if node is None else described(node)

    def derivatives(self, case: Case) -> Quantities:
        """Gradient, jvp and hvp."""
        found: Quantities = {}
        for part in self.parts[1:]:
            found |= _results(part, simulate(part, self.values(case, part)), True)
        return found


def described(node: Node) -> str:
    """An operation and where it stands: "`tanh` of `h`, line 6"."""
    line = f", line {node.span.line}" if node.span is not None else ""
    return f"`{node.op.name}`{f' of `{node.hint}`' if node.hint else ''}{line}"


def _results(graph: Graph, known: Mapping[str, Any], has_targets: bool) -> Quantities:
    """The results of a graph by the names of quantities."""
    words = {"gradient": "gradient {}", "gradient_dot": "hvp {}", "loss_dot": "jvp", "loss": "loss"}
    words |= {"output": "output {}", "metric": "metric {}", "buffer": "buffer {}"}
    found: Quantities = {}
    for result in graph.results:
        if result.role != "output" and not has_targets:
            continue
        name = words[result.role].format(result.label)
        value = np.asarray(known[result.node], dtype=np.float64)
        found[name] = found[name] + value if result.role in ("loss", "loss_dot") and name in found else value
    return found


def roughly(
    graph: Graph, values: Mapping[str, Any], noise: float, rng: np.random.Generator
) -> dict[str, Any]:
    """The value of every node, each computed with a random relative error: what rounding may do.

    That of a sum of n terms is √n times as large, as it grows where terms are added one by one.
    Numbers with few binary digits are left as they are, since small whole numbers and their like
    are computed exactly: a tie between such stays one.
    """
    sizes = bind_sizes(graph, values)
    grid = 2.0**20 if noise < 1e-10 else 2.0**8

    def rough(value: Any, terms: float = 1.0) -> Any:
        if not isinstance(value, np.ndarray | np.floating) or value.dtype.kind != "f":
            return value
        factor = 1 + noise * np.sqrt(terms) * rng.choice((-1.0, 1.0), np.shape(value))
        exact = (np.abs(value) < grid) & (value * grid == np.round(value * grid))
        return np.where(exact, value, value * factor)

    def compute(graph: Graph, known: dict[str, Any]) -> dict[str, Any]:
        for node in graph:
            if node.name in known or not all(o in known for o in node.operands) or node.op.name in GIVEN:
                continue
            operands = [known[o] for o in node.operands]
            if isinstance(node.op, Scan):
                known[node.name] = node.op.evaluate_by(step, operands, sizes)
            else:
                types = [graph[o].type for o in node.operands]
                value = node.op.evaluate(operands, types, sizes)
                known[node.name] = rough(value, _terms(node, operands, value))
        return known

    def step(graph: Graph, inputs: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        known = compute(graph, dict(zip(graph.inputs, inputs, strict=True)))
        return tuple(known[r.node] for r in graph.results)

    with np.errstate(all="ignore"):
        return compute(graph, {n: rough(as_array(graph[n], v)) for n, v in values.items() if n in graph})


def _terms(node: Node, operands: Sequence[Any], value: Any) -> float:
    """How many entries of its operand go into each entry of a reduction; 1 for other operations."""
    return np.size(operands[0]) / max(np.size(value), 1) if node.op.group == "reductions" else 1.0
