"""The loss curve of a notebook: drawn while the run goes on, seldom, and whole in the end."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cells import said, shown, tutorial
from running import example

from flowgraph.train import live
from flowgraph.train.curve import CannotDraw
from flowgraph.train.live import MOST_POINTS, Live
from flowgraph.train.progress import Lines, Moment, in_kernel, reporter_for

PNG = "image/png"


class Watched(Live):
    """Keeps what would be displayed, on a clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds_to_draw: float = 0.01) -> None:
        self.now, self.pictures, self.columns = 0.0, [], []

        def draw(columns: Any, title: str) -> bytes:
            self.columns.append(columns)
            self.now += seconds_to_draw
            return title.encode()

        monkeypatch.setattr(live.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(live, "draw_columns", draw)
        super().__init__(io.StringIO())

    def _publish(self, bundle: dict[str, str]) -> None:
        self.pictures.append(bundle)


def moment(step: int, total: int = 1000, **values: float) -> Moment:
    return Moment(step, total, step, total, 1 / step, values)


@pytest.fixture
def shell() -> Iterator[Any]:
    with tutorial.shell() as made:
        made.user_ns["diagram"] = example("xor_learned")
        yield made


def test_outside_a_notebook_nothing_changes() -> None:
    assert not in_kernel()
    assert type(reporter_for(io.StringIO())) is Lines


def test_a_run_in_a_notebook_is_one_picture(shell: Any) -> None:
    outputs, succeeded = shell.run("trained = diagram.train(progress=True)")
    assert succeeded and said(outputs, "stderr") == ""
    (curve,) = shown(outputs)
    assert base64.b64decode(curve[PNG]).startswith(b"\x89PNG")
    assert curve["text/plain"].startswith("epoch 2000/2000  loss 0.0")
    assert shell.user_ns["trained"].steps == 2000


def test_a_picture_is_changed_in_its_place(shell: Any) -> None:
    text = """
from sys import stderr
from flowgraph.train.live import Live
from flowgraph.train.progress import Moment
reporter = Live(stderr)
for step in (1, 2):
    reporter.row(Moment(step, 3, step, 3, 0.5))
    reporter._due = 0.0
    reporter.tick(Moment(step, 3, step, 3, 0.5))
reporter.close()
"""
    (curve,) = shown(shell.run(text)[0])
    assert curve["text/plain"].startswith("epoch 2/3")


def test_a_run_that_fails_leaves_its_curve(shell: Any) -> None:
    shell.user_ns["diagram"] = example("regression")
    outputs, succeeded = shell.run("diagram.train(progress=True, lr=1e6)")
    assert not succeeded
    assert [output["output_type"] for output in outputs] == ["display_data", "error"]
    assert "E0805" in outputs[1]["traceback"][0]


def test_it_draws_seldom_and_the_last_row_too(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Watched(monkeypatch)
    for step in range(1, 1000):
        reporter.now += 0.01
        reporter.row(moment(step))
    assert 15 <= len(reporter.pictures) <= 20  # ten seconds
    reporter.row(moment(1000))
    reporter.close()
    reporter.close()
    assert reporter.columns[-1]["step"].tolist() == [*range(1, 1001)]
    assert len(reporter.pictures) <= 21


def test_slow_drawing_takes_a_tenth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Watched(monkeypatch, seconds_to_draw=1.0)
    for step in range(1, 10_001):
        reporter.now += 0.01
        reporter.row(moment(step))
    assert len(reporter.pictures) <= 0.11 * reporter.now


def test_between_two_rows_it_shows_the_loss_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Watched(monkeypatch)
    reporter.row(moment(10, accuracy=0.5))
    reporter.now += 1
    reporter.tick(moment(15, accuracy=0.5))
    (columns,) = reporter.columns
    assert columns["step"].tolist() == [10, 15]
    np.testing.assert_array_equal(columns["accuracy"], [0.5, np.nan])


def test_before_the_first_row_there_is_a_curve_too(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Watched(monkeypatch)
    reporter.now += 1
    reporter.tick(moment(3))
    assert reporter.columns[0]["step"].tolist() == [3]


def test_of_a_long_run_some_rows_are_drawn_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Watched(monkeypatch)
    for step in range(1, 10 * MOST_POINTS + 5):
        reporter.row(moment(step))
    reporter.close()
    steps = reporter.columns[-1]["step"]
    assert len(steps) <= MOST_POINTS + 2
    assert steps[0] == 1 and steps[-1] == 10 * MOST_POINTS + 4
    assert np.all(np.diff(steps) > 0)


def test_a_run_without_steps_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Watched(monkeypatch)
    reporter.close()
    assert reporter.pictures == []


def test_where_nothing_can_be_drawn_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Watched(monkeypatch)

    def fail(columns: Any, title: str) -> bytes:
        raise CannotDraw("no such backend")

    monkeypatch.setattr(live, "draw_columns", fail)
    for step in range(1, 5):
        reporter.now += 2
        reporter.row(moment(step, 4))
    reporter.close()
    lines = reporter.stream.getvalue().splitlines()
    assert lines[0] == "there is no curve: no such backend"
    assert [line.split()[1] for line in lines[1:]] == ["1/4", "2/4", "3/4", "4/4"]
    assert reporter.pictures == []
