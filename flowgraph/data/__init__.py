"""Data: the `data` statement's table, generated columns or file, as arrays by name.

Assumes a lowered `Program`. Promises float64, int64 and bool arrays [N, *shape] that fit the
declared types of inputs and targets, or every reason why not, with its place.
"""

from __future__ import annotations

from .load import check_data, load_data
from .table import Table

__all__ = ["Table", "check_data", "load_data"]
