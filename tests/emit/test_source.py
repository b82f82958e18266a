"""The printer of emitted code: never a wrong parenthesis, never a line the formatter moves."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowgraph.emit import source

NAMES = st.sampled_from(["x", "h1", "W", "xi_h1", "params", "f_linear_2_weight"])
BINARY = st.sampled_from([ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult, ast.Pow, ast.Mod])
COMPARE = st.sampled_from([ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq])


def expressions() -> st.SearchStrategy[ast.expr]:
    leaves = st.one_of(
        NAMES.map(lambda n: ast.Name(n, ast.Load())),
        st.integers(0, 10**6).map(ast.Constant),
        st.floats(0, 1e6, allow_nan=False).map(lambda v: ast.Constant(abs(v))),
        st.booleans().map(ast.Constant),
    )

    def more(inner: st.SearchStrategy[ast.expr]) -> st.SearchStrategy[ast.expr]:
        lists = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            st.builds(lambda op, a, b: ast.BinOp(a, op(), b), BINARY, inner, inner),
            st.builds(lambda a: ast.UnaryOp(ast.USub(), a), inner),
            st.builds(lambda a: ast.UnaryOp(ast.Not(), a), inner),
            st.builds(lambda op, a, b: ast.Compare(a, [op()], [b]), COMPARE, inner, inner),
            st.builds(lambda a, b: ast.BoolOp(ast.And(), [a, b]), inner, inner),
            st.builds(lambda a, n: ast.Attribute(a, n, ast.Load()), inner, NAMES),
            st.builds(
                lambda n, args, v: ast.Call(ast.Name(n, ast.Load()), args, [ast.keyword("axis", v)]),
                NAMES,
                lists,
                inner,
            ),
            st.builds(lambda a, i: ast.Subscript(a, i, ast.Load()), inner, inner),
            st.builds(
                lambda a, lo, hi: ast.Subscript(a, ast.Slice(lo, hi), ast.Load()),
                inner,
                st.none() | inner,
                st.none() | inner,
            ),
            lists.map(lambda e: ast.Tuple(e, ast.Load())),
            lists.map(lambda e: ast.List(e, ast.Load())),
        )

    return st.recursive(leaves, more, max_leaves=12)


@given(expressions())
@settings(max_examples=400, deadline=None)
def test_text_parses_back_to_the_tree(tree: ast.expr) -> None:
    again = ast.parse(source.text(tree), mode="eval").body
    assert ast.dump(again) == ast.dump(tree)


def parse(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


STATEMENTS = [
    "(a + b) * c ** -d @ e",
    "-x ** 2 + (-x) ** 2 + x ** -y + x ** -2 + (x ** y) ** 2 + (-2) ** x",
    "a - (b - c) - (d + e)",
    "f(x)[1:, 0].astype(np.float32) ** 2",
    "x[a + 1 :, : b * 2, f(x) : 3]",
    "(not a) and (b or c)",
    "np.stack([alpha_one, alpha_two, alpha_three, alpha_four, alpha_five, alpha_six], axis=-1)",
    "first_long_name * second_long_name + third_long_name * fourth_long_name - fifth_long_name * sixth_name",
    "nn.Sequential(OrderedDict(linear=nn.Linear(2, 3), sigmoid=nn.Sigmoid()))",
    "{'first.weight': np.zeros((3, 4)), 'second.weight': rng('second.weight').uniform(-1, 1, (300, 400))}",
    "np.where(condition_with_a_long_name, np.maximum(some_values, other_values), np.minimum(some_values, 1))",
    "[[1.5, -2.0], [0.25, 1e-05]]",
    "(3,)",
]


@pytest.fixture(scope="module")
def formatted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for number, text in enumerate(STATEMENTS):
        lines = source.assign("target", parse(text), depth=0)
        inside = ["def function():", *source.assign("target", parse(text)), *source.returns(parse(text))]
        (folder / f"s{number}.py").write_text("\n".join([*lines, "", "", *inside]) + "\n")
    return folder


def test_layout_is_the_formatters(formatted: Path) -> None:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(formatted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_long_sums_stand_one_term_a_line() -> None:
    terms = " + ".join(f"weight_{i} * circle_{i}" for i in range(6))
    lines = source.assign("xi_h", parse(terms))
    assert lines[0] == "    xi_h = ("
    assert lines[2] == "        + weight_1 * circle_1"
    assert lines[-1] == "    )"


def test_comment_goes_above_where_the_line_is_full() -> None:
    value = parse("f(" + "a" * 70 + ")")
    assert source.assign("x", value, note="(N, 3)")[0] == "    # (N, 3)"


def test_a_long_subscript_of_a_sum_keeps_its_parentheses() -> None:
    terms = " + ".join(f"weight_{i} * circle_{i}" for i in range(6))
    value = parse(f"({terms})[:, None]")
    text = textwrap.dedent("\n".join(source.assign("x", value)))
    assert ast.dump(ast.parse(text).body[0].value) == ast.dump(value)
