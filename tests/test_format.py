"""The canonical form: same tree, same comments, unchanged by formatting it again."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import SAMPLE, tree

from flowgraph import syntax as s
from flowgraph.format import format_source
from flowgraph.parse import STATEMENT_WORDS


def formatted(text: str) -> str:
    """The canonical form of a text, checked for what holds of all of them."""
    file = tree(text)
    out = format_source(file)
    again = tree(out)
    assert same(again) == same(file)
    assert sorted(c.text for c in again.comments) == sorted(c.text for c in file.comments)
    assert format_source(again) == out
    assert not re.search(r"[ \t]\n|\n\n\n|\A\n|\n\n\Z", out)
    return out


def same(file: s.File) -> str:
    """A tree as text in which `3` and `3.0` differ, and `f` and `f()` do not."""
    return re.sub(r", has_parens=(True|False)", "", repr(file.statements))


# ---------------------------------------------------------------------------------------
# By example

EXAMPLES = {
    "": "",
    "a=b": "a = b\n",
    "a=b;c=d": "a = b\nc = d\n",
    "\n\n\na = b\n\n\n\nc = d\n\n": "a = b\n\nc = d\n",
    "  a   =  ( ( b+c ) )*d^( 2 )": "a = (b + c) * d^2\n",
    "a = (b * c) + (d)": "a = b * c + d\n",
    "a = b - (c - d) - (e + f)": "a = b - (c - d) - (e + f)\n",
    "a = (b - c) - d": "a = b - c - d\n",
    "a = -(2^2) + (-2)^2 + 2^(-1) + (2^3)^2 + 2^(3^2)": "a = -2^2 + (-2)^2 + 2^-1 + (2^3)^2 + 2^3^2\n",
    "a = -(-b) + -(b * c) + -(b^c)": "a = --b + -(b * c) + -b^c\n",
    "a = not (b and c) or (not b) and c": "a = not (b and c) or not b and c\n",
    "a = (b < c) == (not (d < e))": "a = (b < c) == (not d < e)\n",
    "a = (b |> f()) |> g( c )": "a = b |> f |> g(c)\n",
    "a = f(b |> g) + (b |> g)": "a = f(b |> g) + (b |> g)\n",
    "a = (b+c) . T [ 0 ,1: , : ]": "a = (b + c).T[0, 1:, :]\n",
    "a = f(  )": "a = f()\n",
    "a = f(b,c,k = 2,)": "a = f(b, c, k=2)\n",
    "a = [[1,2],[3,4,],]": "a = [[1, 2], [3, 4]]\n",
    "a = 1.50 + 1E-05 + 100000000000000000000.0 + 007 + 2.0": "a = 1.5 + 1e-5 + 1e20 + 7 + 2.0\n",
    'diagram d "a\\"\\\\\tb"': 'diagram d "a\\"\\\\\\tb"\n',
    "x1,x2-[ 1 ]->h1 , h2": "x1, x2 -[1]-> h1, h2\n",
    "1 - [0.5] -> h [0]": "1 -[0.5]-> h[0]\n",
    "x->h": "x -> h\n",
    "input x:[3],k:class( 3 )[ 2 ],r:real,e:[]": "input x : [3], k : class(3)[2], r : real, e : real\n",
    'target y:class("a","b"),i:int[2]': 'target y : class("a", "b"), i : int[2]\n',
    "param W:[H,_]=glorot()": "param W : [H, _] = glorot()\n",
    "node h1,h[ 3 ]:step()": "node h1, h[3] : step\n",
    "loss a by mean": "loss a\n",
    "loss k=f(a)by sum": "loss k = f(a) by sum\n",
    "train sgd,epochs=3": "train sgd(), epochs=3\n",
    "require a,'x'".replace("'", '"'): 'require a, "x"\n',
    "data { a b|c\n0 -1.50|1\n10 2|0 }": "data {\n    a  b    | c\n    0  -1.5 | 1\n    10 2    | 0\n}\n",
    "data { a; 1; 2 }": "data {\n    a\n    1\n    2\n}\n",
    "data { | y; | 1 }": "data {\n    | y\n    | 1\n}\n",
    "data 3{a=f(b);c=a}": "data 3 {\n    a = f(b)\n    c = a\n}\n",
    "block f(x:[d],k=2)->[d]{a=x;return a}": (
        "block f(x : [d], k = 2) -> [d] {\n    a = x\n    return a\n}\n"
    ),
    "repeat 2 as h { block g() { } }": "repeat 2 as h {\n    block g() {\n    }\n}\n",
    # comments
    "# a\n#b\n\na = b # c\n# d": "# a\n#b\n\na = b  # c\n# d\n",
    "a = f(b, # in\n  c) # out": "# in\na = f(b, c)  # out\n",
    "a = b; c = d # e": "a = b\nc = d  # e\n",
    "block f() { # a\n\n# b\nc = d # e\n\n# g\n\n} # h": (
        "block f() {  # a\n    # b\n    c = d  # e\n\n    # g\n}  # h\n"
    ),
    "data { # a\n x # b\n # c\n 1 # d\n # e\n}": (
        "data {  # a\n    x  # b\n    # c\n    1  # d\n    # e\n}\n"
    ),
    "# only": "# only\n",
    "a = b\n\n\n# end\n\n\n": "a = b\n\n# end\n",
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_example(text: str) -> None:
    assert formatted(text) == EXAMPLES[text]


def test_sample_of_everything() -> None:
    out = formatted(SAMPLE)
    assert all(len(line) <= 88 for line in out.splitlines() if "#" not in line)
    assert formatted(SAMPLE.replace("\n", "\r\n")) == out
    assert formatted("\ufeff" + SAMPLE) == out


LONG = "a" * 30
BROKEN = {
    f"x = f({LONG}, {LONG}, key={LONG})": (f"x = f(\n    {LONG},\n    {LONG},\n    key={LONG},\n)\n"),
    f"x = {LONG} + {LONG} * {LONG} - b": f"x = {LONG} +\n    {LONG} * {LONG} - b\n",
    f"x = {LONG} |> {LONG} |> f({LONG})": (f"x = {LONG}\n    |> {LONG}\n    |> f({LONG})\n"),
    f"x = ({LONG} + {LONG} + {LONG}) * b": (f"x = (\n    {LONG} + {LONG} +\n        {LONG}\n) * b\n"),
    f"{LONG}, {LONG} -[w]-> {LONG}": f"{LONG}, {LONG} -[w]->\n    {LONG}\n",
    f"input {LONG} : [3], {LONG} : [3], b : int": (f"input {LONG} : [3], {LONG} : [3],\n    b : int\n"),
    "x = [" + "100000000, " * 10 + "]": (
        "x = [\n    " + ", ".join(["100000000"] * 7) + ",\n    " + "100000000, " * 2 + "100000000,\n]\n"
    ),
    f"loss f({LONG}, {LONG}, {LONG}) by sum # c": (
        f"loss f(\n    {LONG},\n    {LONG},\n    {LONG},\n) by sum  # c\n"
    ),
}


@pytest.mark.parametrize("text", BROKEN)
def test_long_lines_are_broken(text: str) -> None:
    assert formatted(text) == BROKEN[text]


def test_lines_of_88_columns_stay_whole() -> None:
    whole = "x = f(" + "b" * 81 + ")"
    assert len(whole) == 88
    assert formatted(whole) == whole + "\n"
    assert formatted(whole.replace("b)", "bb)")).count("\n") == 3


def test_wide_cells_do_not_widen_the_others() -> None:
    rows = "".join(f"{n} | 1\n" for n in range(100))
    out = formatted('data { a | b\n"' + "x" * 10_000 + '" | 2\n' + rows + "}")
    assert len(out) < 15_000


@pytest.mark.parametrize(
    "text",
    [
        "q = " + "-" * 50_000 + "a",
        "q = " + "2^" * 20_000 + "a",
        "q = " + "a + " * 20_000 + "a",
        "q = a" + " |> f" * 20_000,
        "q = a" + ".b" * 20_000,
        "q = " + "f(" * 199 + "a" + ")" * 199,
    ],
)
def test_deep_expressions_are_formatted(text: str) -> None:
    begin = time.perf_counter()
    out = format_source(tree(text))
    assert format_source(tree(out)) == out
    assert time.perf_counter() - begin < 10


# ---------------------------------------------------------------------------------------
# Random programs

WORDS = ("a", "b2", "xi_1", "as", "by", "split", "class", "real", "int", "x", "T", "all", "long" * 9)
SPAN = None  # takes no part in equality, and the printer may look at that of bodies only


def made(kind: type, *strategies: st.SearchStrategy, spans: int = 1) -> st.SearchStrategy:
    """Nodes of a class from strategies for its fields; its spans come last."""
    return st.tuples(*strategies).map(lambda fields: kind(*fields, *[SPAN] * spans))


def tuples(item: st.SearchStrategy, low: int = 0, high: int = 3) -> st.SearchStrategy:
    return st.lists(item, min_size=low, max_size=high).map(tuple)


NAMES = st.sampled_from(WORDS)
NAME = made(s.Name, st.sampled_from((*WORDS, "pi", "true")))
NUMBER = made(
    s.Number,
    st.integers(0, 10**30) | st.floats(0, allow_infinity=False, allow_nan=False).map(abs),
)
STRING = made(s.String, st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])))
DOTTED = st.lists(st.sampled_from((*WORDS, *STATEMENT_WORDS)), max_size=2).flatmap(
    lambda rest: NAMES.map(lambda first: ".".join([first, *rest]))
)
KEYS = st.sampled_from((*WORDS, *STATEMENT_WORDS, "and"))
BINARY = ["+", "-", "*", "/", "%", "@", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or"]


def calls(inner: st.SearchStrategy) -> st.SearchStrategy:
    keywords = tuples(made(s.Keyword, KEYS, inner), high=2)
    return made(s.Call, DOTTED, tuples(inner), keywords, spans=2)


def larger(inner: st.SearchStrategy) -> st.SearchStrategy:
    piece = inner | made(s.Slice, st.none() | inner, st.none() | inner)
    return st.one_of(
        made(s.Unary, st.sampled_from(("-", "not")), inner),
        made(s.Binary, st.sampled_from(BINARY), inner, inner, spans=2),
        calls(inner),
        made(s.Pipe, inner, calls(inner)),
        made(s.Member, inner, st.sampled_from((*WORDS, "data", "not")), spans=2),
        made(s.Index, inner, tuples(piece, 1)),
        made(s.ListExpr, tuples(inner)),
    )


EXPR = st.recursive(NAME | NUMBER | STRING, larger, max_leaves=12)
CALL = calls(EXPR)
SHAPE = tuples(EXPR | made(s.Wildcard))
CLASSES = EXPR.filter(lambda e: not isinstance(e, s.String))
TYPE = st.one_of(
    made(s.TypeExpr, st.sampled_from(("real", "int", "bool")), st.none(), st.just(()), SHAPE),
    made(s.TypeExpr, st.just("class"), CLASSES, st.just(()), SHAPE),
    made(s.TypeExpr, st.just("class"), st.none(), tuples(STRING, 1), SHAPE),
)
END = made(s.End, NAMES, st.none() | EXPR)
SOURCE = END | made(s.End, st.none(), st.none())
DECLARED = tuples(made(s.Declared, NAMES, st.none() | TYPE, spans=2), 1)
NAMED = made(s.NamedExpr, st.none() | NAMES, EXPR, spans=2)
TARGET = made(s.Name, NAMES)
TEXT = STRING.map(lambda node: node.value)

SIMPLE = st.one_of(
    made(s.DiagramStmt, NAMES, st.none() | TEXT),
    made(s.UseStmt, TEXT, NAMES, spans=2),
    made(s.SizeStmt, tuples(made(s.SizeItem, NAMES, st.none() | EXPR, spans=2), 1)),
    made(s.ConstStmt, NAMES, EXPR, spans=2),
    made(s.RequireStmt, EXPR, st.none() | TEXT),
    made(s.InputStmt, DECLARED),
    made(s.TargetStmt, DECLARED),
    made(s.ParamStmt, NAMES, st.none() | SHAPE, st.none() | EXPR, spans=2),
    made(s.NodeStmt, tuples(made(s.NodeItem, NAMES, st.none() | EXPR, spans=2), 1), st.none() | CALL),
    made(s.WireStmt, tuples(SOURCE, 1), st.none() | EXPR, tuples(END, 1)),
    made(s.EquationStmt, tuples(TARGET, 1), EXPR),
    made(s.LayerStmt, NAMES, CALL, spans=2),
    made(s.OutputStmt, tuples(NAMED, 1)),
    made(s.LossStmt, st.none() | NAMES, EXPR, st.sampled_from(("mean", "sum")), spans=2),
    made(s.MetricStmt, st.none() | NAMES, EXPR, spans=2),
    made(s.TrainStmt, CALL, tuples(made(s.Keyword, NAMES, EXPR))),
    made(s.DataFileStmt, TEXT, st.none() | EXPR, spans=2),
    made(s.ReturnStmt, tuples(EXPR, 1)),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(SIMPLE, min_size=1, max_size=3))
def test_random_statements_are_printed_as_they_are(statements: list) -> None:
    text = "".join(f"{line}\n" for line in map(printed, statements))
    assert same(tree(text)) == same(s.File(tuple(statements), SPAN, ()))
    assert formatted(text) == text


def printed(statement: s.Stmt) -> str:
    """A statement that no source has, on one or more lines."""
    from flowgraph.format import _statement
    from flowgraph.format.doc import layout

    return layout(_statement(statement))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_comments_and_blank_lines_anywhere(data: st.DataObject) -> None:
    lines = format_source(tree(SAMPLE)).splitlines()
    for number in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(("end", "line", "blank", "wide"))):
            case "end" if "#" not in lines[at]:
                lines[at] += f" # end {number}"
            case "line":
                lines.insert(at, f"# line {number}")
            case "blank":
                lines.insert(at, "\n")
            case _:
                lines[at] = lines[at].replace(", ", ",\n") if "#" not in lines[at] else lines[at]
                lines = "\n".join(lines).split("\n")
    formatted("\n".join(lines))
