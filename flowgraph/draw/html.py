"""A drawing as one html file that needs nothing else: pictures, fonts, style and script are in it.

The page shows `svg_markup` of every state (`states`) and `records` of everything in them; `page.js` and
`page.css` bring it to life, and without a script it still shows the first picture. Promises the same bytes
for the same drawing; that nothing is loaded from anywhere (its content security policy forbids it); and that
text of the user's is in it only escaped, or as data.

A light drawing follows the reader's system (light or dark); a dark one is dark. In print all are light.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from importlib.resources import files
from typing import TYPE_CHECKING

from .compose import compose
from .measure import measure
from .records import Record, records
from .scene import Scene
from .states import states
from .svg_markup import UNFIT, escaped, markup
from .theme import DARK, LIGHT, ROLES, Theme
from .webfont import faces

if TYPE_CHECKING:
    from .drawing import Drawing

BUTTONS = (
    ("out", "−", "Zoom out (-)"), ("in", "+", "Zoom in (+)"), ("fit", "Fit", "Show all of it (0)"),
    ("fold", "Fold", "Fold all blocks ([)"), ("unfold", "Unfold", "Unfold all blocks (])"),
    ("theme", "◐", "Light or dark (t)"),
)  # fmt: skip
FOLDING = ("fold", "unfold")
SPOKEN = ("equation", "operation", "shape", "ξ", "value", "gradient")
HELP = (
    "Drag to move, turn the wheel or pinch to zoom. Point at anything for what is known of it; click a "
    "circle, a box or a wire for the paths through it{}. Tab and Enter do the same, Escape ends it."
)
HELP_FOLDS = ", a block to unfold it (its path: p), its frame to fold it"


def html(drawing: Drawing) -> bytes:
    """The drawing as html, in UTF-8. Raises FlowError (E0605) where Graphviz is needed and not installed."""
    scenes = [drawing.scene, *(compose(picture) for picture in states(drawing)[1:])]
    return page(scenes, drawing.theme).encode("utf-8")


def page(scenes: list[Scene], theme: Theme) -> str:
    """The page of the states of one drawing, the one that is shown first before the others."""
    table = _Table()
    opened = [frozenset(frame.id for frame in scene.picture.frames) for scene in scenes]
    moving = frozenset.union(*opened) - frozenset.intersection(*opened)
    pictures = [_picture(scene, table, moving) for scene in scenes]
    first = scenes[0].picture
    data = {
        "records": table.rows,
        "states": [
            {"open": [f.id for f in s.picture.frames], "remarks": list(s.picture.remarks)} for s in scenes
        ],
    }
    style = "\n".join([faces(_letters(scenes)), colours(), _resource("page.css")])
    script = _resource("page.js")
    folds = HELP_FOLDS if moving else ""
    remarks = "".join(f"<p>{escaped(remark)}</p>" for remark in first.remarks)
    templates = "\n".join(
        f'<template data-state="{number}">{picture}</template>'
        for number, picture in enumerate(pictures)
        if number
    )
    return f"""<!DOCTYPE html>
<html lang="en" class="plain"{' data-theme="dark"' if theme.name == "dark" else ""}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">
<title>{escaped(first.name)}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{escaped(first.name)}<small>{escaped(first.doc)}</small></h1>
<div id="bar" role="toolbar" aria-label="View">
<input id="find" type="search" placeholder="Search (/)" aria-label="Search names and operations">
<output id="hits" for="find"></output>
{_buttons(bool(moving))}
</div>
</header>
<div id="view">
<main id="stage" aria-label="Picture">
{pictures[0]}
</main>
<aside id="card" aria-label="Details" hidden></aside>
</div>
<div id="said" role="status"></div>
<footer><div id="remarks">{remarks}</div><p id="keys">{HELP.format(folds)}</p></footer>
{templates}
<script id="data" type="application/json">{as_data(data)}</script>
<script>{script}</script>
</body>
</html>
"""


def colours() -> str:
    """Both themes as variables, and the classes that read them; see `theme`."""

    def values(theme: Theme) -> str:
        styles = ((role, theme[role]) for role in ROLES)
        said = "".join(f"--{role}:{style.stroke};--{role}-fill:{style.fill};" for role, style in styles)
        return f"--page:{theme.page};{said}"

    classes = "\n".join(f".k-{role}{{--c:var(--{role});--f:var(--{role}-fill)}}" for role in ROLES)
    return f""":root{{{values(LIGHT)}}}
@media (prefers-color-scheme: dark){{:root:not([data-theme]){{{values(DARK)}}}}}
:root[data-theme="dark"]{{{values(DARK)}}}
@media print{{:root:root:root{{{values(LIGHT)}}}}}
{classes}"""


def as_data(value: object) -> str:
    """JSON that may stand in a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return UNFIT.sub("\ufffd", text).replace("<", "\\u003c").replace(">", "\\u003e")


class _Table:
    """Records, each once, by their number."""

    def __init__(self) -> None:
        self.rows: list[Record] = []
        self.places: dict[str, int] = {}

    def place(self, record: Record) -> int:
        key = json.dumps(record)
        if key not in self.places:
            self.places[key] = len(self.rows)
            self.rows.append(record)
        return self.places[key]


def _picture(scene: Scene, table: _Table, moving: Iterable[str]) -> str:
    told = {id: (table.place(record), _aloud(record)) for id, record in records(scene.picture).items()}
    return markup(scene, told, moving)


def _aloud(record: Record) -> str:
    """What a screen reader says of a thing: its name, kind, and how it is computed."""
    parts = [record["title"], record["kind"]]
    parts += [text for key, text in record["facts"] if key in SPOKEN]
    return ", ".join(parts)


def _letters(scenes: Iterable[Scene]) -> dict[str, str]:
    """What is set in each font's file."""
    found: dict[str, set[str]] = {}
    for scene in scenes:
        for text in scene.texts:
            for piece in measure(text.tex, text.size).pieces:
                found.setdefault(piece.file, set()).update(piece.text)
    return {file: "".join(sorted(letters | {" "})) for file, letters in found.items()}


def _buttons(is_folding: bool) -> str:
    return "\n".join(
        f'<button type="button" data-does="{does}" title="{title}" aria-label="{title}">{sign}</button>'
        for does, sign, title in BUTTONS
        if is_folding or does not in FOLDING
    )


def _policy(style: str, script: str) -> str:
    """Nothing but what is in the page: its own style and script by their hashes, and its fonts."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"

    return f"default-src 'none'; style-src {hashed(style)}; script-src {hashed(script)}; font-src data:"


def _resource(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
