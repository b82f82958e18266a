"""Recurrence: a closed graph applied to the entries of sequences, one after another.

The graph is a step. Its inputs are the states, an entry of each sequence, and values that all steps
share; its results are the next states, and what each step gives out. The length of the sequences may
be a symbolic size. Derivatives of a scan are scans: the passes that differentiate build the graphs of
their steps (`passes.scans`), since an operation knows no passes. A key for random draws that the
steps share is another one in each: with the number of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Graph
from ..types import KEY, Dim, Elem, Mismatch, Shape, TensorType, Type, Unifier, describe
from .base import REAL, OpDefinitionError, Value, apply, concrete, fn
from .control import Holder, applied, several
from .leaf import DTYPES
from .value import OPS

Applied = Callable[[Graph, Sequence[Any], Mapping[str, int]], Any]
"""Computes the outputs of a closed graph, a tuple if there are several."""


class Scan(Holder):
    """A step applied along sequences.

    Operands: first values of the states, the sequences, what all steps share. Results: of each value
    that a step gives out the sequence, then the states of `last` as they are at the end. axis: where
    the sequences and results have the axis of recurrence. reverse: begin with the last entry.
    """

    states: int
    sequences: int
    last: Any = ()
    axis: int = 0
    reverse: bool = False
    pull: Any = None
    """How cotangents go back through it: a `Pullback`, there only while a graph is differentiated."""

    def parts(self, values: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Operands, or inputs of the graph: those of the states, of the sequences, and the shared."""
        first = self.states + self.sequences
        return list(values[: self.states]), list(values[self.states : first]), list(values[first:])

    def gives(self) -> list[str]:
        """The nodes of the graph whose values a step gives out."""
        return [r.node for r in self.graph.results[self.states :]]

    def follows(self) -> list[str]:
        """The nodes of the graph that are the next states."""
        return [r.node for r in self.graph.results[: self.states]]

    def accepts(self, count: int) -> bool:
        return count == len(self.graph.inputs)

    def round_trip(self) -> int:
        return self.states

    def carrying(self, given: Sequence[int]) -> list[int]:
        return sorted({*given, *range(self.states + self.sequences)})

    def over_batch(self, graph: Any) -> Any:
        return self.with_attrs(graph=graph, axis=self.axis + 1)

    # -- types

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        """Whole numbers are made real where the step takes reals."""
        wanted = [self.graph[name].type.elem.kind for name in self.graph.inputs]
        return [
            REAL if kind == "real" and given.elem.kind != "real" else None
            for given, kind in zip(types, wanted, strict=True)
        ]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        length = self.length(types)
        for slot, (given, name) in enumerate(zip(types, self.graph.inputs, strict=True)):
            is_sequence = self.states <= slot < self.states + self.sequences
            if is_sequence and given.rank <= self.axis:
                raise Mismatch("a sequence has an axis", blame=[(slot, f"is {describe(given)}")])
            if is_sequence:
                u.unify(given.shape[self.axis], length)
                given = TensorType(given.elem, without(given.shape, self.axis))
            self._hold(u, slot, given, name)
        sequences = [self.graph[name].type for name in self.gives()]
        found = [TensorType(t.elem, self._along(t.shape, u.resolve(length))) for t in sequences]
        found += [self.graph[self.graph.inputs[i]].type for i in self.last]
        return several(found)

    def length(self, types: Sequence[TensorType]) -> Any:
        """The number of steps, given the operands' types."""
        return types[self.states].shape[self.axis]

    def _along(self, shape: Shape, length: Any) -> Shape:
        return (*shape[: self.axis], length, *shape[self.axis :])

    # -- values

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        return self.evaluate_by(applied, arrays, sizes)

    def evaluate_by(self, apply: Applied, arrays: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        """The value, each step computed by a function of the graph, its inputs and the sizes."""
        states, sequences, shared = self.parts(arrays)
        given: list[list[Any]] = [[] for _ in self.gives()]
        steps = range(np.shape(sequences[0])[self.axis])
        is_key = [self.graph[name].type.elem == KEY for name in self.parts(self.graph.inputs)[2]]
        for step in reversed(steps) if self.reverse else steps:
            entries = [s[(slice(None),) * self.axis + (step,)] for s in sequences]
            same = [np.append(v, step) if k and len(v) else v for v, k in zip(shared, is_key, strict=True)]
            found = apply(self.graph, [*states, *entries, *same], sizes)
            found = found if isinstance(found, tuple) else (found,)
            states = list(found[: self.states])
            for values, value in zip(given, found[self.states :], strict=True):
                values.append(value)
        results = [
            self._stacked(values[::-1] if self.reverse else values, self.graph[name].type, sizes)
            for values, name in zip(given, self.gives(), strict=True)
        ]
        results += [np.asarray(states[i]) for i in self.last]
        return results[0] if len(results) == 1 else tuple(results)

    def _stacked(self, values: Sequence[Any], type: TensorType, sizes: Mapping[str, int]) -> Any:
        if not values:
            shape = concrete(self._along(type.shape, Dim.of(0)), sizes)
            return np.zeros(shape, dtype=DTYPES[type.elem.kind])
        return np.stack(values, axis=self.axis)

    # -- derivatives

    def vjp(self, cotangent: Any, y: Value, *xs: Value) -> list[Value | None]:
        if self.pull is None:
            raise OpDefinitionError("a scan is prepared before it is differentiated")
        given = cotangent if isinstance(cotangent, list) else [cotangent]
        found: list[Value | None] = self.pull.cotangents(self, given, y, xs)
        return found


def without(shape: Shape, axis: int) -> Shape:
    """The shape without one of its axes."""
    return (*shape[:axis], *shape[axis + 1 :])


@dataclass(frozen=True)
class Pullback:
    """How the cotangents of a scan's results become those of its operands: by a scan the other way.

    op: that scan. Its states are the cotangents of `states`, then the sums of those of `shared`; its
    sequences are the operands `entries`, the results `saved`, and the cotangents of the results
    `given`; it shares the operands `taken`. It gives out the cotangents of the sequences `made`. All
    are numbers of slots of the scan's operands, or of its results.
    """

    op: Scan
    states: tuple[int, ...]
    shared: tuple[int, ...]
    made: tuple[int, ...]
    entries: tuple[int, ...]
    saved: tuple[int, ...]
    given: tuple[int, ...]
    taken: tuple[int, ...]

    def cotangents(
        self, scan: Scan, given: Sequence[Value | None], y: Value, xs: Sequence[Value]
    ) -> list[Value | None]:
        """The cotangent of each operand; `given` are those of the results, None for zero."""
        count = len(scan.gives())
        finals = {slot: given[count + i] for i, slot in enumerate(scan.last)}
        first = [finals.get(slot) for slot in self.states] + [None for _ in self.shared]
        starts = [
            fn.zeros_like(xs[slot]) if value is None else value
            for slot, value in zip((*self.states, *self.shared), first, strict=True)
        ]
        saved = [result_of(y, slot) for slot in self.saved]
        sent = [_or_zeros(given[slot], result_of(y, slot)) for slot in self.given]
        sequences = [*(xs[slot] for slot in self.entries), *saved, *sent]
        run = apply(self.op, *starts, *sequences, *(xs[slot] for slot in self.taken))
        found: list[Value | None] = [None for _ in xs]
        for index, slot in enumerate((*self.made, *self.states, *self.shared)):
            found[slot] = result_of(run, index)
        return found


def _or_zeros(cotangent: Value | None, value: Value) -> Value:
    return fn.zeros_like(value) if cotangent is None else cotangent


def result_of(value: Value, index: int) -> Value:
    """One of the results of a node that may have several."""
    items = getattr(value.type, "items", None)
    if items is None:
        return value
    graph = value.builder.graph
    for user in graph.users(value.name):
        if user.op.name == "item" and user.op.index == index:
            return Value(value.builder, user.name)
    return apply(OPS["item"](index=index, count=len(items)), value)
