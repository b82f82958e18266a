"""What `docs/diff.md` shows is what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from running import ROOT

from flowgraph.cli.main import main

PAGE = (ROOT / "docs" / "diff.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```flow\n# (\S+)\n((?s:.)*?)^```$", PAGE, re.MULTILINE)
SHOWN = re.findall(r"^```console\n\$ flowc (.*)\n((?s:.)*?)^```$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_is_shown(
    command: str,
    output: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, text in FILES:
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(ROOT if "examples/" in command else tmp_path)
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == output
