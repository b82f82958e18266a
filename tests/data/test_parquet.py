"""Parquet: columns by name, vectors as lists, classes as texts, row groups as blocks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opening import SMALL, columns, epoch_of, opened, refused, write, write_parquet

from flowgraph.diagram import loads

pa = pytest.importorskip("pyarrow")

VECTOR = "input x : [2]\ntarget k : class(3)\nloss sum(x) + k\n"


def table(**columns: Any) -> dict[str, Any]:
    return {"x0": [1.0, 2.0], "x1": [3.0, 4.0], "k": [0, 2]} | columns


@pytest.mark.parametrize(
    "x",
    [
        pa.array([[1.0, 3.0], [2.0, 4.0]]),
        pa.FixedSizeListArray.from_arrays(pa.array([1.0, 3.0, 2.0, 4.0], pa.float32()), 2),
        pa.array([[1, 3], [2, 4]], pa.large_list(pa.int16())),
    ],
    ids=["list", "fixed", "large"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_column_of_lists_is_a_vector(tmp_path: Path, x: Any, stream: bool) -> None:
    path = write_parquet(tmp_path / "d.parquet", {"x": x, "k": [0, 2]})
    data = opened(VECTOR, path, stream=stream)
    (rows,) = data.train.chunks(5)
    assert np.array_equal(rows["x"], [[1, 3], [2, 4]]) and rows["x"].dtype == np.float64


def test_columns_of_entries_are_a_vector_in_their_order(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "d.parquet", {"x[1]": [3, 4], "k": [0, 2], "x[0]": [1, 2]})
    (rows,) = opened(VECTOR, path).train.chunks(5)
    assert np.array_equal(rows["x"], [[1, 3], [2, 4]])


def test_lists_of_lists_are_matrices(tmp_path: Path) -> None:
    m = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]
    path = write_parquet(tmp_path / "d.parquet", {"m": m})
    (rows,) = opened("input m : [2, 3]\nloss sum(m)\n", path).train.chunks(5)
    assert np.array_equal(rows["m"], m)


@pytest.mark.parametrize("stream", [False, True])
def test_classes_may_be_texts_with_other_dictionaries_in_each_group(tmp_path: Path, stream: bool) -> None:
    names = np.array(["b", "b", "c", "c", "a", "b"])
    k = pa.array(names).dictionary_encode()
    path = write_parquet(
        tmp_path / "d.parquet", {"x0": np.arange(6.0), "x1": np.zeros(6), "k": k}, row_group_size=2
    )
    data = opened(VECTOR, path, stream=stream)
    assert data.labels == {"k": ("a", "b", "c")}
    assert np.concatenate([c["k"] for c in data.train.chunks(6)]).tolist() == [1, 1, 2, 2, 0, 1]


def test_classes_may_be_whole_numbers_written_as_text(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "d.parquet", table(k=["2", "0"]))
    data = opened(VECTOR, path, stream=True)
    assert data.labels == {} and data.train.batch(0, 2, 0)["k"].sum() == 2
    (found,) = refused(VECTOR, write_parquet(tmp_path / "d.parquet", table(k=["2", "3"])), stream=True)
    assert found.code == "E0307" and "(example 1)" in found.message


def test_row_groups_are_the_blocks_and_small_ones_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowgraph.data.parquet.BLOCK_BYTES", 8 * 5 * 100)
    path = write(tmp_path / "d.parquet", columns(410), row_group_size=40)
    data = opened(SMALL, path, stream=True).train
    assert data.source.reader.bounds == [0, 80, 160, 240, 320, 410]  # type: ignore[attr-defined]
    assert sorted(epoch_of(data, 0, 30)["i"].tolist()) == list(range(410))


def test_flowc_run_reads_parquet_too(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "d.parquet", {"x": [1.0, 2.0]})
    assert loads("input x\nf = 2 * x\n").run(data=path).outputs["f"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"id": [1, 2]}, "E0502", "`id` belongs to no"),
        ({"x": [[1.0, 2.0], [3.0, 4.0]]}, "E0502", "`x0` belongs to no"),
        ({"x1": [1.0, None]}, "E0503", "the column `x1` has a missing value (example 1)"),
        ({"x1": [1.0, float("inf")]}, "E0503", "inf is not a finite number, in `x[1]` (example 1)"),
        ({"x1": ["1", "b"]}, "E0503", "`x[1]` holds text (`b`), where numbers are needed (example 1)"),
        ({"k": [0, 3]}, "E0307", "3 is no label of class(3), in `k` (example 1)"),
        ({"k": ["a", None]}, "E0503", "the column `k` has a missing value (example 1)"),
        ({"k": pa.array([0, 1]).cast(pa.timestamp("s"))}, "E0501", "`k` holds timestamp"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_columns_that_do_not_fit(
    tmp_path: Path, changes: dict[str, Any], code: str, said: str, stream: bool
) -> None:
    path = write_parquet(tmp_path / "d.parquet", table(**changes))
    found = refused(VECTOR, path, stream=stream)
    assert found[0].code == code and said in found[0].message
    assert found[0].path == str(path) and found[0].help


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([[1.0, 2.0], [3.0]], "not all of one length"),
        ([[1.0, 2.0], None], "missing value (example 1)"),
        ([[1.0, 2.0], [1.0, None]], "missing value (example 1)"),
        ([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "[2, 3], where [N, 2] is needed"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_lists_that_do_not_fit(tmp_path: Path, x: Any, said: str, stream: bool) -> None:
    path = write_parquet(tmp_path / "d.parquet", {"x": x, "k": [0, 2]})
    (found,) = refused(VECTOR, path, stream=stream)
    assert found.code == "E0503" and said in found.message


def test_lists_of_other_lengths_in_other_groups_are_found(tmp_path: Path) -> None:
    x = [[1.0, 2.0]] * 4 + [[1.0]] * 4
    path = write_parquet(tmp_path / "d.parquet", {"x": x}, row_group_size=4)
    text = "size T\ninput x : [T]\nloss sum(x)\n"
    assert "not all of one length" in refused(text, path)[0].message
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowgraph.data.parquet.BLOCK_BYTES", 8)
        (found,) = refused(text, path, stream=True)
    assert found.code == "E0503" and "not all of one size (example 4)" in found.message


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_file_has_no_examples(tmp_path: Path, stream: bool) -> None:
    arrays = {"x": pa.array([], pa.list_(pa.float64())), "k": pa.array([], pa.int64())}
    (found,) = refused(VECTOR, write_parquet(tmp_path / "d.parquet", arrays), stream=stream)
    assert found.code == "E0503" and found.message == "there are no examples"


def test_a_row_group_that_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowgraph.data.parquet.MAX_GROUP_BYTES", 8 * 5 * 50)
    assert opened(SMALL, write(tmp_path / "d.parquet", columns(100), row_group_size=50), stream=True)
    (found,) = refused(SMALL, write(tmp_path / "d.parquet", columns(100)), stream=True)
    assert found.code == "E0501" and "row_group_size" in found.help


def test_a_small_file_of_many_rows_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path / "d.parquet", {"x": np.zeros(10**5)})
    monkeypatch.setattr("flowgraph.data.streams.STREAMED_BYTES", 100_000)
    assert path.stat().st_size < 10_000
    assert opened("input x\nloss x\n", path).streamed
    monkeypatch.setattr("flowgraph.data.parquet.MAX_BYTES", 100_000)
    (found,) = refused("input x\nloss x\n", path, stream=False)
    assert found.code == "E0501" and "--stream" in found.help


@pytest.mark.parametrize("stream", [None, True])
def test_the_extra_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool | None
) -> None:
    path = write(tmp_path / "d.parquet", columns(5))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (found,) = refused(SMALL, path, stream=stream)
    assert found.code == "E0605" and found.help == "pip install 'flowgraph[data]'"
    (found,) = refused(SMALL + 'data "d.parquet"\n', folder=tmp_path)
    assert found.span is not None and found.span.text == '"d.parquet"'
