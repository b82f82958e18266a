"""What the simplifying passes share: walk a graph once and replace nodes as it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..graph import Graph, Node, Result, renamed

Rule = Callable[[Graph, Node], Node | str]
"""Given the graph so far and a node with its operands already replaced: the node to add, or
the name of an earlier node that stands for it."""


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """The graph with each node replaced by what the rule says, in one walk."""
    out = graph.like()
    new: dict[str, str] = {}
    for node in graph:
        operands = tuple(new[o] for o in node.operands)
        made = rule(out, node if operands == node.operands else renamed(node, operands=operands))
        if isinstance(made, str):
            new[node.name] = made
        else:
            out.add(made)
            new[node.name] = made.name
    results: list[Result] = [replace(r, node=new[r.node]) for r in graph.results]
    return out.close(graph.inputs, graph.targets, graph.params, results)
