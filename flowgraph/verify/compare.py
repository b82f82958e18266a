"""Comparing quantities: what belongs together, how large a difference is, and how large it may be.

Quantities are named `output p`, `loss`, `metric accuracy`, `gradient W`, `jvp`, `hvp W`,
`each gradient W` (of every example by itself), `init W` and `buffer m` (after a step). A name such
as `loss of jvp` or `gradient W (written out)` is another way to the quantity before the addition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Quantities = dict[str, np.ndarray]

VALUES, DERIVATIVES, AUTOGRAD, DIFFERENCES, SINGLE = 1e-11, 1e-10, 1e-7, 1e-6, 2e-5
"""Tolerances, relative to the largest entry: of values and of derivatives in float64; of PyTorch's
derivatives, which have a constant of hardsigmoid in single precision; of central differences; of
float32."""

NOISE, NOISE_SINGLE = 2.0**-50, 2.0**-21
"""The relative error given to every operation to see what rounding does: a few units."""

TIMES = 8
"""A difference of at most so many times what such errors did counts as rounding."""

WRITTEN = " (written out)"

GROUPS = {
    "init": "init", "output": "outputs", "loss": "loss", "metric": "metrics", "gradient": "gradient",
    "jvp": "jvp", "hvp": "hvp", "each": "gradient per example", "buffer": "buffers",
}  # fmt: skip
"""What the report calls a quantity, by the first word of its name."""


def group_of(name: str) -> str:
    """The row of the report that a quantity belongs to."""
    return "gradient written out" if name.endswith(WRITTEN) else GROUPS[name.split(" ")[0]]


def meant(name: str) -> str:
    """The quantity that a name is another way to."""
    return "loss" if name.startswith("loss of ") else name.removesuffix(WRITTEN)


def tolerance_of(group: str, single: bool, autograd: bool) -> float:
    """How large a difference may be, for float32 or not, by PyTorch's autograd or not."""
    if single:
        return SINGLE
    if group in ("init", "buffers", "outputs", "loss", "metrics"):
        return VALUES
    return AUTOGRAD if autograd and group != "gradient written out" else DERIVATIVES


def scale_of(name: str, want: Quantities, way: Arrays) -> float:
    """What differences in a quantity are relative to.

    Its largest entry, at least a thousandth of the largest of its group; for the derivative along a
    direction, the sizes of the terms that it is the sum of.
    """
    if name == "jvp":
        return along_sizes({n: want[f"gradient {n}"] for n in way}, way)
    same = [v for n, v in want.items() if group_of(n) == group_of(name)]
    return max(_size(want[name]), 1e-3 * max(map(_size, same)), 1e-30)


def _size(value: np.ndarray) -> float:
    return float(np.max(np.abs(value), initial=0.0, where=np.isfinite(value)))


def along(gradient: Arrays, way: Arrays) -> float:
    """The derivative along a direction."""
    return float(sum(np.sum(gradient[n] * way[n]) for n in way))


def along_sizes(gradient: Arrays, way: Arrays) -> float:
    """The sum of the sizes of its terms."""
    return max(float(sum(np.sum(np.abs(gradient[n] * way[n])) for n in way)), 1e-12)


def largest_difference(got: np.ndarray, want: np.ndarray, scale: float = 1.0) -> tuple[float, str]:
    """The largest difference relative to a scale, and its place: `[2, 0]`.

    Infinite where shapes differ, or where one has a number and the other none; two infinities of one
    sign are equal, and so are two non-numbers.
    """
    if np.shape(got) != np.shape(want):
        return np.inf, f" (shape {np.shape(got)}, not {np.shape(want)})"
    with np.errstate(all="ignore"):
        off = np.abs(got - want) / scale
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    off = np.where(same, 0.0, np.where(np.isfinite(off), off, np.inf))
    if not off.size:
        return 0.0, ""
    index = np.unravel_index(int(np.argmax(off)), off.shape)
    return float(off[index]), place_text(index)


def place_text(index: Any) -> str:
    """`[2, 0]`, nothing for a single number."""
    return f"[{', '.join(str(int(i)) for i in index)}]" if len(index) else ""
