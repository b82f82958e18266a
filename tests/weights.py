"""What the tests of weights share: diagrams with parameters, and how they are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowgraph.diagram import Diagram
from flowgraph.errors import Diagnostic, FlowError

Arrays = dict[str, np.ndarray]
Capture = pytest.CaptureFixture[str]

MLP = "input x : [2]\nf = x |> linear(3) |> tanh |> linear(1)\nparam s = normal(0.5)\ng = s * f\n"
TOWER = """
size D = 4
block attend(x : [d]) -> [d] {
  c_attn = linear(x, 3 * d)
  c_proj = linear(c_attn[0:d], d)
  return c_proj
}
input x : [D]
u = x
repeat 6 as h {
  attn = attend(u)
  u = u + attn
}
f = linear(u, 1)
"""
ATTN = "h.*.attn.c_attn.weight"


def refused(diagram: Diagram, params: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(FlowError) as caught:
        diagram.params(params)
    return caught.value.diagnostics


def said(diagram: Diagram, params: Any, code: str = "E0505") -> list[str]:
    found = refused(diagram, params)
    assert {d.code for d in found} == {code}
    return [d.message for d in found]


def numbered(diagram: Diagram) -> Arrays:
    """Parameters of a diagram that are all different, float64."""
    drawn = diagram.params(dtype="float64")
    return {n: np.asarray(a + i / 100) for i, (n, a) in enumerate(drawn.items())}


def same(one: Arrays, other: Arrays) -> None:
    assert list(one) == list(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype and array.tobytes() == other[name].tobytes(), name


def with_prefix(arrays: Arrays, prefix: str) -> Arrays:
    return {f"{prefix}{name}": array for name, array in arrays.items()}
