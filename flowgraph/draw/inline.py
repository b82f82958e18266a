"""An svg that stands in a page beside others, as the pictures of a notebook do.

Assumes svg as `figure` makes it. Promises the small svg of `slim`, no wider than the page, and that no two
pictures that differ give different things the same id: a page has one table of ids for all that stand in it.
"""

from __future__ import annotations

import hashlib
import re

from .slim import slim

SHARED = re.compile(r'(id="|href="#)(?=outline[0-9])')
"""Where `slim` names, and refers to, an outline that is there more than once; glyphs have the name of their
letter, and are the same in all pictures."""
FITTING = "max-width: 100%; height: auto"


def inline(svg: str) -> str:
    """The svg for such a page. Raises ValueError for what is no svg of matplotlib's."""
    small = slim(svg)
    digest = hashlib.sha256(small.encode()).hexdigest()[:8]
    return SHARED.sub(rf"\g<1>p{digest}-", small).replace("<svg ", f'<svg style="{FITTING}" ', 1)
