"""First values of emitted torch modules: of the module's dtype from the start, never rounded to float32."""

from __future__ import annotations

import pytest
from running import execute

from flowgraph.diagram import loads

torch = pytest.importorskip("torch")

LAYERS = """
size T
input x : [2, 8, 8], ids : class(7)[T]
param given : [3] = [0.1, 0.2, 0.3]
param filled : [3] = 0.1
param drawn : [3] = normal(1)
block f(h : [d]) -> [d] {
  param own : [d] = normal(1)
  return tanh(linear(h, d)) * own
}
block cell(v, s) -> [3] {
  return tanh(linear(v, 3) + linear(s, 3))
}
a = x |> conv2d(4, 3) |> groupnorm(2) |> relu |> flatten |> linear(3) |> layernorm |> rmsnorm
repeat 2 as r {
  a = a + f(a)
}
e = embedding(ids, 7, 3, std=0.1)
s = scan(cell, e, zeros(3))
h = x |> conv_transpose2d(4, 3) |> batchnorm |> flatten |> linear(3)
y = bilinear(a, h, 3) * given + filled + drawn + sum(s, axis=0)
output y
"""


@pytest.mark.parametrize("level", [0, 1])
def test_values_are_drawn_in_float64(level: int) -> None:
    state = execute(loads(LAYERS).compile("torch", dtype="float64", level=level))["Diagram"]().state_dict()
    drawn = {n: v for n, v in state.items() if v.is_floating_point()}
    assert {v.dtype for v in drawn.values()} == {torch.float64}
    rounded = [n for n, v in drawn.items() if torch.equal(v.float().double(), v)]
    assert rounded and all(set(state[n].flatten().tolist()) <= {0.0, 1.0} for n in rounded), rounded
    assert {"given", "filled", "drawn", "r.0.a.f.own", "s.return.linear.weight"}.isdisjoint(rounded)


def test_float32_says_no_dtype() -> None:
    assert "dtype=torch.float32)" not in loads("input x : [2]\ny = linear(x, 3)\n").compile("torch")
