"""The command: what it prints where, and with which exit code."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from running import EXAMPLES, execute

from flowgraph import diagram as diagram_module
from flowgraph.cli import compile_command
from flowgraph.cli.main import main

XOR = str(EXAMPLES["xor"])
Capture = pytest.CaptureFixture[str]


def flow(folder: Path, text: str, name: str = "a.flow") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


# -- check


def test_check_of_a_good_file(capsys: Capture) -> None:
    assert main(["check", XOR]) == 0
    assert capsys.readouterr() == (f"{XOR}: no errors\n", "")


def test_check_goes_on_after_a_bad_file(tmp_path: Path, capsys: Capture) -> None:
    bad = flow(tmp_path, "input x\nf = tahn(x)\ng = 1 +\n")
    assert main(["check", bad, str(tmp_path / "none.flow"), XOR]) == 1
    out, err = capsys.readouterr()
    assert out == f"{XOR}: no errors\n"
    assert "error[E0104]" in err and "error[E0004]" in err and "error[E0001]" in err and "\x1b" not in err


def test_warnings_do_not_change_the_exit_code(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", flow(tmp_path, "size D = 3\ninput x\nf = x\n")]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("no errors, 1 warning\n") and err.startswith("warning[W0102]")


@pytest.mark.parametrize("arguments", [["--json", "check"], ["check", "--json"]])
def test_json_diagnostics_are_lines_on_standard_output(
    tmp_path: Path, capsys: Capture, arguments: list[str]
) -> None:
    bad = flow(tmp_path, "size D = 3\ninput x\nf = tahn(x)\ng = y\n")
    assert main([*arguments, bad, XOR]) == 1
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert err == "" and {row["code"] for row in rows} >= {"E0104", "E0101"}
    assert rows[0].keys() >= {"code", "severity", "message", "file", "line", "column", "help"}


def test_json_gives_way_to_a_product(tmp_path: Path, capsys: Capture) -> None:
    warned = flow(tmp_path, "size D = 3\ninput x\nf = x\n")
    assert main(["compile", "--json", warned]) == 0
    out, err = capsys.readouterr()
    assert out.startswith('"""a.') and json.loads(err)["code"] == "W0102"
    assert main(["compile", "--json", warned, "-o", str(tmp_path / "a.py")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["code"] == "W0102" and err == ""


def test_check_params(tmp_path: Path, capsys: Capture) -> None:
    file = flow(tmp_path, "input x : [2]\nf = x |> linear(3)   |> tanh\nparam s = 1\ng = s * f\n")
    assert main(["check", "--params", file]) == 0
    statement = f"{file}:2: f = x |> linear(3) |> tanh"
    assert sorted(capsys.readouterr().out.splitlines()) == [
        f"f.linear.bias    [3]     {statement}",
        f"f.linear.weight  [3, 2]  {statement}",
        f"s                []      {file}:3: param s = 1",
    ]
    assert main(["check", "--params", "--json", file]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"param": "f.linear.bias", "shape": [3], "line": 2}.items() <= min(
        rows, key=lambda r: r["param"]
    ).items()
    assert main(["check", "--params", XOR]) == 0
    assert capsys.readouterr().out == f"{XOR}: no parameters\n"


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    stdin(monkeypatch, "input x\nf = x + 1\n")
    assert main(["run", "-", "--in", "x=2"]) == 0
    assert capsys.readouterr().out == "x | f\n2 | 3\n"
    stdin(monkeypatch, "input x\nf = x + 1\n")
    assert main(["compile", "-"]) == 0
    assert capsys.readouterr().out.startswith('"""diagram.')


def test_a_limit_on_nodes(tmp_path: Path, capsys: Capture) -> None:
    file = flow(tmp_path, "input x\nf = x + x + x + x\n")
    for command in ("check", "compile", "run"):
        assert main([command, file, "--max-nodes", "3"]) == 1
        assert "E0905" in capsys.readouterr().err


# -- compile


def test_compile_to_standard_output_and_to_a_file(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "xor.py"
    assert main(["compile", XOR]) == 0
    text = capsys.readouterr().out
    module = execute(text)
    assert module["forward"]({}, [0.0, 1.0], [1.0, 1.0]).tolist() == [1, 0]
    assert main(["compile", XOR, "-o", str(out), "-O0", "--dtype", "float64", "--target", "numpy"]) == 0
    assert capsys.readouterr() == ("", "") and "float64" in out.read_text()


def test_compile_check(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "xor.py"
    assert main(["compile", XOR, "-o", str(out), "--check"]) == 1
    assert "E0703" in capsys.readouterr().err and not out.exists()
    assert main(["compile", XOR, "-o", str(out)]) == 0
    assert main(["compile", XOR, "-o", str(out), "--check"]) == 0
    text = out.read_text()
    out.write_text(text.replace("+ 0.5", "+ 0.6"))
    capsys.readouterr()
    assert main(["compile", XOR, "-o", str(out), "--check"]) == 1
    err = capsys.readouterr().err
    assert "E0703" in err and "+ 0.6" in err and out.read_text() != text
    assert main(["compile", XOR, "--check"]) == 2


@pytest.mark.parametrize("stage", compile_command.STAGES)
def test_every_stage_prints(stage: str, capsys: Capture) -> None:
    assert main(["compile", str(EXAMPLES["regression"]), "--emit", stage]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) > 5 and err == ""


def test_the_stages_are_the_diagrams() -> None:
    assert compile_command.STAGES == diagram_module.STAGES


def test_set_overrides_sizes_and_consts(tmp_path: Path, capsys: Capture) -> None:
    file = flow(tmp_path, "size D = 2\nconst c = 1\ninput x : [D]\nf = c * sum(x)\n")
    assert main(["run", file, "--set", "D=3", "--set", "c=0.5", "--in", "x=[1,2,3]"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split("|")[1].strip() == "3"
    assert main(["check", file, "--set", "E=3"]) == 1
    assert "E0704" in capsys.readouterr().err
    for wrong in ("D", "D=x", "D=", "=3", "D=1e999", "D=" + "9" * 400):
        assert main(["check", file, "--set", wrong]) == 2
    assert main(["check", file, "--set", "D=1", "--set", "D=2"]) == 2


# -- files that are written


def test_an_old_file_survives_a_failure(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.py"
    out.write_text("old")
    out.chmod(0o640)
    assert main(["compile", flow(tmp_path, "f = "), "-o", str(out)]) == 1
    assert out.read_text() == "old"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main(["compile", XOR, "-o", str(out)]) == 1
    assert "E0701" in capsys.readouterr().err and out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.flow", "out.py"]
    assert main(["compile", XOR, "-o", str(out)]) == 0
    assert out.read_text() != "old" and out.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_written_is_said(tmp_path: Path, capsys: Capture) -> None:
    source = flow(tmp_path, "input x\nf = x\n")
    for out in (tmp_path, tmp_path / "no" / "x.py", Path(source), tmp_path / ("n" * 300), Path("a\0b")):
        assert main(["compile", source, "-o", str(out)]) == 1, out
        assert "E0701" in capsys.readouterr().err
    assert Path(source).read_text() == "input x\nf = x\n"


def test_a_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real.py", tmp_path / "link.py"
    real.write_text("old")
    link.symlink_to(real)
    assert main(["compile", XOR, "-o", str(link)]) == 0
    assert link.is_symlink() and real.read_text() != "old"


# -- run


def test_run_prints_the_truth_table(capsys: Capture) -> None:
    assert main(["run", XOR, "--trace", "--rows", "2"]) == 0
    assert capsys.readouterr().out == (
        "x1  x2 | ξ_h1  h1  ξ_h2  h2   ξ_f  f\n"
        " 0   0 |  0.5   1  -1.5   0  -0.5  0\n"
        " 0   1 | -0.5   0  -0.5   0   0.5  1\n"
        "... and 2 more rows (--rows N or --all shows them)\n"
    )


def test_run_shows_twenty_rows_or_all(capsys: Capture) -> None:
    file = str(EXAMPLES["cubic"])
    assert main(["run", file]) == 0
    assert "... and 1980 more rows" in capsys.readouterr().out
    assert main(["run", file, "--all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 2000


def test_run_with_files(tmp_path: Path, capsys: Capture) -> None:
    file = flow(tmp_path, "input x\nparam w = normal()\nf = w * x\n")
    (tmp_path / "d.csv").write_text("x\n3\n")
    np.savez(tmp_path / "p.npz", w=2.0)
    assert main(["run", file, "--data", str(tmp_path / "d.csv"), "--params", str(tmp_path / "p.npz")]) == 0
    assert capsys.readouterr().out.startswith("x | f\n3 | 6\n")
    assert main(["run", file, "--in", "x=1", "--seed", "3"]) == 0
    drawn = np.random.default_rng([3, *b"w"]).normal(0, 1, ())
    assert f"1 | {drawn:.6g}\n" in capsys.readouterr().out
    np.savez(tmp_path / "p.npz", v=2.0)
    assert main(["run", file, "--in", "x=1", "--params", str(tmp_path / "p.npz")]) == 1
    assert capsys.readouterr().err.count("E0505") == 2
    assert main(["run", file, "--in", "x=1", "--data", "d.csv"]) == 2
    assert main(["run", file]) == 1
    assert "--in x=..." in capsys.readouterr().err


# -- fmt


def test_fmt_in_place_and_check(tmp_path: Path, capsys: Capture) -> None:
    file = flow(tmp_path, "input   x   # in\nf=x+1\n")
    assert main(["fmt", "--check", file]) == 1
    assert "E0703" in capsys.readouterr().err
    assert main(["fmt", file]) == 0
    assert capsys.readouterr().out == f"{file}: formatted\n"
    assert "f = x + 1" in Path(file).read_text() and "# in" in Path(file).read_text()
    assert main(["fmt", file]) == 0 and main(["fmt", "--check", file]) == 0
    assert capsys.readouterr() == ("", "")


def test_fmt_leaves_broken_files_alone(tmp_path: Path, capsys: Capture) -> None:
    text = "input   x\nf = (x +\n"
    file = flow(tmp_path, text)
    assert main(["fmt", file, XOR]) == 1
    assert Path(file).read_text() == text and "error[E00" in capsys.readouterr().err


def test_fmt_of_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    stdin(monkeypatch, "input   x\nf=x+1\n")
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == "input x\nf = x + 1\n"


# -- ops


def test_ops(capsys: Capture) -> None:
    assert main(["ops"]) == 0
    assert "leaky_relu" in capsys.readouterr().out
    assert main(["ops", "tanh"]) == 0
    assert "np.tanh(x)" in capsys.readouterr().out
    assert main(["ops", "sigmiod"]) == 1
    assert "did you mean `sigmoid`?" in capsys.readouterr().err
