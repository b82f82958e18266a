"""`flowc draw`: formats, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowgraph.cli.main import main

XOR = str(Path(__file__).resolve().parents[2] / "examples" / "lecture" / "xor.flow")
STARTS = {
    "svg": b"<?xml",
    "png": b"\x89PNG",
    "pdf": b"%PDF",
    "dot": b"digraph",
    "mmd": b"flowchart",
    "tex": b"% xor",
}


@pytest.mark.parametrize("format", STARTS)
def test_the_suffix_says_the_format_and_the_bytes_are_always_the_same(format: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"a.{format}", tmp_path / f"b.{format.upper()}"
    assert main(["draw", XOR, "-o", str(first)]) == 0
    assert main(["draw", XOR, "-o", str(second)]) == 0
    assert first.read_bytes().startswith(STARTS[format])
    assert first.read_bytes() == second.read_bytes()


def test_an_unknown_format_is_a_wrong_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", XOR, "-o", str(tmp_path / "a.gif")]) == 2
    assert "`.gif` is none; there are svg" in capsys.readouterr().err
    assert main(["draw", XOR, "-o", str(tmp_path / "a")]) == 2


def test_a_path_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", XOR, "-o", str(tmp_path / "no" / "a.svg")]) == 1
    assert "E0701" in capsys.readouterr().err


def test_the_diagram_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "xor.svg"
    odd.write_text(Path(XOR).read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["draw", str(odd), "-o", str(odd)]) == 1
    assert "would be overwritten" in capsys.readouterr().err


def test_what_is_folded_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"h{i}" for i in range(1500)]
    many = tmp_path / "many.flow"
    many.write_text(f"input x\nnode {', '.join(names)} : tanh\nx -[1]-> {', '.join(names)}\n")
    assert main(["draw", str(many), "-o", str(tmp_path / "a.png")]) == 0
    assert "warning[W0901]: 1501 items are too many for a page" in capsys.readouterr().err
