"""Nodes that hold graphs, as a diff sees them: calls of blocks, repeats and scans.

Assumes the names that lowering gives to parameters: those that a call makes begin with its path. Promises
to tell the values that a file passes to a block from those that the compiler passes along: parameters and
buffers which are made inside, the mode of training, and the keys of random draws.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ..graph import Graph, Node
from ..ops.control import Holder

LEAVES = ("param", "buffer")
AMBIENT = ("training", "key", "stream")
"""Operations of what a call of the emitted code gives, and no file says."""


def is_repeat(node: Node) -> bool:
    """Whether a node is the rounds of a repeat; the only round of one is a call."""
    op = node.op
    return op.name == "loop" or (
        op.name == "call" and re.search(rf"(?:^|\.){re.escape(op.graph.name)}\.[0-9]+\Z", op.path) is not None
    )


def kind(node: Node) -> str:
    """ "repeat", "scan", "block", or "" for a node that holds no graph."""
    if not isinstance(node.op, Holder):
        return ""
    return "repeat" if is_repeat(node) else "scan" if node.op.name == "scan" else "block"


def rounds(node: Node) -> int:
    """How often a repeat is repeated."""
    return node.op.count if node.op.name == "loop" else 1


def label(node: Node) -> str | None:
    """The name of a value: that of the diagram, or what the only round of a repeat binds again."""
    if node.hint is None and node.op.name == "call" and is_repeat(node) and len(node.op.graph.results) == 1:
        return str(node.op.graph.results[0].label)
    return node.hint


def item_key(graph: Graph, node: Node) -> tuple[str, str] | None:
    """What tells apart the results of a repeat: their names, and not their places; None for another node."""
    held = graph[node.operands[0]] if node.op.name == "item" else None
    if held is None or kind(held) != "repeat":
        return None
    return ("item", str(held.op.graph.results[node.op.index].label))


def taken(node: Node) -> Iterator[tuple[str, list[int]]]:
    """The inputs of a held graph, each with the slots of the operands that it is given."""
    yield from zip(node.op.graph.inputs, node.op.feeds(), strict=True)


def made(graph: Graph, node: Node) -> set[str]:
    """The inputs of a held graph that the file does not pass to it; graph: the one that the node stands
    in."""
    found = set()
    inner, path = node.op.graph, node.op.path
    for name, slots in taken(node):
        hint = inner[name].hint or name
        outer = [graph[node.operands[slot]] for slot in slots[:1]]
        for each in outer:
            said = each.hint or ""
            inside = bool(path) and said.startswith(f"{path}.") and f".{said}".endswith(f".{hint}")
            if each.op.name in AMBIENT or hint.startswith("(") or said.startswith("(") or inside:
                found.add(name)
    return found


def weights(graph: Graph, known: Collection[str], node: Node) -> set[str]:
    """The inputs of a held graph that are parameters or buffers outside, whoever passes them.

    known: those among the inputs of the graph that the node stands in.
    """
    found = set()
    for name, slots in taken(node):
        outer = [node.operands[slot] for slot in slots[:1]]
        found |= {name for each in outer if graph[each].op.name in LEAVES or each in known}
    return found


def passed(graph: Graph, node: Node) -> list[str]:
    """The operands that the file passes to a block, repeat or scan; of a repeat those of the first round."""
    inside = made(graph, node)
    return [node.operands[slots[0]] for name, slots in taken(node) if slots and name not in inside]


def by_name(node: Node) -> dict[tuple[str, int], list[int]]:
    """What a held graph takes, by its name in the file and which of that name it is, with the operands'
    slots."""
    found: dict[tuple[str, int], list[int]] = {}
    counts: dict[str, int] = {}
    for name, slots in taken(node):
        hint = node.op.graph[name].hint or name
        counts[hint] = counts.get(hint, 0) + 1
        found[hint, counts[hint]] = slots
    return found
