"""`flowc draw` with --in, --grad and --params: what is written, and what is a wrong command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flowgraph.cli.main import main
from flowgraph.draw.formats import WRITERS

LECTURE = Path(__file__).resolve().parents[2] / "examples" / "lecture"
XOR, LEARNED = str(LECTURE / "xor.flow"), str(LECTURE / "xor_learned.flow")


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "weights.npz"
    np.savez(path, b_h=[0.5, -1], w_x_h=[[1, 2], [-3, 4]], b_f=0.25, w_h_f=[-1, 1])
    return str(path)


@pytest.mark.parametrize("format", WRITERS)
def test_all_overlays_together_are_written_in_every_format(
    format: str, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"a.{format}"
    command = ["draw", LEARNED, "-o", str(out), "--in", "x=[0,1],y=1", "--grad", "--params", weights]
    assert main(command) == 0
    assert out.stat().st_size > 500
    assert capsys.readouterr().err == ""


def test_text_formats_say_values_gradients_and_factors(weights: str, tmp_path: Path) -> None:
    out = tmp_path / "a.mmd"
    assert main(["draw", LEARNED, "-o", str(out), "--in", "x=[0,1]", "--params", weights]) == 0
    said = out.read_text(encoding="utf-8")
    assert "ξ = 2.5" in said and "−3" in said
    assert main(["draw", LEARNED, "-o", str(out), "--grad"]) == 0
    assert "∂L/∂f" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--grad"], 1, "E0603"),
        (["--in", "x1=0"], 1, "the input `x2` has no value"),
        (["--in", "x1=0,x2=1,z=1"], 1, "there is no input or target `z`"),
        (["--in", "x1=0,x1=1"], 2, "x1 is given twice"),
        (["--in", "x1"], 2, "`=` is missing"),
        (["--rename", "a=b"], 2, "--rename is about the file that --params names"),
        (["--params", "none.npz"], 1, "E0501"),
        (["--seed", "-1"], 2, "--seed"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.svg"
    assert main(["draw", XOR, "-o", str(out), *words]) == code
    assert said in capsys.readouterr().err
    assert not out.exists()
