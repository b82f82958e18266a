"""The fonts of a page, cut down to the letters in it, so that texts have the sizes that were measured.

The fonts are those of `measure`, under the SIL Open Font License and Bitstream Vera's, which allow to embed
them in documents; their notices stay in. Promises the same bytes for the same letters.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import lru_cache

from .measure import FONTS, LAST, font_folder

FAMILY, LAST_FAMILY = "flow-math", "flow-signs"
LOOKS = {
    FONTS["roman"]: (FAMILY, "normal", "normal"),
    FONTS["italic"]: (FAMILY, "italic", "normal"),
    FONTS["bold"]: (FAMILY, "normal", "bold"),
    LAST: (LAST_FAMILY, "normal", "normal"),
}
"""Of a font's file: family, style and weight, as a page knows it."""
NOTICES = (0, 1, 2, 5, 14)
"""Names that stay in a font: copyright, family, style, version, and where the licence is written."""


def faces(letters: Mapping[str, str]) -> str:
    """The `@font-face` rules. letters: by font file, what is set in it."""
    out = []
    for file, (family, style, weight) in LOOKS.items():
        used = "".join(sorted(set(letters.get(file, ""))))
        if not used:
            continue
        data = base64.b64encode(cut(file, used)).decode("ascii")
        out.append(
            f'@font-face{{font-family:"{family}";font-style:{style};font-weight:{weight};'
            f"src:url(data:font/ttf;base64,{data})}}"
        )
    return "\n".join(out)


@lru_cache(maxsize=64)
def cut(file: str, letters: str) -> bytes:
    """A TrueType font with these letters alone, without kerning and ligatures, as they are measured."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    options = Options()
    options.layout_features = []
    options.hinting = False
    options.name_IDs = list(NOTICES)
    options.drop_tables += ["FFTM"]  # the time at which a font was made, which no page needs
    with TTFont(f"{font_folder()}/{file}", recalcTimestamp=False, lazy=True) as font:
        subsetter = Subsetter(options)
        subsetter.populate(text=letters)
        subsetter.subset(font)
        out = io.BytesIO()
        font.save(out)
    return out.getvalue()
