"""Compute what is known at compile time: operations on numbers alone.

Not exact in float32: the number is computed in float64 and rounded once, where the program as
written would round at every operation. Only finite single numbers are folded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..graph import Graph, Node, renamed
from ..ops.leaf import Const
from ..types import Dim, TensorType
from .base import Pass
from .rewrite import rewrite


@dataclass(frozen=True)
class Fold(Pass):
    """Constant folding of single numbers."""

    name: ClassVar[str] = "fold"

    def run(self, graph: Graph) -> Graph:
        return rewrite(graph, _fold)


def _fold(out: Graph, node: Node) -> Node | str:
    operands = [out[o] for o in node.operands]
    if not operands or node.hint is not None or not isinstance(node.type, TensorType) or node.type.shape:
        return node
    if any(o.op.name != "const" or o.type.shape for o in operands):
        return node
    if any(isinstance(v, Dim) and v.value is None for v in node.op.values.values()):
        return node
    types = [o.type for o in operands]
    with np.errstate(all="ignore"):
        found = node.op.evaluate([o.op.evaluate([], [], {}) for o in operands], types, {}).item()
    if isinstance(found, float) and not math.isfinite(found):
        return node
    if isinstance(found, float) and found.is_integer() and abs(found) < 2**53:
        found = int(found)
    kind = node.type.elem.kind
    if kind == "class":
        return node
    return renamed(node, op=Const(value=found).as_kind(kind), operands=())
