"""The benchmark of sparse drawings measures what it says it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sparse

from flowgraph import load


def test_a_drawing_has_its_wires_each_once_and_no_bare_circle() -> None:
    made = sparse.drawing(3, 20, 150)
    assert made.wires == 150
    for source, target, _ in made.levels:
        assert len({*zip(source.tolist(), target.tolist(), strict=True)}) == len(source)
        assert set(target.tolist()) == set(range(20))


def test_both_spellings_and_the_hand_compute_the_same(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    made = sparse.drawing(2, 20, 80)
    x = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    want = sparse.by_hand(made)(x)
    table = sparse.compiled(sparse.write_table(made, tmp_path))(x)
    single = sparse.compiled(sparse.write_single(made, tmp_path), level=0)(x)
    assert table == pytest.approx(want, abs=1e-5)
    assert np.stack(single, axis=-1) == pytest.approx(want, abs=1e-5)


def test_its_table_is_silent(tmp_path: Path) -> None:
    assert load(sparse.write_table(sparse.drawing(2, 20, 80), tmp_path)).warnings == ()
