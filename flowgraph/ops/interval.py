"""Between which numbers the entries of an array lie: rough arithmetic for warnings.

An interval may be wider than need be, never narrower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Interval = tuple[float, float]

ANYTHING: Interval = (-math.inf, math.inf)


def hull(given: Sequence[Interval]) -> Interval:
    """What holds entries of all of them."""
    return min(low for low, _ in given), max(high for _, high in given)


def added(a: Interval, b: Interval) -> Interval:
    """Of sums; infinities of both signs make anything."""
    low, high = a[0] + b[0], a[1] + b[1]
    return (-math.inf if math.isnan(low) else low), (math.inf if math.isnan(high) else high)


def times(a: Interval, b: Interval) -> Interval:
    """Of products; 0 times anything is 0."""
    products = [0.0 if 0 in (x, y) else x * y for x in a for y in b]
    return min(products), max(products)


def often(count: float, of: Interval) -> Interval:
    """Of sums of so many entries."""
    return times((count, count), of)
