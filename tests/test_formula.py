"""Formulas: parentheses where they are needed, in LaTeX and in Unicode."""

from __future__ import annotations

import pytest
from matplotlib.mathtext import MathTextParser

from flowgraph.formula import Apply, Big, Formula, Fraction, Minus, Script, Symbol, T
from flowgraph.formula.make import derivative, filled, infix, literal, name, number, shortened, weighted, word
from flowgraph.formula.read import read

X, Y, Z, W = map(name, "xyzW")
D = derivative(name("L"), name("f_1"))
HALF = Fraction(number(1), number(2))

WRITTEN: list[tuple[Formula, str, str]] = [
    (infix("-", X, infix("-", Y, Z)), "x − (y − z)", "x - (y - z)"),
    (infix("+", X, infix("-", Y, Z)), "x + y − z", "x + y - z"),
    (infix("-", infix("-", X, Y), Z), "x − y − z", "x - y - z"),
    (infix("+", X, Minus(Y)), "x − y", "x - y"),
    (infix("-", X, Minus(Y)), "x − (−y)", "x - (-y)"),
    (infix("", Minus(X), Y), "−x y", r"-x\, y"),
    (infix("", infix("+", X, Y), Z), "(x + y) z", r"(x + y)\, z"),
    (infix("", X, infix("+", Y, Z)), "x · (y + z)", r"x \cdot (y + z)"),
    (infix("", number(2), infix("+", Y, Z)), "2 (y + z)", r"2\, (y + z)"),
    (infix("", X, number(2)), "2 x", r"2\, x"),
    (infix("", number(2), number(3)), "2 · 3", r"2 \cdot 3"),
    (infix("", W, infix("o", X, Y)), "W · (x ⊙ y)", r"W \cdot (x \odot y)"),
    (infix("o", infix("", W, X), Y), "(W x) ⊙ y", r"(W\, x) \odot y"),
    (infix("o", X, infix("o", Y, Z)), "x ⊙ y ⊙ z", r"x \odot y \odot z"),
    (Fraction(infix("+", X, Y), infix("+", Y, Z)), "(x + y) / (y + z)", r"\frac{x + y}{y + z}"),
    (infix("", X, Fraction(Y, Z)), "x · (y / z)", r"x\, \frac{y}{z}"),
    (infix("", HALF, Big("sum", X)), "1/2 Σ x", r"\frac{1}{2}\, \sum x"),
    (infix("", Big("sum", X), Y), "(Σ x) y", r"\left( \sum x \right)\, y"),
    (Script(infix("+", X, Y), above=number(2)), "(x + y)²", "(x + y)^{2}"),
    (Script(Script(X, above=number(2)), above=Y), "(x²)^y", "(x^{2})^{y}"),
    (Script(name("x_1"), below=Y), "x₁_y", "{x_{1}}_{y}"),
    (Script(W, above=T), "Wᵀ", "W^{T}"),
    (infix("", D, X), "∂L/∂f₁ · x", r"\frac{\partial L}{\partial f_{1}}\, x"),
    (Script(D, above=number(2)), "(∂L/∂f₁)²", r"\left( \frac{\partial L}{\partial f_{1}} \right)^{2}"),
    (derivative(name("L"), infix("", W, X)), "∂L/∂(W x)", r"\frac{\partial L}{\partial (W\, x)}"),
    (infix("<", number(0), X), "x > 0", "x > 0"),
    (infix("=", infix("<", X, Y), Z), "(x < y) = z", "(x < y) = z"),
    (infix("and", infix("=", X, Y), infix("<", X, Y)), "x = y ∧ x < y", r"x = y \wedge x < y"),
    (
        Apply(word("f", "function"), (X,), (("axis", number(-1)),)),
        "f(x, axis=−1)",
        r"\operatorname{f}(x,\, \mathrm{axis} = -1)",
    ),
]


@pytest.mark.parametrize(("formula", "text", "latex"), WRITTEN, ids=[text for _, text, _ in WRITTEN])
def test_a_formula_is_written(formula: Formula, text: str, latex: str) -> None:
    assert (formula.text(), formula.latex()) == (text, latex)
    MathTextParser("path").parse(f"${latex}$")


NUMBERS = {
    0.5: "0.5",
    3: "3",
    -1.5: "−1.5",
    1e-5: "10⁻⁵",
    2.5e-7: "2.5 · 10⁻⁷",
    1 / 3: "0.333333",
    123456789: "123456789",
    float("inf"): "∞",
    float("-inf"): "−∞",
    float("nan"): "nan",
    True: "true",
}


@pytest.mark.parametrize("value", list(NUMBERS), ids=str)
def test_a_number_is_written(value: float) -> None:
    assert number(value).text() == (NUMBERS[value] if value == value else "nan")
    MathTextParser("path").parse(f"${number(value).latex()}$")
    assert number(3.0) == number(3)


def test_a_template_is_filled_with_parentheses_where_its_places_need_them() -> None:
    total = infix("+", X, Y)
    assert filled(read(r"\sigma({x}) + {x} {y}"), {"x": total, "y": Z}).text() == "σ(x + y) + (x + y) z"
    assert filled(read(r"e^{{{x}}} - \frac{{1}}{{{x}}}"), {"x": total}).text() == "e^(x + y) − 1 / (x + y)"
    assert filled(read("{x}[{i}, 1:T]"), {"x": X, "i": Y}).text() == "x[y, 1:T]"
    assert filled(read("{{{x}}}^T"), {"x": Script(W, above=T)}) == W, "turned twice"


@pytest.mark.parametrize("template", [r"\unknown({x})", "({x}", "{x} +", r"\frac{{1}}", "{x} )", "{x}[0"])
def test_latex_that_is_not_understood_is_refused(template: str) -> None:
    with pytest.raises(ValueError):
        read(template)


def test_long_sums_show_their_first_terms_and_the_last() -> None:
    given = {f"xs[{i}]": name(f"x_{i}") for i in range(20)}
    assert filled(read(weighted([1, -2], 0.5)), given).text() == "0.5 + x₀ − 2 x₁"
    assert filled(read(weighted([-1.0] * 20, None)), given).text() == "−x₀ − x₁ − x₂ + … − x₁₉"
    assert literal(1e-6) == "10^{{-6}}"


def test_many_items_are_shortened() -> None:
    assert [str(i) for i in shortened([X] * 9, 8)] == ["x", "x", "x", "…", "x"]
    assert shortened([X, Y], 8) == (X, Y)
    assert Symbol("x", "x").slots() == []
