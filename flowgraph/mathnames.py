"""Names of a diagram as mathematics: Unicode for terminals, LaTeX for papers and pictures.

Assumes names as the language and the compiler make them: identifiers, joined by dots (`h.0.attn.weight`)
and perhaps followed by an index (`h[2]`) or by how often the name was bound (`u(2)`). Promises LaTeX
that both pdflatex (with amsmath) and matplotlib's mathtext set in math mode, and that no letter or digit
of a name is lost.
"""

from __future__ import annotations

import re

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "omicron": "ο", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ",
    "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ",
    "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("0123456789()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾")
WORD = re.compile(r"([A-Za-z]+)([0-9]*)\Z")
INDEXED = re.compile(r"(.*[^\[])(\[[^\[\]]*\])\Z")
AGAIN = re.compile(r"(.*)(\([0-9]+\))\Z")
SPECIAL = {
    "\\": r"$\backslash$", "{": r"\{", "}": r"\}", "$": r"$\$$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\^{}", "~": r"\~{}", "<": "$<$",
    ">": "$>$", "|": "$|$", "…": r"\ldots{}", "−": "$-$", "≥": r"$\geq$", "≤": r"$\leq$",
    "·": r"$\cdot$", "—": "---", "–": "--", "’": "'", "“": "``", "”": "''", "\n": " ",
    **{letter: "o" if name == "omicron" else f"$\\{name}$" for name, letter in GREEK.items()},
}  # fmt: skip


def unicode_name(name: str) -> str:
    """A name in Unicode: `xi_1` is ξ₁, `sigma` is σ, `h1` is h₁; a dotted name stays as it is spelt."""
    again = AGAIN.match(name)
    if again is not None:
        return unicode_name(again[1]) + again[2].translate(SUPERSCRIPTS)
    if "." in name:
        return name
    head, _, tail = name.partition("_")
    digits = re.match(r"(.*?)(\d*)\Z", head)
    assert digits is not None
    base, number = digits.groups()
    out = GREEK.get(base, base) + number.translate(SUBSCRIPTS)
    if not tail:
        return out if len(head) == len(name) else f"{out}_"
    return out + (tail.translate(SUBSCRIPTS) if tail.isdigit() else f"_{tail}")


def latex_name(name: str) -> str:
    r"""A name in LaTeX's math mode: `xi_1` is \xi_{1}, `x_max` is x_{\mathrm{max}}, `h.0.attn.weight` is
    h.0.\mathrm{attn.weight}, and `w_x1_h1` is w_{x_{1} h_{1}}, as a weight between two nodes is written."""
    again = AGAIN.match(name)
    if again is not None:
        return f"{latex_name(again[1])}^{{{again[2]}}}"
    indexed = INDEXED.match(name)
    if indexed is not None:
        return latex_name(indexed[1]) + indexed[2]
    if "." not in name:
        return _part(name)
    joined = ".".join(map(_part, name.split(".")))
    return joined.replace(r"}.\mathrm{", ".") if "_" not in joined else joined


def _part(name: str) -> str:
    """A name without dots: what comes before the first `_`, with the rest below it."""
    head, *subscripts = name.split("_")
    if not all((head, *subscripts)):  # `x_`, `a__b`
        return latex_word(name)
    split = WORD.match(head)
    if split is None:
        return _join(latex_word(head), [_below(s) for s in subscripts])
    letters, digits = split.groups()
    return _join(_letters(letters), [*([digits] if digits else []), *map(_below, subscripts)])


def _join(base: str, below: list[str]) -> str:
    if not below:
        return base
    apart = "," if any(b.isdigit() for b in below) else r"\,"
    return f"{base}_{{{apart.join(below)}}}"


def _below(word: str) -> str:
    """A word in a subscript, where it may have a subscript of its own."""
    split = WORD.match(word)
    if split is None:
        return word if word.isdigit() else latex_word(word)
    letters, digits = split.groups()
    return _letters(letters) + (f"_{{{digits}}}" if digits else "")


def _letters(letters: str) -> str:
    """A Greek letter, a single letter in italics, or a word upright."""
    if letters in GREEK:
        return "o" if letters == "omicron" else f"\\{letters}"  # LaTeX has no \omicron
    return letters if len(letters) == 1 else latex_word(letters)


def latex_word(word: str) -> str:
    r"""A word set upright in math mode: `leaky_relu` is \mathrm{leaky\_relu}."""
    if word.isdigit():
        return word
    return f"\\mathrm{{{word.replace('_', chr(92) + '_')}}}"


def latex_text(text: str) -> str:
    r"""Any text made safe for LaTeX's text mode: `50% & more` is 50\% \& more, `…` is \ldots{}.

    A letter that pdflatex does not have by itself is written as its number, U+4E2D.
    """
    return "".join(SPECIAL.get(c) or (c if ord(c) < 0x180 else f"U+{ord(c):04X}") for c in text)
