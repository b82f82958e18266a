"""A picture in the language of Graphviz, for who wants to lay it out, or change it, by other tools.

Assumes a Picture and a theme; nothing is laid out here. Promises text that every Graphviz since 2.30 reads:
frames as clusters, labels as HTML-like labels with subscripts, all strings quoted, so that no name can be
taken for a command, the same bytes for the same picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import names
from .captions import Close, Open, captions, flows_right, nested, told
from .depth import LATE, columns
from .looks import item_role, label_role, wire_label, wire_look
from .names import Tex
from .picture import Frame, Item, Picture, Wire
from .sizes import NAME, ONE, OPERATION, PARAM, RADIUS, TITLE, WEIGHT
from .theme import Style, Theme

if TYPE_CHECKING:
    from .drawing import Drawing

SIZES = {"name": NAME, "operation": OPERATION, "count": OPERATION}
"""Of fonts in points by role; others are small."""
DOTTED = 2.0
"""A line whose dashes are at most so long is dotted."""
INDENT = "  "


def dot(drawing: Drawing) -> bytes:
    """The drawing as a `digraph`."""
    return text(drawing.picture, drawing.theme).encode()


def text(picture: Picture, theme: Theme) -> str:
    """A `digraph` that ends in a line break."""
    lines = [f"digraph {quoted(picture.name)} {{"]
    lines += [f"{INDENT}// {one_line(said)}" for said in (picture.doc, *picture.remarks) if said]
    lines += [
        f"{INDENT}graph [rankdir={'LR' if flows_right(picture) else 'TB'}, bgcolor={_page(theme)}, "
        f'fontname="Times"];',
        f'{INDENT}node [fontname="Times", margin="0.08,0.05"];',
        f'{INDENT}edge [fontname="Times", fontsize={WEIGHT:g}, arrowsize=0.7];',
    ]
    for level, each in nested(picture):
        indent = INDENT * (level + 1)
        if isinstance(each, Open):
            lines += [f"{indent}{line}" for line in _frame(each.frame, theme)]
        elif isinstance(each, Close):
            lines.append(f"{indent}}}")
        else:
            lines.append(f"{indent}{_item(picture, each, theme)}")
    lines += [f"{INDENT}{line}" for line in _columns(picture)]
    lines += [f"{INDENT}{_wire(picture, wire, theme)}" for wire in picture.wires]
    return "\n".join([*lines, "}", ""])


def one_line(said: str) -> str:
    """Any text as one line of printable letters."""
    return "".join(c if c.isprintable() else " " for c in " ".join(said.split()))


def quoted(said: str) -> str:
    """Any text as a string of dot's, in which nothing is an escape."""
    inside = said.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else " " for c in inside) + '"'


# ---------------------------------------------------------------------------------------
# Labels


def _label(parts: list[tuple[Tex, str, float]], theme: Theme) -> str:
    """An HTML-like label of lines: each a text, its role and its size."""
    lines = []
    for tex, role, size in parts:
        inside = names.html(tex)
        if inside:
            lines.append(f'<font color="{theme[role].stroke}" point-size="{size:g}">{inside}</font>')
    return f"<{'<br/>'.join(lines)}>" if lines else '""'


def _tooltip(lines: list[str]) -> str:
    if not lines:
        return ""
    return f", tooltip={quoted('; '.join(lines))}"


# ---------------------------------------------------------------------------------------
# Things


def _item(picture: Picture, item: Item, theme: Theme) -> str:
    said = [(c.tex, c.role, SIZES.get(c.role, PARAM)) for c in captions(picture, item)]
    attributes = [f"label={_label(said, theme)}", _shape(item), *_outline(theme[item_role(item)])]
    return f"{quoted(item.id)} [{', '.join(attributes)}{_tooltip(told(item.facts))}];"


def _shape(item: Item) -> str:
    if item.kind == "more":
        return "shape=plaintext"
    if not item.is_circle:
        return "shape=box"
    radius = ONE if item.kind == "one" else RADIUS
    return f"shape=circle, margin=0.02, width={2 * radius / 72:.2f}"


def _outline(style: Style) -> list[str]:
    """Colours and line of a node. A role without a line has no outline."""
    if style.stroke == "none":
        return ['style=""']
    looks = ["filled", *_dashes(style)]
    return [
        f'style="{",".join(looks)}"', f'color="{style.stroke}"', f'fillcolor="{style.fill}"',
        f"penwidth={style.width:g}",
    ]  # fmt: skip


def _dashes(style: Style) -> list[str]:
    if not style.dash:
        return []
    return ["dotted" if style.dash[0] <= DOTTED else "dashed"]


def _frame(frame: Frame, theme: Theme) -> list[str]:
    """The beginning of a cluster."""
    style = theme[frame.kind]
    looks = ",".join(["rounded", "filled", *_dashes(style)])
    label = _label([(frame.title, "title", TITLE)], theme)
    return [
        f"subgraph {quoted(f'cluster_{frame.id}')} {{",
        f'{INDENT}graph [label={label}, labeljust=l, style="{looks}", color="{style.stroke}", '
        f'fillcolor="{style.fill}", penwidth={style.width:g}{_tooltip(told(frame.facts))}];',
    ]


def _columns(picture: Picture) -> list[str]:
    """Circles in columns by depth, from top to bottom as in the file, the constant 1 last.

    Among frames that is left to Graphviz, which has ranks of its own there.
    """
    if picture.frames or not flows_right(picture):
        return []
    at = columns(picture.items, picture.wires)
    found: dict[int, list[str]] = {}
    for item in sorted(picture.items, key=lambda item: item.kind in LATE):
        found.setdefault(at[item.id], []).append(quoted(item.id))
    return [
        f"{{ rank=same; {' -> '.join(found[column])} [style=invis]; }}"
        for column in sorted(found)
        if len(found[column]) > 1
    ]


def _wire(picture: Picture, wire: Wire, theme: Theme) -> str:
    look = wire_look(picture, wire)
    style = theme[look.role]
    faint = f"{round(255 * wire.strength):02x}" if wire.strength < 1 else ""
    attributes = [f'color="{style.stroke}{faint}"', f"penwidth={look.width:.2g}"]
    if _dashes(style):
        attributes.append(f"style={_dashes(style)[0]}")
    if wire.is_backward:
        attributes.append("dir=back")
    label = wire_label(picture, wire)
    if label:
        said = _label([(label, label_role(picture, wire), WEIGHT)], theme)
        attributes.append(f"label={said}")
    ends = f"{quoted(wire.source)} -> {quoted(wire.target)}"
    return f"{ends} [{', '.join(attributes)}{_tooltip(told(wire.facts))}];"


def _page(theme: Theme) -> str:
    return '"transparent"' if theme.page == "none" else f'"{theme.page}"'
