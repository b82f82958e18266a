"""Words for syntax errors: what was expected, what was found, and the cure.

Assumes a `Mistake` as `parse` collects it at the point where the parser cannot go on. Promises
exactly one diagnostic for each, in words rather than names of tokens. The rules below are tried in
order; each knows one kind of slip and returns whether it was that. What no rule knows is explained
from the set of tokens that could have stood there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

from .errors import Diagnostics, Source, Span, did_you_mean, shorten
from .parse_build import CONSTANTS, STATEMENT_WORDS


class Bracket(NamedTuple):
    """An open bracket: what closes it, where it stands, and the parser's depth once it is read."""

    closer: str
    start: int
    depth: int
    in_table: bool


class Mistake(NamedTuple):
    """The place where the parser cannot go on.

    `kind` is the type of the token found there, or empty for a character that begins no token;
    `last` the token before it, if any; `accepts` the types of all tokens that could stand there;
    `begin` the offset at which the statement begins.
    """

    source: Source
    kind: str
    start: int
    end: int
    last: Any
    accepts: frozenset[str]
    brackets: tuple[Bracket, ...]
    begin: int

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, self.end)

    @property
    def value(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def last_span(self) -> Span | None:
        if self.last is None:
            return None
        return Span(self.source, self.last.start_pos, self.last.end_pos)

    @property
    def last_kind(self) -> str:
        return "NL" if self.last is None else str(self.last.type)

    @property
    def last_is_first(self) -> bool:
        """Whether the token before is the first of its statement."""
        return self.last is not None and self.last.start_pos == self.begin

    @property
    def touches(self) -> bool:
        """Whether nothing stands between the token before and this one."""
        return self.last is not None and self.last.end_pos == self.start

    @property
    def first_word(self) -> str:
        """The word that the statement begins with, or nothing."""
        return _word_at(self.source.text, self.begin)


def _word_at(text: str, at: int) -> str:
    end = at
    while end < len(text) and end < at + 80 and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[at:end]


FORMS = {
    "diagram": 'diagram xor "what it computes"',
    "use": 'use "blocks.flow" as lib',
    "size": "size D = 784, H = 128",
    "const": "const eps = 1e-5",
    "require": 'require D > 0, "D must be positive"',
    "input": "input x : [3], k : int",
    "target": "target y : class(3)",
    "param": "param W : [4, 3] = glorot()",
    "node": "node h1, h2 : step",
    "layer": "layer enc = linear(3, 4)",
    "output": "output p = softmax(z), h",
    "loss": "loss cross_entropy(z, y)",
    "metric": "metric accuracy(z, y)",
    "train": "train sgd(lr=0.1), epochs=20, batch=64",
    "data": "data { x1 x2 | y; 0 1 | 1 }",
    "block": "block f(x : [d]) -> [d] { return x }",
    "repeat": "repeat 12 as h { u = f(u) }",
    "return": "return a, b",
}

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

# Two characters that belong together in another language, and what is meant here.
_PAIRS = {
    "**": "a power is written `a^b`",
    "//": "`//` is not an operator; a whole quotient is `floor(a / b)`, a comment begins with `#`",
    ":=": "an equation is written with `=`",
    "=>": "at least is written `>=`, an arrow `->`",
    "=<": "at most is written `<=`",
    "<>": "unequal is written `!=`",
    "<-": "an arrow points from the source to the destination: `x -> h`",
    "++": "add one by `a + 1`",
    "&&": "write `and`",
    "||": "write `or`",
    "!=": "",
    "+=": "write the equation in full: `a = a + b`",
    "-=": "write the equation in full: `a = a - b`",
    "*=": "write the equation in full: `a = a * b`",
    "/=": "write the equation in full: `a = a / b`",
    "==": "an equation is written with one `=`",
    "--": "an arrow is written `->`",
    "~>": "an arrow is written `->`",
}

_CHARACTERS = {
    "'": 'strings are written in double quotes: "..."',
    "`": 'strings are written in double quotes: "..."',
    "!": "write `not`, or `!=` for unequal",
    "&": "write `and`",
    "~": "write `not`",
    "?": "a choice is written `where(c, a, b)`",
    "$": "names are made of ASCII letters, digits and `_`",
    "\\": "a statement goes on after an operator, a comma, or inside brackets",
    "−": "write the minus sign `-`",
    "–": "write the minus sign `-`",
    "—": "write the minus sign `-`",
    "×": "write `*`",
    "·": "write `*`",
    "⋅": "write `*`",
    "∗": "write `*`",
    "÷": "write `/`",
    "∕": "write `/`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "→": "write `->`",
    "⟶": "write `->`",
    "∧": "write `and`",
    "∨": "write `or`",
    "¬": "write `not`",
    "√": "write `sqrt(x)`",
    "∞": "write `inf`",
    "²": "write `^2`",
    "³": "write `^3`",
    "ᵀ": "write `.T`",
    "“": 'write straight double quotes: "..."',
    "”": 'write straight double quotes: "..."',
    "„": 'write straight double quotes: "..."',
    "«": 'write straight double quotes: "..."',
    "»": 'write straight double quotes: "..."',
    "‘": 'write straight double quotes: "..."',
    "’": 'write straight double quotes: "..."',
    "\u00a0": "this is a non-breaking blank: write an ordinary one",
    "\u202f": "this is a non-breaking blank: write an ordinary one",
    "\u200b": "this blank has no width: delete it",
    "\ufeff": "a byte-order mark stands only at the beginning of a file: delete it",
}

# Letters of other scripts that look like ASCII letters.
_LOOKALIKES = dict(zip("аеорсухіјѕАВЕКМНОРСТХІЈЅ", "aeopcyxijsABEKMHOPCTXIJS", strict=True))

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
    rules = _CHARACTER_RULES if not mistake.kind else _TOKEN_RULES
    for rule in rules:
        if rule(mistake, found):
            return
    _explain_expected(mistake, found)


def explain_open_bracket(source: Source, found: Diagnostics, bracket: Bracket, line: int | None) -> None:
    """Report a bracket that is still open at the offset `line`, or (None) at the end of the file."""
    opener = source.text[bracket.start]
    where = "here a new statement begins"
    label = [] if line is None else [(Span(source, line, line + len(_word_at(source.text, line))), where)]
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
    word = _word_at(source.text, line)
    found.report(
        "E0004",
        f"expected {what} after `{last.value}`",
        Span(source, last.end_pos, last.end_pos + 1),
        "the line ends here",
        labels=[(Span(source, line, line + len(word)), "here a new statement begins")],
        help="finish the statement before the next one begins",
    )


# ---------------------------------------------------------------------------------------
# Characters that begin no token

Rule = Callable[[Mistake, Diagnostics], bool]


def _open_string(m: Mistake, found: Diagnostics) -> bool:
    if m.value != '"':
        return False
    line = m.source.text[m.start :].split("\n", 1)[0].rstrip("\r")
    found.report(
        "E0005",
        "a string is not closed",
        Span(m.source, m.start, m.start + len(line)),
        'no `"` follows in this line',
        help='close it with `"`; a line break inside a string is written \\n',
    )
    return True


def _known_character(m: Mistake, found: Diagnostics) -> bool:
    cure = _CHARACTERS.get(m.value)
    if cure is None:
        return False
    pair = m.source.text[m.start : m.start + 2]
    cure = _PAIRS.get(pair, cure)
    found.report("E0003", f"`{shorten(m.value)}` is not used in Flow", m.span, help=cure)
    return True


def _underscore(m: Mistake, found: Diagnostics) -> bool:
    if m.value != "_":
        return False
    word = _word_at(m.source.text, m.start)
    plain = word.strip("_") or "x"
    if m.last_kind == "NUMBER" and m.touches:
        found.report("E0003", "a number holds no `_`", m.span, help="write `1000` for `1_000`")
        return True
    found.report(
        "E0003",
        "a name begins with a letter",
        Span(m.source, m.start, m.start + len(word)),
        help=f"write `{plain}`" if plain[0].isalpha() and plain.isascii() else "",
    )
    return True


def _foreign_letter(m: Mistake, found: Diagnostics) -> bool:
    """A name with a letter that is not ASCII: show the whole name, and how to spell it."""
    if not m.value.isalpha():
        return False
    text = m.source.text
    start = m.start
    while start > 0 and start > m.start - 80 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    word = _word_at(text, start)
    name = unicodedata.name(m.value, "an unnamed character")
    spelled = "".join(_ascii_letter(c) for c in word)
    fits = spelled.isascii() and spelled.isidentifier() and spelled != word
    found.report(
        "E0003",
        f"`{shorten(word)}` holds `{m.value}`, which is not an ASCII letter",
        Span(m.source, start, start + len(word)),
        f"`{m.value}` is U+{ord(m.value):04X} {name}",
        help="names are made of ASCII letters, digits and `_`" + (f": write `{spelled}`" if fits else ""),
    )
    return True


def _ascii_letter(c: str) -> str:
    """How to spell a character in a name: Greek letters by name, others by what they look like."""
    if c.isascii():
        return c
    if c in _LOOKALIKES:
        return _LOOKALIKES[c]
    parts = unicodedata.name(c, "").split()
    if len(parts) >= 4 and parts[0] == "GREEK" and parts[2] == "LETTER":
        letter = parts[4] if parts[3] == "FINAL" else parts[3]
        name = "LAMBDA" if letter == "LAMDA" else letter
        return name.capitalize() if parts[1] == "CAPITAL" else name.lower()
    plain = "".join(x for x in unicodedata.normalize("NFKD", c) if not unicodedata.combining(x))
    return plain if plain.isascii() else c


def _compatible_character(m: Mistake, found: Diagnostics) -> bool:
    """Full-width and other typographic forms of ASCII characters."""
    plain = unicodedata.normalize("NFKC", m.value)
    if m.value.isascii() or not plain.isascii() or not plain.isprintable():
        return False
    cure = f"write `{plain}`" if plain.strip() else "write an ordinary blank"
    found.report("E0003", f"`{shorten(m.value)}` is not used in Flow", m.span, help=cure)
    return True


def _unknown_character(m: Mistake, found: Diagnostics) -> bool:
    name = unicodedata.name(m.value, "a control character")
    found.report(
        "E0003",
        f"`{shorten(m.value)}` is not used in Flow",
        m.span,
        f"U+{ord(m.value):04X} {name}",
        help="delete it; other characters stand only in strings and comments",
    )
    return True


_CHARACTER_RULES: tuple[Rule, ...] = (
    _open_string,
    _known_character,
    _underscore,
    _foreign_letter,
    _compatible_character,
    _unknown_character,
)


# ---------------------------------------------------------------------------------------
# Tokens in the wrong place


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
        cure = _PAIRS.get(pair)
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
        f"this would call {_described(m.last_kind, m.last.value)}",
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
        f"expected an operator or the end of the statement after {_last(m)}",
        m.span,
        f"found {_described(m.kind, m.value)}",
        help=_form(m) or "begin a new line, or separate statements by `;`",
    )
    return True


_TOKEN_RULES: tuple[Rule, ...] = (
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


# ---------------------------------------------------------------------------------------
# What was expected


def _explain_expected(m: Mistake, found: Diagnostics) -> None:
    """The general case: what could have stood here, and what does."""
    at_end = m.kind in ("NL", "$END")
    expected = _expected(m)
    after = f" after {_last(m)}" if m.last is not None and m.start != m.begin else ""
    message = f"expected {expected}{after}"
    found_label = "the line ends here" if at_end else f"found {_described(m.kind, m.value)}"
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
    return _form(m) or _statement_form(m)


def _form(m: Mistake) -> str:
    form = FORMS.get(m.first_word)
    return f"such a statement reads `{form}`" if form else ""


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


def _last(m: Mistake) -> str:
    return f"`{shorten(m.last.value, 30)}`"


def _described(kind: str, value: str) -> str:
    """A token in words."""
    shown = f"`{shorten(value, 30)}`"
    if kind in ("NL", "$END"):
        return "the end of the line"
    if kind == "STRING":
        return f"the string `{shorten(value, 30)}`"
    if kind in ("NUMBER", "SIGNED"):
        return f"the number {shown}"
    if kind == "NAME" and value not in CONSTANTS:
        return f"the name {shown}"
    return shown
