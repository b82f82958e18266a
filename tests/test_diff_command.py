"""`flowc diff`: what it prints where, and with which exit code."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from diffs import GPT2, XOR
from running import EXAMPLES

from flowgraph.cli.main import main

Capture = pytest.CaptureFixture[str]
WIRES = str(EXAMPLES["xor_wires"])
SMALL = ["--set", "V=50", "--set", "P=16", "--set", "D=24", "--set", "H=2", "--set", "L=2"]


@pytest.fixture
def steep(tmp_path: Path) -> str:
    """XOR with one weight changed."""
    path = tmp_path / "steep.flow"
    path.write_text(Path(WIRES).read_text(encoding="utf-8").replace("1 -[0.5]-> f", "1 -[0.7]-> f"))
    return str(path)


def test_what_it_prints(steep: str, capsys: Capture) -> None:
    assert main(["diff", WIRES, steep]) == 0
    assert capsys.readouterr() == (
        f"--- {WIRES}\n+++ {steep}\n\nwires\n  ~ 1 -> f  weight 0.5 -> 0.7\n\n1 difference: 1 changed\n",
        "",
    )


def test_exit_codes(steep: str, capsys: Capture) -> None:
    assert main(["diff", WIRES, str(EXAMPLES["xor"]), "--exit-code"]) == 0
    assert capsys.readouterr() == ("no differences\n", "")
    assert main(["diff", WIRES, steep, "--exit-code"]) == 1
    assert main(["diff", WIRES, WIRES, "--exit-code"]) == 0


def test_json_lines(steep: str, capsys: Capture) -> None:
    assert main(["diff", WIRES, steep, "--json"]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["change"], row["kind"], row["name"]) == ("changed", "wire", "1 -> f")
    assert row["notes"] == [{"what": "weight", "before": "0.5", "now": "0.7"}]
    assert row["before"]["file"] == WIRES and row["now"]["file"] == steep and row["now"]["line"] == 12
    assert main(["diff", WIRES, WIRES, "--json"]) == 0
    assert capsys.readouterr() == ("", "")


def test_colours_on_a_terminal(steep: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowgraph.cli.diff_command.colored", lambda stream: True)
    assert main(["diff", WIRES, steep]) == 0
    assert "\x1b[33m  ~ 1 -> f  weight 0.5 -> 0.7\x1b[0m" in capsys.readouterr().out


def test_sizes_of_both_and_of_one(capsys: Capture) -> None:
    assert main(["diff", str(GPT2), str(GPT2), *SMALL]) == 0
    assert capsys.readouterr() == ("no differences\n", "")
    assert main(["diff", str(GPT2), str(GPT2), *SMALL, "--set-b", "L=4"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"--- {GPT2} --set V=50") and "L=4\n" in out and "~ h  2 times -> 4 times" in out
    assert main(["diff", str(GPT2), str(GPT2), *SMALL, "--set-a", "L=4"]) == 0
    assert "~ h  4 times -> 2 times" in capsys.readouterr().out


def test_a_size_that_one_of_them_lacks(capsys: Capture) -> None:
    assert main(["diff", WIRES, str(GPT2), "--set", "L=2"]) == 1
    err = capsys.readouterr().err
    assert err.count("error[") == 1 and "error[E0704]" in err and WIRES in err
    assert main(["diff", WIRES, str(GPT2), "--set-b", "L=2"]) == 0


def test_errors_of_both_files(tmp_path: Path, capsys: Capture) -> None:
    bad = tmp_path / "bad.flow"
    bad.write_text("input x\nf = tahn(x)\n")
    none = tmp_path / "none.flow"
    assert main(["diff", str(bad), str(none)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and f"{bad}:2:5" in err and f"`{none}` cannot be read" in err
    assert main(["diff", str(bad), str(bad)]) == 1
    assert capsys.readouterr().err.count("error[E0104]") == 1
    assert main(["diff", "--json", str(none), str(bad)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and [json.loads(line)["code"] for line in err.splitlines()] == ["E0001", "E0104"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(XOR.replace("h1", "n").encode())))
    assert main(["diff", WIRES, "-"]) == 0
    out = capsys.readouterr().out
    assert "+++ standard input\n" in out and "> h1 -> n" in out
    assert main(["diff", "-", "-"]) == 2
    assert "one of the two files only" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], [WIRES], [WIRES, WIRES, WIRES], [WIRES, WIRES, "--depth", "1"]])
def test_a_wrong_command_line(arguments: list[str], capsys: Capture) -> None:
    assert main(["diff", *arguments]) == 2
    assert "Usage: flowc diff" in capsys.readouterr().err
