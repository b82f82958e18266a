"""A picture as a Mermaid flowchart, which GitHub and many wikis draw where it is pasted.

Assumes a Picture and a theme; nothing is laid out here. Promises text for Mermaid 10 and later: frames as
subgraphs, labels in quotes with every letter that Mermaid or Markdown would take for a command written as its
number, ids that are no words of Mermaid's, the same text for the same picture. Names are Unicode, as Mermaid
does not set mathematics everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from . import names
from .captions import Close, Open, captions, flows_right, nested, roles
from .dot import one_line
from .looks import item_role, wire_label, wire_look
from .picture import Item, Picture, Wire
from .theme import Style, Theme

if TYPE_CHECKING:
    from .drawing import Drawing

MOST_WIRES, MOST_LETTERS = 500, 50_000
"""Mermaid draws no more, unless the page that shows it sets `maxEdges` and `maxTextSize`."""
SPECIAL = re.compile(r'["#<>&`*~\\|{}$;]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|%(?=%)|(?<=%)%')
"""Letters that end a string or begin an entity, a tag, emphasis, code, mathematics or a comment."""
LIST = re.compile(r"(?<=\d)[.)](?=\s)|^[-+](?=\s)")
"""What Markdown takes for the beginning of a list, which Mermaid then refuses to draw."""
CIRCLE, BOX, ENDS, FOLD = ("((", "))"), ("[", "]"), ("([", "])"), ("[[", "]]")
"""Shapes: circles, boxes, inputs and targets that are boxes, blocks that are not unfolded."""
INDENT = "  "


def mermaid(drawing: Drawing) -> bytes:
    """The drawing as a flowchart."""
    return text(drawing.picture, drawing.theme).encode()


def text(picture: Picture, theme: Theme) -> str:
    """A flowchart that ends in a line break."""
    ids = _ids("n_", (item.id for item in picture.items))
    frames = _ids("f_", (frame.id for frame in picture.frames))
    body = []
    for level, each in nested(picture):
        indent = INDENT * (level + 1)
        if isinstance(each, Open):
            frame = each.frame
            title = escaped(names.plain(frame.title)) or " "
            body.append(f'{indent}subgraph {frames[frame.id]}["{title}"]')
        elif isinstance(each, Close):
            body.append(f"{indent}end")
        else:
            body.append(f"{indent}{_item(picture, each, ids)}")
    body += [f"{INDENT}{_wire(picture, wire, ids)}" for wire in picture.wires]
    body += [f"{INDENT}{line}" for line in _styles(picture, theme, frames)]
    said = [picture.name, picture.doc, *picture.remarks]
    if len(picture.wires) > MOST_WIRES or sum(map(len, body)) > MOST_LETTERS:
        said.append(
            f"beyond {MOST_WIRES} arrows or {MOST_LETTERS} letters Mermaid draws nothing unless told so"
        )
    head = [f"flowchart {_direction(picture)}", *(f"{INDENT}%% {_comment(line)}" for line in said if line)]
    return "\n".join([*head, *body, ""])


def escaped(said: str) -> str:
    """Any text for a label in quotes: one line, and nothing in it is a command."""
    said = one_line(said)
    marked = {match.start() for pattern in (SPECIAL, LIST) for match in pattern.finditer(said)}
    return "".join(f"#{ord(c)};" if n in marked else c for n, c in enumerate(said))


def _comment(said: str) -> str:
    """Any text for a comment: braces and two % make directives even there."""
    return one_line(said).translate(str.maketrans("{}", "()")).replace("%", "")


def _direction(picture: Picture) -> str:
    """Where the flow goes; where arrows are reversed all is, so that things stand as in the forward flow."""
    if flows_right(picture):
        return "RL" if picture.is_backward else "LR"
    return "BT" if picture.is_backward else "TB"


def _ids(prefix: str, ids: Iterable[str]) -> dict[str, str]:
    """Mermaid's own ids: letters, digits and _, with a prefix that keeps them from being words of its."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in ids:
        base = prefix + re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        said, number = base, 1
        while said in taken:
            number += 1
            said = f"{base}_{number}"
        taken.add(said)
        found[name] = said
    return found


# ---------------------------------------------------------------------------------------
# Things


def _item(picture: Picture, item: Item, ids: Mapping[str, str]) -> str:
    lines = [escaped(names.plain(caption.tex)) for caption in captions(picture, item)]
    before, after = _shape(item)
    return f'{ids[item.id]}{before}"{"<br/>".join(lines) or " "}"{after}:::{item_role(item)}'


def _shape(item: Item) -> tuple[str, str]:
    if item.is_circle:
        return CIRCLE
    if item.kind in ("input", "target"):
        return ENDS
    return FOLD if item.kind == "fold" else BOX


def _wire(picture: Picture, wire: Wire, ids: Mapping[str, str]) -> str:
    source, target = ids[wire.source], ids[wire.target]
    if picture.is_backward:
        source, target = target, source
    link = "---" if picture.is_backward and not wire.is_backward else "-->"  # forward: there is no <--
    label = escaped(names.plain(wire_label(picture, wire)))
    return f'{source} {link}|"{label}"| {target}' if label else f"{source} {link} {target}"


# ---------------------------------------------------------------------------------------
# Styles


def _styles(picture: Picture, theme: Theme, frames: Mapping[str, str]) -> list[str]:
    """A class of each role that is there, and the looks of wires, which are told by their number."""
    out = []
    letters = theme["name"].stroke
    for role in roles(picture):
        out.append(f"classDef {role} {_looks(theme[role], letters)}")
    kinds: dict[str, list[str]] = {}
    for frame in picture.frames:
        kinds.setdefault(frame.kind, []).append(frames[frame.id])
    for kind, members in kinds.items():
        out.append(f"classDef {kind} {_looks(theme[kind], theme['title'].stroke)}")
        out.append(f"class {','.join(members)} {kind}")
    wires: dict[str, list[str]] = {}
    for number, wire in enumerate(picture.wires):
        wires.setdefault(_wire_looks(picture, wire, theme), []).append(str(number))
    if len(wires) == 1:
        return [*out, f"linkStyle default {next(iter(wires))}"]
    return out + [f"linkStyle {','.join(numbers)} {looks}" for looks, numbers in wires.items()]


def _looks(style: Style, letters: str) -> str:
    line = f"fill:{style.fill},stroke:{style.stroke}"
    if style.stroke != "none":
        line += f",stroke-width:{style.width:g}px"
    return f"{line}{_dashes(style)},color:{letters}"


def _wire_looks(picture: Picture, wire: Wire, theme: Theme) -> str:
    look = wire_look(picture, wire)
    style = theme[look.role]
    faint = f",stroke-opacity:{wire.strength:.2f}" if wire.strength < 1 else ""
    return f"stroke:{style.stroke},stroke-width:{look.width:.2g}px{_dashes(style)}{faint}"


def _dashes(style: Style) -> str:
    return f",stroke-dasharray:{' '.join(f'{d:g}' for d in style.dash)}" if style.dash else ""
