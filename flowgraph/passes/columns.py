"""Examples as columns: what has a row for every example is held transposed, so that lines are contiguous.

Assumes a typed graph over a batch, differentiated or not. Where every value that carries the batch axis is
a vector [N] or a matrix [N, D], as in networks of dense layers, matrices are held as [D, N]: numpy works
along contiguous memory, and then the entries that share a bias, are summed over the classes or over the
batch, or are a single circle's, lie side by side. Other graphs stay as they are. Promises the same values,
to rounding: sums may be taken in another order. An operation without a rule is given views that are
transposed back, and its result is taken as it comes; what says what it is made of (`Op.simpler`) is replaced
by that first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

from ..graph import Builder, Graph, Node
from ..ops import OPS, Op
from ..ops.axes import Squeeze, TransposeLast, Unsqueeze
from ..ops.base import Elementwise, Value, beside, fn
from ..ops.batch_total import Share
from ..ops.creator import Filled
from ..ops.derivative import StopGradient
from ..ops.gather import TakeAlong, number_of
from ..ops.join import Flip, Join, Pad, Split
from ..ops.leaf import Identity, Item
from ..ops.product import Matmul, Outer
from ..ops.reduce import ArgExtreme, Reduction
from ..ops.select import FULL, Index, OneHot
from ..ops.shape import Expand, Reshape
from ..ops.softmax import AlongAxis
from ..ops.standardize import Standardize
from ..ops.statistic import Cumsum
from ..types import Dim, TensorType, TupleType, Type
from .base import Pass
from .simpler import simplified

ENTRYWISE = (Elementwise, Identity, Share, StopGradient)
"""Families whose result has an entry for each of the operands', which broadcast."""

ALONG_AXES = (
    Reduction, ArgExtreme, AlongAxis, Join, Split, Flip, Cumsum, Squeeze, Unsqueeze, Standardize
)  # fmt: skip
"""Families whose `axis` counts the axes of the operands, or of the result where these are vectors."""


@dataclass(frozen=True)
class Columns(Pass):
    """Values with a row for every example, transposed."""

    name: ClassVar[str] = "columns"

    def run(self, graph: Graph) -> Graph:
        if graph.batch is None:
            return graph
        shapes = _shapes(graph, graph.batch)
        if not all(s.is_flat for s in shapes) or not any(s.is_tall for s in shapes):
            return graph
        opened = simplified(graph, _has_no_rule)
        if all(s.is_flat for s in _shapes(opened, graph.batch)):
            graph = opened
        return _Turner(graph, str(graph.batch)).run()


def _shapes(graph: Graph, batch: str) -> list[_Shape]:
    return [_shape(t, batch) for node in graph for t in _parts(node.type)]


def _has_no_rule(graph: Graph, node: Node) -> bool:
    """Whether matrices of examples would be transposed back for a node."""
    return _is_concerned(graph, node) and not any(isinstance(node.op, families) for families, _ in RULES)


def _is_concerned(graph: Graph, node: Node) -> bool:
    """Whether a matrix of examples is made or read; inputs and the like are taken as they come."""
    if not node.operands and not isinstance(node.op, Filled):
        return False
    types = [node.type, *(graph[o].type for o in node.operands)]
    return any(_shape(t, str(graph.batch)).is_tall for type in types for t in _parts(type))


def _parts(type: Type) -> Sequence[TensorType]:
    return type.items if isinstance(type, TupleType) else (type,)


@lru_cache(4096)
def _shape(type: TensorType, batch: str) -> _Shape:
    return _Shape(type, batch)


class _Shape:
    """How a value carries the batch axis. is_tall: as [N, D]; is_flat: as that, [N], [D, N] or not at all."""

    def __init__(self, type: TensorType, batch: str) -> None:
        carried = [batch in getattr(d, "symbols", ()) for d in type.shape]
        size = Dim.symbol(batch)
        is_whole = all(d == size for d, c in zip(type.shape, carried, strict=True) if c)
        self.is_flat = not any(carried) or (is_whole and sum(carried) == 1 and type.rank <= 2)
        self.is_tall = self.is_flat and carried == [True, False]


class _Turner:
    """Writes the graph again, with one form or both of every value: straight as it was, or turned."""

    def __init__(self, graph: Graph, batch: str) -> None:
        self.graph, self.batch = graph, batch
        self.out = graph.like()
        self.builder = Builder(self.out, [n.name for n in graph])
        self.straights: dict[str, str] = {}
        self.turneds: dict[str, str] = {}
        self.columns: dict[str, str] = {}
        """Vectors as matrices of one column."""

    def run(self) -> Graph:
        for node in self.graph:
            self.builder.of = node.of
            if not _is_concerned(self.graph, node) or not self._turn(node):
                self._put(node, node.op, [self.straight(o) for o in node.operands])
        self.builder.of = None
        results = [replace(r, node=self.straight(r.node)) for r in self.graph.results]
        return self.out.close(self.graph.inputs, self.graph.targets, self.graph.params, results)

    # -- forms

    def straight(self, name: str) -> str:
        """The value as it was."""
        if name not in self.straights:
            self.straights[name] = self._transposed(name, self.turneds[name])
        return self.straights[name]

    def turned(self, name: str) -> str:
        """The value transposed; of a vector or a number, as it is."""
        type = self.graph[name].type
        if isinstance(type, TensorType) and type.rank < 2:
            return self.straight(name)
        if name not in self.turneds:
            self.turneds[name] = self._transposed(name, self.straights[name])
        return self.turneds[name]

    def _transposed(self, name: str, other: str) -> str:
        return self.builder.apply(OPS["transpose_last"](), [other], name=f"{name}_t")

    def _beside(self, name: str) -> str:
        """The value as it broadcasts beside transposed matrices: of a vector a column."""
        if self.graph[name].type.rank != 1:
            return self.turned(name)
        if name not in self.columns:
            op = OPS["unsqueeze"](axis=(-1,))
            self.columns[name] = self.builder.apply(op, [self.straight(name)], name=f"{name}_column")
        return self.columns[name]

    def _put(self, node: Node, op: Op, operands: Sequence[str], *, is_turned: bool = False) -> bool:
        """Add what stands for a node: the value itself, or transposed."""
        type = op.result_type([self.out[o].type for o in operands])
        self.out.add(Node(node.name, op, tuple(operands), type, node.hint, node.span, node.of))
        (self.turneds if is_turned else self.straights)[node.name] = node.name
        return True

    # -- rules: each adds what stands for a node, and says whether it did

    def _turn(self, node: Node) -> bool:
        for families, rule in RULES:
            if isinstance(node.op, families):
                return rule(self, node)
        return False

    def _entrywise(self, node: Node) -> bool:
        return self._put(node, node.op, [self._beside(o) for o in node.operands], is_turned=True)

    def _expand(self, node: Node) -> bool:
        if not _shape(node.type, self.batch).is_tall:
            return False
        op = node.op.with_attrs(shape=_swapped(node.type.shape))
        return self._put(node, op, [self._beside(node.operands[0])], is_turned=True)

    def _along_axis(self, node: Node) -> bool:
        if isinstance(node.op, Join) and not any(self.graph[o].operands for o in node.operands):
            return False  # what is given comes with a row for every example, and is put together so
        operands = [self.turned(o) for o in node.operands]
        op = node.op.canonical([self.graph[o].type for o in node.operands])
        axes = op.axis if isinstance(op.axis, tuple) else (op.axis,)
        other = tuple(sorted(-3 - a for a in axes))
        op = op.with_attrs(axis=other if isinstance(op.axis, tuple) else other[0])
        has_matrix = any(t.rank == 2 for t in _parts(node.type))
        return self._put(node, op, operands, is_turned=has_matrix)

    def _transpose(self, node: Node) -> bool:
        """The other form is there, or is made where it is needed."""
        (operand,) = node.operands
        forms = ((self.straights, self.turneds), (self.turneds, self.straights))
        for theirs, ours in forms:
            if operand in theirs:
                ours[node.name] = theirs[operand]
        return True

    def _matmul(self, node: Node) -> bool:
        """(a b)ᵀ = bᵀ aᵀ, and of a vector and a matrix the same; a product over the batch stays."""
        if node.type.rank == 2 and not _shape(node.type, self.batch).is_tall:
            return False
        operands = [self.turned(o) for o in reversed(node.operands)]
        return self._put(node, node.op, operands, is_turned=node.type.rank == 2)

    def _outer(self, node: Node) -> bool:
        operands = [self.straight(o) for o in reversed(node.operands)]
        return self._put(node, node.op, operands, is_turned=True)

    def _index(self, node: Node) -> bool:
        first, last = (*node.op.items, FULL, FULL)[:2]
        op = node.op.with_attrs(items=(last,) if first == FULL else (last, first))
        return self._put(node, op, [self.turned(node.operands[0])], is_turned=node.type.rank == 2)

    def _pad(self, node: Node) -> bool:
        last, first = (*node.op.widths, 0, 0)[:2], (*node.op.widths, 0, 0, 0, 0)[2:4]
        op = node.op.with_attrs(widths=tuple(Dim.of(w) for w in (*first, *last)))
        return self._put(node, op, [self.turned(node.operands[0])], is_turned=True)

    def _reshape(self, node: Node) -> bool:
        """A column of examples is a vector of them, either way round."""
        (operand,) = node.operands
        old, new = self.graph[operand].type.shape, node.type.shape
        if {*old, *new} != {Dim.symbol(self.batch), Dim.of(1)} or len(old) > 2:
            return False
        op = node.op.with_attrs(shape=_swapped(new))
        return self._put(node, op, [self.turned(operand)], is_turned=len(new) == 2)

    def _filled(self, node: Node) -> bool:
        return self._put(node, node.op.with_attrs(shape=_swapped(node.op.shape)), [], is_turned=True)

    def _one_hot(self, node: Node) -> bool:
        """Ones added to zeros at the places of labels; of other numbers a row for every class, compared."""
        label, classes = self._value(node.operands[0]), node.type.shape[-1]
        if label.type.elem.kind != "class":
            count = beside(label, OPS["arange"](start=classes))
            found = fn.equal(fn.unsqueeze(label, axis=-2), fn.unsqueeze(count, axis=-1))
            return self._put(node, OPS["cast"](kind="real"), [found.name], is_turned=True)
        places = self._places(label, classes)
        ones = beside(label, OPS["ones"](shape=places.shape))
        flat = fn.add_at(ones, places, size=classes * places.shape[0])
        shape = _swapped(node.type.shape)
        return self._put(node, OPS["reshape"](shape=shape), [flat.name], is_turned=True)

    def _take_along(self, node: Node) -> bool:
        """By a label for each example: entries of all rows one after another, by their places."""
        x, indices = (self.graph[o].type for o in node.operands)
        is_label = indices.elem.kind == "class" and indices.shape[-1] == 1 and indices.shape[0] == x.shape[0]
        if not is_label or node.op.canonical([x, indices]).axis != -1:
            return self._along_axis(node)
        label = fn.squeeze(Value(self.builder, self.turned(node.operands[1])), axis=-2)
        rows = Value(self.builder, self.turned(node.operands[0]))
        found = fn.take(fn.reshape(rows, shape=(-1,)), self._places(label, x.shape[-1]))
        return self._put(node, OPS["unsqueeze"](axis=(-2,)), [found.name], is_turned=True)

    def _places(self, label: Value, classes: Any) -> Value:
        """Where the entry of each example's label is among all, in rows of an entry for every example."""
        bare = label.name  # under another shape these are the same labels in the same order
        while self.out[bare].op.name in ("unsqueeze", "squeeze", "reshape"):
            bare = self.out[bare].operands[0]
        label = Value(self.builder, bare) if self.out[bare].type.rank == 1 else label
        examples = beside(label, OPS["arange"](start=label.shape[0]))
        return fn.flat_place(examples, label * number_of(label, label.shape[0]), size=classes)

    def _value(self, name: str) -> Value:
        return Value(self.builder, self.straight(name))

    def _item(self, node: Node) -> bool:
        """One result of several, which are all transposed or none."""
        (operand,) = node.operands
        if operand not in self.turneds:
            return False
        is_matrix = node.type.rank == 2
        return self._put(node, node.op, [self.turneds[operand]], is_turned=is_matrix)


def _swapped(shape: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(reversed(shape))


RULES: Sequence[tuple[tuple[type[Op], ...], Callable[[_Turner, Node], bool]]] = (
    (ENTRYWISE, _Turner._entrywise),
    ((TakeAlong,), _Turner._take_along),
    (ALONG_AXES, _Turner._along_axis),
    ((TransposeLast,), _Turner._transpose),
    ((Matmul,), _Turner._matmul),
    ((Outer,), _Turner._outer),
    ((Expand,), _Turner._expand),
    ((Index,), _Turner._index),
    ((Pad,), _Turner._pad),
    ((Reshape,), _Turner._reshape),
    ((Filled,), _Turner._filled),
    ((OneHot,), _Turner._one_hot),
    ((Item,), _Turner._item),
)
"""For a family of operations what stands for one that makes or reads a matrix of examples."""
