"""Conditions and numbers that hold no array: each target gets them in the form it takes."""

from __future__ import annotations

import numpy as np
import pytest

from flowgraph.diagram import loads

PROGRAM = """
size T
input x : [T]
a = where(T > 2, x, 2 * x)
b = where(1 > 0, x, 2 * x)
c = where(T > 2, 1, 0) + x
output a, b, c
"""


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("width", [2, 3])
def test_conditions_on_sizes(level: int, width: int) -> None:
    x = np.arange(2.0 * width).reshape(2, width)
    wanted = [x if width > 2 else 2 * x, x, x + (width > 2)]
    scope: dict = {"__name__": "made"}
    exec(loads(PROGRAM).compile("numpy", level=level), scope)
    for found, right in zip(scope["forward"]({}, x), wanted, strict=True):
        assert np.array_equal(found, right)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("width", [2, 3])
def test_conditions_on_sizes_in_torch(level: int, width: int) -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(2.0 * width).reshape(2, width)
    wanted = [x if width > 2 else 2 * x, x, x + (width > 2)]
    scope: dict = {"__name__": "made"}
    exec(loads(PROGRAM).compile("torch", level=level), scope)
    for found, right in zip(scope["Diagram"]()(x), wanted, strict=True):
        assert torch.equal(found, right)
