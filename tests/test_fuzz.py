"""Programs with tokens deleted, doubled, swapped and replaced: success, or an error that says what is wrong.

The programs are all examples and all files of `tests/errors`. What compiles must give valid
Python for every target and level. Hypothesis draws the same cases in every run; more of them, and
others each time, with `FLOW_FUZZ=100000 pytest tests/test_fuzz.py`.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import EXAMPLES

from flowgraph.diagram import Diagram
from flowgraph.errors import FlowError, Source, render

ERRORS = Path(__file__).parent / "errors"
FILES = [*EXAMPLES.values(), *sorted(ERRORS.glob("*.flow"))]
TEXTS = [p.read_text(encoding="utf-8") for p in FILES]
HEAVY = 3000
"""Longer programs take long to compile; they are only checked."""

COUNT = int(os.environ.get("FLOW_FUZZ", "0"))
FUZZ = settings(
    max_examples=COUNT or 150,
    derandomize=not COUNT,
    database=None,
    deadline=5000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

TOKEN = re.compile(
    r'#[^\n]*|"(?:[^"\\\n]|\\.)*"|[A-Za-z][A-Za-z0-9_]*|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?'
    r"|\|>|->|==|!=|<=|>=|\n[ \t]*|[ \t]+|."
)
COMMON = [
    *("\n", " ", "(", ")", "[", "]", "{", "}", "=", ",", ";", ":", "->", "-[", "|>", "^", "@", "-", "%", "."),
    *("1", "0", "-1", "1e400", "10 ^ 12", "1.5", "inf", "true", '"a"', "_", "x", "T", ".T", ".xi", "lambda"),
    *("node ", "input ", "size ", "param ", "output ", "loss ", "train ", "data ", "block ", "repeat "),
    *("relu", "linear", "sum", "softmax", "split", "reshape", "grad", "einsum", "class", "return "),
    *("#", "\\", '"', "é", "\0"),
]


def tokens_of(text: str) -> list[str]:
    """The tokens of a text, blanks and line ends among them; joined they are the text."""
    return TOKEN.findall(text)


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """A program with a few of its tokens changed."""
    tokens = tokens_of(draw(st.sampled_from(TEXTS)))
    if not tokens:
        return ""
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(tokens) - 1))
        kind = draw(st.sampled_from(["delete", "double", "swap", "replace", "insert"]))
        if kind == "delete" and len(tokens) > 1:
            del tokens[place]
        elif kind == "double":
            tokens.insert(place, tokens[place])
        elif kind == "swap":
            other = draw(st.integers(0, len(tokens) - 1))
            tokens[place], tokens[other] = tokens[other], tokens[place]
        else:
            own = st.sampled_from(sorted(set(tokens)))
            token = draw(st.one_of(own, own, st.sampled_from(COMMON)))
            tokens[place : place + (kind == "replace")] = [token]
    return "".join(tokens)


def check(text: str) -> None:
    """The two outcomes that are allowed."""
    try:
        diagram = Diagram(Source("fuzz.flow", text), max_nodes=20_000)
    except FlowError as error:
        assert any(d.is_error and d.message for d in error.diagnostics)
        assert render(error.diagnostics) and all(d.as_json() for d in error.diagnostics)
        return
    if len(text) > HEAVY:
        return
    for target in ("numpy", "torch"):
        for level in (0, 1):
            try:
                ast.parse(diagram.compile(target, level=level))
            except FlowError as error:
                assert any(d.is_error and d.message for d in error.diagnostics)


def test_tokens_are_the_whole_text() -> None:
    for text in TEXTS:
        assert "".join(tokens_of(text)) == text


@FUZZ
@given(mutants())
def test_mutated_programs(text: str) -> None:
    check(text)


@FUZZ
@given(
    st.lists(
        st.one_of(st.sampled_from(COMMON), st.sampled_from(sorted({t for s in TEXTS for t in tokens_of(s)})))
    )
)
def test_random_tokens(tokens: list[str]) -> None:
    check(" ".join(tokens))


@FUZZ
@given(st.text())
def test_random_text(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "path", [p for p in FILES if len(p.read_text(encoding="utf-8")) < 400], ids=lambda p: p.stem
)
def test_every_token_of_a_small_program_left_out(path: Path) -> None:
    tokens = tokens_of(path.read_text(encoding="utf-8"))
    for place in range(len(tokens)):
        check("".join([*tokens[:place], *tokens[place + 1 :]]))
