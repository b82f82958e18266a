"""Accuracy far from 0: single precision against 40 digits, and silence about overflow.

Inputs reach ±1e4, and the tails where a careless formula loses everything. Results below the
smallest normal number of single precision are held to an absolute error instead.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from op_cases import evaluate

from flowgraph.ops import OPS
from flowgraph.ops.base import Arg
from flowgraph.ops.special import erf, erfc

EDGES = [
    -1e4,
    -300,
    -103,
    -88,
    -60,
    -20,
    -9,
    -5,
    -1,
    -1e-3,
    -1e-7,
    0,
    1e-7,
    1e-3,
    1,
    5,
    9,
    20,
    60,
    88,
    103,
    1e4,
]
TINY = 2e-38
mp.mp.dps = 40


def single(name: str, *arrays: np.ndarray, **attrs) -> np.ndarray:
    """The numpy form in single precision. Warnings are errors here."""
    types = [
        Arg(
            a.shape,
            kind="real" if a.dtype == np.float32 else "class",
            classes=0 if a.dtype == np.float32 else 9,
        ).type
        for a in arrays
    ]
    op = OPS[name](**attrs).canonical(types)
    got = evaluate(op, list(arrays), types, {}, dtype=np.float32)
    assert np.asarray(got).dtype == np.float32
    return np.asarray(got)


def check(got: np.ndarray, want: list[mp.mpf], tolerance: float = 1e-6) -> None:
    for g, w in zip(np.ravel(got), want, strict=True):
        error = abs(mp.mpf(float(g)) - w)
        assert error <= max(tolerance * abs(w), TINY), f"{g} is not {mp.nstr(w, 10)}"


def exact(values: np.ndarray) -> list[mp.mpf]:
    return [mp.mpf(float(v)) for v in np.ravel(values)]


def softplus(x: mp.mpf) -> mp.mpf:
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def sigmoid(x: mp.mpf) -> mp.mpf:
    return 1 / (1 + mp.exp(-x))


FUNCTIONS = {
    "sigmoid": sigmoid,
    "softplus": softplus,
    "tanh": mp.tanh,
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * mp.tanh(softplus(x)),
    "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "softsign": lambda x: x / (1 + abs(x)),
    "erf": mp.erf,
    "erfc": mp.erfc,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementwise_functions(name):
    x = np.array(EDGES, dtype=np.float32)
    check(single(name, x), [FUNCTIONS[name](v) for v in exact(x)])


def test_gelu_by_tanh_in_its_tail():
    x = np.array([-8, -5, -1e4, 1e4, 3], dtype=np.float32)
    scale = mp.sqrt(2 / mp.pi)
    want = [v * sigmoid(2 * scale * (v + mp.mpf("0.044715") * v**3)) for v in exact(x)]
    check(single("gelu", x, tanh=True), want, 2e-5)


ROWS = [
    [0, 0, 0],
    [20, 0, -20],
    [0, -20, -40],
    [1e4, -1e4, 0],
    [-1e4, -1e4, -1e4],
    [1e4, 1e4, 9990],
    [-50, -70, -9000],
    [3, 3, -60],
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_along_an_axis(row):
    x = np.array(row, dtype=np.float32)
    values = exact(x)
    total = mp.log(mp.fsum(mp.exp(v) for v in values))
    check(single("softmax", x), [mp.exp(v - total) for v in values])
    check(single("log_softmax", x), [log_share(values, i) for i in range(len(values))])
    for label in range(len(row)):
        loss = single("cross_entropy", x, np.array(label))
        check(loss, [-log_share(values, label)])


def log_share(values: list[mp.mpf], label: int) -> mp.mpf:
    """log softmax, in a way that 40 digits do not lose at 1e4."""
    others = mp.fsum(mp.exp(v - values[label]) for i, v in enumerate(values) if i != label)
    return -mp.log1p(others)


@pytest.mark.parametrize("row", [[0, -20, -40], [1e4, -1e4], [-1e4, -1e4], [20, 20, 5], [0, -80]], ids=str)
def test_logsumexp(row):
    x = np.array(row, dtype=np.float32)
    check(single("logsumexp", x), [mp.log(mp.fsum(mp.exp(v) for v in exact(x)))])


def test_logsumexp_of_infinities():
    inf = np.inf
    x = np.array([[-inf, -inf], [-inf, 1], [inf, 1], [inf, -inf]], dtype=np.float32)
    assert single("logsumexp", x).tolist() == [-inf, 1, inf, inf]


@pytest.mark.parametrize("y", [0, 1, 0.25])
def test_bce_with_logits(y):
    z = np.array(EDGES, dtype=np.float32)
    target = np.full_like(z, y)
    want = [y * softplus(-v) + (1 - y) * softplus(v) for v in exact(z)]
    check(single("bce_with_logits", z, target, axis=()), want)


def test_bce_with_logits_in_the_tail():
    z, y = np.array(-20, dtype=np.float32), np.array(0, dtype=np.float32)
    assert float(single("bce_with_logits", z, y)) == pytest.approx(2.0611536e-09, rel=1e-6)


def test_bce_at_the_ends_is_finite():
    h = np.array([0, 1, 0, 1], dtype=np.float32)
    y = np.array([0, 1, 1, 0], dtype=np.float32)
    got = [float(single("bce", a, b)) for a, b in zip(h, y, strict=True)]
    assert got == [0, 0, 100, 100]


def test_kl_div_of_a_certain_class():
    h = np.log(np.array([0.5, 0.25, 0.25], dtype=np.float32))
    y = np.array([1, 0, 0], dtype=np.float32)
    assert float(single("kl_div", h, y)) == pytest.approx(np.log(2), rel=1e-6)


def test_error_functions_in_double_precision():
    x = np.concatenate([np.linspace(-6, 26, 400), np.geomspace(1e-10, 1, 100), -np.geomspace(1e-10, 1, 50)])
    for function, reference, limit in ((erf, mp.erf, 1e-15), (erfc, mp.erfc, 1e-13)):
        errors = [
            abs((mp.mpf(float(g)) - reference(v)) / reference(v)) if v else abs(g)
            for g, v in zip(function(x), exact(x), strict=True)
        ]
        assert max(errors) < limit


def test_error_functions_at_the_ends():
    x = np.array([-np.inf, -1e200, 1e200, np.inf])
    assert erf(x).tolist() == [-1, -1, 1, 1]
    assert erfc(x).tolist() == [2, 2, 0, 0]
    assert np.isnan(erf(np.array([np.nan]))).all() and np.isnan(erfc(np.array([np.nan]))).all()


def test_the_largest_and_smallest_do_not_overflow():
    """Every activation takes ±1e4 in single precision without a warning, and stays finite."""
    x = np.array([-1e4, 1e4], dtype=np.float32)
    for cls in OPS.values():
        if cls.group == "activations":
            assert np.isfinite(single(cls.name, x)).all(), cls.name
