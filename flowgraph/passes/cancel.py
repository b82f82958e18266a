"""Take out the shape work that derivative rules leave behind.

A repeated value inside an elementwise operation need not be repeated; two transpositions cancel,
so do axes of size 1 put in and taken out, and a transposed product (outer ones too) that nothing
else uses is the product of the transposed, the other way round. These are exact. An example's
share of the loss (1/N times a value) becomes a division by N, which rounds once where the product
rounds twice: not exact, and closer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from ..graph import Builder, Graph, Node, closed_like, renamed
from ..ops import OPS
from ..ops.base import Elementwise, Op
from ..types import Mismatch
from .base import Pass
from .rewrite import live_uses, results_at


@dataclass(frozen=True)
class Cancel(Pass):
    """Cancel repetitions, transpositions and shares."""

    name: ClassVar[str] = "cancel"

    def run(self, graph: Graph) -> Graph:
        return _Canceller(graph).run()


class _Canceller:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.out = graph.like()
        self.builder = Builder(self.out, [n.name for n in graph])
        self.new: dict[str, str] = {}

    @cached_property
    def uses(self) -> Counter[str]:
        """How often each value is used by what results need; few graphs are asked."""
        return live_uses(self.graph)

    def run(self) -> Graph:
        for node in self.graph:
            operands = [self.new[o] for o in node.operands]
            self.new[node.name] = self._node(node, operands)
        return closed_like(self.out, self.graph, results_at(self.graph, self.new))

    def _node(self, node: Node, operands: list[str]) -> str:
        if isinstance(node.op, Elementwise):
            operands = self._without_repeats(node, operands)
            sources = self._sources(node, operands)
            if sources is not None:
                made = self._apply(node, node.op, sources)
                return self._keep(node, OPS["expand"](shape=node.type.shape), [made])
            shared = self._shared(node, operands)
            if shared is not None:
                return self._keep(node, *shared)
        elif node.op.name == "transpose_last":
            return self._transposed(node, operands[0])
        elif node.op.name == "squeeze":
            return self._squeezed(node, operands[0])
        elif node.op.name == "share":
            inner = self.out[operands[0]]
            if inner.op.name == "share" and _may_go(inner):
                size = inner.op.size * node.op.size
                return self._keep(node, OPS["share"](size=size), [inner.operands[0]])
            source = self._repeated(inner.name)
            if source is not None:
                one = self._again(node, source)
                return self._keep(node, inner.op, [one])
        elif node.op.name in ("unsqueeze", "reshape"):
            source = self._repeated(operands[0])
            if source is None and self.out[operands[0]].op.name == "const":
                source = operands[0]
            if source is not None and not self.out[source].type.shape:
                return self._keep(node, OPS["expand"](shape=node.type.shape), [source])
        return self._keep(node, node.op, operands)

    def _again(self, node: Node, source: str) -> str:
        """The node's share of what was repeated, before it is repeated."""
        size, inner = node.op.size, self.out[source]
        if inner.op.name == "share" and _may_go(inner):
            size, source = inner.op.size * size, inner.operands[0]
        return self._apply(node, OPS["share"](size=size), [source])

    def _apply(self, node: Node, op: Op, operands: list[str]) -> str:
        """A new node on the way to one that is there already."""
        self.builder.of = node.of
        name = self.builder.apply(op, operands)
        self.builder.of = None
        return name

    def _keep(self, node: Node, op: Op, operands: list[str]) -> str:
        is_same = op is node.op and operands == list(node.operands)
        self.out.add(node if is_same else renamed(node, op=op, operands=tuple(operands)))
        return node.name

    def _repeated(self, name: str) -> str | None:
        """What an unnamed value repeats, if it is a repetition."""
        node = self.out[name]
        return node.operands[0] if node.op.name == "expand" and _may_go(node) else None

    def _without_repeats(self, node: Node, operands: list[str]) -> list[str]:
        """The operands, each repetition replaced by what it repeats where the result stays the same."""
        for slot, operand in enumerate(operands):
            source = self._repeated(operand)
            if source is None:
                continue
            changed = [*operands[:slot], source, *operands[slot + 1 :]]
            if self._gives(node, changed):
                operands = changed
        return operands

    def _gives(self, node: Node, operands: list[str]) -> bool:
        try:
            return bool(node.op.result_type([self.out[o].type for o in operands]) == node.type)
        except Mismatch:
            return False

    def _shared(self, node: Node, operands: list[str]) -> tuple[Op, list[str]] | None:
        """`share(1) * x` as `share(x)`: x divided by the number of examples."""
        if node.op.name != "mul":
            return None
        for slot in (0, 1):
            inner, other = self.out[operands[slot]], self.out[operands[1 - slot]]
            if inner.op.name != "share" or not _may_go(inner):
                continue
            if other.op.name == "const" and not other.type.shape and inner.type == node.type:
                return inner.op, [self._apply(node, node.op, [other.name, inner.operands[0]])]
            if other.type != node.type:
                continue
            number = self.out[inner.operands[0]]
            if number.op.name != "const":
                continue
            if number.op.value == 1:
                return inner.op, [other.name]
            return inner.op, [self._apply(node, node.op, [number.name, other.name])]
        return None

    def _sources(self, node: Node, operands: list[str]) -> list[str] | None:
        """What the operands repeat, if the result is one number repeated."""
        if not node.type.shape:
            return None
        found = [self._repeated(o) or o for o in operands]
        return found if all(not self.out[o].type.shape for o in found) else None

    def _transposed(self, node: Node, operand: str) -> str:
        inner = self.out[operand]
        if inner.op.name == "transpose_last" and self.out[inner.operands[0]].type == node.type:
            if node.hint is None:
                return inner.operands[0]
            return self._keep(node, OPS["identity"](), [inner.operands[0]])
        if self.uses[node.operands[0]] > 1:
            return self._keep(node, node.op, [operand])
        if inner.op.name == "outer" and inner.hint is None:
            return self._keep(node, inner.op, list(reversed(inner.operands)))
        if inner.op.name == "add" and inner.hint is None and all(self._turns(o) for o in inner.operands):
            return self._keep(node, inner.op, [self._flip(o, node.of) for o in inner.operands])
        types = [self.out[o].type for o in inner.operands]
        if inner.op.name != "matmul" or inner.hint is not None or any(t.rank < 2 for t in types):
            return self._keep(node, node.op, [operand])
        flipped = [self._flip(o, node.of) for o in reversed(inner.operands)]
        return self._keep(node, inner.op, flipped)

    def _squeezed(self, node: Node, operand: str) -> str:
        """Without the axes just added, the value is what it was before, and takes the name."""
        inner = self.out[operand]
        if inner.op.name != "unsqueeze" or self.out[inner.operands[0]].type != node.type:
            return self._keep(node, node.op, [operand])
        source = self.out[inner.operands[0]]
        if node.hint is None:
            return source.name
        if source.hint is None and source.operands:
            self.out.set_hint(source.name, node.hint)
            return source.name
        return self._keep(node, OPS["identity"](), [source.name])

    def _turns(self, name: str) -> bool:
        """Whether the transposed of an unnamed value can be written without a transposition around it."""
        node = self.out[name]
        if node.op.name not in ("matmul", "outer", "transpose_last") or node.hint is not None:
            return False
        return node.op.name != "matmul" or all(self.out[o].type.rank >= 2 for o in node.operands)

    def _flip(self, name: str, of: str | None) -> str:
        node = self.out[name]
        if node.op.name == "transpose_last":
            return node.operands[0]
        self.builder.of = of
        made = self.builder.apply(OPS["transpose_last"](), [name])
        self.builder.of = None
        return made


def _may_go(node: Node) -> bool:
    """Whether a value need not keep a statement: nobody named it, or it is a cotangent."""
    return node.hint is None or node.of is not None
