"""What docs/data.md says is what the code does."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from opening import epoch_of
from running import ROOT
from test_streams import numbers

from flowgraph.data import order
from flowgraph.data.files import FORMATS, MAX_BYTES
from flowgraph.data.parquet import MAX_GROUP_BYTES
from flowgraph.data.readers import BLOCK_BYTES
from flowgraph.data.streams import STREAMED_BYTES, WINDOW_BYTES, Part

PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """The functions of the page's blocks of Python."""
    space: dict[str, Any] = {"np": np}
    for block in re.findall(r"^```python\n((?s:.*?))^```$", PAGE, re.MULTILINE):
        exec(block, space)
    return space


def test_the_limits_are_those_of_the_code() -> None:
    sizes = {"MiB": 2**20, "GiB": 2**30}
    found = {int(n) * sizes[unit] for n, unit in re.findall(r"(\d+) (MiB|GiB)", PAGE)}
    assert {STREAMED_BYTES, WINDOW_BYTES, BLOCK_BYTES, MAX_BYTES, MAX_GROUP_BYTES} <= found


def test_every_format_has_its_row() -> None:
    assert set(re.findall(r"^\| `(\.\w+)`", PAGE, re.MULTILINE)) == set(FORMATS)


def test_the_order_in_memory(said: dict[str, Any]) -> None:
    assert np.array_equal(said["epoch_order"](4, 2, 30), order.epoch_order(4, 2, 30))


@pytest.mark.parametrize(("share", "count"), [(0.8, 11), (0.01, 4), (0.5, 5)])
def test_the_split_in_memory(said: dict[str, Any], share: float, count: int) -> None:
    for ours, page in zip(order.split_rows(share, count), said["split_rows"](share, count), strict=True):
        assert np.array_equal(ours, page)


def test_the_order_of_a_stream(said: dict[str, Any]) -> None:
    sizes = [5, 5, 5, 5, 5, 5, 2]
    rows = epoch_of(numbers(sizes, 3), 2, 4, seed=9)["i"]
    assert np.array_equal(rows, said["stream_order"](9, 2, sizes, 3))


def test_the_split_of_a_stream(said: dict[str, Any]) -> None:
    for block, (start, stop) in enumerate([(0, 7), (7, 8), (8, 20)]):
        parts = [Part(20, 13, which).rows(block, start, stop) for which in (True, False)]
        for ours, page in zip(parts, said["split_block"](13, 20, block, start, stop), strict=True):
            assert np.array_equal(ours, page)
