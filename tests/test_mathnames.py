"""Names as mathematics."""

from __future__ import annotations

import pytest

from flowgraph.mathnames import GREEK, latex_name, latex_text, unicode_name

UNICODE = {
    "xi_1": "ξ₁",
    "xi": "ξ",
    "sigma": "σ",
    "h1": "h₁",
    "W_2": "W₂",
    "x_max": "x_max",
    "w_x1_h1": "w_x1_h1",
    "h.0.attn.weight": "h.0.attn.weight",
    "xi_h1": "ξ_h1",
    "x_": "x_",
    "u(2)": "u⁽²⁾",
}
LATEX = {
    "xi_1": r"\xi_{1}",
    "xi": r"\xi",
    "h1": r"h_{1}",
    "h12": r"h_{12}",
    "W_2": r"W_{2}",
    "x": "x",
    "loss": r"\mathrm{loss}",
    "x_max": r"x_{\mathrm{max}}",
    "xi_h1": r"\xi_{h_{1}}",
    "w_x1_h1": r"w_{x_{1}\,h_{1}}",
    "w_x_h": r"w_{x\,h}",
    "x_1_2": r"x_{1,2}",
    "layer4_0": r"\mathrm{layer}_{4,0}",
    "conv2d": r"\mathrm{conv2d}",
    "omicron": "o",
    "x_": r"\mathrm{x\_}",
    "a__b": r"\mathrm{a\_\_b}",
    "h[2]": "h[2]",
    "u(2)": "u^{(2)}",
    "h1(12)": "h_{1}^{(12)}",
    "h1[2]": r"h_{1}[2]",
    "h.weight": r"h.\mathrm{weight}",
    "h.0.attn.weight": r"h.0.\mathrm{attn.weight}",
    "h.11.attn.c_attn.weight": r"h.11.\mathrm{attn}.c_{\mathrm{attn}}.\mathrm{weight}",
    "conv1.bias": r"\mathrm{conv}_{1}.\mathrm{bias}",
}


@pytest.mark.parametrize("name", UNICODE)
def test_a_name_in_unicode(name: str) -> None:
    assert unicode_name(name) == UNICODE[name]


@pytest.mark.parametrize("name", LATEX)
def test_a_name_in_latex(name: str) -> None:
    assert latex_name(name) == LATEX[name]


def test_mathtext_sets_every_name() -> None:
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    for name in (*LATEX, *UNICODE, *GREEK, *(f"{letter}_1" for letter in GREEK)):
        parser.parse(f"${latex_name(name)}$")


def test_no_character_of_a_name_is_lost() -> None:
    for name in LATEX:
        if name != "omicron":
            kept = latex_name(name).replace(r"\mathrm", "").replace(r"\,", "")
            assert "".join(filter(str.isalnum, kept)) == "".join(filter(str.isalnum, name))


def test_text_is_made_safe_for_latex() -> None:
    assert latex_text("50% & a_b {x} #1 $2 ^ ~ \\") == (
        r"50\% \& a\_b \{x\} \#1 $\$$2 \^{} \~{} $\backslash$"
    )
