"""Text to syntax tree: every form of the language, spans and line breaks."""

from __future__ import annotations

import re

import pytest
from parsing import SAMPLE, errors, tree

from flowgraph import syntax as s
from flowgraph.parse import STATEMENT_WORDS


def one(text: str) -> s.Stmt:
    """The only statement of a text."""
    (statement,) = tree(text).statements
    return statement


def expr(text: str) -> s.Expr:
    statement = one(f"q = {text}")
    assert isinstance(statement, s.EquationStmt)
    return statement.value


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
    'wires W from "edges.csv"': s.WiresStmt("W", "edges.csv", N, N, N),
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
    assert set(STATEMENT_WORDS) - first == {"return"}


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
