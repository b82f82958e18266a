"""What a user reads who makes a mistake: every file of `tests/errors`, rendered, word for word.

A file holds one mistake, unless its name begins with `several_`, and gives one error. A first
line such as `# --set D=3` or `# --max-nodes 5` is handed on. `pytest --update-golden` writes the
`.err` files; read the diff. `docs/errors.md` is made from these files.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from error_docs import PAGE, page

from flowgraph.codes import CODES
from flowgraph.diagram import Diagram
from flowgraph.errors import Diagnostic, FlowError, Source, render

HERE = Path(__file__).parent
ERRORS = HERE / "errors"
PACKAGE = HERE.parent / "flowgraph"
FILES = sorted(ERRORS.glob("*.flow"))
UPDATE = "--update-golden"


def options(text: str) -> dict[str, Any]:
    """The options that a first line like `# --set D=3` asks for."""
    first = text.partition("\n")[0]
    if not first.startswith("# --"):
        return {}
    words = shlex.split(first[1:])
    found: dict[str, Any] = {"settings": {}}
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "--max-nodes":
            found["max_nodes"] = int(value)
        else:
            assert option == "--set"
            name, _, number = value.partition("=")
            found["settings"][name] = json.loads(number)
    return found


def diagnose(path: Path) -> tuple[Diagnostic, ...]:
    """What is said of a file: errors if it has any, else warnings."""
    text = path.read_text(encoding="utf-8")
    try:
        with contextlib.chdir(ERRORS):  # where the tables of wires are
            return Diagram(Source("$FILE", text), **options(text)).warnings
    except FlowError as error:
        return error.diagnostics


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_rendered(path: Path, request: pytest.FixtureRequest) -> None:
    found = diagnose(path)
    text = render(found)
    expected = path.with_suffix(".err")
    if request.config.getoption(UPDATE):
        expected.write_text(text, encoding="utf-8", newline="\n")
    assert expected.exists(), f"there is no {expected.name}; look at the text, then run `pytest {UPDATE}`"
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_one_mistake_is_one_error_with_a_cure(path: Path) -> None:
    found = diagnose(path)
    errors = [d for d in found if d.is_error]
    if path.stem.startswith("several_"):
        assert len(errors) > 1
    elif path.stem.startswith("warning_"):
        assert not errors and len(found) == 1
    else:
        assert len(errors) == 1, [d.message for d in errors]
    for d in found:
        assert d.message and d.help, d
        assert not re.search(r"\bNone\b|\bTrue\b|\bFalse\b|<[a-z_.]+ object|Traceback", d.message + d.label)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_errors_stand_in_the_order_of_the_file(path: Path) -> None:
    starts = [d.span.start for d in diagnose(path) if d.span is not None]
    assert starts == sorted(starts)


def test_every_expectation_has_its_file() -> None:
    alone = [p.name for p in sorted(ERRORS.glob("*.err")) if not p.with_suffix(".flow").exists()]
    assert not alone, f"remove {', '.join(alone)}"


# ---------------------------------------------------------------------------------------
# Codes


def used_codes() -> set[str]:
    """Every code that stands as a string in the source of the package, codes.py aside."""
    used: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "codes.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.update(re.findall(r"\b[EW]0\d{3}\b", node.value))
    return used


def codes_in_tests() -> set[str]:
    """Every code that an expectation shows or that a test names."""
    texts = [p.read_text(encoding="utf-8") for p in sorted(ERRORS.glob("*.err"))]
    texts += [p.read_text(encoding="utf-8") for p in sorted(HERE.rglob("test_*.py"))]
    return {code for text in texts for code in re.findall(r"\b[EW]0\d{3}\b", text)}


def test_codes_in_the_source_are_listed() -> None:
    assert sorted(used_codes() - set(CODES)) == []


def test_no_code_is_dead() -> None:
    assert sorted(set(CODES) - used_codes()) == []


def test_every_code_is_tested() -> None:
    assert sorted(set(CODES) - codes_in_tests()) == []


def test_codes_are_listed_in_order_once() -> None:
    text = (PACKAGE / "codes.py").read_text(encoding="utf-8")
    listed = re.findall(r'"([EW]\d{4})":', text)
    assert listed == sorted(listed, key=lambda c: (c[0], c)) and len(set(listed)) == len(listed)


def test_the_page_of_errors_is_current(request: pytest.FixtureRequest) -> None:
    expected = page(ERRORS)
    if request.config.getoption(UPDATE) and not os.environ.get("CI"):
        PAGE.write_text(expected, encoding="utf-8", newline="\n")
    assert PAGE.exists() and PAGE.read_text(encoding="utf-8") == expected, f"run `pytest {UPDATE}`"
