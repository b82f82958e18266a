"""Files read, the grammar found, and the parser's dealings with threads and the collector."""

from __future__ import annotations

import gc
import io
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest
from parsing import errors, tree

from flowgraph import parse as parse_module
from flowgraph import syntax as s
from flowgraph.errors import Diagnostics, Source
from flowgraph.parse import grammar_path, load_grammar, read_source

# ---------------------------------------------------------------------------------------
# Reading files


def read(path: object, **options: int) -> tuple[Source | None, Diagnostics]:
    found = Diagnostics()
    return read_source(str(path), found, **options), found


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.flow"
    path.write_bytes(b"\xef\xbb\xbfa = b\r\n")
    source, found = read(path)
    assert source is not None and source.text == "a = b\r\n" and not found.items


@pytest.mark.parametrize(
    ("content", "code", "part"),
    [
        (b"a = b\nc = \xff\n", "E0002", "byte 0xff at offset 10, in line 2"),
        (b"\xef\xbb\xbfa\xff", "E0002", "offset 4, in line 1"),
        (b"a = \0", "E0002", "a zero byte at offset 4"),
        ("a = b".encode("utf-16"), "E0002", "UTF-16"),
        (b"a" * 101, "E0001", "larger than 100 bytes"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, code: str, part: str) -> None:
    path = tmp_path / "a.flow"
    path.write_bytes(content)
    source, found = read(path, limit=100)
    assert source is None
    (error,) = found.items
    assert error.code == code and part in error.message and error.help
    assert error.path == str(path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.flow", tmp_path, "/dev/zero", "a\0b", tmp_path / ("n" * 5000)):
        source, found = read(path)
        assert source is None and [d.code for d in found.items] == ["E0001"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_that_never_ends_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    source, found = read(tmp_path / "pipe")
    assert source is None and "not a regular file" in found.items[0].message


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything is readable for root")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.flow"
    path.write_text("a = b")
    path.chmod(0)
    source, found = read(path)
    assert source is None and found.items[0].code == "E0001"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a = b\n")))
    source, _ = read("-")
    assert source is not None and (source.path, source.text) == ("<stdin>", "a = b\n")


# ---------------------------------------------------------------------------------------
# The grammar and the parser


def test_grammar_has_no_conflicts() -> None:
    from lark.exceptions import LexError

    try:
        load_grammar(strict=True)
    except LexError as error:
        # The table is complete by now, without conflicts; only the terminals are unchecked.
        assert "interegular" in str(error)
        pytest.skip("interegular is not installed: terminals are not checked for collisions")


def test_grammar_is_found_in_a_package_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = grammar_path()
    assert beside.is_file()
    package = tmp_path / "flowgraph"
    (package / "grammar").mkdir(parents=True)
    shutil.copy(beside, package / "grammar" / "flow.lark")
    monkeypatch.setattr(parse_module, "__file__", str(package / "parse" / "__init__.py"))
    assert grammar_path() == (package / "grammar" / "flow.lark").resolve()


def test_every_rule_has_its_callback() -> None:
    from flowgraph.parse.build import TreeBuilder

    for rule in load_grammar().rules:
        callback = rule.alias or rule.options.template_source or rule.origin.name
        passed_on = rule.options.expand1 and len(rule.expansion) == 1 and not rule.alias
        assert passed_on or callable(getattr(TreeBuilder, callback, None)), callback


@pytest.mark.parametrize("was_on", [True, False])
def test_garbage_collector_is_left_as_it_was(was_on: bool) -> None:
    (gc.enable if was_on else gc.disable)()
    try:
        errors("a = $\nb = c")
        assert gc.isenabled() is was_on
    finally:
        gc.enable()


def test_parsing_in_threads() -> None:
    texts = [f"a{n} = b\n" * 300 for n in range(4)]
    results: dict[int, s.File] = {}

    def work(n: int) -> None:
        results[n] = tree(texts[n])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, text in enumerate(texts):
        assert len(results[n].statements) == 300
        assert all(st_.span.source.text == text for st_ in results[n].statements)
