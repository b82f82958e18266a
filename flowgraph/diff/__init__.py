"""What differs between two diagrams: `difference`, and how it is told.

The road: `units` (a graph as named things and wires), `match` (which of them are the same, under whatever
name), `compare` (what is different in those that are), `statements` (what stands beside the equations),
`report`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ..lower.program import DEFAULT_TRAINING
from ..parse import paused_collector
from .blocks import Blocks
from .changes import ADDED, CHANGED, REMOVED, RENAMED, Change, Note
from .compare import Settings, compare_level
from .keys import Keys
from .levels import Level, find_levels
from .report import json_lines, summary, text
from .statements import Subject, renamed_sizes, statement_changes

if TYPE_CHECKING:
    from ..draw.drawing import Drawing

__all__ = ["ADDED", "CHANGED", "REMOVED", "RENAMED", "Change", "Difference", "Note", "Subject", "difference"]


@dataclass(frozen=True)
class Difference:
    """What differs between two diagrams; true if anything does.

    changes: one for every difference, in the order of the report. levels: the graphs that were compared.
    """

    changes: tuple[Change, ...]
    levels: tuple[Level, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        return self.text()

    def text(self, *, color: bool = False) -> str:
        """The report as lines of text; color: with ANSI colours."""
        return text(self.changes, color=color)

    def summary(self) -> str:
        """How many differences there are, on one line."""
        return summary(self.changes) if self.changes else "no differences"

    def draw(self, *, depth: int | None = None, scale: str = "auto", theme: str = "light") -> Drawing:
        """Both diagrams in one picture, what differs in colours and words; as `Diagram.draw`. Raises
        ValueError."""
        from .union import draw

        return draw(self.levels, self.summary(), depth=depth, scale=scale, theme=theme)

    def json(self) -> str:
        """One JSON object a line for every change."""
        return json_lines(self.changes)


def difference(old: Subject, new: Subject) -> Difference:
    """What differs between two diagrams. Linear in their sizes."""
    with paused_collector():  # much is made, and next to nothing is garbage
        keys = Keys(renamed_sizes(old.graph, new.graph))
        blocks = Blocks.of(old.graph, new.graph, keys)
        found = find_levels(old.graph, new.graph, keys, blocks)
        settings = Settings(keys, blocks, (_frozen(old), _frozen(new)))
        for level in found:
            compare_level(level, settings)
        said = statement_changes(old, new, keys, blocks)
        return Difference((*said, *_gathered(found)), tuple(found))


def _gathered(levels: Sequence[Level]) -> Iterator[Change]:
    """The changes of all levels; where a block has several forms, those of each under where it is first
    called."""
    forms: dict[str, dict[tuple[Change, ...], str]] = {}
    for level in levels:
        if level.changes:
            forms.setdefault(level.scope, {}).setdefault(tuple(level.changes), level.path)
    for scope, found in forms.items():
        for changes, path in found.items():
            told = f"{scope} ({path})" if len(found) > 1 and path else scope
            yield from (replace(change, scope=told) for change in changes)


def _frozen(subject: Subject) -> Callable[[str], bool]:
    """Whether a `freeze` of the train statement keeps a parameter from learning."""
    patterns = (subject.program.training or DEFAULT_TRAINING).freeze
    return lambda name: any(fnmatchcase(name, pattern) for pattern in patterns)
