"""Explains slips that are common enough to have a cure of their own: tokens in the wrong place.

Assumes a `Mistake` at a token. Each rule knows one slip and returns whether it was that; they are
tried in the order of `SLIPS`, the more certain ones first.
"""

from __future__ import annotations

from ..errors import Diagnostics, Span, did_you_mean, shorten
from .exprs import STATEMENT_WORDS
from .mistake import FORMS, PAIRS, Mistake, Rule, described, form_of, last_text

_OTHER_LANGUAGES = {
    "def": "a function is a block: `block f(x) { return x }`",
    "fn": "a function is a block: `block f(x) { return x }`",
    "function": "a function is a block: `block f(x) { return x }`",
    "class": "a part of a network is a block: `block f(x) { return x }`",
    "import": 'blocks of another file come by `use "blocks.flow" as lib`',
    "from": 'blocks of another file come by `use "blocks.flow" as lib`',
    "include": 'blocks of another file come by `use "blocks.flow" as lib`',
    "if": "a choice is an expression: `y = where(c, a, b)`",
    "else": "a choice is an expression: `y = where(c, a, b)`",
    "elif": "a choice is an expression: `y = where(c, a, b)`",
    "for": "a repetition is written `repeat 12 as h { ... }`",
    "while": "a repetition is written `repeat 12 as h { ... }`",
    "assert": 'a check is written `require D > 0, "D must be positive"`',
    "print": "what is to be seen is named by `output`",
    "let": "an equation needs no word before it: `h = ...`",
    "var": "an equation needs no word before it: `h = ...`",
    "val": "an equation needs no word before it: `h = ...`",
    "wires": "wires need no word before them: `x -[0.5]-> h`",
}


def _closer(m: Mistake, found: Diagnostics) -> bool:
    if m.kind not in ("RPAR", "RSQB", "RBRACE"):
        return False
    opened = m.brackets[-1] if m.brackets else None
    if opened is not None and opened.closer == m.value:
        return False
    if opened is None or (opened.closer == "}" and m.value != "}"):
        found.report("E0006", f"`{m.value}` closes nothing", m.span, help="delete it")
        return True
    opener = m.source.text[opened.start]
    found.report(
        "E0006",
        f"`{m.value}` does not close `{opener}`",
        m.span,
        labels=[(Span(m.source, opened.start, opened.start + 1), "opened here")],
        help=f"close it with `{opened.closer}`",
    )
    return True


def _reserved(m: Mistake, found: Diagnostics) -> bool:
    """A statement word where a statement's subject is meant: `loss = mse(z, y)`."""
    if not m.last_is_first or m.last_kind.lower() not in STATEMENT_WORDS:
        return False
    if m.kind not in ("EQUAL", "ARROW", "WIRE", "COMMA", "DOT"):
        return False
    word = m.last.value
    found.report(
        "E0007",
        f"`{word}` is reserved and cannot name a thing",
        m.last_span,
        "this word begins a statement",
        help=f"choose another name, such as `{word}_1`; the statement reads `{FORMS[word]}`",
    )
    return True


def _pair(m: Mistake, found: Diagnostics) -> bool:
    """Two characters that form an operator elsewhere: `**`, `:=`, `=>`."""
    text = m.source.text
    starts = [m.last.start_pos] if m.touches and m.last.end_pos - m.last.start_pos == 1 else []
    for start in (*starts, m.start):
        pair = text[start : start + 2]
        cure = PAIRS.get(pair)
        if cure:
            end = start + 3 if text[start : start + 3] == "-->" else start + 2
            span = Span(m.source, start, end)
            found.report("E0004", f"`{span.text}` is not used here", span, help=cure)
            return True
    return False


def _other_language(m: Mistake, found: Diagnostics) -> bool:
    word = m.first_word
    if word not in _OTHER_LANGUAGES or not (m.start == m.begin or m.last_is_first):
        return False
    if m.kind in ("EQUAL", "ARROW", "WIRE"):
        return False
    found.report(
        "E0004",
        f"no statement begins with `{word}`",
        Span(m.source, m.begin, m.begin + len(word)),
        help=_OTHER_LANGUAGES[word],
    )
    return True


def _number(m: Mistake, found: Diagnostics) -> bool:
    """Numbers written in a way that Flow does not know: `2x`, `.5`, `5.`."""
    text = m.source.text
    digit_before = m.start > 0 and text[m.start - 1].isdigit()
    if m.kind == "DOT" and text[m.end : m.end + 1].isdigit() and not digit_before:
        found.report("E0004", "a number has a digit before its point", m.span, help="write `0.5` for `.5`")
        return True
    if m.last_kind == "DOT" and text[m.last.start_pos - 1].isdigit() and m.kind != "NAME":
        found.report(
            "E0004", "a number has a digit after its point", m.last_span, help="write `5.0` for `5.`"
        )
        return True
    if m.last_kind not in ("NUMBER", "SIGNED") or not m.touches or m.kind != "NAME":
        return False
    before = m.last.value
    cure = f"write `{shorten(before)} * {shorten(m.value)}`"
    if m.value[0] in "xXbBoO" and before == "0":
        cure = "numbers are written in decimal digits"
    span = Span(m.source, m.last.start_pos, m.end)
    found.report("E0004", "a name cannot follow a number directly", span, help=cure)
    return True


def _weight(m: Mistake, found: Diagnostics) -> bool:
    """`x -0.5-> h` and a second arrow in one statement."""
    if m.kind in ("MINUS", "SIGNED") and "WIRE" in m.accepts:
        found.report(
            "E0004",
            "expected an arrow",
            m.span,
            help="a weight stands in square brackets: `x -[0.5]-> h`",
        )
        return True
    if m.kind in ("ARROW", "WIRE") and "NL" in m.accepts:
        found.report(
            "E0004",
            "an arrow cannot stand here",
            m.span,
            help="a statement has one arrow, from circles to circles: "
            "write `x -> h` and `h -> y` on lines of their own",
        )
        return True
    return False


def _train(m: Mistake, found: Diagnostics) -> bool:
    """`train epochs=3`."""
    if m.first_word != "train" or m.kind != "EQUAL" or "LPAR" not in m.accepts:
        return False
    found.report(
        "E0004",
        "expected an optimiser after `train`",
        m.last_span,
        help=f"name it first, such as `{FORMS['train']}`",
    )
    return True


def _lone_call(m: Mistake, found: Diagnostics) -> bool:
    if m.kind != "LPAR" or m.last_kind != "NAME" or not m.last_is_first:
        return False
    name = shorten(m.last.value)
    near = did_you_mean(m.last.value, STATEMENT_WORDS)
    found.report(
        "E0004",
        "a call alone is not a statement",
        m.last_span.to(m.span) if m.last_span else m.span,
        help=near or f"name its result: `h = {name}(...)`",
    )
    return True


def _called_value(m: Mistake, found: Diagnostics) -> bool:
    if m.kind != "LPAR" or m.last_kind not in ("RPAR", "RSQB", "NUMBER", "STRING"):
        return False
    found.report(
        "E0004",
        "only a name can be called",
        m.span,
        f"this would call {described(m.last_kind, m.last.value)}",
        help="a product is written with `*`, a call with the name of an operation before it",
    )
    return True


def _comparison(m: Mistake, found: Diagnostics) -> bool:
    """`require D = 4`."""
    if m.kind != "EQUAL" or "CMP" not in m.accepts:
        return False
    found.report("E0004", "`=` cannot stand here", m.span, help="equality is tested by `==`")
    return True


def _misspelt_word(m: Mistake, found: Diagnostics) -> bool:
    """`nod h : step`, `z W @ h`: the statement's first word is followed by something odd."""
    if not m.last_is_first or m.last_kind != "NAME" or m.kind in ("NL", "EQUAL"):
        return False
    near = did_you_mean(m.last.value, STATEMENT_WORDS)
    if not near or m.kind not in ("NAME", "STRING", "NUMBER", "LBRACE"):
        return False
    found.report(
        "E0004",
        f"no statement begins with `{shorten(m.last.value)}`",
        m.last_span,
        help=near,
    )
    return True


def _second_statement(m: Mistake, found: Diagnostics) -> bool:
    if "NL" not in m.accepts or m.last is None:
        return False
    begins = m.kind in ("NAME", "NUMBER", "WILD") or m.kind.lower() in STATEMENT_WORDS
    if not begins or (m.brackets and m.brackets[-1].closer != "}"):
        return False
    if m.last_is_first:
        return False
    found.report(
        "E0004",
        f"expected an operator or the end of the statement after {last_text(m)}",
        m.span,
        f"found {described(m.kind, m.value)}",
        help=form_of(m) or "begin a new line, or separate statements by `;`",
    )
    return True


SLIPS: tuple[Rule, ...] = (
    _closer,
    _reserved,
    _pair,
    _other_language,
    _number,
    _weight,
    _train,
    _lone_call,
    _called_value,
    _comparison,
    _misspelt_word,
    _second_statement,
)
