"""What `docs/performance.md` shows is what the compiler emits, and what it lists is what there is."""

from __future__ import annotations

import re
import shlex

import pytest
from running import ROOT

from flowgraph.bench.known import FLOWS
from flowgraph.cli.main import main
from flowgraph.pipelines import OPTIMISATIONS

PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```py (\S+) (.+)\n((?s:.)*?)^```$", PAGE, re.MULTILINE)
SHOWN = re.findall(r"^```console\n\$ flowc (.*)\n((?s:.)*?)^```$", PAGE, re.MULTILINE)
LINES = re.findall(r"^flowc compile .*$", PAGE, re.MULTILINE)


def path(name: str) -> str:
    """The file of an example, by its name alone."""
    folders = (ROOT / "examples" / "lecture", FLOWS)
    return next(str(folder / name) for folder in folders if (folder / name).exists())


@pytest.mark.parametrize(("name", "options", "shown"), CODE, ids=[f"{n} {o}" for n, o, _ in CODE])
def test_code_shown_is_emitted(
    name: str, options: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line of it, in this order."""
    assert main(["compile", path(name), *shlex.split(options)]) == 0
    emitted = iter([line.strip() for line in capsys.readouterr().out.splitlines()])
    wanted = [line.strip() for line in shown.splitlines() if line.strip()]
    assert [line for line in wanted if line not in emitted] == []


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_plan_shown_is_printed(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == output


@pytest.mark.parametrize("line", LINES)
def test_a_command_shown_works(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(line)[1:]) == 0


def test_every_optimisation_is_described_and_measured() -> None:
    described = [name for title in re.findall(r"^### (.*)$", PAGE, re.MULTILINE) for name in _names(title)]
    assert described == [name for name in described if name in OPTIMISATIONS]
    assert set(described) == set(OPTIMISATIONS)
    gains = PAGE.split("\n## What each gains\n")[1].split("\n## ")[0]
    measured = re.findall(r"^\| `(\w+)` \|", gains, re.MULTILINE)
    assert measured == list(OPTIMISATIONS)


def _names(title: str) -> list[str]:
    return re.findall(r"`(\w+)`", title)


def test_optimisations_are_left_out_of_what_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    file = path("cubic.flow")
    peaks = []
    for words in ([], ["--without", "reuse"]):
        assert main(["compile", file, "--emit", "plan", *words]) == 0
        peaks.append(capsys.readouterr().out)
    assert peaks[0] != peaks[1]
    for words in (["--without", "reuse"], ["-O2", "--emit", "typed", "--without", "reuse"]):
        assert main(["compile", file, *words]) == 2
        assert "--without is for -O2" in capsys.readouterr().err
    assert main(["compile", file, "-O2", "--without", "speed"]) == 2
    assert "--without speed: -O2 has vectorise," in capsys.readouterr().err
