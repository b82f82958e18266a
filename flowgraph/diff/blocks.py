"""The blocks that two diagrams call, and which of them are the same under another name."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..graph import Graph, with_subgraphs
from .held import kind
from .keys import Keys

Forms = dict[str, list[int]]
"""Blocks by name, with what they compute in each of the forms that calls give them."""


@dataclass
class Blocks:
    """The blocks of both diagrams. renamed: by new name the old one of those that have another."""

    old: Forms
    new: Forms
    renamed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, old: Graph, new: Graph, keys: Keys) -> Blocks:
        """Those of two graphs; what computes the same in all its forms is one block."""
        blocks = cls(_forms(old, keys, is_old=True), _forms(new, keys, is_old=False))
        waiting: dict[tuple[int, ...], list[str]] = {}
        for name, forms in blocks.old.items():
            waiting.setdefault(tuple(sorted(forms)), []).append(name)
        for name, forms in blocks.new.items():
            same = (n for n in waiting.get(tuple(sorted(forms)), ()) if blocks.may_be_one(n, name))
            for other in same:
                blocks.join(other, name)
                break
        return blocks

    def old_name(self, name: str) -> str:
        """What a block of the new diagram is called in the old one, or would be."""
        return self.renamed.get(name, name)

    def are_one(self, before: str, now: str) -> bool:
        """Whether two blocks are one, by name or renamed."""
        return before == self.old_name(now)

    def may_be_one(self, before: str, now: str) -> bool:
        """Whether a block that is gone and one that is new may be one: neither is another already."""
        is_free = before not in self.new and now not in self.old
        return is_free and now not in self.renamed and before not in self.renamed.values()

    def join(self, before: str, now: str) -> bool:
        """Note that a block was renamed; true, for conditions."""
        self.renamed[now] = before
        return True


def _forms(graph: Graph, keys: Keys, *, is_old: bool) -> Forms:
    found: Forms = {}
    for each in with_subgraphs(graph):
        for node in each:
            if kind(node) == "block":
                shape = keys.shape_of(node.op.graph, is_old)
                forms = found.setdefault(node.op.graph.name, [])
                if shape not in forms:
                    forms.append(shape)
    return found
