"""Graph nodes with operators, for the rules that build nodes: derivatives, expansions, batching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..graph import Builder, Graph, renamed
from ..types import Dim, Elem, Shape, TensorType

if TYPE_CHECKING:
    from .base import Op

OPS: dict[str, type[Op]] = {}
"""Every operation by name, in order of declaration."""


class Value:
    """A node under construction; operators and `fn` build further nodes of the same graph."""

    __slots__ = ("builder", "name")

    def __init__(self, builder: Builder, name: str) -> None:
        self.builder = builder
        self.name = name

    @property
    def type(self) -> TensorType:
        return self.builder.graph[self.name].type

    @property
    def shape(self) -> Shape:
        return self.type.shape

    def __add__(self, other: Any) -> Value:
        return fn.add(self, other)

    def __radd__(self, other: Any) -> Value:
        return fn.add(other, self)

    def __sub__(self, other: Any) -> Value:
        return fn.sub(self, other)

    def __rsub__(self, other: Any) -> Value:
        return fn.sub(other, self)

    def __mul__(self, other: Any) -> Value:
        return fn.mul(self, other)

    def __rmul__(self, other: Any) -> Value:
        return fn.mul(other, self)

    def __truediv__(self, other: Any) -> Value:
        return fn.div(self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return fn.div(other, self)

    def __pow__(self, other: Any) -> Value:
        return fn.pow(self, other)

    def __neg__(self) -> Value:
        return fn.neg(self)

    def __matmul__(self, other: Any) -> Value:
        return fn.matmul(self, other)

    def __lt__(self, other: Any) -> Value:
        return fn.less(self, other)

    def __le__(self, other: Any) -> Value:
        return fn.less_equal(self, other)

    def __gt__(self, other: Any) -> Value:
        return fn.less(other, self)

    def __ge__(self, other: Any) -> Value:
        return fn.less_equal(other, self)


def apply(op: Op, *operands: Any) -> Value:
    """An operation applied to values and numbers, at least one of them a Value."""
    builder = next(v.builder for v in operands if isinstance(v, Value))
    values = [v if isinstance(v, Value) else constant(builder, v) for v in operands]
    types = [v.type for v in values]
    for slot, elem in enumerate(op.wants(types)):
        if elem is not None and values[slot].type.elem.kind != elem.kind:
            values[slot] = converted(values[slot], elem)
    op = op.canonical([v.type for v in values])
    return Value(builder, builder.apply(op, [v.name for v in values]))


def called(value: Value, name: str) -> Value:
    """A value just made, under a name that says to readers of emitted code what it is.

    What has a name of its own, or was made before, keeps it.
    """
    made = value.builder.graph[value.name]
    if made.hint is not None or value.builder.graph.last != made.name:
        return value
    value.builder.graph.pop_last()
    unique = value.builder.names.unique(name)
    value.builder.graph.add(renamed(made, name=unique))
    return Value(value.builder, unique)


def items_of(value: Value, *names: str) -> list[Value]:
    """The results of a node that has several, under these names."""
    return [called(fn.item(value, index=i, count=len(names)), name) for i, name in enumerate(names)]


def beside(value: Value, op: Op) -> Value:
    """An operation without operands, as a node of the same graph as a value."""
    return Value(value.builder, value.builder.apply(op, ()))


def converted(value: Value, elem: Elem) -> Value:
    """The value with another element type; a literal simply changes its own."""
    node = value.builder.graph[value.name]
    if hasattr(node.op, "as_kind"):
        return Value(value.builder, value.builder.apply(node.op.as_kind(elem.kind), ()))
    return apply(OPS["cast"](kind=elem.kind), value)


def constant(builder: Builder, value: Any) -> Value:
    """A literal as a value."""
    return Value(builder, builder.apply(OPS["const"](value=value), ()))


class _Functions:
    """`fn.exp(x)`, `fn.sum(x, axis=0)`: any operation as a function of Values."""

    def __getattr__(self, name: str) -> Callable[..., Value]:
        cls = OPS[name]

        def call(*operands: Any, **attrs: Any) -> Value:
            return apply(cls(**attrs), *operands)

        return call


fn = _Functions()


class Batching:
    """What the batch pass offers to `Op.batch`: which values carry the batch axis, and its size."""

    def __init__(self, size: Dim, has: Callable[[str], bool]) -> None:
        self.size = size
        self._has = has
        self._made: set[str] = set()

    def has(self, value: Value) -> bool:
        return value.name in self._made or self._has(value.name)

    def mark(self, value: Value) -> Value:
        """Note that a value made here carries the axis."""
        self._made.add(value.name)
        return value

    def apply(self, op: Op, *values: Any) -> Value:
        return self.mark(apply(op, *values))

    def inline(self, op: Op, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        """A composite's expansion for one example, every operation in it batched by itself."""
        scratch = Builder(Graph("expansion"))
        inputs = [Value(scratch, scratch.apply(OPS["input"](type=t), ())) for t in types]
        result = op.expand(*inputs)  # type: ignore[attr-defined]
        made = dict(zip((v.name for v in inputs), values, strict=True))
        outer = values[0].builder
        for node in scratch.graph:
            if node.name in made:
                continue
            operands = [made[name] for name in node.operands]
            if any(self.has(v) for v in operands):
                inner = [scratch.graph[name].type for name in node.operands]
                made[node.name] = node.op.batch(self, operands, inner)
            else:
                made[node.name] = Value(outer, outer.apply(node.op, [v.name for v in operands]))
        return made[result.name]

    def spread(self, value: Value, type: TensorType) -> Value:
        """The value with the batch axis, repeated for every example if it had none."""
        if self.has(value):
            return value
        return self.mark(fn.expand(value, shape=(self.size, *type.shape)))

    def align(self, value: Value, type: TensorType, rank: int) -> Value:
        """A value whose axes per example are made `rank` many by axes of size 1 in front."""
        missing = rank - type.rank
        if missing <= 0 or not self.has(value) or not rank:
            return value
        return self.mark(fn.unsqueeze(value, axis=tuple(range(-rank, -type.rank))))
