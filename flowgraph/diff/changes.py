"""What differs between two diagrams, as data."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Span

ADDED, REMOVED, CHANGED, RENAMED = "added", "removed", "changed", "renamed"
WAYS = (ADDED, REMOVED, CHANGED, RENAMED)

KINDS = {
    "diagram": "diagram", "size": "sizes", "const": "consts", "require": "requirements", "input": "inputs",
    "target": "targets", "param": "params", "buffer": "buffers", "block": "blocks", "repeat": "repeats",
    "node": "nodes",
    "wire": "wires", "output": "outputs", "loss": "losses", "metric": "metrics", "train": "train",
    "data": "data",
}  # fmt: skip
"""What can differ, in the order of a report, each with its heading."""


@dataclass(frozen=True)
class Note:
    """One thing that changed. what: `shape`, `weight`, a setting's name, or "" where the values speak for
    themselves; before, now: as Flow text, "" for nothing."""

    what: str
    before: str
    now: str

    def text(self) -> str:
        said = f"{self.before or 'none'} -> {self.now or 'none'}"
        return f"{self.what} {said}" if self.what else said


@dataclass(frozen=True)
class Change:
    """One difference.

    way: of WAYS. kind: of KINDS. name: in the old diagram, or in the new one where it was added; new_name:
    of what was renamed. said: what was added or removed, in words. notes: what changed; what was renamed
    may have changed too. scope: "" for the diagram itself, or the block, repeat or scan that it stands in.
    before, now: where it is written.
    """

    way: str
    kind: str
    name: str
    new_name: str = ""
    said: str = ""
    notes: tuple[Note, ...] = ()
    scope: str = ""
    before: Span | None = None
    now: Span | None = None
