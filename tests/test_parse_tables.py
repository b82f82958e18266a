"""The parser's stored tables are those of the grammar, and parse as it does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lark
import pytest
from running import EXAMPLES

from flowgraph.errors import Diagnostics, Source
from flowgraph.parse import grammar_path, load_grammar, parse
from flowgraph.parse.tables import load_tables, origin, tables_path, tables_text

HINT = "the grammar changed: run `python -m flowgraph.parse.tables`"


def test_the_stored_tables_are_fresh() -> None:
    stored = json.loads(tables_path(grammar_path()).read_text())
    assert stored["origin"]["grammar"] == origin(grammar_path())["grammar"], HINT
    if stored["origin"]["lark"] == lark.__version__:
        assert tables_text(load_grammar(), grammar_path()) == tables_path(grammar_path()).read_text(), HINT


def test_the_tables_do_not_depend_on_the_hash_seed() -> None:
    script = (
        "from flowgraph.parse import grammar_path, load_grammar\n"
        "from flowgraph.parse.tables import tables_text\n"
        "print(tables_text(load_grammar(), grammar_path()))"
    )
    found = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script]
        found.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(found) == 1


@pytest.mark.parametrize("spoil", ["no file", "not json", "other grammar", "other lark"])
def test_tables_that_do_not_fit_are_not_used(
    tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grammar = tmp_path / "flow.lark"
    shutil.copy(grammar_path(), grammar)
    tables_path(grammar).write_text(tables_text(load_grammar(), grammar))
    assert load_tables(grammar) is not None
    if spoil == "no file":
        tables_path(grammar).unlink()
    elif spoil == "not json":
        tables_path(grammar).write_text("{")
    elif spoil == "other grammar":
        grammar.write_text(grammar.read_text() + "\n// changed\n")
    else:
        monkeypatch.setattr(lark, "__version__", "0.0.0")
    assert load_tables(grammar) is None


def test_both_parsers_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in EXAMPLES.values():
        source = Source(str(path), path.read_text(encoding="utf-8"))
        quick = parse(source, Diagnostics())
        with monkeypatch.context() as patch:
            patch.setattr("flowgraph.parse._lark", None)
            patch.setattr("flowgraph.parse.load_tables", lambda *_, **__: None)
            assert parse(source, Diagnostics()) == quick
