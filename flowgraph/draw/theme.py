"""Colours, light and dark: Okabe and Ito's, which colour-blind eyes tell apart.

Kinds differ in print too: by the shape (circle or box), the line (solid, dashed, double width) and the
lightness. Promises of both themes a contrast of at least 4.5 between texts and what they stand on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

THEMES = ("light", "dark")


@dataclass(frozen=True)
class Style:
    """How a role is drawn. Colours are #rrggbb or "none"; dash: lengths on and off, () is solid."""

    stroke: str
    fill: str = "none"
    width: float = 1.0
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Theme:
    """page: the paper; a file is drawn on it, "none" leaves it clear. styles: by role (ROLES)."""

    name: str
    page: str
    styles: Mapping[str, Style]

    def __getitem__(self, role: str) -> Style:
        return self.styles[role]


LIGHT = Theme(
    "light",
    "#ffffff",
    {
        # outlines of items
        "input": Style("#0072b2", "#e3f0f8", 1.2),
        "target": Style("#7a4a00", "#fbf0d9", 1.2, (4, 2)),
        "neuron": Style("#1a1a1a", "#ffffff", 1.2),
        "output": Style("#1a1a1a", "#ffffff", 2.2),
        "active": Style("#1a1a1a", "#ffe7a3", 2.0),
        "idle": Style("#8c8c8c", "#ffffff", 0.9),
        "active_input": Style("#0072b2", "#b5daf0", 2.0),
        "idle_input": Style("#6aa9d0", "#ffffff", 0.9),
        "one": Style("#666666", "#ededed", 1.0),
        "value": Style("#666666", "#ffffff", 1.0, (1.5, 1.5)),
        "box": Style("#1a1a1a", "#f6f6f6", 1.0),
        "trainable": Style("#00684c", "#e2f3ec", 1.2),
        "constant": Style("#666666", "#ededed", 1.0, (1.5, 1.5)),
        "fold": Style("#7b3f68", "#f6eaf2", 1.8),
        "loss": Style("#a13d00", "#fdebdf", 1.6),
        "metric": Style("#a13d00", "#ffffff", 1.0, (1.5, 1.5)),
        "more": Style("none"),
        # frames
        "block": Style("#7b3f68", "#fbf6fa", 1.0),
        "repeat": Style("#7b3f68", "#fbf6fa", 1.4, (6, 2)),
        "scan": Style("#7b3f68", "#fbf6fa", 1.4, (6, 2, 1.5, 2)),
        # lines
        "wire": Style("#444444", "#444444", 0.9),
        "positive": Style("#0060a0", "#0060a0", 1.0),
        "negative": Style("#b34700", "#b34700", 1.0, (4, 1.8)),
        "backward": Style("#9c2c6f", "#9c2c6f", 1.0),
        "curve": Style("#0072b2", "none", 1.5),
        "mark": Style("#c1272d", "none", 2.2),
        "axis": Style("#b8b8b8", "none", 0.6),
        # texts: the stroke is the colour of the letters
        "name": Style("#000000"),
        "operation": Style("#333333"),
        "shape": Style("#5c5c5c"),
        "param": Style("#00684c"),
        "weight": Style("#1a1a1a"),
        "trainable_weight": Style("#00684c"),
        "note": Style("#0060a0"),
        "gradient": Style("#9c2c6f"),
        "title": Style("#7b3f68"),
        "count": Style("#444444"),
        # differences
        "added": Style("#00684c", "#d3f0e4", 2.0),
        "removed": Style("#a13d00", "#fbdcc8", 2.0, (4, 2)),
        "changed": Style("#0060a0", "#d6e9f7", 2.0, (1.5, 1.5)),
        "renamed": Style("#7b3f68", "#f6eaf2", 2.0, (6, 2, 1.5, 2)),
    },
)

DARK = Theme(
    "dark",
    "#14171c",
    {
        "input": Style("#56b4e9", "#16303f", 1.2),
        "target": Style("#e6b450", "#382c12", 1.2, (4, 2)),
        "neuron": Style("#e8e8e8", "#22262d", 1.2),
        "output": Style("#f5f5f5", "#22262d", 2.2),
        "active": Style("#f5f5f5", "#5c4a12", 2.0),
        "idle": Style("#8a8f98", "#14171c", 0.9),
        "active_input": Style("#56b4e9", "#1d567c", 2.0),
        "idle_input": Style("#4a7fa3", "#14171c", 0.9),
        "one": Style("#a8a8a8", "#343940", 1.0),
        "value": Style("#a8a8a8", "#14171c", 1.0, (1.5, 1.5)),
        "box": Style("#d8d8d8", "#22262d", 1.0),
        "trainable": Style("#4fc9a0", "#15332a", 1.2),
        "constant": Style("#a8a8a8", "#343940", 1.0, (1.5, 1.5)),
        "fold": Style("#d79ac0", "#372330", 1.8),
        "loss": Style("#f0904e", "#3d2413", 1.6),
        "metric": Style("#f0904e", "#14171c", 1.0, (1.5, 1.5)),
        "more": Style("none"),
        "block": Style("#d79ac0", "#1a1c23", 1.0),
        "repeat": Style("#d79ac0", "#1a1c23", 1.4, (6, 2)),
        "scan": Style("#d79ac0", "#1a1c23", 1.4, (6, 2, 1.5, 2)),
        "wire": Style("#b4b4b4", "#b4b4b4", 0.9),
        "positive": Style("#6cbcf0", "#6cbcf0", 1.0),
        "negative": Style("#f0904e", "#f0904e", 1.0, (4, 1.8)),
        "backward": Style("#e58fc1", "#e58fc1", 1.0),
        "curve": Style("#56b4e9", "none", 1.5),
        "mark": Style("#ff9d6b", "none", 2.2),
        "axis": Style("#5c636e", "none", 0.6),
        "name": Style("#ffffff"),
        "operation": Style("#d8d8d8"),
        "shape": Style("#a9b0ba"),
        "param": Style("#4fc9a0"),
        "weight": Style("#ececec"),
        "trainable_weight": Style("#4fc9a0"),
        "note": Style("#6cbcf0"),
        "gradient": Style("#e58fc1"),
        "title": Style("#d79ac0"),
        "count": Style("#c8c8c8"),
        "added": Style("#4fc9a0", "#15332a", 2.0),
        "removed": Style("#f0904e", "#3d2413", 2.0, (4, 2)),
        "changed": Style("#6cbcf0", "#16303f", 2.0, (1.5, 1.5)),
        "renamed": Style("#d79ac0", "#372330", 2.0, (6, 2, 1.5, 2)),
    },
)

ROLES = tuple(LIGHT.styles)
"""Everything that a scene may name."""


def theme(name: str) -> Theme:
    """The theme of this name, one of THEMES. Raises ValueError."""
    if name not in THEMES:
        raise ValueError(f"no theme {name!r}; there are {', '.join(THEMES)}")
    return LIGHT if name == "light" else DARK
