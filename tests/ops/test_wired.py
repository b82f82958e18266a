"""Lists of wires: the groups that the numpy form makes, and that every layout gives the same."""

from __future__ import annotations

import numpy as np
import pytest
from running import execute

from flowgraph.diagram import loads
from flowgraph.ops.sparse import wire_groups, wire_products, wired

rng = np.random.default_rng(5)


def random_wires(sources: int, targets: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        rng.integers(0, sources, count),
        rng.integers(0, targets, count),
        rng.normal(size=count),
    )


def matrix(source: np.ndarray, target: np.ndarray, weights: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    dense = np.zeros(shape)
    np.add.at(dense, (target, source), weights)
    return dense


@pytest.mark.parametrize("count", [1, 7, 300, 5000])
def test_it_is_the_product_with_the_matrix(count: int) -> None:
    source, target, weights = random_wires(60, 90, count)
    x = rng.normal(size=(4, 60))
    want = x @ matrix(source, target, weights, (90, 60)).T
    assert wired(weights, x, wire_groups(source, target, 90, 60)) == pytest.approx(want)


def test_targets_without_a_wire_are_0() -> None:
    made = wired(np.array([2.0]), np.array([[3.0]]), wire_groups(np.array([0]), np.array([1]), 3, 1))
    assert made.tolist() == [[0, 6, 0]]


def test_every_wire_is_in_one_group_and_paddings_are_few() -> None:
    source, target, _ = random_wires(500, 500, 5500)
    groups, count, wires = wire_groups(source, target, 500, 500)
    assert (count, wires) == (500, 5500)
    seen = np.concatenate([p[w] for _, _, p, w in groups])
    assert sorted(seen.tolist()) == list(range(5500))
    assert len(groups) < 8
    assert sum(p.size for _, _, p, _ in groups) - 5500 <= 500 * len(groups)


def test_paddings_read_zeros() -> None:
    """A source that is infinite reaches the targets that it is wired to, as infinity, and no other."""
    source, target = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2])
    made = wired(np.ones(4), np.array([[1.0, 2.0, np.inf]]), wire_groups(source, target, 3, 3))
    assert made[0].tolist() == [3, 2, np.inf]


def test_the_gradient_of_the_weights_is_summed_over_the_batch() -> None:
    source, target, _ = random_wires(20, 30, 200)
    a, b = rng.normal(size=(5, 30)), rng.normal(size=(5, 20))
    want = (a[:, target] * b[:, source]).sum(0)
    assert wire_products(a, b, wire_groups(source, target, 30, 20)) == pytest.approx(want)


def test_results_keep_the_batch_as_their_last_axis_in_memory() -> None:
    """So the next gather copies whole rows, and nothing is turned around between layers."""
    source, target, weights = random_wires(20, 30, 200)
    made = wired(weights, rng.normal(size=(8, 20)), wire_groups(source, target, 30, 20))
    assert np.tanh(made).T.flags.c_contiguous


def test_scipy_gives_the_same_only_where_it_is_asked_for() -> None:
    pytest.importorskip("scipy")
    wires = "".join(
        f"x[{s}] -[{w:.3f}]-> h{t}\n"
        for s, t, w in zip(*(part.tolist() for part in random_wires(80, 40, 160)), strict=True)
    )
    names = ", ".join(f"h{i}" for i in range(40))
    bias = "".join(f"1 -[0.5]-> h{i}\n" for i in range(40))
    diagram = loads(f"input x : [80]\ntarget y\nnode {names} : tanh\n{wires}{bias}loss mse(h0 + h1, y)\n")
    texts = [diagram.compile(dtype="float64", sparse=sparse) for sparse in ("", "scipy")]
    assert ["scipy" in text for text in texts] == [False, True]
    x, y = rng.normal(size=(3, 80)), np.ones(3)
    plain, csr = (execute(text)["loss_and_grad"]({}, x, y)[0] for text in texts)
    assert csr == pytest.approx(plain, rel=1e-12)
