"""Text to syntax tree: every form of the language, recovery from errors, limits."""

from __future__ import annotations

import gc
import io
import os
import re
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowgraph import parse as parse_module
from flowgraph import syntax as s
from flowgraph.errors import Diagnostics, FlowError, Source, render
from flowgraph.parse import STATEMENT_WORDS, grammar_path, load_grammar, parse, read_source

SAMPLE = (Path(__file__).parent / "parse" / "everything.flow").read_text(encoding="utf-8")


def tree(text: str) -> s.File:
    """The tree of a text without errors."""
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    found.raise_errors()
    return file


def one(text: str) -> s.Stmt:
    """The only statement of a text."""
    (statement,) = tree(text).statements
    return statement


def expr(text: str) -> s.Expr:
    statement = one(f"q = {text}")
    assert isinstance(statement, s.EquationStmt)
    return statement.value


def errors(text: str) -> list[tuple[str, int, str]]:
    """Code, line and message of everything found."""
    found = Diagnostics()
    parse(Source("t.flow", text), found)
    return [(d.code, d.span.line if d.span else 0, d.message) for d in found.sorted()]


def shown(text: str) -> str:
    found = Diagnostics()
    parse(Source("t.flow", text), found)
    return render(found.sorted())


def num(value: float) -> s.Number:
    return s.Number(value, None)  # type: ignore[arg-type]


def name(text: str) -> s.Name:
    return s.Name(text, None)  # type: ignore[arg-type]


def binary(left: s.Expr, op: str, right: s.Expr) -> s.Binary:
    return s.Binary(op, left, right, None, None)  # type: ignore[arg-type]


def minus(operand: s.Expr) -> s.Unary:
    return s.Unary("-", operand, None)  # type: ignore[arg-type]


def call(func: str, *args: s.Expr, **keywords: s.Expr) -> s.Call:
    pairs = tuple(s.Keyword(k, v, None) for k, v in keywords.items())  # type: ignore[arg-type]
    return s.Call(func, args, pairs, None, None)  # type: ignore[arg-type]


def real(*shape: s.Expr) -> s.TypeExpr:
    return s.TypeExpr("real", None, (), shape, None)  # type: ignore[arg-type]


def string(text: str) -> s.String:
    return s.String(text, None)  # type: ignore[arg-type]


N = None  # a span, which takes no part in equality
a, b, c, x = name("a"), name("b"), name("c"), name("x")


# ---------------------------------------------------------------------------------------
# Statements

STATEMENTS = {
    "diagram xor": s.DiagramStmt("xor", None, N),
    'diagram xor "by two"': s.DiagramStmt("xor", "by two", N),
    'use "blocks.flow" as lib': s.UseStmt("blocks.flow", "lib", N, N),
    "size D = 784, T": s.SizeStmt((s.SizeItem("D", num(784), N, N), s.SizeItem("T", None, N, N)), N),
    "const eps = 1e-5": s.ConstStmt("eps", num(1e-5), N, N),
    "require a == b": s.RequireStmt(binary(a, "==", b), None, N),
    'require a, "because"': s.RequireStmt(a, "because", N),
    "input x": s.InputStmt((s.Declared("x", None, N, N),), N),
    "input x : [3, a], k : int[2]": s.InputStmt(
        (
            s.Declared("x", real(num(3), a), N, N),
            s.Declared("k", s.TypeExpr("int", None, (), (num(2),), N), N, N),
        ),
        N,
    ),
    "input x : real, y : []": s.InputStmt((s.Declared("x", real(), N, N), s.Declared("y", real(), N, N)), N),
    "input ids : class(50257)[T]": s.InputStmt(
        (s.Declared("ids", s.TypeExpr("class", num(50257), (), (name("T"),), N), N, N),), N
    ),
    'target y : class("a", "b")': s.TargetStmt(
        (s.Declared("y", s.TypeExpr("class", None, (string("a"), string("b")), (), N), N, N),), N
    ),
    "target y : bool": s.TargetStmt((s.Declared("y", s.TypeExpr("bool", None, (), (), N), N, N),), N),
    "param W : [a, _] = glorot()": s.ParamStmt("W", (a, s.Wildcard(N)), call("glorot"), N, N),
    "param w = 0.5": s.ParamStmt("w", None, num(0.5), N, N),
    "param W : [2]": s.ParamStmt("W", (num(2),), None, N, N),
    "param w": s.ParamStmt("w", None, None, N, N),
    "node h1, h[3]": s.NodeStmt((s.NodeItem("h1", None, N, N), s.NodeItem("h", num(3), N, N)), None, N),
    "node h : step": s.NodeStmt((s.NodeItem("h", None, N, N),), call("step"), N),
    "node h : leaky_relu(0.1)": s.NodeStmt((s.NodeItem("h", None, N, N),), call("leaky_relu", num(0.1)), N),
    "a -[-1]-> b": s.WireStmt((s.End("a", None, N),), minus(num(1)), (s.End("b", None, N),), N),
    "1 -[0.5]-> b": s.WireStmt((s.End(None, None, N),), num(0.5), (s.End("b", None, N),), N),
    "a - [b] -> c": s.WireStmt((s.End("a", None, N),), b, (s.End("c", None, N),), N),
    "a, b -> c, x": s.WireStmt(
        (s.End("a", None, N), s.End("b", None, N)),
        None,
        (s.End("c", None, N), s.End("x", None, N)),
        N,
    ),
    "x[3] -[a + 1]-> h[0]": s.WireStmt(
        (s.End("x", num(3), N),), binary(a, "+", num(1)), (s.End("h", num(0), N),), N
    ),
    "a = b": s.EquationStmt((a,), b, N),
    "a, b = split(x, 2)": s.EquationStmt((a, b), call("split", x, num(2)), N),
    "layer wte = embedding(a, 64)": s.LayerStmt("wte", call("embedding", a, num(64)), N, N),
    "output p = softmax(x), a": s.OutputStmt(
        (s.NamedExpr("p", call("softmax", x), N, N), s.NamedExpr(None, a, None, N)), N
    ),
    "loss mse(a, b)": s.LossStmt(None, call("mse", a, b), "mean", None, N),
    "loss kl = f(a) by sum": s.LossStmt("kl", call("f", a), "sum", N, N),
    "loss a by mean": s.LossStmt(None, a, "mean", None, N),
    "metric accuracy(a, b)": s.MetricStmt(None, call("accuracy", a, b), None, N),
    "metric top = f(a)": s.MetricStmt("top", call("f", a), N, N),
    "train sgd(lr=0.1), epochs=20, batch=all": s.TrainStmt(
        call("sgd", lr=num(0.1)),
        (s.Keyword("epochs", num(20), N), s.Keyword("batch", name("all"), N)),
        N,
    ),
    "train adam": s.TrainStmt(call("adam"), (), N),
    'data "d.csv"': s.DataFileStmt("d.csv", None, N, N),
    'data "d.csv" split 0.8': s.DataFileStmt("d.csv", num(0.8), N, N),
    "data { a b | c; -1 +1 | 0; 2, 3 | 1.5 }": s.DataTableStmt(
        (a, b),
        (c,),
        (
            s.DataRow((num(-1), num(1)), (num(0),), N),
            s.DataRow((num(2), num(3)), (num(1.5),), N),
        ),
        N,
    ),
    'data {\n a, b\n\n "s" [1, [-2]]\n true false }': s.DataTableStmt(
        (a, b),
        (),
        (
            s.DataRow((string("s"), s.ListExpr((num(1), s.ListExpr((num(-2),), N)), N)), (), N),
            s.DataRow((name("true"), name("false")), (), N),
        ),
        N,
    ),
    "data 2000 { a = f(-pi); b = a }": s.DataMadeStmt(
        num(2000),
        (
            s.EquationStmt((a,), call("f", minus(name("pi"))), N),
            s.EquationStmt((b,), a, N),
        ),
        N,
    ),
    "block f(x : [d], width, k : int = 3, h = 4) -> [d], [2] {\n return x, a\n}": s.BlockStmt(
        "f",
        (
            s.Param("x", real(name("d")), None, N),
            s.Param("width", None, None, N),
            s.Param("k", s.TypeExpr("int", None, (), (), N), num(3), N),
            s.Param("h", None, num(4), N),
        ),
        (real(name("d")), real(num(2))),
        (s.ReturnStmt((x, a), N),),
        N,
        N,
    ),
    "block f() { a = b; return a }": s.BlockStmt(
        "f", (), (), (s.EquationStmt((a,), b, N), s.ReturnStmt((a,), N)), N, N
    ),
    "repeat 12 as h {\n a = f(a)\n}": s.RepeatStmt(
        num(12), "h", (s.EquationStmt((a,), call("f", a), N),), N, N
    ),
    "a, b = scan(cell, x, zeros(c))": s.EquationStmt(
        (a, b), call("scan", name("cell"), x, call("zeros", c)), N
    ),
}


@pytest.mark.parametrize("text", STATEMENTS)
def test_statement(text: str) -> None:
    assert one(text) == STATEMENTS[text]


def test_every_statement_word_has_a_form_here() -> None:
    first = {text.split()[0] for text in STATEMENTS}
    assert set(STATEMENT_WORDS) - first == {"wires", "return"}


def test_whole_numbers_are_int_and_others_float() -> None:
    values = [expr(text) for text in ("3", "3.0", "1e3", "007")]
    assert [type(v.value) for v in values if isinstance(v, s.Number)] == [int, float, float, int]


# ---------------------------------------------------------------------------------------
# Expressions

TWO = num(2)
EXPRESSIONS = {
    "-2^2": minus(binary(TWO, "^", TWO)),
    "2^-1": binary(TWO, "^", minus(num(1))),
    "2^3^2": binary(TWO, "^", binary(num(3), "^", TWO)),
    "a - b - c": binary(binary(a, "-", b), "-", c),
    "a + b * c": binary(a, "+", binary(b, "*", c)),
    "a * b @ c": binary(binary(a, "*", b), "@", c),
    "a / b % c": binary(binary(a, "/", b), "%", c),
    "-a * b": binary(minus(a), "*", b),
    "--a": minus(minus(a)),
    "a - -b": binary(a, "-", minus(b)),
    "a -[b]": binary(a, "-", s.ListExpr((b,), N)),
    "a < b + c": binary(a, "<", binary(b, "+", c)),
    "(a < b) < c": binary(binary(a, "<", b), "<", c),
    "not a == b": s.Unary("not", binary(a, "==", b), N),
    "not a and b or c": binary(binary(s.Unary("not", a, N), "and", b), "or", c),
    "a or b and c": binary(a, "or", binary(b, "and", c)),
    "a + b |> f": s.Pipe(binary(a, "+", b), call("f"), N),
    "a |> f |> lib.g(b, k=c)": s.Pipe(s.Pipe(a, call("f"), N), call("lib.g", b, k=c), N),
    "f(a, b, axis=0,)": call("f", a, b, axis=num(0)),
    "f(train=a, data=b)": call("f", train=a, data=b),
    "lib.f(x)": call("lib.f", x),
    "h.xi": s.Member(name("h"), "xi", N, N),
    "wte.weight.T": s.Member(s.Member(name("wte"), "weight", N, N), "T", N, N),
    "a.data.loss": s.Member(s.Member(a, "data", N, N), "loss", N, N),
    "f(x).T[0]": s.Index(s.Member(call("f", x), "T", N, N), (num(0),), N),
    "(a + b).T": s.Member(binary(a, "+", b), "T", N, N),
    "x[1:, :, :2, a:b, -1]": s.Index(
        x,
        (
            s.Slice(num(1), None, N),
            s.Slice(None, None, N),
            s.Slice(None, TWO, N),
            s.Slice(a, b, N),
            minus(num(1)),
        ),
        N,
    ),
    "[a, [b, 2],]": s.ListExpr((a, s.ListExpr((b, TWO), N)), N),
    "[]": s.ListExpr((), N),
    'f("a\\"\\\\\\n\\tb")': call("f", string('a"\\\n\tb')),
    "where(a != b, pi, true)": call("where", binary(a, "!=", b), name("pi"), name("true")),
    "split + by + as + class + int": binary(
        binary(binary(binary(name("split"), "+", name("by")), "+", name("as")), "+", name("class")),
        "+",
        name("int"),
    ),
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expression(text: str) -> None:
    assert expr(text) == EXPRESSIONS[text]


def test_words_of_the_language_are_whole_words() -> None:
    assert expr("order + notes + android") == binary(
        binary(name("order"), "+", name("notes")), "+", name("android")
    )
    assert errors("q = a orb")[0][0] == "E0004"


def test_words_name_things_where_they_begin_nothing() -> None:
    assert one("loss by by sum") == s.LossStmt(None, name("by"), "sum", None, N)
    assert one("repeat as as as { }") == s.RepeatStmt(name("as"), "as", (), N, N)
    assert one('data "f" split split') == s.DataFileStmt("f", name("split"), N, N)
    assert one("split = a") == s.EquationStmt((name("split"),), a, N)


# ---------------------------------------------------------------------------------------
# Spans


def test_everything_has_its_span() -> None:
    file = tree(SAMPLE)
    waiting: list[object] = list(file.statements)
    count = 0
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting += node
        if not hasattr(node, "__dataclass_fields__"):
            continue
        count += 1
        span = node.span
        assert span.source.text is SAMPLE
        assert 0 <= span.start < span.end <= len(SAMPLE)
        for field in node.__dataclass_fields__:
            inner = getattr(node, field)
            if field != "span":
                waiting.append(inner)
            if hasattr(inner, "span"):
                assert span.start <= inner.span.start and inner.span.end <= span.end
        if isinstance(node, s.Name):
            assert node.name in span.text
        if isinstance(node, s.Member):
            assert node.name_span.text == node.name
        if isinstance(node, s.Binary):
            assert node.op_span.text == node.op
    assert count > 200


def test_span_of_parentheses_takes_them_in() -> None:
    value = expr("(a + b) * c")
    assert value.span.text == "(a + b) * c"
    assert isinstance(value, s.Binary) and value.left.span.text == "(a + b)"


def test_spans_with_byte_order_mark_and_crlf() -> None:
    file = tree("\ufeffa = b\r\n# note \r\nc = a\r\n")
    assert [st_.span.text for st_ in file.statements] == ["a = b", "c = a"]
    assert [(k.text, k.alone) for k in file.comments] == [("# note", True)]


def test_comments_are_kept_in_order() -> None:
    file = tree("# 1\na = f(b, # 2\n c) # 3\nblock f() { # 4\n# 5\n}\n# 6")
    assert [k.text for k in file.comments] == [f"# {n}" for n in range(1, 7)]
    assert [k.alone for k in file.comments] == [True, False, False, False, True, True]


# ---------------------------------------------------------------------------------------
# Line breaks

JOINED = ["a = f(\nb\n,\nc\n)", "a =\n\nb", "a = b +\n # note\n c", "a = b\n  |> f\n # n\n |> g"]
JOINED += ["a = [\n[1, 2],\n[3, 4],\n]", "a = b <\n c and\n d", "a -[\n1\n]->\n b", "a,\nb -> c"]


@pytest.mark.parametrize("text", JOINED)
def test_line_breaks_that_end_nothing(text: str) -> None:
    flat = re.sub(r"#.*", "", text).replace("\n", " ")
    assert tree(text) == tree(flat)


def test_statements_end_at_line_ends_and_semicolons() -> None:
    assert len(tree("a = b; b = c;\n\n;c = a").statements) == 3
    assert len(tree("a = b\nb = c").statements) == 2


def test_trailing_comma_ends_a_statement_before_a_statement_word() -> None:
    assert len(tree("size D = 3,\nsize H = 4").statements) == 2
    assert len(tree("input x,\n  y").statements) == 1


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
    assert after == s.EquationStmt((c,), a, N)


def test_bad_header_skips_the_body() -> None:
    text = "block f(x : [d) -> [d] {\n  a = x\n  return a\n}\nc = a\n"
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert len(found.items) == 1
    assert file.statements == (s.EquationStmt((c,), a, N),)


def test_bad_rows_are_reported_one_by_one() -> None:
    text = "data { a | b\n 1 | 1\n 1 $ 2\n 2 | = \n 3 | 3\n}\nc = a\n"
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert [d.span.line for d in found.sorted()] == [3, 4]
    table, _ = file.statements
    assert isinstance(table, s.DataTableStmt)
    assert [row.inputs for row in table.rows] == [(num(1),), (num(1),), (num(3),)]


def test_error_inside_brackets_over_several_lines() -> None:
    text = "a = f(b,\n  c d,\n  e)\nb = = a\ntrain adam(\n  lr=0.1\n  beta=2\n)\nc = a\n"
    found = Diagnostics()
    file = parse(Source("t.flow", text), found)
    assert [d.span.line for d in found.sorted()] == [2, 4, 7]
    assert file.statements[-1] == s.EquationStmt((c,), a, N)


def test_keyword_arguments_named_like_statements_close_nothing() -> None:
    assert one("q = f(\n  size=3,\n  train = a,\n)") == s.EquationStmt(
        (name("q"),), call("f", size=num(3), train=a), N
    )


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
@given(st.text())
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
    monkeypatch.setattr(parse_module, "__file__", str(package / "parse.py"))
    assert grammar_path() == (package / "grammar" / "flow.lark").resolve()


def test_every_rule_has_its_callback() -> None:
    from flowgraph.parse_build import TreeBuilder

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


def test_raise_errors_carries_them_all() -> None:
    with pytest.raises(FlowError) as raised:
        tree("a = = b\nc = )")
    assert len(raised.value.diagnostics) == 2
