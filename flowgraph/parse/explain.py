"""Words for syntax errors: what was expected, what was found, and the cure.

Assumes a `Mistake` as `parse_run` collects it at the point where the parser cannot go on. Promises
exactly one diagnostic for each, in words rather than names of tokens. What no rule for characters
(`parse_characters`) or slips (`parse_slips`) knows is explained from the set of tokens that could
have stood there.
"""

from __future__ import annotations

from typing import Any

from ..errors import Diagnostics, Source, Span
from .characters import CHARACTER_RULES
from .mistake import Bracket, Mistake, described, form_of, last_text, word_at
from .slips import SLIPS

_PRINTED = {
    "RPAR": "`)`",
    "RSQB": "`]`",
    "RBRACE": "`}`",
    "COMMA": "`,`",
    "EQUAL": "`=`",
    "ARROW": "`->`",
    "WIRE": "`-[`",
    "COLON": "`:`",
    "LPAR": "`(`",
    "LSQB": "`[`",
    "LBRACE": "`{`",
    "AS": "`as`",
    "SPLIT": "`split`",
    "FROM": "`from`",
    "BY": "`by`",
    "VBAR": "`|`",
    "NL": "the end of the line",
}

# What has to follow some tokens at which a line may end.
_WANTED = {
    "ARROW": "the name of a circle",
    "PIPE": "the name of an operation",
    "COMMA": "another item",
}

_OPERATORS = frozenset(("PLUS", "STAR", "SLASH", "PERCENT", "AT", "CIRCUMFLEX", "CMP", "AND", "OR", "PIPE"))


def explain(mistake: Mistake, found: Diagnostics) -> None:
    """Report one syntax error: E0003 to E0007."""
    rules = CHARACTER_RULES if not mistake.kind else SLIPS
    for rule in rules:
        if rule(mistake, found):
            return
    _explain_expected(mistake, found)


def explain_open_bracket(source: Source, found: Diagnostics, bracket: Bracket, line: int | None) -> None:
    """Report a bracket that is still open at the offset `line`, or (None) at the end of the file."""
    opener = source.text[bracket.start]
    where = "here a new statement begins"
    label = [] if line is None else [(Span(source, line, line + len(word_at(source.text, line))), where)]
    found.report(
        "E0006",
        f"`{opener}` is never closed",
        Span(source, bracket.start, bracket.start + 1),
        "opened here",
        labels=label,
        help=f"close it with `{bracket.closer}`",
    )


def explain_unfinished(source: Source, found: Diagnostics, last: Any, line: int) -> None:
    """Report a line that ends in the operator `last`, although a new statement begins at `line`."""
    what = _WANTED.get(last.type, "an expression")
    word = word_at(source.text, line)
    found.report(
        "E0004",
        f"expected {what} after `{last.value}`",
        Span(source, last.end_pos, last.end_pos + 1),
        "the line ends here",
        labels=[(Span(source, line, line + len(word)), "here a new statement begins")],
        help="finish the statement before the next one begins",
    )


def _explain_expected(m: Mistake, found: Diagnostics) -> None:
    """The general case: what could have stood here, and what does."""
    at_end = m.kind in ("NL", "$END")
    expected = _expected(m)
    after = f" after {last_text(m)}" if m.last is not None and m.start != m.begin else ""
    message = f"expected {expected}{after}"
    found_label = "the line ends here" if at_end else f"found {described(m.kind, m.value)}"
    span = Span(m.source, m.start, m.start + 1) if at_end else m.span
    found.report("E0004", message, span, found_label, help=_cure(m))


def _cure(m: Mistake) -> str:
    if m.brackets and m.brackets[-1].closer != "}":
        opened = m.brackets[-1]
        if m.accepts & {"COMMA"} and m.kind in ("NAME", "NUMBER", "STRING", "LSQB", "LPAR"):
            return "separate the items by `,`"
        if opened.closer not in "]" and m.kind == "COLON":
            return "an argument is given a name by `=`: `f(x, axis=0)`"
        if opened.closer == ")" and m.kind == "COMMA":
            return "a list is written in square brackets: `[a, b]`"
    if m.start == m.begin:
        return "a statement begins with a name, with `1`, or with a word such as `node` or `input`"
    return form_of(m) or _statement_form(m)


def _statement_form(m: Mistake) -> str:
    if m.last_is_first and m.last_kind == "NAME":
        return "a name begins an equation `h = ...` or a wire `x -[0.5]-> h`"
    if m.kind == "NL":
        return "finish the statement, or end its line in an operator or comma to go on in the next"
    return "write equations as `h = sigmoid(W @ x + b)` and wires as `x -[0.5]-> h`"


def _expected(m: Mistake) -> str:
    """The tokens that could stand here, in words, the likeliest first."""
    accepts = m.accepts
    if m.start == m.begin and "NODE" in accepts:
        return "a statement"
    if m.last is not None and m.last_is_first and m.last_kind == "NAME" and "WIRE" in accepts:
        return "`=`, `->` or `-[`"
    words = []
    if {"NUMBER", "LPAR"} <= accepts:
        words.append("an expression")
    elif "KIND" in accepts:
        words.append("a type such as `[3]`, `int` or `class(10)`")
        accepts = accepts - {"LSQB"}
    elif "SIGNED" in accepts:
        words.append("a value")
    elif "NAME" in accepts:
        of_operation = m.last_kind in ("COLON", "PIPE", "TRAIN", "EQUAL")
        words.append("the name of an operation" if of_operation else "a name")
    if "STRING" in accepts and not {"NUMBER", "SIGNED"} & accepts:
        words.append("a string")
    if "NUMBER" in accepts and "LPAR" not in accepts and "NAME" in accepts:
        words = ["the name of a circle"]
    operand_before = accepts & _OPERATORS
    leave = {"LPAR", "LSQB", "COMMA"} if operand_before else set()
    if m.brackets and m.brackets[-1].closer != "}":
        leave = leave - {"COMMA"}
    elif operand_before:
        words.append("an operator")
    if operand_before:
        leave.add("EQUAL")
    if words and not operand_before:
        leave |= {"RPAR", "RSQB", "LSQB", "LPAR", "COLON", "NL", "COMMA", "LBRACE", "VBAR"}
    words += [text for kind, text in _PRINTED.items() if kind in accepts and kind not in leave]
    words = words[:5] or ["something else"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
