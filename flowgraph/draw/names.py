r"""Labels of pictures: LaTeX's math in one small subset, for every renderer.

A label is a string of type `Tex`, made by the functions here: letters (italic), digits, `\mathrm{...}`,
Greek letters and the symbols of SYMBOLS, `_{...}` and `^{...}` (nested at will), `\,`, and the escaped
`\_ \% \& \# \$ \{ \}`. pdflatex with amsmath and matplotlib's mathtext set it in math mode; `runs` takes
it apart into pieces of one font and size for those who draw letters themselves; `plain` is the same in
Unicode. Promises that no letter of a name is lost. Raises ValueError for what is outside of the subset.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import groupby
from typing import TypeAlias

from ..mathnames import GREEK, latex_name, latex_word

Tex: TypeAlias = str

SYMBOLS = {
    "cdot": "·", "times": "×", "partial": "∂", "prime": "′", "sum": "Σ", "circ": "∘", "le": "≤", "ge": "≥",
    "ne": "≠", "to": "→", "top": "⊤", "vdots": "⋮", "cdots": "⋯", "ldots": "…", "in": "∈", "nabla": "∇",
    "odot": "⊙", "Vert": "‖", "infty": "∞", "pm": "±", "mid": "|", "Delta": "Δ", "prod": "∏", "int": "∫",
}  # fmt: skip
"""Commands for signs, beside the Greek letters."""

SPACES = {",": 0.17, ":": 0.22, ";": 0.28, " ": 0.33, "quad": 1.0}
ESCAPED = "_%&#${}"
RELATIONS, OPERATORS = "=<>≤≥≠→∈", "+-−·×⊙∘/"
TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|.", re.DOTALL)
WORDS = re.compile(r"[A-Za-z]{2,}[0-9]*(_[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*)+")
"""A name of words joined by `_`, such as `token_type`; `x_max` is a letter with a subscript."""
UPRIGHT = ("mathrm", "text", "operatorname")
SHRINK, DROP, LIFT = 0.7, -0.18, 0.36
"""Of subscripts and superscripts: size, and how far the baseline moves, in the size of what they belong
to."""

COMMA = 0.15
"""Room after a comma. What stands further apart, as factors do, has a space between in plain text."""

SUBSCRIPTS = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
SUPERSCRIPTS = str.maketrans("0123456789+-−=()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾")


@dataclass(frozen=True)
class Run:
    """Letters of one font on one baseline.

    style: "italic", "roman" or "bold". scale: its size over that of the label. rise: how far its baseline
    lies above the label's, in the label's size. space: empty room before it, in the label's size.
    """

    text: str
    style: str = "roman"
    scale: float = 1.0
    rise: float = 0.0
    space: float = 0.0


# ---------------------------------------------------------------------------------------
# Makers


def name(text: str) -> Tex:
    """A name of the diagram: `xi_1`, `h.0.attn.weight`, `h[2]`. Several words stay in one piece."""
    if all(WORDS.fullmatch(part) and part.split("_")[0] not in GREEK for part in text.split(".")):
        return latex_word(text)
    return latex_name(text)


def entry(text: str, *index: int) -> Tex:
    """The name of an entry of a layer or matrix: of `h` it has a subscript, of `h_1` two."""
    said = ",".join(map(str, index))
    if re.fullmatch(r"[A-Za-z]+", text):
        return f"{name(text)}_{{{said}}}"
    numbered = re.fullmatch(r"(.*)_\{([0-9]+)\}", name(text))
    return f"{numbered[1]}_{{{numbered[2]},{said}}}" if numbered else f"{name(text)}[{said}]"


def word(text: str) -> Tex:
    """Any text upright: an operation's name, a shape. Whatever is no printable letter is left out."""
    out = []
    for part in re.findall(r"\s+|[^\s]+", text):
        if part.isspace():
            out.append("\\ ")
        else:
            out.append("".join(f"\\{c}" if c in ESCAPED else c for c in part if c not in "\\^~"))
    return f"\\mathrm{{{''.join(out)}}}" if any(out) else ""


def number(value: float, digits: int = 4) -> Tex:
    """A number in at most so many digits, with a sign that is a minus and no minus before 0."""
    if math.isnan(value):
        return r"\mathrm{nan}"
    if math.isinf(value):
        return r"\infty" if value > 0 else r"-\infty"
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, power = text.split("e")
        return f"{mantissa}\\times 10^{{{int(power)}}}"
    return "0" if float(text) == 0 else text


# ---------------------------------------------------------------------------------------
# Taking labels apart


@lru_cache(maxsize=4096)
def runs(tex: Tex) -> tuple[Run, ...]:
    """The pieces of a label from left to right. Raises ValueError."""
    reader = _Reader(TOKEN.findall(tex))
    reader.read("italic", 1.0, 0.0, inside=False)
    return tuple(_joined(reader.out))


def plain(tex: Tex) -> str:
    """A label as Unicode text; indices as subscripts where there are such letters. Raises ValueError."""
    out = ""
    for rise, group in groupby(runs(tex), key=lambda run: run.rise):
        text = ""
        for run in group:
            text += _space(run, out + text) + run.text
        if rise < 0:
            low = text.translate(SUBSCRIPTS)
            text = low if all(c not in low for c in text) else f"_{text}"
        elif rise > 0 and text != "′":
            high = text.translate(SUPERSCRIPTS)
            text = high if all(c not in high for c in text) else f"^{text}"
        out += text
    return out


def html(tex: Tex) -> str:
    """A label as HTML with <i>, <sub> and <sup>. Raises ValueError."""
    out = ""
    for rise, group in groupby(runs(tex), key=lambda run: run.rise):
        text = ""
        for run in group:
            letters = escape(run.text)
            text += _space(run, out + text) + (f"<i>{letters}</i>" if run.style == "italic" else letters)
        if rise:
            tag = "sub" if rise < 0 else "sup"
            text = f"<{tag}>{text}</{tag}>"
        out += text
    return out


def _space(run: Run, before: str) -> str:
    """The space before a piece that stands apart from what is before it."""
    return " " if run.space > COMMA and before and run.rise == 0 else ""


class _Reader:
    """Reads tokens into runs; groups are nested at most as deep as names have subscripts."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at = tokens, 0
        self.out: list[Run] = []
        self.gap = 0.0

    def read(self, style: str, scale: float, rise: float, *, inside: bool) -> None:
        """Read up to the end, or to the brace that closes the group."""
        while self.at < len(self.tokens):
            token = self.take()
            if token == "}":
                if inside:
                    return
                raise ValueError("a brace closes nothing")
            self.one(token, style, scale, rise)
        if inside:
            raise ValueError("a brace is not closed")

    def take(self) -> str:
        if self.at >= len(self.tokens):
            raise ValueError("the label ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def one(self, token: str, style: str, scale: float, rise: float) -> None:
        if token == "{":
            self.read(style, scale, rise, inside=True)
        elif token in "_^":
            moved = rise + (DROP if token == "_" else LIFT) * scale
            self.one(self.take(), style, scale * SHRINK, moved)
        elif token.startswith("\\"):
            self.command(token[1:], style, scale, rise)
        elif token.isspace():
            return
        else:
            self.letter(token, style, scale, rise)

    def command(self, word: str, style: str, scale: float, rise: float) -> None:
        if word in SPACES:
            self.gap += SPACES[word] * scale
        elif word in UPRIGHT or word == "mathbf":
            if self.take() != "{":
                raise ValueError(f"\\{word} needs a group")
            self.read("bold" if word == "mathbf" else "roman", scale, rise, inside=True)
        elif word in GREEK:
            self.put(GREEK[word], "italic" if word[0].islower() else "roman", scale, rise)
        elif word == "prime" and rise > 0:  # the letter is small and high by itself
            self.gap += 0.06 * scale
            self.put(SYMBOLS[word], "roman", scale / SHRINK, round(rise - LIFT * scale / SHRINK, 6) + 0.0)
        elif word in SYMBOLS:
            self.letter(SYMBOLS[word], "roman", scale, rise)
        elif len(word) == 1 and word in ESCAPED:
            self.put(word, "roman" if style == "italic" else style, scale, rise)
        else:
            raise ValueError(f"\\{word} is outside of what labels are made of")

    def letter(self, sign: str, style: str, scale: float, rise: float) -> None:
        """A sign with the room that mathematics leaves around operators; words have none."""
        if style != "italic" and sign.isascii():
            self.put("−" if sign == "-" and style == "math" else sign, style, scale, rise)
            return
        if sign == "-":
            sign = "−"
        between = bool(self.out) and self.out[-1].text[-1] not in "(=+−·×,[" + RELATIONS and not self.gap
        room = 0.25 if sign in RELATIONS else 0.2 if sign in OPERATORS and sign not in "/·" else 0.0
        room = 0.1 if sign == "·" else room
        if not between or rise:
            room = 0.0
        self.gap += room * scale
        self.put(sign, "italic" if sign.isalpha() and sign not in "′∂" else "roman", scale, rise)
        self.gap = room * scale if room else (COMMA * scale if sign == "," else 0.0)

    def put(self, text: str, style: str, scale: float, rise: float) -> None:
        self.out.append(Run(text, style, scale, rise, self.gap))
        self.gap = 0.0


def _joined(found: list[Run]) -> list[Run]:
    """Neighbours of one font as one run."""
    out: list[Run] = []
    for run in found:
        last = out[-1] if out else None
        if last is not None and not run.space and (last.style, last.scale, last.rise) == (
            run.style, run.scale, run.rise
        ):  # fmt: skip
            out[-1] = Run(last.text + run.text, run.style, run.scale, run.rise, last.space)
        else:
            out.append(run)
    return out
