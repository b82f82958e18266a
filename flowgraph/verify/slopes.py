"""Derivatives without calculus: central differences that know how accurate they are.

Assumes a function of one number, smooth but for kinks. Promises an estimate of its slope at 0 by
Richardson's extrapolation over a ladder of steps (Ridders 1982), and of its error. A kink or a
jump within a step shows as an error that is large there, so that a smaller step is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

STEPS = tuple(2.0**-k for k in range(7, 25, 3))
"""From 8e-3, where rounding is least, down to 2e-7, where a kink is hardly ever within."""

FINER = tuple(2.0**-k for k in (25, 28, 31))
"""Down to 5e-10, where differences are good to a few digits only: for where kinks are dense."""

ENOUGH = 1e-9
"""A relative error that no smaller step is tried to better."""

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Slope:
    """An estimate of a derivative, flat, and of the error of its entries."""

    value: np.ndarray
    error: float


def slope(function: Callable[[float], np.ndarray], steps: Sequence[float] = STEPS) -> Slope:
    """The derivative of a function at 0; its values are flat arrays of one length. steps: tried in order.

    What is not a number at one step is taken from others; where no step has numbers, the error
    is infinite.
    """
    here = function(0.0)
    best = Slope(np.full_like(here, np.nan), np.inf)
    for step in steps:
        wide, high, low = _difference(function, step)
        narrow, _, _ = _difference(function, step / 2)
        value = (4 * narrow - wide) / 3
        size = max(_largest(here), _largest(high), _largest(low))
        error = _largest(value - narrow) + 4 * EPS * size / step
        if error < best.error:
            best = Slope(value, error)
        if best.error <= ENOUGH * _largest(best.value):
            break
    return best


def _difference(
    function: Callable[[float], np.ndarray], step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The central difference and the two values it is made of."""
    high, low = function(step), function(-step)
    with np.errstate(all="ignore"):
        return (high - low) / (2 * step), high, low


def _largest(values: np.ndarray) -> float:
    """The largest size; infinite where anything is not a number."""
    if not np.all(np.isfinite(values)):
        return np.inf
    return float(np.max(np.abs(values), initial=0.0))


def one_sided(function: Callable[[float], np.ndarray], step: float = 2.0**-20) -> tuple[float, float]:
    """The slopes of the first value to the left and to the right of 0."""
    here, high, low = (float(function(t)[0]) for t in (0.0, step, -step))
    return (here - low) / step, (high - here) / step
