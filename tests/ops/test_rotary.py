"""rotary against turns of complex numbers, in values, gradients and second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import module_of

from flowgraph.diagram import loads

torch = pytest.importorskip("torch", reason="torch is not installed")
from layer_reference import agree  # noqa: E402

RNG = np.random.default_rng(7)


def turned(x: Any, base: float, offset: int, interleaved: bool) -> Any:
    """By complex numbers: a pair is a number, a turn the product with one of length 1."""
    pairs = x.shape[-1] // 2
    places = torch.arange(offset, offset + x.shape[-2], dtype=torch.float64)
    angles = torch.outer(places, base ** (-2 * torch.arange(pairs, dtype=torch.float64) / x.shape[-1]))
    turn = torch.polar(torch.ones_like(angles), angles)
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, dim=-1)
    after = torch.complex(a.contiguous(), b.contiguous()) * turn
    if interleaved:
        return torch.view_as_real(after).flatten(-2)
    return torch.cat([after.real, after.imag], dim=-1)


@pytest.mark.parametrize("shape", [(3, 4), (1, 2), (2, 5, 6), (2, 3, 2, 4)])
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(("base", "offset"), [(10000.0, 0), (100.0, 3)])
def test_rotary_turns_pairs_as_complex_numbers_turn(shape, interleaved, base, offset):
    said = str(list(shape))
    settings = f"base={base}, offset={offset}, interleaved={str(interleaved).lower()}"
    text = f"input s : {said}\nparam p : {said} = 1\nh = rotary(p * s, {settings})\noutput h"

    def reference(v):
        return turned(v["p"] * v["s"], base, offset, interleaved)

    agree(text, reference, {"s": RNG.normal(size=(2, *shape))})


def test_rotary_back_and_forth_is_nothing():
    text = "input x : [4, 6]\nh = rotary(rotary(x, offset=2), offset=2, inverse=true)\noutput h"
    x = RNG.normal(size=(2, 4, 6))
    np.testing.assert_allclose(module_of(loads(text), "numpy", 1, "float64")["forward"]({}, x), x, rtol=1e-12)


def test_scores_of_turned_rows_depend_on_their_distance_alone():
    text = "input q : [1, 4], k : [1, 4]\na = rotary(q, offset=3) @ rotary(k, offset=1).T\n"
    text += "b = rotary(q, offset=9) @ rotary(k, offset=7).T\noutput a, b"
    q, k = RNG.normal(size=(2, 1, 4)), RNG.normal(size=(2, 1, 4))
    a, b = module_of(loads(text), "numpy", 1, "float64")["forward"]({}, q, k)
    np.testing.assert_allclose(a, b, rtol=1e-10)


def test_rotary_keeps_its_digits_at_far_places_in_single_precision():
    diagram = loads("input x : [1, 2]\nh = rotary(x, offset=100003)\noutput h", "case.flow")
    x = np.array([[[1, 0]]], dtype=np.float32)
    want = [np.cos(100003.0), np.sin(100003.0)]
    np.testing.assert_allclose(
        module_of(diagram, "numpy", 1, "float32")["forward"]({}, x)[0, 0], want, rtol=1e-6
    )
    model = module_of(diagram, "torch", 1, "float32")["Case"]()
    np.testing.assert_allclose(model(torch.tensor(x))[0, 0].numpy(), want, rtol=1e-6)
