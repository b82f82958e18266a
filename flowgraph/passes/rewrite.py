"""What the simplifying passes share: walk a graph once and replace nodes as it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..graph import Graph, Node, Result, closed_like, renamed

Rule = Callable[[Graph, Node], Node | str]
"""Given the graph so far and a node with its operands already replaced: the node to add, or
the name of an earlier node that stands for it."""


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """The graph with each node replaced by what the rule says, in one walk; itself where nothing is."""
    out = graph.like()
    new: dict[str, str] = {}
    """What stands for the nodes that are not there under their own name."""
    for node in graph:
        made = rule(out, with_operands(node, new) if new else node)
        if isinstance(made, str):
            new[node.name] = made
            continue
        out.add(made)
        if made.name != node.name:
            new[node.name] = made.name
    return closed_like(out, graph, results_at(graph, new))


def live_uses(graph: Graph) -> Counter[str]:
    """How many operand slots, of nodes that results need, and results each value fills."""
    ends = [r.node for r in graph.results]
    live = graph.ancestors(ends)
    return Counter([*ends, *(o for node in graph if node.name in live for o in node.operands)])


def fresh(graph: Graph, name: str) -> str:
    """The name, or if a node has it a longer one."""
    while name in graph:
        name += "_"
    return name


def with_operands(node: Node, new: Mapping[str, str]) -> Node:
    """The node on what stands for its operands; itself where that is they themselves."""
    for operand in node.operands:
        if new.get(operand, operand) != operand:
            return renamed(node, operands=tuple(new.get(o, o) for o in node.operands))
    return node


def results_at(graph: Graph, new: Mapping[str, str]) -> list[Result]:
    """The results of a graph at what stands for their nodes."""
    return [replace(r, node=new[r.node]) if r.node in new else r for r in graph.results]
