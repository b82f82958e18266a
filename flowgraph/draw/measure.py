"""How large texts are: the metrics of the fonts that pictures are set in.

The fonts are STIX (a Times for mathematics) with DejaVu Sans for the letters it lacks; both come with
matplotlib, so sizes are the same everywhere. Promises rectangles that hold the ink of every letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from .geometry import Rect
from .names import Run, Tex, runs

FONTS = {"roman": "STIXGeneral.ttf", "italic": "STIXGeneralItalic.ttf", "bold": "STIXGeneralBol.ttf"}
"""Files of the fonts, in matplotlib's own folder."""
ROMAN, LAST = "STIXGeneral.ttf", "DejaVuSans.ttf"
UNIT = 2048
"""Size at which fonts are measured: large, so that nothing is rounded."""
MISSING = "□"
"""Stands for a letter that no font has."""


@dataclass(frozen=True)
class Piece:
    """Letters of one font: file, text, size in points, and where their baseline begins, from the label's."""

    file: str
    text: str
    size: float
    dx: float
    dy: float


@dataclass(frozen=True)
class Measured:
    """A label at a size: its advance, how far its ink reaches, and its pieces.

    left: how far ink reaches to the left of its origin (mostly 0 or less); up, down: from the baseline.
    """

    width: float
    left: float
    right: float
    up: float
    down: float
    pieces: tuple[Piece, ...]

    @property
    def height(self) -> float:
        return self.up + self.down

    def rect(self, x: float, y: float) -> Rect:
        """Its ink with the baseline beginning at x, y."""
        return Rect(x - self.left, y - self.up, x + self.right, y + self.down)


@cache
def font_folder() -> str:
    """Where matplotlib keeps its fonts."""
    import matplotlib

    return f"{matplotlib.get_data_path()}/fonts/ttf"


@cache
def _font(file: str) -> Any:
    from matplotlib.ft2font import FT2Font

    font = FT2Font(f"{font_folder()}/{file}")
    font.set_size(UNIT, 72)
    return font


@cache
def _letters_of(file: str) -> frozenset[int]:
    return frozenset(_font(file).get_charmap())


@cache
def _letter(file: str, letter: str) -> tuple[float, float, float, float, float]:
    """Advance and ink (left, right, up, down, from the origin) of a letter, in units of the size."""
    from matplotlib.ft2font import LoadFlags

    glyph = _font(file).load_char(ord(letter), flags=LoadFlags.NO_HINTING)
    x0, y0, x1, y1 = (v / 64 / UNIT for v in glyph.bbox)
    return glyph.linearHoriAdvance / 65536 / UNIT, -x0, x1, y1, -y0


def _file_for(style: str, letter: str) -> tuple[str, str]:
    """The first font that has a letter, and the letter, or one that stands for it."""
    for file in (FONTS[style], ROMAN, LAST):
        if ord(letter) in _letters_of(file):
            return file, letter
    return LAST, MISSING


def _by_font(run: Run) -> Iterator[tuple[str, str]]:
    """The text of a run in pieces of one font file each."""
    at, text = "", ""
    for letter in run.text:
        file, shown = _file_for(run.style, letter)
        if file != at and text:
            yield at, text
            text = ""
        at, text = file, text + shown
    if text:
        yield at, text


@lru_cache(maxsize=16384)
def measure(tex: Tex, size: float) -> Measured:
    """The extent of a label set at a size in points. Raises ValueError for no label."""
    x, left, right, up, down = 0.0, 0.0, 0.0, 0.0, 0.0
    found = []
    for run in runs(tex):
        x += run.space * size
        scaled, dy = run.scale * size, -run.rise * size
        for file, text in _by_font(run):
            found.append(Piece(file, text, scaled, x, dy))
            for letter in text:
                advance, l, r, u, d = (v * scaled for v in _letter(file, letter))
                left, right = max(left, l - x), max(right, x + r)
                up, down = max(up, u - dy), max(down, d + dy)
                x += advance
    return Measured(x, left, max(right, x), up, down, tuple(found))
