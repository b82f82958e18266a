"""Syntax errors: what they say, what is read in spite of them, limits, and hostile input."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import SAMPLE, errors, shown, tree

from flowgraph import syntax as s
from flowgraph.errors import Diagnostics, FlowError, Source, render
from flowgraph.parse import STATEMENT_WORDS, parse

A, C = s.Name("a", None), s.Name("c", None)
LAST = s.EquationStmt((C,), A, None)
"""The statement `c = a`; spans take no part in equality."""


def numbers(*values: float) -> tuple[s.Number, ...]:
    return tuple(s.Number(value, None) for value in values)


# ---------------------------------------------------------------------------------------
# Errors

MESSAGES = {
    "a = ": ("E0004", "expected an expression after `=`"),
    "a = b +": ("E0004", "expected an expression after `+`"),
    "a = b +\nloss c": ("E0004", "expected an expression after `+`"),
    "a =\nb = c": ("E0004", "expected an expression after `=`"),
    "a = = b": ("E0004", "expected an expression after `=`"),
    "a b": ("E0004", "expected `=`, `->` or `-[` after `a`"),
    "nod h : step": ("E0004", "no statement begins with `nod`"),
    ") = 3": ("E0006", "`)` closes nothing"),
    "+ 3": ("E0004", "expected a statement"),
    "a = f(b": ("E0006", "`(` is never closed"),
    "a = f(b\nloss c": ("E0006", "`(` is never closed"),
    "a = f(b,\nloss(c)": ("E0006", "`(` is never closed"),
    "a = f(b\nc = a": ("E0006", "`(` is never closed"),
    "a = [1, 2\n1 -> c": ("E0006", "`[` is never closed"),
    "a = f(b]": ("E0006", "`]` does not close `(`"),
    "a = b)": ("E0006", "`)` closes nothing"),
    "}": ("E0006", "`}` closes nothing"),
    "block f() {\na = b": ("E0006", "`{` is never closed"),
    "data {": ("E0006", "`{` is never closed"),
    "data { a\n1\nnode h": ("E0006", "`{` is never closed"),
    'a = "b': ("E0005", "a string is not closed"),
    'a = "b\nc = "d"': ("E0005", "a string is not closed"),
    'a = "\\q"': ("E0009", "`\\q` is not an escape"),
    "loss = a": ("E0007", "`loss` is reserved and cannot name a thing"),
    "a = loss + 1": ("E0007", "`loss` is reserved and cannot name a thing"),
    "input train": ("E0007", "`train` is reserved and cannot name a thing"),
    "wires = a": ("E0007", "`wires` is reserved and cannot name a thing"),
    "pi = 3": ("E0007", "`pi` is reserved and cannot name a thing"),
    "and = 3": ("E0007", "`and` is reserved and cannot name a thing"),
    "a -> node": ("E0007", "`node` is reserved and cannot name a thing"),
    "a < b < c = d": ("E0004", "expected `=`, `->` or `-[` after `a`"),
    "q = a < b < c": ("E0008", "comparisons cannot be chained"),
    "q = a == b != c": ("E0008", "comparisons cannot be chained"),
    "q = a ** 2": ("E0004", "`**` is not used here"),
    "q = a // 2": ("E0004", "`//` is not used here"),
    "q := a": ("E0004", "`:=` is not used here"),
    "q += a": ("E0004", "`+=` is not used here"),
    "a => b": ("E0004", "`=>` is not used here"),
    "a --> b": ("E0004", "`-->` is not used here"),
    "q = a && b": ("E0003", "`&` is not used in Flow"),
    "def f(x):": ("E0004", "no statement begins with `def`"),
    "import a": ("E0004", "no statement begins with `import`"),
    "if a > b:": ("E0004", "no statement begins with `if`"),
    "for i in a {": ("E0004", "no statement begins with `for`"),
    "q = 'text'": ("E0003", "`'` is not used in Flow"),
    "q = a − b": ("E0003", "`−` is not used in Flow"),
    "q = “a”": ("E0003", "`“` is not used in Flow"),
    "q =\u00a0a": ("E0003", "`\\xa0` is not used in Flow"),
    "σ = a": ("E0003", "`σ` holds `σ`, which is not an ASCII letter"),
    "sigmа = a": ("E0003", "`sigmа` holds `а`, which is not an ASCII letter"),
    "q = ａ": ("E0003", "`ａ` holds `ａ`, which is not an ASCII letter"),
    "_a = b": ("E0003", "a name begins with a letter"),
    "q = a \x07": ("E0003", "`\\x07` is not used in Flow"),
    "q = 2a": ("E0004", "a name cannot follow a number directly"),
    "q = 0x1F": ("E0004", "a name cannot follow a number directly"),
    "q = 1_000": ("E0003", "a number holds no `_`"),
    "q = .5": ("E0004", "a number has a digit before its point"),
    "q = 5.": ("E0004", "a number has a digit after its point"),
    "q = f(a)(b)": ("E0004", "only a name can be called"),
    "f(a)": ("E0004", "a call alone is not a statement"),
    "q = f(a=1, b)": ("E0004", "an argument without a name follows one with a name"),
    "q = f(a b)": ("E0004", "expected `)` or `,` after `a`"),
    "q = (a, b)": ("E0004", "expected `)` after `a`"),
    "a -0.5-> b": ("E0004", "expected an arrow"),
    "a -> b -> c": ("E0004", "an arrow cannot stand here"),
    "a -[b] c": ("E0004", "expected `->` after `]`"),
    "2 -> a": ("E0204", "`2` cannot be an end of a wire"),
    "a -> 1": ("E0203", "a wire cannot end in a constant"),
    "a[0] = b": ("E0004", "only a name can stand left of `=`"),
    "1 = b": ("E0004", "only a name can stand left of `=`"),
    "require a = b": ("E0004", "`=` cannot stand here"),
    "input x : [": ("E0006", "`[` is never closed"),
    "input x : flot": ("E0004", "expected a type such as `[3]`, `int` or `class(10)` after `:`"),
    "input x : class(1, 2)": (
        "E0004",
        "`class(...)` takes one number of classes, or their names as strings",
    ),
    "node h : 3": ("E0004", "expected the name of an operation after `:`"),
    "train epochs=3": ("E0004", "expected an optimiser after `train`"),
    "loss a by median": ("E0004", "a loss is taken `by mean` or `by sum`, not `by median`"),
    "data { a\n b }": ("E0004", "`b` cannot be a value in a row of data"),
    "data { a b\n 1-1 }": ("E0004", "two values of a row touch each other"),
    "data 3 { node a }": ("E0004", "only equations can stand in generated data"),
    "a = b c = d": ("E0004", "expected an operator or the end of the statement after `b`"),
    "repeat 3 { }": ("E0004", "expected an operator or `as` after `3`"),
    'use "f"': ("E0004", 'expected `as` after `"f"`'),
    "a = b\rc = d": ("E0003", "a carriage return without a line feed"),
    "q = 1e400": ("E0901", "a number is too large"),
    "q = 1e-400": ("E0901", "a number is too close to 0"),
    "q = " + "9" * 401: ("E0901", "a number has 401 characters"),
    "data { a\n 1e999 }": ("E0901", "a number is too large"),
    "q" * 201 + " = a": ("E0902", "a name has 201 characters"),
    "q = " + "(" * 201 + "a" + ")" * 201: ("E0903", "brackets are nested more than 200 deep"),
}


@pytest.mark.parametrize("text", MESSAGES)
def test_error(text: str) -> None:
    found = Diagnostics()
    parse(Source("t.flow", text), found)
    first = found.sorted()[0]
    assert (first.code, first.message) == MESSAGES[text]
    assert first.help, "no cure is given"


@pytest.mark.parametrize("text", [t for t in MESSAGES if "\r" not in t])
def test_one_mistake_gives_one_error(text: str) -> None:
    assert len(errors(text)) == 1


def test_spelling_of_foreign_letters() -> None:
    for letters, spelled in {
        "σ": "sigma",
        "ξ_1": "xi_1",
        "Δx": "Deltax",
        "λ": "lambda",
        "ς": "sigma",
        "héllo": "hello",
        "ａb": "ab",
        "sigmа": "sigma",
    }.items():
        assert f"write `{spelled}`" in shown(f"{letters} = a")


def test_caret_stands_where_the_line_ends() -> None:
    found = Diagnostics()
    parse(Source("t.flow", "a = b *   \nc -> d\n"), found)
    # The operator carries the statement into the next line, which begins a wire.
    (error,) = found.items
    assert (error.span.start, error.label) == (7, "the line ends here")


def test_labels_name_the_opening_bracket() -> None:
    text = shown("h = relu(x\nz = W @ h\n")
    assert text == (
        "error[E0006]: `(` is never closed\n"
        "  --> t.flow:1:9\n"
        "   |\n"
        " 1 | h = relu(x\n"
        "   |         ^ opened here\n"
        " 2 | z = W @ h\n"
        "   | - here a new statement begins\n"
        "   = help: close it with `)`\n"
    )


# ---------------------------------------------------------------------------------------
# Recovery


def test_four_bad_lines_of_seven() -> None:
    text = "a = 1\nb = = 2\nc = a\nd = 'q'\nnod e : step\nf = a\ng = (a,\nloss f\n"
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert [d.span.line for d in found.sorted()] == [2, 4, 5, 7]
    kept = [t.name for st_ in file.statements if isinstance(st_, s.EquationStmt) for t in st_.targets]
    assert kept == ["a", "c", "f"]
    assert isinstance(file.statements[-1], s.LossStmt)


def test_bad_line_in_a_body_keeps_the_rest_of_it() -> None:
    text = "block f(x) {\n  a = = x\n  b = x\n  return b +\n}\nc = a\n"
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert [d.span.line for d in found.sorted()] == [2, 4]
    block, after = file.statements
    assert isinstance(block, s.BlockStmt) and len(block.body) == 1
    assert after == LAST


def test_bad_header_skips_the_body() -> None:
    text = "block f(x : [d) -> [d] {\n  a = x\n  return a\n}\nc = a\n"
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert len(found.items) == 1
    assert file.statements == (LAST,)


def test_bad_rows_are_reported_one_by_one() -> None:
    text = "data { a | b\n 1 | 1\n 1 $ 2\n 2 | = \n 3 | 3\n}\nc = a\n"
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert [d.span.line for d in found.sorted()] == [3, 4]
    table, _ = file.statements
    assert isinstance(table, s.DataTableStmt)
    assert [row.inputs for row in table.rows] == [numbers(1), numbers(1), numbers(3)]


def test_error_inside_brackets_over_several_lines() -> None:
    text = "a = f(b,\n  c d,\n  e)\nb = = a\ntrain adam(\n  lr=0.1\n  beta=2\n)\nc = a\n"
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert [d.span.line for d in found.sorted()] == [2, 4, 7]
    assert file.statements[-1] == LAST


def test_keyword_arguments_named_like_statements_close_nothing() -> None:
    (equation,) = tree("q = f(\n  size=3,\n  train = a,\n)").statements
    assert [k.name for k in equation.value.keywords] == ["size", "train"]


def test_too_many_errors_end_the_parse() -> None:
    found = errors("a = = b\n" * 5000)
    assert len(found) == 1001
    assert found[-1][2] == "more than 1000 syntax errors"


def test_empty_files() -> None:
    for text in ("", "\n\n", "# note", "   ", ";", "\ufeff"):
        assert tree(text).statements == ()


# ---------------------------------------------------------------------------------------
# Limits and depth

DEEP = {
    "sum": "q = " + "a + " * 20_000 + "a",
    "pipes": "q = a" + " |> f" * 20_000,
    "minus": "q = " + "-" * 100_000 + "a",
    "not": "q = " + "not " * 50_000 + "a",
    "powers": "q = " + "2^" * 50_000 + "2",
    "members": "q = a" + ".b" * 50_000,
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_expressions_need_no_stack(kind: str) -> None:
    file = tree(DEEP[kind])
    assert len(file.statements) == 1
    del file  # nor does letting go of them


HOSTILE = {
    "parentheses": ("q = " + "(" * 100_000 + "a" + ")" * 100_000 + "\nb = c", ["E0903"]),
    "open brackets": ("q = " + "[" * 100_000, ["E0903"]),
    "blocks": ("block f() {" * 1000, ["E0903", "E0006"]),
    "identifier": ("q = " + "a" * 10_000_000, ["E0902"]),
    "digits": ("q = " + "1" * 10_000, ["E0901"]),
    "quotes": ('q = "' + "a" * 1_000_000, ["E0005"]),
    "closers": (")" * 100_000, ["E0006"]),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_input_is_refused_at_once(kind: str) -> None:
    text, codes = HOSTILE[kind]
    begin = time.perf_counter()
    assert [code for code, _, _ in errors(text)] in (codes, codes[::-1])
    assert time.perf_counter() - begin < 5


def test_comments_before_a_pipe_are_looked_through_once() -> None:
    begin = time.perf_counter()
    assert len(tree("q = a\n" + "# note\n" * 50_000 + "|> f").statements) == 1
    assert time.perf_counter() - begin < 5


# ---------------------------------------------------------------------------------------
# Fuzz

PIECES = (
    *STATEMENT_WORDS,
    *("a", "1", '"s"', "(", ")", "[", "]", "{", "}", ",", ";", "\n", "#", "=", "->", "-[", "|>", "|"),
    *(":", ".", "+", "-", "^", "<", "not", "and", "as", "by", "split", "class", "int", "_", "$", '"'),
)
_TOKENS = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|\w+(?:\.\d+)?|-\[|->|\|>|==|!=|<=|>=|\n|[^\w\s]')


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_programs_parse_or_are_explained(data: st.DataObject) -> None:
    tokens = _TOKENS.findall(SAMPLE)
    start = data.draw(st.integers(0, len(tokens) - 60))
    tokens = tokens[start : start + data.draw(st.integers(5, 60))]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(tokens) - 1))
        other = data.draw(st.integers(0, len(tokens) - 1))
        match data.draw(st.sampled_from(("delete", "duplicate", "swap"))):
            case "delete" if len(tokens) > 1:
                del tokens[at]
            case "duplicate":
                tokens.insert(other, tokens[at])
            case _:
                tokens[at], tokens[other] = tokens[other], tokens[at]
    check_outcome(" ".join(tokens))


@settings(max_examples=200, deadline=None)
@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_any_text_parses_or_is_explained(text: str) -> None:
    check_outcome(text)


def check_outcome(text: str) -> None:
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert isinstance(file, s.File)
    for diagnostic in found.items:
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start <= len(text)
        assert "something else" not in diagnostic.message
    assert render(found.sorted()).count("error[") == min(len(found.items), 50)


def test_raise_errors_carries_them_all() -> None:
    with pytest.raises(FlowError) as raised:
        tree("a = = b\nc = )")
    assert len(raised.value.diagnostics) == 2
