"""Batches of data held in memory: a pure function of the step, and every row once an epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from opening import SMALL, columns, epoch_of, opened, refused, write
from running import EXAMPLES

from flowgraph.data import MemoryExamples, check_batch
from flowgraph.data.order import epoch_order, place_of, split_rows, steps_per_epoch
from flowgraph.errors import Diagnostics, FlowError

LINE = "input x\ntarget y\nloss (x - y)^2\n"


def memory(count: int) -> MemoryExamples:
    return MemoryExamples(columns(count))


# -- the order


def test_the_order_of_an_epoch_is_the_permutation_of_seed_and_epoch() -> None:
    assert np.array_equal(epoch_order(7, 3, 50), np.random.default_rng([7, 3]).permutation(50))


@pytest.mark.parametrize(
    ("count", "size", "steps"), [(10, 5, 2), (10, 4, 3), (3, 10, 1), (0, 4, 1), (9, None, 1)]
)
def test_batches_of_an_epoch(count: int, size: int | None, steps: int) -> None:
    assert steps_per_epoch(count, size) == steps


def test_a_step_has_a_place() -> None:
    assert place_of(0, 10, 4) == (0, 0, 4)
    assert place_of(5, 10, 4) == (1, 8, 10)


def test_the_last_batch_of_an_epoch_may_be_smaller() -> None:
    data = memory(10)
    assert [len(data.batch(k, 4, 0)["i"]) for k in range(4)] == [4, 4, 2, 4]


def test_batches_are_pieces_of_the_order_of_their_epoch() -> None:
    data = memory(10)
    order = np.random.default_rng([5, 2]).permutation(10)
    assert np.array_equal(data.batch(7, 4, 5)["i"], order[4:8])
    assert np.array_equal(data.batch(7, 4, 5)["x"], columns(10)["x"][order[4:8]])


def test_every_row_is_in_an_epoch_once() -> None:
    rows = [epoch_of(memory(23), epoch, 4)["i"] for epoch in range(2)]
    assert all(sorted(r) == list(range(23)) for r in rows) and not np.array_equal(*rows)


def test_a_batch_does_not_depend_on_what_was_asked_before() -> None:
    fresh, used = memory(23), memory(23)
    for step in (3, 17, 0, 9):
        used.batch(step, 4, 1)
    assert np.array_equal(fresh.batch(8, 4, 0)["i"], used.batch(8, 4, 0)["i"])


def test_all_rows_come_in_file_order() -> None:
    data = memory(5)
    assert np.array_equal(data.batch(3, None, 0)["i"], np.arange(5)) and data.per_epoch(None) == 1


def test_chunks_are_all_rows_in_file_order() -> None:
    chunks = [c["i"].tolist() for c in memory(5).chunks(2)]
    assert chunks == [[0, 1], [2, 3], [4]]


# -- what is opened


def test_every_batch_has_every_input_and_target() -> None:
    data = opened(LINE + "data { x | y\n 1 | 2\n 3 | 4 }")
    assert data.train.names == ("x", "y") and data.train.batch(0, None, 0)["y"].tolist() == [2, 4]
    assert data.valid is None and not data.streamed


def test_targets_are_needed_for_training() -> None:
    (found,) = refused(LINE + "data { x\n 1 }")
    assert found.code == "E0502" and "the target `y` has no column" in found.message


def test_a_loss_of_params_alone_needs_no_data() -> None:
    data = opened("param w = 3\nloss w^2\n")
    assert data.train.count == 0 and data.train.batch(4, 8, 0) == {} and data.train.per_epoch(8) == 1
    assert list(data.train.chunks(4)) == []
    assert refused("param w = 3\nloss w^2\n", split=0.5)[0].code == "E0404"


def test_inputs_without_data_are_said() -> None:
    (found,) = refused(LINE)
    assert found.code == "E0501" and "--data" in found.help


def test_generated_data_without_examples_are_refused() -> None:
    (found,) = refused(LINE + "data 0 { x = zeros(); y = x }")
    assert found.code == "E0503" and found.message == "there are no examples" and found.span is not None


def test_a_size_of_the_data_has_one_value(tmp_path: Path) -> None:
    text = "size T\ninput x : [T], z : [T]\nloss sum(x) + sum(z)\n"
    path = write(tmp_path / "d.npz", {"x": np.zeros((3, 4)), "z": np.zeros((3, 5))})
    for stream in (False, True):
        (found,) = refused(text, path, stream=stream)
        assert found.code == "E0503" and found.message == "the size T is 4 in `x`, and 5 in `z`"


# -- the split


def test_the_split_is_drawn_once_and_keeps_file_order() -> None:
    first, second = split_rows(0.75, 8)
    drawn = np.random.default_rng(0).permutation(8)
    assert np.array_equal(first, sorted(drawn[:6])) and np.array_equal(second, sorted(drawn[6:]))


@pytest.mark.parametrize(
    ("share", "count", "first"), [(0.8, 150, 120), (0.01, 5, 1), (0.99, 5, 4), (0.5, 2, 1)]
)
def test_both_parts_of_a_split_have_rows(share: float, count: int, first: int) -> None:
    assert [len(part) for part in split_rows(share, count)] == [first, count - first]


def test_the_statements_split_is_used_and_the_argument_overrides_it(tmp_path: Path) -> None:
    write(tmp_path / "d.npz", columns(20))
    text = SMALL + 'data "d.npz" split 0.75\n'
    counts = []
    for split in (None, 0.5, 1.0):
        data = opened(text, folder=tmp_path, split=split)
        counts.append((data.train.count, data.valid and data.valid.count))
    assert counts == [(15, 5), (10, 10), (20, None)]
    assert opened(text, tmp_path / "d.npz").train.count == 15, "also where another file takes its place"


def test_inline_and_generated_data_can_be_split() -> None:
    for data in ("data { x | y\n 1 | 2\n 3 | 4\n 5 | 6 }", "data 3 { x = arange(); y = x }"):
        both = opened(LINE + data, split=0.7)
        assert both.valid is not None and (both.train.count, both.valid.count) == (2, 1)


@pytest.mark.parametrize("split", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_must_lie_between_0_and_1(split: float) -> None:
    found = refused(LINE + "data { x | y\n 1 | 2\n 3 | 4 }", split=split)
    assert [d.code for d in found] == ["E0404"]


def test_one_example_cannot_be_split() -> None:
    (found,) = refused(LINE + "data { x | y\n 1 | 2 }", split=0.5)
    assert found.code == "E0404" and "cannot be split" in found.message


# -- the digest


def test_the_digest_tells_data_apart(tmp_path: Path) -> None:
    def digest(**changes: np.ndarray) -> str:
        return opened(SMALL, write(tmp_path / "d.npz", columns(20) | changes)).digest

    changed = columns(20)["x"].copy()
    changed[7, 1] += 1
    same = digest()
    assert digest() == same
    others = {digest(x=changed), opened(SMALL, tmp_path / "d.npz", split=0.5).digest}
    assert same not in others and len(others) == 2


def test_the_digest_does_not_depend_on_the_file(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"d.{suffix}", columns(20)) for suffix in ("npz", "safetensors", "parquet")]
    assert len({opened(SMALL, path).digest for path in paths}) == 1


# -- the size of a batch


def test_a_batch_larger_than_the_data_is_refused() -> None:
    found = Diagnostics()
    assert check_batch(10, 10, found) and check_batch(None, 10, found) and check_batch(5, 0, found)
    assert not found.items
    assert not check_batch(11, 10, found)
    assert found.items[0].code == "E0404" and "at most 10" in found.items[0].help


def test_all_rows_of_a_stream_are_no_batch(tmp_path: Path) -> None:
    data = opened(SMALL, write(tmp_path / "d.npz", columns(20)), stream=True)
    found = Diagnostics()
    assert not check_batch(None, 20, found, streamed=data.streamed)
    assert found.items[0].code == "E0404" and "--batch" in found.items[0].help
    for ask in (lambda: data.train.batch(0, None, 0), lambda: data.train.per_epoch(None)):
        with pytest.raises(FlowError) as caught:
            ask()
        assert caught.value.diagnostics[0].message == found.items[0].message


# -- classes


def test_names_of_classes_in_csv_may_hold_commas_and_line_ends(tmp_path: Path) -> None:
    text = "input x\ntarget k : class(3)\nloss x + k\n"
    path = tmp_path / "d.csv"
    path.write_text('x,k\n1,"pear, ripe"\n2,"ap\nple"\n3,"a ""b"""\n4,"pear, ripe"\n')
    data = opened(text, path)
    assert data.labels == {"k": ('a "b"', "ap\nple", "pear, ripe")}
    assert data.train.batch(0, None, 0)["k"].tolist() == [2, 1, 0, 2]
    path.write_text('x,k\n1,"pear, ripe"\n2,"ap\nple"\nx,"a"\n')
    assert [d.path for d in refused(text, path)] == [f"{path}:5"], "lines are those of the file"


def test_iris_is_split_in_the_same_way_for_every_reading() -> None:
    text = EXAMPLES["iris"].read_text()
    both = [opened(text, folder=EXAMPLES["iris"].parent, split=0.8) for _ in range(2)]
    assert both[0].digest == both[1].digest and both[0].train.count == 120
    assert both[0].labels == {"species": ("setosa", "versicolor", "virginica")}
