"""Data that stay in their file: the same rows, shuffled in windows, any batch from nothing but its step."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opening import FORMATS, SMALL, columns, epoch_of, opened, refused, write
from streaming import run, write_npz, write_parquet

import flowgraph.data.streams as streams
from flowgraph.data import StreamExamples
from flowgraph.data.mapped import Mapped
from flowgraph.data.streams import Part
from flowgraph.errors import FlowError


class Numbers:
    """A source whose rows are their own numbers, in blocks of the sizes given."""

    row_bytes = 8

    def __init__(self, sizes: list[int]) -> None:
        self.wanted = (SimpleNamespace(name="i"),)
        self.reader = SimpleNamespace(bounds=[0, *np.cumsum(sizes).tolist()])
        self.read: list[int] = []

    def bounds(self, number: int) -> tuple[int, int]:
        return list(pairwise(self.reader.bounds))[number]

    def block(self, number: int) -> dict[str, np.ndarray]:
        self.read.append(number)
        return {"i": np.arange(*self.bounds(number))}


def numbers(sizes: list[int], window: int, part: Part | None = None) -> StreamExamples:
    """Rows that are numbers; a window has `window` blocks."""
    made = StreamExamples(Numbers(sizes), part or Part(sum(sizes)))  # type: ignore[arg-type]
    made.window = window
    return made


SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of about 40 rows of SMALL, and windows of three of them."""
    monkeypatch.setattr("flowgraph.data.readers.BLOCK_BYTES", 1320)
    monkeypatch.setattr("flowgraph.data.parquet.BLOCK_BYTES", 1320)
    monkeypatch.setattr(streams, "WINDOW_BYTES", 4000)


# -- the order


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 5), st.integers(1, 30), st.integers(0, 3), st.integers(0, 2))
def test_every_row_is_in_an_epoch_once(
    sizes: list[int], window: int, size: int, epoch: int, seed: int
) -> None:
    rows = epoch_of(numbers(sizes, window), epoch, size, seed)["i"]
    assert sorted(rows.tolist()) == list(range(sum(sizes)))


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 5), st.integers(1, 30), st.integers(0, 40))
def test_any_step_is_the_same_from_a_fresh_start(sizes: list[int], window: int, size: int, step: int) -> None:
    used = numbers(sizes, window)
    for before in (step + 3, step - 1, 0):
        used.batch(max(before, 0), size, 1)
    fresh = numbers(sizes, window)
    assert np.array_equal(fresh.batch(step, size, 0)["i"], used.batch(step, size, 0)["i"])


@settings(max_examples=60, deadline=None)
@given(SIZES.filter(lambda s: sum(s) > 1), st.floats(0.01, 0.99), st.integers(1, 20))
def test_the_parts_of_a_split_have_every_row_once(sizes: list[int], share: float, size: int) -> None:
    count = sum(sizes)
    first = streams.training_count(share, count)
    train, valid = (numbers(sizes, 2, Part(count, first, which)) for which in (True, False))
    assert (train.count, valid.count) == (first, count - first)
    kept = np.concatenate([c["i"] for c in valid.chunks(size)])
    assert np.array_equal(kept, np.sort(kept)), "in file order"
    trained = epoch_of(train, 1, size)["i"].tolist()
    assert sorted([*trained, *kept.tolist()]) == list(range(count))
    drawn = np.random.default_rng([0, 0]).permutation(sizes[0])[: sizes[0] * first // count]
    assert set(drawn.tolist()) == {r for r in trained if r < sizes[0]}


def test_the_order_is_that_of_the_documentation() -> None:
    sizes, seed, epoch = [4, 4, 4, 4, 3], 3, 2
    blocks = np.random.default_rng([seed, epoch]).permutation(5)
    expected: list[int] = []
    for number, pool in enumerate([blocks[:2], blocks[2:4], blocks[4:]], start=1):
        rows = np.concatenate([np.arange(4 * b, 4 * b + sizes[b]) for b in pool])
        expected += rows[np.random.default_rng([seed, epoch, number]).permutation(len(rows))].tolist()
    assert epoch_of(numbers(sizes, 2), epoch, 5, seed)["i"].tolist() == expected


def test_a_step_in_the_middle_reads_its_own_window_only() -> None:
    data = numbers([10] * 100, 4)
    data.batch(61, 8, 0)  # rows 488 to 495, of the pool of rows 480 to 519
    assert len(data.source.read) == 4  # type: ignore[attr-defined]


def test_an_epoch_reads_every_block_once() -> None:
    data = numbers([10] * 20, 3)
    epoch_of(data, 0, 7)
    assert sorted(data.source.read) == list(range(20))  # type: ignore[attr-defined]


# -- the formats


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_stream_has_the_rows_of_its_file(tmp_path: Path, suffix: str) -> None:
    arrays = columns(203)
    options = {"row_group_size": 30} if suffix == "parquet" else {}
    data = opened(SMALL, write(tmp_path / f"d.{suffix}", arrays, **options), stream=True)
    assert data.streamed and isinstance(data.train, StreamExamples) and len(data.train.sizes) > 4
    epoch = epoch_of(data.train, 0, 16)
    assert np.array_equal(np.sort(epoch["i"]), arrays["i"]) and not np.array_equal(epoch["i"], arrays["i"])
    whole = opened(SMALL, tmp_path / f"d.{suffix}").train.batch(0, None, 0)
    for name, column in epoch.items():
        assert column.dtype == whole[name].dtype
        assert np.array_equal(column, whole[name][epoch["i"]])
    chunks = list(data.train.chunks(25))
    assert np.array_equal(np.concatenate([c["x"] for c in chunks]), arrays["x"])
    assert max(len(c["i"]) for c in chunks) == 25


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "u1", "?"])
def test_other_dtypes_become_float64(tmp_path: Path, dtype: str) -> None:
    x = np.arange(300).reshape(150, 2).astype(dtype)
    data = opened("input x : [2]\nloss sum(x)\n", write(tmp_path / "d.npz", {"x": x}), stream=True)
    read = np.concatenate([c["x"] for c in data.train.chunks(50)])
    assert read.dtype == np.float64 and np.array_equal(read, x.astype(np.float64))


@pytest.mark.usefixtures("small_blocks")
def test_a_plain_npy_is_the_only_input_also_with_its_axes_swapped(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(300, 3, 2))
    np.save(tmp_path / "d.npy", np.asfortranarray(x))
    data = opened("input x : [3, 2]\nloss sum(x)\n", tmp_path / "d.npy", stream=True)
    assert np.array_equal(np.concatenate([c["x"] for c in data.train.chunks(50)]), x)
    text = "input x : [3, 2], z\nloss sum(x) + z\n"
    assert "there are 2 inputs" in refused(text, tmp_path / "d.npy", stream=True)[0].message


@pytest.mark.usefixtures("small_blocks")
def test_names_of_classes_are_collected_over_the_file(tmp_path: Path) -> None:
    text = "input x\ntarget k : class(3)\nloss x + k\n"
    names = np.array(["b", "b", "a", "c"] * 100)[np.argsort(np.arange(400) % 3 == 0)]
    path = write(tmp_path / "d.npz", {"x": np.arange(400.0), "k": names})
    data = opened(text, path, stream=True)
    assert data.labels == {"k": ("a", "b", "c")}
    batch = data.train.batch(2, 50, 0)
    assert [("a", "b", "c")[k] for k in batch["k"]] == names[batch["x"].astype(int)].tolist()
    declared = opened('input x\ntarget k : class("c", "b", "a")\nloss x + k\n', path, stream=True)
    assert np.array_equal(declared.train.batch(2, 50, 0)["k"], 2 - batch["k"])


def test_a_block_is_a_copy_without_a_map(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.arange(10))
    mapped = Mapped(128, np.dtype("<i8"), (10,))
    rows = mapped.read(tmp_path / "d.npy", 3, 6)
    assert rows.tolist() == [3, 4, 5] and rows.base is None and type(rows) is np.ndarray


# -- which files are streamed


def test_small_files_are_read_whole_and_large_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = {suffix: write(tmp_path / f"d.{suffix}", columns(100)) for suffix in FORMATS}
    np.savez_compressed(tmp_path / "packed.npz", **columns(100))
    assert not any(opened(SMALL, path).streamed for path in paths.values())
    monkeypatch.setattr(streams, "STREAMED_BYTES", 1000)
    assert all(opened(SMALL, path).streamed for path in paths.values())
    assert not any(opened(SMALL, path, stream=False).streamed for path in paths.values())
    assert not opened(SMALL, tmp_path / "packed.npz").streamed, "its format does not allow it"


def test_the_limit_of_files_read_whole_does_not_hold_for_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "d.npy", columns(100))
    monkeypatch.setattr("flowgraph.data.files.MAX_BYTES", 1000)
    monkeypatch.setattr("flowgraph.data.files.check_file.__defaults__", (1000,))
    (found,) = refused(SMALL, path)
    assert found.code == "E0501" and "larger than 1000 bytes" in found.message
    assert opened(SMALL, path, stream=True).train.count == 100


@pytest.mark.parametrize(
    ("text", "file", "code", "said"),
    [
        (SMALL, "d.csv", "E0501", "not read by parts"),
        (SMALL, "packed.npz", "E0501", "compressed"),
        ("input x\nloss x\ndata { x\n 1 }", None, "E0404", "no file to stream"),
    ],
)
def test_what_cannot_be_streamed(tmp_path: Path, text: str, file: str | None, code: str, said: str) -> None:
    np.savez_compressed(tmp_path / "packed.npz", **columns(5))
    (tmp_path / "d.csv").write_text("x0,x1,i,y,b\n")
    (found,) = refused(text, tmp_path / file if file else None, stream=True)
    assert found.code == code and said in found.message and found.help


# -- safety


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("change", ["shorter", "other", "gone"])
def test_a_file_that_changes_under_the_run_is_refused(tmp_path: Path, change: str) -> None:
    path = write(tmp_path / "d.npz", columns(200))
    data = opened(SMALL, path, stream=True)
    if change == "shorter":
        os.truncate(path, path.stat().st_size // 2)
    elif change == "other":
        write(path, columns(200))
        os.utime(path, ns=(1, 1))
    else:
        path.unlink()
    with pytest.raises(FlowError) as caught:
        data.train.batch(0, 8, 0)
    (found,) = caught.value.diagnostics
    assert found.code == "E0501" and found.path == str(path)


@pytest.mark.usefixtures("small_blocks")
def test_the_digest_tells_streams_apart(tmp_path: Path) -> None:
    arrays = columns(200)
    first = opened(SMALL, write(tmp_path / "d.npz", arrays), stream=True)
    assert opened(SMALL, write(tmp_path / "e.npz", arrays), stream=True).digest == first.digest
    assert opened(SMALL, tmp_path / "d.npz", stream=True, split=0.5).digest != first.digest
    arrays["y"][150] = (arrays["y"][150] + 1) % 3
    assert opened(SMALL, write(tmp_path / "d.npz", arrays), stream=True).digest != first.digest


@pytest.mark.parametrize("writer", [write_npz, pytest.param(write_parquet, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, writer: object) -> None:
    """The window is full in both files: 40 MB hold 77 MB of float64."""
    suffix = "npz" if writer is write_npz else "parquet"
    peaks = []
    for megabytes in (40, 160):
        path = tmp_path / f"d{megabytes}.{suffix}"
        writer(path, megabytes * 10**6 // 264)  # type: ignore[operator]
        found = run(path)
        peaks.append(found["peak"])
        assert found["rows"] == megabytes * 10**6 // 264
    assert peaks[1] < peaks[0] + 40, "MiB, where the file grew by 120 MB"
