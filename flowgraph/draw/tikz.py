r"""A scene as TikZ: a document that pdflatex compiles, whose tikzpicture can be copied into another.

Assumes a Scene and a theme. Promises the scene's positions and lines (big points, to PLACES decimals), labels
as mathematics in the fonts of the document, colours and styles named by role and defined inside of the
tikzpicture, so that it needs nothing but amsmath and tikz, and no macro of its own: a slide takes it as it
is. Every letter that LaTeX has no sign for is written by its number. The same text for the same scene.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..mathnames import GREEK, latex_text
from .dot import one_line
from .geometry import Point, Rect
from .names import SUBSCRIPTS, SUPERSCRIPTS, SYMBOLS, Tex
from .scene import Arrow, Box, Circle, Curve, Panel, Scene, Text
from .svg_markup import number
from .theme import Style, Theme

if TYPE_CHECKING:
    from .drawing import Drawing

LARGEST = 8000.0
"""Big points of a page's longer side: LaTeX takes none of over 8192 points, half of TeX's greatest length.
A larger page is made smaller."""
FONT = 10
"""Size of the font that labels are set in, then scaled: TeX's own fonts have only a few sizes."""
NARROWER = 0.92
"""Computer Modern is so much wider than the font that labels were measured in."""
LEFT = ("param", "title")
"""Roles whose texts begin where they were measured to; others are centred there."""
SIGNS = {
    **{sign: f"\\{command} " for command, sign in SYMBOLS.items()},
    **{letter: "o" if command == "omicron" else f"\\{command} " for command, letter in GREEK.items()},
    **{chr(sign): f"{{}}_{{{chr(plain)}}}" for plain, sign in SUBSCRIPTS.items()},
    **{chr(sign): f"{{}}^{{{chr(plain)}}}" for plain, sign in SUPERSCRIPTS.items()},
    "−": "-", "–": "-", "↔": r"\leftrightarrow ", "←": r"\leftarrow ", "∗": "*", " ": r"\ ",
}  # fmt: skip
"""Letters outside of ASCII that mathematics has signs for."""
ACCENTS = frozenset("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327")
"""What LaTeX puts on a letter in any encoding of fonts."""
LETTERS = frozenset("ßæœøłÆŒØŁ")
PAGE = "flowpage"


def tikz(drawing: Drawing) -> bytes:
    """The drawing as a document of LaTeX. Raises FlowError as `Drawing.scene` does."""
    return document(drawing.scene, drawing.theme).encode()


def document(scene: Scene, theme: Theme) -> str:
    """A document of one page of the scene's size."""
    scale = min(1.0, LARGEST / max(scene.width, scene.height, 1.0))
    width, height = number(scene.width * scale), number(scene.height * scale)
    said = (scene.picture.name, scene.picture.doc, *scene.picture.remarks)
    return "\n".join(
        [
            *(f"% {one_line(line)}" for line in said if line),
            "% In another document: copy the tikzpicture, and have amsmath and tikz in the preamble.",
            r"\documentclass{article}",
            rf"\usepackage[paperwidth={width}bp, paperheight={height}bp, margin=0bp]{{geometry}}",
            r"\usepackage{amsmath}",
            r"\usepackage{tikz}",
            r"\pagestyle{empty}",
            r"\setlength{\parindent}{0pt}",
            r"\setlength{\topskip}{0pt}",
            r"\begin{document}",
            *_Page(scene, theme, scale).lines(),
            r"\end{document}",
            "",
        ]
    )


def math(tex: Tex) -> str:
    """A label as pdflatex sets it in math mode, in ASCII but for accented letters.

    Letters outside of ASCII become signs of mathematics, or text; those that its fonts lack become their
    number, U+4E2D.
    """
    return "".join(c if c.isascii() else SIGNS.get(c) or _letter(c) for c in tex)


def _letter(letter: str) -> str:
    parts = unicodedata.normalize("NFD", letter)
    is_plain = len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in ACCENTS
    said = letter if is_plain or letter in LETTERS else f"U+{ord(letter):04X}"
    return rf"\text{{{latex_text(said)}}}"


class _Page:
    """Writes one scene."""

    def __init__(self, scene: Scene, theme: Theme, scale: float) -> None:
        self.scene, self.theme, self.scale = scene, theme, scale

    def lines(self) -> list[str]:
        scene = self.scene
        whole = self.rect(Rect(0, 0, scene.width, scene.height))
        page = [] if self.theme.page == "none" else [rf"\fill[{PAGE}] {whole};"]
        parts = [
            ("", [rf"\useasboundingbox {whole};", *page]),
            ("frames", [self.panel(panel) for panel in scene.frames]),
            ("wires", [line for arrow in scene.arrows for line in self.arrow(arrow)]),
            ("circles", [self.circle(circle) for circle in scene.circles]),
            ("boxes", [self.box(box) for box in scene.boxes if self.theme[box.role].stroke != "none"]),
            ("curves", [self.curve(curve) for curve in scene.curves]),
            ("labels", [self.text(text) for text in scene.texts]),
        ]
        out = [r"\begin{tikzpicture}[x=1bp, y=-1bp, line join=round,", *self.styles(), "]", *self.colours()]
        for title, lines in parts:
            out += [f"% {title}"] if title and lines else []
            out += lines
        return [*out, r"\end{tikzpicture}"]

    # -- styles

    def used(self) -> tuple[list[str], list[str], list[str]]:
        """The roles that are there: of outlines, of lines, of texts."""
        scene = self.scene
        shapes = [p.role for p in scene.frames]
        shapes += [c.role for c in scene.circles] + [b.role for b in scene.boxes]
        lines = [a.role for a in scene.arrows] + [c.role for c in scene.curves]
        return _once(shapes), _once(lines), _once(text.role for text in scene.texts)

    def colours(self) -> list[str]:
        shapes, lines, texts = self.used()
        found = {PAGE: self.theme.page}
        for role in [*shapes, *lines, *texts]:
            found[_word(role)] = self.theme[role].stroke
        for role in shapes:
            found[f"{_word(role)}fill"] = self.theme[role].fill
        return [
            rf"\definecolor{{{name}}}{{HTML}}{{{colour.removeprefix('#').upper()}}}"
            for name, colour in found.items()
            if colour != "none"
        ]

    def styles(self) -> list[str]:
        shapes, lines, texts = self.used()
        font = rf"font=\fontsize{{{FONT}}}{{12}}\selectfont"
        out = [f"  flow text/.style={{inner sep=0.6bp, outer sep=0bp, anchor=base, {font}}},"]
        for role in shapes:
            style = self.theme[role]
            fill = "" if style.fill == "none" else f"fill={_word(role)}fill, "
            if style.stroke != "none":
                pen = self.pen(style)
                out.append(f"  {_style(role)}/.style={{{fill}draw={_word(role)}, {pen}}},")
        for role in lines:
            dash = self.dash(self.theme[role].dash)
            out.append(f"  {_style(role)} line/.style={{draw={_word(role)}{dash}}},")
        for role in texts:
            out.append(f"  {_style(role)} text/.style={{flow text, text={_word(role)}}},")
        return out

    def pen(self, style: Style) -> str:
        dash = self.dash([length * style.width for length in style.dash])
        return f"line width={self.length(style.width)}{dash}"

    def dash(self, lengths: Sequence[float]) -> str:
        words = (f"{'off' if n % 2 else 'on'} {self.length(each)}" for n, each in enumerate(lengths))
        return f", dash pattern={' '.join(words)}" if lengths else ""

    # -- things

    def panel(self, panel: Panel) -> str:
        return self.outline(panel.rect, panel.corner, panel.role, panel.owner)

    def box(self, box: Box) -> str:
        return self.outline(box.rect, box.corner, box.role, box.owner)

    def outline(self, rect: Rect, corner: float, role: str, owner: str) -> str:
        corners = f"rounded corners={self.length(corner)}"
        return rf"\path[{_style(role)}, {corners}] {self.rect(rect)};{_note(owner)}"

    def circle(self, circle: Circle) -> str:
        at, radius = self.point((circle.x, circle.y)), self.length(circle.radius)
        return rf"\path[{_style(circle.role)}] {at} circle[radius={radius}];{_note(circle.owner)}"

    def arrow(self, arrow: Arrow) -> list[str]:
        """The line and its tip."""
        faint = f", opacity={number(arrow.strength)}" if arrow.strength < 1 else ""
        first, *rest = [self.point(point) for point in arrow.points]
        pieces = [
            f" .. controls {rest[n]} and {rest[n + 1]} .. {rest[n + 2]}" for n in range(0, len(rest) - 2, 3)
        ]
        width = f"line width={self.length(arrow.width)}"
        look = f"{_style(arrow.role)} line, {width}{faint}"
        line = rf"\path[{look}] {first}{''.join(pieces)};{_note(arrow.owner)}"
        if not arrow.head:
            return [line]
        return [line, rf"\fill[{_word(arrow.role)}{faint}] {self.polyline(arrow.head)} -- cycle;"]

    def curve(self, curve: Curve) -> str:
        look = f"{_style(curve.role)} line, line width={self.length(curve.width)}, line cap=round"
        return rf"\path[{look}] {self.polyline(curve.points)};{_note(curve.owner)}"

    def text(self, text: Text) -> str:
        """A label; where a wire may pass below it, on the page's colour."""
        is_left = text.role in LEFT
        x = text.x if is_left else (text.rect.x0 + text.rect.x1) / 2
        look = [f"{_style(text.role)} text", f"scale={text.size * self.scale * NARROWER / FONT:.3f}"]
        if is_left:
            look.append("inner xsep=0bp, anchor=base west")
        if text.halo and self.theme.page != "none":
            look.append(f"fill={PAGE}, fill opacity=0.8, text opacity=1")
        return rf"\node[{', '.join(look)}] at {self.point((x, text.y))} {{${math(text.tex)}$}};"

    # -- geometry

    def length(self, points: float) -> str:
        return f"{number(points * self.scale)}bp"

    def point(self, point: Point) -> str:
        return f"({number(point[0] * self.scale)},{number(point[1] * self.scale)})"

    def polyline(self, points: Iterable[Point]) -> str:
        return " -- ".join(self.point(point) for point in points)

    def rect(self, rect: Rect) -> str:
        return f"{self.point((rect.x0, rect.y0))} rectangle {self.point((rect.x1, rect.y1))}"


def _once(roles: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(roles))


def _word(role: str) -> str:
    """The name of a role's colour."""
    return f"flow{role.replace('_', '')}"


def _style(role: str) -> str:
    """The name of a role's style: with a word before it, as TikZ has keys of its own."""
    return f"flow {role.replace('_', ' ')}"


def _note(owner: str) -> str:
    return f" % {one_line(owner)}"
