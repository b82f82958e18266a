"""Why a run diverged: the first value that is not finite, where it stands, and what may help.

Assumes the parameters before the step whose loss is not finite (or before the one that spoilt
them), as the run had them. Promises a diagnostic, whatever the cause: data, an operation outside
its domain or range, the slope of one, or parameters that ran away. What helps with an operation is
declared by the operation (`Op.remedy`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import Diagnostic, Label, Span
from ..graph import Graph, Node
from ..lower.program import Training
from ..ops.base import Elementwise
from ..ops.control import GIVEN
from ..ops.describe import INFIX
from ..passes.inline import Inline
from ..types import shape_text
from .learner import STEPPING
from .trace import Origin, Trace

Arrays = Mapping[str, np.ndarray]

FAST, LARGE = 1.5, 1e3
"""Parameters that grew by this factor in one step, or that grew and are as large as this, run away."""

SHOWN = 3
"""Operands whose values are told one by one."""


def explain_divergence(
    graph: Graph,
    batched: Graph,
    params: Arrays,
    batch: Arrays,
    *,
    step: int,
    loss: float,
    dtype: str,
    rows: Sequence[int] | None = None,
    previous: tuple[Arrays, Arrays] | None = None,
    gradient_graph: Graph | None = None,
    training: Training | None = None,
    seed: int = 0,
    path: str = "",
) -> Diagnostic:
    """The error (E0805) that says where a run's first infinity or non-number arose.

    graph, batched: of one example, and over a batch (`Diagram.batched`). params: all parameters
    by the diagram's names, with which the loss was computed. batch: inputs and targets of the
    step by name, [N, *shape]. step: how many steps were taken before. loss: what the run found;
    where it is finite, a parameter was not after the step.
    dtype: of the run, float32 or float64. rows: the number of each example of the batch in the
    data, counted from 0. previous: parameters and batch of the step before. gradient_graph:
    `Diagram.differentiated(0)`, to look for the cause in a gradient. training: optimiser and
    settings of the run. seed: of its draws, which are those of the numpy target. path: of the
    diagram, where no place in it can be named.
    """
    case = _Case(graph, step, loss, dtype, rows, previous, gradient_graph, training, path, seed)
    forward = Trace(Inline().run(batched), params, batch, dtype, case.rng(step))
    origin = forward.origin(r.node for r in batched.results_of("loss"))
    if origin is None:
        return case.of_own_gradient(params, batch)
    role = origin.node.op.name
    if role in ("param", "buffer"):
        return case.of_parameter(origin)
    if role in GIVEN:
        return case.of_data(origin)
    return case.of_operation(forward.graph, origin, params)


@dataclass(frozen=True)
class _Case:
    """A run that diverged; `explain_divergence` says what the fields are."""

    graph: Graph
    step: int
    loss: float
    dtype: str
    rows: Sequence[int] | None
    previous: tuple[Arrays, Arrays] | None
    gradient_graph: Graph | None
    training: Training | None
    path: str
    seed: int = 0

    def rng(self, step: int) -> np.random.Generator:
        """What a step of the numpy target draws from."""
        return np.random.default_rng([self.seed, step, STEPPING])

    # -- the kinds of causes

    def of_data(self, origin: Origin) -> Diagnostic:
        """An input or target is not finite itself."""
        what = f"the {origin.node.op.name} `{self._name(origin)}` is {origin.value}"
        label = "not a finite number in the data"
        cure = "leave such rows out of the data, or fill the values in; `--allow-nan` let them pass"
        if np.isfinite(origin.value):
            what += f" (more than {self.dtype} holds)"
            label = f"too large for {self.dtype}"
            cure = "scale the data, or compute in float64 (`--dtype float64`)"
        return self._diagnostic(what + self._example(origin), origin.node, label, cure)

    def of_operation(self, graph: Graph, origin: Origin, params: Arrays) -> Diagnostic:
        """The value of an operation is not finite."""
        node = origin.node
        said = _computation(origin)
        name = f" in `{self._name(origin)}`" if node.hint else ""
        result = f"is {_number(origin.value)}"
        if np.isfinite(origin.value):
            result += f" (more than {self.dtype} holds)"
        labels = [
            Label(of.span, f"`{of.hint}` {'is' if values.ndim == 0 else 'holds'} {_sizes(values)} here")
            for of, values in zip(graph.operands(node), origin.operands, strict=False)
            if of.hint and of.span is not None and of.span != node.span
        ]
        what = f"{said} {result}{name}{self._example(origin)}"
        cure = self._cure(node, origin.value, params)
        return self._diagnostic(what, node, said, cure, labels, _place(graph, node))

    def of_parameter(self, origin: Origin) -> Diagnostic:
        """A parameter is not finite: what the step before did to it."""
        node = origin.node
        name = self._name(origin)
        if self.previous is None:
            what = f"the param `{name}` is {origin.value}"
            return self._diagnostic(what, node, "from here on", "look at its first value, or at --params")
        before = self._gradient_origin(*self.previous, self.step - 1)
        if before is not None:
            what = f"the step before made the param `{name}` {origin.value}: "
            return replace(self, rows=None)._of_gradient(*before, what, self.previous[0])
        what = f"the step before made the param `{name}` {origin.value}, though its gradient was finite"
        return self._diagnostic(what, node, "it ran away", self._slower())

    def of_own_gradient(self, params: Arrays, batch: Arrays) -> Diagnostic:
        """The simulator finds the loss finite: perhaps its gradient is not."""
        found = self._gradient_origin(params, batch, self.step)
        if found is not None:
            return self._of_gradient(*found, "", params)
        if np.isfinite(self.loss):
            what = (
                f"step {self.step} takes a parameter beyond what {self.dtype} holds; its gradient is finite"
            )
            return Diagnostic("E0805", what, help=self._slower(), path=self.path)
        what = (
            f"node by node, in float64 rounded to {self.dtype}, everything is finite: it arose inside "
            "an operation, or from the order of a sum"
        )
        wider = "compute in float64 (`--dtype float64`), or " if self.dtype == "float32" else ""
        return self._diagnostic(what, None, "", wider + self._slower())

    def _gradient_origin(self, params: Arrays, batch: Arrays, step: int) -> tuple[Trace, Origin] | None:
        """Where the gradient of the loss is not finite."""
        if self.gradient_graph is None:
            return None
        trace = Trace(Inline().run(self.gradient_graph), params, batch, self.dtype, self.rng(step))
        origin = trace.origin(r.node for r in trace.graph.results_of("gradient"))
        return None if origin is None else (trace, origin)

    def _of_gradient(self, trace: Trace, origin: Origin, before: str, params: Arrays) -> Diagnostic:
        """A gradient is not finite: the operation whose slope it is."""
        node, graph = origin.node, trace.graph
        if node.op.name in GIVEN:
            return self._diagnostic(
                f"{before}`{self._name(origin)}` is {origin.value}", node, "not a finite number", ""
            )
        of = graph[node.of] if node.of is not None and node.of in graph else node
        if of is node:
            said = f"{_computation(origin)} is {_number(origin.value)}"
        else:
            at = trace.operands_at(of, origin)
            said = f"the slope of {_applied(of, at)} is {_number(origin.value)}"
        name = f" in `{of.hint}`" if of.hint else ""
        what = f"{before}{said}{name}{self._example(origin)}"
        cure = self._cure(of, origin.value, params)
        return self._diagnostic(what, of, said, cure, (), _place(graph, of))

    # -- cures

    def _cure(self, node: Node, value: float, params: Arrays) -> str:
        """What may help with an operation of which a value or slope is not finite."""
        cures = []
        grew = self._growth(params)
        if grew:
            cures.append(f"{grew}: {self._slower()}")
        if node.op.remedy and not (grew and np.isfinite(value)):
            cures.append(node.op.remedy)
        if not cures and self.previous is None:
            cures.append(
                "make the first values or the data smaller: subtract their mean, divide by their spread"
            )
        if not cures:
            cures.append(self._slower())
        if np.isfinite(value) and not grew:
            cures.append("float64 holds numbers up to 1.8e308 (`--dtype float64`)")
        return "; ".join(cures)

    def _growth(self, params: Arrays) -> str:
        """What the step before did to the size of the parameters, if they run away."""
        if self.previous is None:
            return ""
        old, new = (max((_largest(a) for a in of.values()), default=0.0) for of in (self.previous[0], params))
        if new > FAST * old or (new > old and new > LARGE):
            return f"the step before took the largest parameter from {old:.3g} to {new:.3g}"
        return ""

    def _slower(self) -> str:
        """Smaller steps, in the words of the run's settings."""
        if self.training is None:
            return "take a smaller learning rate, or clip the gradient with `clip=1.0`"
        taken = self.step if np.isfinite(self.loss) else max(self.step - 1, 0)
        rate = self.training.optimiser.rate_at(taken)
        said = f"take a learning rate smaller than {rate:.6g} (--lr {rate / 10:.3g})"
        clip = self.training.settings.get("clip")
        if clip is None:
            return f"{said}, or clip the gradient (`clip=1.0` in the `train` statement)"
        return f"{said}, or clip the gradient to less than {clip:g}"

    # -- words

    def _diagnostic(
        self,
        what: str,
        node: Node | None,
        label: str,
        cure: str,
        labels: Sequence[Label] = (),
        span: Span | None = None,
    ) -> Diagnostic:
        loss = "the loss" if not np.isfinite(self.loss) else "the gradient of the loss"
        value = self.loss if not np.isfinite(self.loss) else "not finite"
        place = span or (node.span if node is not None else None)
        kept = tuple(labels) if place is not None else ()
        said = f"{loss} is {value} at step {self.step}: {what}"
        return Diagnostic("E0805", said, place, label, kept, cure, "" if place else self.path)

    def _name(self, origin: Origin) -> str:
        """The diagram's name of a value, with the entry: `h[2]`."""
        entry = origin.entry if origin.example is None else origin.entry[1:]
        return f"{origin.node.hint}{shape_text(entry) if entry else ''}"  # type: ignore[arg-type]

    def _example(self, origin: Origin) -> str:
        """Which example it is, and how many more there are: ", example 17 and 2 more"."""
        if origin.example is None:
            return ""
        row = origin.example
        which = f"example {row} of the batch" if self.rows is None else f"example {self.rows[row]}"
        more = f" and {origin.examples - 1} more" if origin.examples > 1 else ""
        return f", {which}{more}"


# ---------------------------------------------------------------------------------------
# Words for values


def _computation(origin: Origin) -> str:
    """An operation applied to what it had there: "`exp` of 812.4", "3 / 0"."""
    return _applied(origin.node, origin.operands)


def _applied(node: Node, operands: Sequence[np.ndarray]) -> str:
    op = node.op
    called = f"`{op.name}`" if op.group else f"the {op.name.replace('_', ' ')}"
    exact = isinstance(op, Elementwise) and all(o.ndim == 0 for o in operands) and len(operands) <= SHOWN
    numbers = [_number(o) for o in operands] if exact else []
    if op.name in INFIX and len(numbers) == 2:
        left, right = (f"({n})" if n.startswith("-") else n for n in numbers)
        return f"{left} {INFIX[op.name][0]} {right}"
    return f"{called} of {' and '.join(numbers) if exact else _sizes(*operands)}"


def _sizes(*operands: np.ndarray) -> str:
    """The number there is, or how large numbers are."""
    if len(operands) == 1 and operands[0].ndim == 0:
        return _number(operands[0])
    return f"numbers up to {max(map(_largest, operands), default=0.0):.3g}"


def _number(value: Any) -> str:
    return f"{float(value):.6g}"


def _largest(array: np.ndarray) -> float:
    """The largest absolute value that is a number, 0 of none."""
    numbers = np.abs(np.asarray(array, dtype=np.float64))
    return float(np.max(numbers, initial=0.0, where=~np.isnan(numbers)))


def _place(graph: Graph, node: Node) -> Span | None:
    """Where a node stands in the file: its own place, or that of the first value made with it."""
    seen = {node.name}
    queue = [node]
    for each in queue:
        if each.span is not None:
            return each.span
        queue += [user for user in graph.users(each.name) if user.name not in seen]
        seen |= {user.name for user in graph.users(each.name)}
    return None
