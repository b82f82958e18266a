"""What emitted statements say of themselves: comments, shapes, and names for what nobody named."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..graph import Graph, Node
from ..ops import OPS
from ..types import TensorType
from . import source


@dataclass
class Comments:
    """Remembers the statements of one body.

    statements: the text that computes a value. inside: the user that an inlined value stands in. of:
    the comments of the body that this one is the gradient of, where that is another.
    """

    statements: dict[str, str] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    of: Comments | None = None
    loops: dict[str, Comments] = field(default_factory=dict)
    """Those of the step of each scan."""
    last: str = ""
    last_shape: str = ""

    def above(self, node: Node, depth: int) -> list[str]:
        """What stands above the first line of a backward group: the forward line it is the gradient of."""
        if node.of is None:
            return []
        text = self.of.statement(node.of) if self.of is not None else ""
        text = text or self.statement(node.of, besides=node.name)
        if not text or text == self.last:
            return []
        self.last = text
        comment = f"{source.INDENT * depth}# {text}"
        return ["", comment] if len(comment) <= source.WIDTH else [""]

    def statement(self, node: str, besides: str = "") -> str:
        """The statement that computes a value, which may stand inside it; empty if there is none.

        besides: one that is not meant.
        """
        while node in self.inside:
            node = self.inside[node]
        return "" if node == besides else self.statements.get(node, "")

    def shape(self, node: Node) -> str:
        """The shape of a value, where it is not that of the value before."""
        if not isinstance(node.type, TensorType):
            return ""
        note = shape_note(node.type)
        if note == self.last_shape or not node.type.shape:
            return ""
        self.last_shape = note
        return note


def shape_note(type: TensorType) -> str:
    """`(N, 3)`, as Python writes shapes."""
    sizes = ", ".join(str(d).replace("*", " * ") for d in type.shape)
    return f"({sizes},)" if len(type.shape) == 1 else f"({sizes})"


def suggestion(graph: Graph, node: Node, variables: Mapping[str, ast.expr]) -> str:
    """A name for a value that nobody named and that is used more than once."""
    operands = [variables.get(o) for o in node.operands]
    names = [o.id for o in operands if isinstance(o, ast.Name)]
    if len(names) == 2 and node.op.name == "sub":
        return f"{names[0]}_minus_{names[1]}"
    power = operands[1] if len(operands) == 2 and node.op.name == "pow" else None
    if len(names) == 1 and isinstance(power, ast.Constant) and isinstance(power.value, int):
        return f"{names[0]}{power.value}" if not names[0][-1].isdigit() else f"{names[0]}_{power.value}"
    owner = _owner(graph, node)
    if not owner and node.op.name == "item":
        owner = _owner(graph, graph[node.operands[0]])
    if owner and (node.of is None or node.op.name == "item"):
        return f"{owner}_{_word(node)}"
    return node.name


def _owner(graph: Graph, node: Node) -> str:
    """The name of the statement that a value of the forward pass is part of, if it has one."""
    for _ in range(20):
        users = [u for u in graph.users(node.name) if u.of is None]
        if not users:
            return ""
        node = users[0]
        if node.hint is not None:
            return node.hint
    return ""


def _word(node: Node) -> str:
    """What a value that nobody named is called: what an operation's rule called it, or its operation."""
    given = node.name.rstrip("0123456789").rstrip("_")
    made_up = not node.name.isidentifier() or "_" in given or given in OPS
    return node.op.name if made_up else given
