"""Where infinities and non-numbers arise: a graph run node by node in the precision of a run.

Assumes a typed graph without calls. Promises the first node, on the way to what is asked about,
whose value is not finite though its operands are: where it stands in the graph, and the entry.
Every value is computed by the simulator's form in float64 and rounded to the run's dtype, so that
what float32 cannot hold is infinite here too, and what it rounds to 0 is 0. Knows no single
operation: entries are followed through elementwise ones, examples through all others.

Infinities that stand in the diagram as constants (a mask of -inf) are meant, and so are the values
that merely pass them on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph import Graph, Node
from ..ops.base import Elementwise
from ..ops.control import GIVEN
from ..passes.simulate import as_array, bind_sizes, mode_values
from ..types import Dim, TensorType

Entry = tuple[int, ...]


@dataclass(frozen=True)
class Origin:
    """A value that is not finite though what it was computed from is.

    entry: its place in the array, the example first where the value depends on the example.
    value: the entry before it was rounded to the run's dtype: finite where that cannot hold it.
    operands: for an elementwise operation the number that each operand has there, else the
    numbers of the example, or all.
    """

    node: Node
    entry: Entry
    value: float
    operands: tuple[np.ndarray, ...]
    example: int | None
    """The row of the batch, None where the value does not depend on the example."""
    examples: int
    """How many examples of the batch have such a value at this node."""


class Trace:
    """The values of all nodes of a graph over a batch."""

    def __init__(
        self,
        graph: Graph,
        params: Mapping[str, np.ndarray],
        batch: Mapping[str, np.ndarray],
        dtype: str,
        rng: np.random.Generator | None = None,
    ) -> None:
        """params: of buffers too. rng: what the step drew from; without it nothing can be drawn."""
        self.graph, self.dtype = graph, dtype
        given = {**params, **batch}
        own = (*graph.inputs, *graph.targets, *graph.params, *graph.buffers)
        values = {name: given[str(graph[name].hint)] for name in own if str(graph[name].hint) in given}
        self.sizes = bind_sizes(graph, values)
        self.given = values
        """As they were given: not rounded to the run's dtype."""
        self.known: dict[str, Any] = mode_values(graph, train=True, rng=rng)
        self.meant: dict[str, np.ndarray] = {}
        """Of nodes that have infinities which are meant, where."""
        depends = graph.depends_on((*own, *self.known))
        with np.errstate(all="ignore"):
            for name, value in values.items():
                self.known[name] = self._rounded(as_array(graph[name], value))
            for node in graph:
                self._compute(node, is_fixed=node.name not in depends)

    def _compute(self, node: Node, is_fixed: bool) -> None:
        if node.name in self.known or node.op.name in GIVEN:
            return
        if not all(o in self.known for o in node.operands):
            return
        value = self.known[node.name] = self._rounded(self._exact(node))
        if isinstance(value, tuple) or value.dtype.kind != "f" or np.all(np.isfinite(value)):
            return
        if is_fixed:
            self.meant[node.name] = ~np.isfinite(value)
        elif isinstance(node.op, Elementwise):
            passed = np.zeros(value.shape, dtype=bool)
            for operand in node.operands:
                if operand in self.meant:
                    passed |= self.meant[operand] & (value == self.known[operand])
            if passed.any():
                self.meant[node.name] = passed

    def _exact(self, node: Node) -> Any:
        """The value of a node before it is rounded."""
        types = [self.graph[o].type for o in node.operands]
        return node.op.evaluate([self.known[o] for o in node.operands], types, self.sizes)

    def _rounded(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._rounded(v) for v in value)
        array = np.asarray(value)
        return array.astype(self.dtype).astype(np.float64) if array.dtype.kind == "f" else array

    # -- where it arose

    def origin(self, ends: Iterable[str]) -> Origin | None:
        """The first node that is not finite on the way to these, or None if they are finite."""
        entries: dict[str, Entry] = {}
        todo: list[tuple[str, Entry]] = [(end, ()) for end in ends]
        while todo:
            name, within = todo.pop()
            entry = self._first_bad(name, within) if name not in entries else None
            if entry is not None:
                entries[name] = entry
                todo += [(o, self._behind(self.graph[name], o, entry)) for o in self.graph[name].operands]
        for node in self.graph:
            if node.name in entries and not any(o in entries for o in node.operands):
                return self._described(node, entries[node.name])
        return None

    def _first_bad(self, name: str, within: Entry) -> Entry | None:
        """The first entry that is not finite below these indices: non-numbers, then infinities."""
        value = self.known.get(name)
        if isinstance(value, tuple):
            finite = all(np.all(np.isfinite(v)) for v in value if v.dtype.kind == "f")
            return None if finite else ()
        if value is None or value.dtype.kind != "f":
            return None
        bad = self._bad(name)[within]
        if not bad.any():
            return None
        worst = bad & np.isnan(value[within])
        kind = worst if worst.any() else bad
        return (*within, *(int(i) for i in np.unravel_index(int(np.argmax(kind)), kind.shape)))

    def _bad(self, name: str) -> np.ndarray:
        bad = ~np.isfinite(self.known[name])
        return bad & ~self.meant[name] if name in self.meant else bad

    def _behind(self, node: Node, operand: str, entry: Entry) -> Entry:
        """The indices of an operand that an entry of a node depends on, as far as one can say."""
        of = self.known.get(operand)
        if isinstance(of, tuple) or of is None:
            return ()
        if isinstance(node.op, Elementwise) and len(entry) == np.ndim(self.known[node.name]):
            own = entry[len(entry) - of.ndim :]
            return tuple(0 if size == 1 else i for size, i in zip(of.shape, own, strict=True))
        return entry[:1] if entry and self._has_examples(node.name) and self._has_examples(operand) else ()

    def _has_examples(self, name: str) -> bool:
        """Whether a value carries the axis of examples."""
        type, batch = self.graph[name].type, self.graph.batch
        leads = isinstance(type, TensorType) and type.shape[:1]
        return bool(batch is not None and leads and leads[0] == Dim.symbol(batch))

    def _described(self, node: Node, entry: Entry) -> Origin:
        value: Any = self.given.get(node.name)
        if value is None:
            with np.errstate(all="ignore"):
                value = self._exact(node)
        single = np.nan if isinstance(value, tuple) else float(np.asarray(value)[entry])
        operands = self._operands(node, entry)
        has_examples = self._has_examples(node.name) and bool(entry)
        count = 0
        if has_examples:
            bad = self._bad(node.name)
            count = int(np.sum(bad.any(axis=tuple(range(1, bad.ndim)))))
        return Origin(node, entry, single, operands, entry[0] if has_examples else None, count)

    def _operands(self, node: Node, entry: Entry) -> tuple[np.ndarray, ...]:
        """What an entry of a node was computed from."""
        return tuple(
            np.asarray(self.known[o])[self._behind(node, o, entry)]
            for o in node.operands
            if not isinstance(self.known[o], tuple)
        )

    def operands_at(self, node: Node, origin: Origin) -> tuple[np.ndarray, ...]:
        """What a node was computed from, at the entry of a value of the same shape where there is one."""
        of, entry = self.known[node.name], origin.entry
        if isinstance(of, tuple) or of.shape != np.shape(self.known[origin.node.name]):
            leads = origin.example is not None and self._has_examples(node.name)
            entry = (origin.example,) if leads and origin.example is not None else ()
        return self._operands(node, entry)
