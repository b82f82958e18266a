"""The picture of a run: any log gives one, and says what it should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flowgraph.train import curve
from flowgraph.train.curve import draw_curve, read_log

HEAD = "step,epoch,lr,loss"


def log(rows: list[list[float]], columns: str = HEAD) -> str:
    return "\n".join([columns, *(",".join(repr(float(v)) for v in row) for row in rows)]) + "\n"


def drawn(text: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of the figure that a log is drawn into."""
    from matplotlib.figure import Figure

    figures = []

    def note(figure: Figure, *_: Any, **__: Any) -> None:
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", note)
    draw_curve(text)
    return figures[0].axes


def test_columns_are_read_exactly() -> None:
    columns = read_log("step,loss,val_loss\n1,0.30000000000000004,\n2,nan,-inf\n")
    np.testing.assert_array_equal(columns["loss"], [0.1 + 0.2, np.nan])
    np.testing.assert_array_equal(columns["val_loss"], [np.nan, -np.inf])


def test_equal_logs_are_equal_pictures() -> None:
    import matplotlib as mpl

    text = log([[i, i, 0.1, 1 / i] for i in range(1, 5)])
    before = draw_curve(text)
    with mpl.rc_context({"figure.facecolor": "black", "savefig.transparent": True}):
        assert draw_curve(text) == before
    assert b"matplotlib" not in before.lower()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[7, 1, 0.1, 0.5]],
        [[1, 1, 0.1, np.nan]],
        [[1, 1, 0.1, np.inf], [2, 1, 0.1, 1e308], [3, 1, 0.1, -1e308]],
        [[1, 1, 0.1, 0.0], [2, 1, 0.1, 0.0]],
        [[1, 1, 0.1, 5e-324], [2, 1, 0.1, 1e299]],
        [[i, 1, 0.1, 1 / i] for i in range(1, 5001)],
    ],
    ids=["no row", "one row", "nan", "infinite", "zero", "extreme", "many"],
)
def test_any_log_gives_a_picture(rows: list[list[float]]) -> None:
    assert draw_curve(log(rows)).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([1.0, 0.02], "linear"),
        ([1.0, 0.009], "log"),
        ([1.0, 0.009, -1.0], "linear"),
        ([1.0, 0.009, 0.0], "log"),
    ],
)
def test_two_decades_make_the_scale_logarithmic(
    losses: list[float], scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[i, i, 0.1, loss] for i, loss in enumerate(losses, 1)]
    (axes,) = drawn(log(rows), monkeypatch)
    assert axes.get_yscale() == scale


def test_losses_and_metrics_have_their_own_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = f"{HEAD},val_loss,val_accuracy,val_top_k"
    rows = [[i, i, 0.1, 1 / i, 2 / i, 1 - 1 / i, 1.0] for i in range(1, 5)]
    upper, lower = drawn(log(rows, columns), monkeypatch)
    assert [t.get_text() for t in upper.get_legend().get_texts()] == [
        "training",
        "validation",
        "lowest: 0.5 at step 4",
    ]
    assert [t.get_text() for t in lower.get_legend().get_texts()] == [
        "accuracy (validation)",
        "top_k (validation)",
    ]
    assert (upper.get_ylabel(), lower.get_ylabel(), lower.get_xlabel()) == ("loss", "metrics", "step")
    np.testing.assert_array_equal(upper.lines[1].get_ydata(), [2, 1, 2 / 3, 0.5])


def test_what_is_not_finite_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[1, 1, 0.1, 1.0], [2, 1, 0.1, np.inf], [3, 1, 0.1, 2 * curve.LARGEST]]
    (axes,) = drawn(log(rows), monkeypatch)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1.0, np.nan, np.nan])
