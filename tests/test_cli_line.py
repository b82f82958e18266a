"""The command line itself: values on it, what is wrong with it, and how it ends."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from running import EXAMPLES

from flowgraph import diagram as diagram_module
from flowgraph.cli.main import COMMANDS, main
from flowgraph.cli.options import InputText, number
from flowgraph.version import __version__

XOR = str(EXAMPLES["xor"])
Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("x1=0,x2=1", [("x1", 0), ("x2", 1)]),
        (" x = [1, -2.5e3 ,[ ]] ", [("x", [1, -2500.0, []])]),
        ("y=setosa,t=true", [("y", "setosa"), ("t", True)]),
        ('y="a, b",z=[[1,2],[3,4]]', [("y", "a, b"), ("z", [[1, 2], [3, 4]])]),
        ("x=-inf", [("x", -np.inf)]),
    ],
)
def test_values_on_the_command_line(text: str, items: list[tuple[str, object]]) -> None:
    assert InputText(text).items() == items


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "x=", "=1", "x=1,", "x=1 y=2", "x=[1", "x=]", "x=[1]]", "x=1=2", "1=2", 'x="a', "x=[,]"),
        *("x=[1 2]", "x=1;y=2", "x=0x10", "x=nan(1)", "x=__import__('os')", "x=9223372036854775808"),
        *("x=" + "[" * 5000, "x=" + "9" * 5000),
    ],
)
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(click.BadParameter):
        InputText(text).items()
    assert main(["run", XOR, "--in", text]) == 2


def test_numbers_are_those_of_the_language() -> None:
    assert [number(t) for t in ("1", "-2", "0.5", "1e3", "+3", ".5")] == [1, -2, 0.5, 1000.0, 3, 0.5]
    assert [number(t) for t in ("", "1_0", "inf", "0x1", "1e", "--1", "1e999", "１")] == [None] * 8


# -- the command line itself


def test_version_and_help(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"flowc {__version__}\n"
    assert main(["--help"]) == 0
    help = capsys.readouterr().out
    assert all(name in help for name in COMMANDS)
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: flowc {name}")


@pytest.mark.parametrize(
    "arguments",
    [[], ["chekc"], ["check"], ["compile", "a", "b"], ["compile", XOR, "-O3"], ["run", XOR, "--rows", "-1"]],
)
def test_wrong_command_lines(arguments: list[str], capsys: Capture) -> None:
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_misspelt_command_gets_a_suggestion(capsys: Capture) -> None:
    assert main(["comple"]) == 2
    assert "did you mean `compile`?" in capsys.readouterr().err


def test_a_bug_of_ours_is_reported_without_a_traceback(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("the inside")

    monkeypatch.setattr(diagram_module, "load", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["check", XOR]) == 70
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err and "This is a bug in flowgraph" in err and "KeyError" in err
    report = Path(err.split()[-1])
    text = report.read_text()
    assert report.parent == tmp_path and "Traceback" in text and __version__ in text and "flowc check" in text


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (MemoryError, 1)])
def test_interruption_and_memory(
    error: type[BaseException], code: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_it(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(diagram_module, "load", raise_it)
    assert main(["check", XOR]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_colour_only_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "a.flow"
    bad.write_text("f = \n")
    monkeypatch.setenv("TERM", "xterm")
    for variable, colored in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", variable)
        screen = Terminal()
        monkeypatch.setattr("sys.stderr", screen)
        assert main(["check", str(bad)]) == 1
        assert ("\x1b[" in screen.getvalue()) == colored


def flowc(*arguments: str, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flowgraph", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]


def test_a_closed_pipe_is_no_error() -> None:
    process = flowc("run", str(EXAMPLES["cubic"]), "--all")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() in (0, 141) and err == b""


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_as_if_nobody_read_it(closed: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m flowgraph run {shlex.quote(XOR)} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b""
    assert (b"x1" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_an_interrupt_is_quiet() -> None:
    process = flowc("check", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    with process:
        # It waits for the text of the diagram once the compiler is loaded.
        process.stdin.write(b"input x\n" * 20_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130 and err.strip() == b""


def test_a_terminal_without_greek_gets_ascii() -> None:
    process = flowc("run", XOR, "--trace", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    out, _ = process.communicate()
    assert process.returncode == 0 and b"xi_h1" in out and b"\\u" not in out


def test_python_m_flowgraph_takes_exit_codes() -> None:
    process = flowc("check", "none.flow")
    _, err = process.communicate()
    assert process.returncode == 1 and b"E0001" in err
