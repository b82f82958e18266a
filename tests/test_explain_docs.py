"""What `docs/explain.md` shows is what the commands print."""

from __future__ import annotations

import re
import shlex

import pytest
from running import ROOT

from flowgraph.cli.main import main

PAGE = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```console\n\$ flowc (.*)\n((?s:.)*?)^```$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_is_shown(
    command: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == output


def test_the_page_shows_every_format_and_the_trace() -> None:
    commands = " ".join(command for command, _ in SHOWN)
    assert all(word in commands for word in ("--backward", "--in", "--format latex", "--trace"))
