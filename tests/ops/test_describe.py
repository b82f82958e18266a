"""What `flowc ops` prints."""

from __future__ import annotations

import pytest

from flowgraph.ops import OPS
from flowgraph.ops.describe import derivative, describe, describe_name, listing, names, signature

TANH = """\
tanh(x)   (activations)
The hyperbolic tangent, from -1 to 1.

formula     (e^x - e^-x) / (e^x + e^-x)
arguments   x                an array of numbers, or single ones
shapes      [2, 3] -> [2, 3]
            a single number -> a single number
derivative  dy/dx = 1 - y ^ 2
numpy       np.tanh(x)
torch       torch.tanh(x)
            as a module: nn.Tanh()
LaTeX       \\tanh(x)
example     h = tanh(x)"""


def test_an_operation_in_full():
    assert describe(OPS["tanh"]) == TANH


@pytest.mark.parametrize("name", names())
def test_everything_has_a_description(name):
    text = describe_name(name)
    assert text.startswith(f"{name}(")
    assert "formula" in text
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("matmul", ["d_a = d_out @ b.T", "d_b = a.T @ d_out"]),
        ("sigmoid", ["dy/dx = y * (1 - y)"]),
        ("mse", ["d_h = unsqueeze(d_out / 3, axis=-1) * (2 * (h - y))"]),
        ("step", ["none: it counts as constant"]),
        ("linear", ["d_x = d_out @ weight", "d_weight = outer(d_out, x)", "d_bias = d_out"]),
        ("bilinear", ['that of einsum(a, weight, b, subscripts="i,kij,j->k") + bias']),
        ("div", ["dy/da = 1 / b", "dy/db = -y / b"]),
    ],
)
def test_derivatives_read_as_formulas(name, want):
    assert derivative(OPS[name])[: len(want)] == want


def test_the_listing_has_every_name_once_in_its_group():
    lines = listing().splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(set(listed)) == sorted(names())
    assert all(cls.name in listed for cls in OPS.values() if cls.group)
    assert lines[0] == "activations"


def test_a_name_may_stand_for_two_things():
    text = describe_name("constant")
    assert "(initialiser)" in text and "(learning-rate schedule)" in text
    assert describe_name("no_such_thing") == ""


def test_signatures():
    assert signature(OPS["leaky_relu"]) == "leaky_relu(x, negative_slope=0.01)"
    assert signature(OPS["linear"]) == "linear(x, out, bias=true)"
    assert signature(OPS["einsum"]) == "einsum(subscripts, *xs)"
