"""Patterns of names of weights: `*` stands for any run of characters, everything else for itself.

Assumes names of at most `MAX_NAME` characters. Promises that a name is never renamed in a way that
the pattern leaves open: of two ways that give different names, none is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_NAME = 1000
"""Longer names of entries are matched by nothing."""


@dataclass(frozen=True)
class Pattern:
    """`h.*.attn.bias`: the names that have its parts in this order. Raises ValueError."""

    text: str
    parts: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.text or self.text != self.text.strip():
            raise ValueError(f"{self.text[:60]!r} is no pattern of names, such as 'h.*.attn.bias'")
        if "**" in self.text:
            raise ValueError(f"{self.text[:60]!r} has two `*` in a row: one stands for any text already")
        object.__setattr__(self, "parts", tuple(self.text.split("*")))

    def matches(self, name: str) -> bool:
        """Whether the whole name is of this form. A `*` may stand for nothing."""
        first, *middle = self.parts
        if not middle:
            return name == first
        last = middle.pop()
        end = len(name) - len(last)
        if len(name) > MAX_NAME or not name.startswith(first) or not name.endswith(last) or end < len(first):
            return False
        at = len(first)
        for part in middle:
            at = name.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True


@dataclass(frozen=True)
class Rename:
    """`old.*.w=new.*.w`: what the stars stand for goes to the right side in its order. Raises ValueError."""

    text: str
    left: Pattern = field(init=False, repr=False)
    right: Pattern = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sides = self.text.split("=")
        if len(sides) != 2:
            raise ValueError(f"{self.text[:60]!r} is not PATTERN=PATTERN, such as 'old.*=new.*'")
        object.__setattr__(self, "left", Pattern(sides[0]))
        object.__setattr__(self, "right", Pattern(sides[1]))
        counts = len(self.left.parts) - 1, len(self.right.parts) - 1
        if counts[0] != counts[1]:
            said = f"{counts[0]} `*` on the left and {counts[1]} on the right"
            raise ValueError(f"{self.text[:60]!r} has {said}: each on the left fills one on the right")

    def names(self, name: str) -> list[str]:
        """What a name becomes: nothing where it does not match, two where the pattern leaves it open.

        Where the stars can be filled in several ways that all give one name, it is one.
        """
        if not self.left.matches(name):
            return []
        olds, news = self.left.parts, self.right.parts
        if len(olds) == 1:
            return [news[0]]
        # From the last part backwards: what can stand from a place to the end, by the place at
        # which a part begins. Two different endings are as good as all.
        endings = {len(name) - len(olds[-1]): [news[-1]]}
        for i in reversed(range(len(olds) - 1)):
            places = _places(name, olds[i]) if i else [0]
            endings = {p: _endings(name, p + len(olds[i]), news[i], endings) for p in places}
        return endings[0]


def _places(name: str, part: str) -> list[int]:
    """Where a part stands in a name, overlaps included."""
    found, at = [], name.find(part)
    while at >= 0:
        found.append(at)
        at = name.find(part, at + 1)
    return found


def _endings(name: str, start: int, new: str, rest: dict[int, list[str]]) -> list[str]:
    """At most two different endings that begin with `new` and a star from `start` on."""
    found: dict[str, None] = {}
    for place, endings in rest.items():
        if place >= start:
            found |= dict.fromkeys(f"{new}{name[start:place]}{ending}" for ending in endings)
        if len(found) > 1:
            break
    return list(found)[:2]
