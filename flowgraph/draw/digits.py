"""Numbers beside circles and wires: as few digits as say enough."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import names
from .names import Tex

DIGITS = 3
"""Significant digits of a number in a picture."""
LARGEST, LEAST = 1e5, 1e-3
"""Numbers between are written without a power of ten."""
MOST_ENTRIES = 4
MOST_ROWS = 3


def short(value: float) -> Tex:
    """A number in three digits: -0.25, 1.24, 1250, 3.1 · 10⁻⁵; whole ones in full."""
    value = float(value)
    if not math.isfinite(value):
        return names.number(value)
    if value == round(value) and abs(value) < LARGEST:
        return str(round(value))
    if LEAST <= abs(value) < LARGEST:
        places = max(DIGITS - 1 - math.floor(math.log10(abs(value))), 0)
        text = f"{value:.{min(places, DIGITS)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return names.number(value, DIGITS - 1)


def scalar(value: Any, labels: tuple[str, ...] = ()) -> Tex:
    """A number, a truth value, or a class by its name."""
    if isinstance(value, bool | np.bool_):
        return names.word(str(bool(value)).lower())
    if labels and 0 <= int(value) < len(labels):
        return names.word(labels[int(value)])
    return short(value)


def lines(value: Any, labels: tuple[str, ...] = ()) -> tuple[Tex, ...]:
    """A small array, one line for each row; none of a large one."""
    array = np.asarray(value)
    if not array.ndim:
        return (scalar(array[()], labels),)
    if array.ndim > 2 or array.shape[-1] > MOST_ENTRIES or (array.ndim == 2 and len(array) > MOST_ROWS):
        return ()
    rows = array if array.ndim == 2 else array[None]
    return tuple(f"[{','.join(scalar(v, labels) for v in row)}]" for row in rows)
