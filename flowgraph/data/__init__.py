"""Data: the `data` statement's table, generated columns or file, as arrays by name or by batches.

Assumes a lowered `Program`. Promises float64, int64 and bool arrays [N, *shape] that fit the
declared types of inputs and targets, or every reason why not, with its place.
"""

from __future__ import annotations

from .examples import Examples, MemoryExamples, Opened, check_batch, open_examples
from .load import check_data, load_data
from .streams import StreamExamples
from .table import Table

__all__ = [
    "Examples",
    "MemoryExamples",
    "Opened",
    "StreamExamples",
    "Table",
    "check_batch",
    "check_data",
    "load_data",
    "open_examples",
]
