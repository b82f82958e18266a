"""What the functions of a module are given besides inputs: `buffers`, `train` and `rng`.

Assumes a typed graph over batches. Promises the same keyword arguments in every function of a file
that has dropout, random creators or batchnorm, and none in any other.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Iterable
from dataclasses import dataclass

from ..graph import Graph, with_subgraphs
from ..ops.ambient import draw_key
from . import source
from .body import Body
from .module import listed
from .template import call, helper_name, name


@dataclass(frozen=True)
class Modes:
    """has_mode: whether there are `train` and `rng`. buffers: names of nodes, in order."""

    has_mode: bool
    draws: bool
    buffers: tuple[str, ...]

    @staticmethod
    def of(graphs: Iterable[Graph]) -> Modes:
        """What a module of these graphs needs; the first one's buffers."""
        graphs = list(graphs)
        kinds = {node.op.name for graph in graphs for node in graph}
        return Modes(bool(kinds & {"training", "key", "buffer"}), "key" in kinds, graphs[0].buffers)

    def arguments(self, train: bool) -> list[str]:
        """The keyword arguments of a function; train: the default."""
        if not self.has_mode:
            return []
        return ["*", *(["buffers"] if self.buffers else []), f"train={train}", "rng=None"]

    def passed_on(self) -> list[ast.keyword]:
        """The same, given to another function."""
        names = ["buffers"] if self.buffers else []
        names += ["train", "rng"] if self.has_mode else []
        return [ast.keyword(n, name(n)) for n in names]


def bind_modes(body: Body, used: Container[str]) -> list[str]:
    """Give variables to what says whether a call trains, and to its key; the line that makes the key.

    used: the nodes that the function computes.
    """
    who: dict[str, None] = {}
    always = False
    key = ""
    for node in body.graph:
        if node.op.name == "training":
            body.variables[node.name] = name("train")
        if node.name not in used:
            continue
        if node.op.name == "key":
            key = body.namer.variable("key")
            body.variables[node.name] = name(key)
        for each in (node, *(n for held in node.op.subgraphs() for g in with_subgraphs(held) for n in g)):
            if each.op.draws:
                who.setdefault(each.op.title)
                always |= each.op.draws == "always"
    if not key:
        return []
    helper = helper_name(draw_key)
    body.helpers[helper] = draw_key
    made: ast.expr = call(body.renamed.get(helper, helper), name("rng"), ast.Constant(listed(list(who))))
    if not always:
        made = ast.IfExp(name("train"), made, ast.Tuple([], ast.Load()))
    return source.assign(key, made, depth=body.depth)
