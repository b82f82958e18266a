"""Explains characters that begin no token: quotes, other scripts, typographic signs (E0003, E0005).

Assumes a `Mistake` whose kind is empty. Promises that the last rule explains whatever the others do
not know. A rule reports one kind of character, or returns False.
"""

from __future__ import annotations

import unicodedata

from ..errors import Diagnostics, Span, shorten
from .mistake import PAIRS, Mistake, Rule, word_at

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
    cure = PAIRS.get(pair, cure)
    found.report("E0003", f"`{shorten(m.value)}` is not used in Flow", m.span, help=cure)
    return True


def _underscore(m: Mistake, found: Diagnostics) -> bool:
    if m.value != "_":
        return False
    word = word_at(m.source.text, m.start)
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
    word = word_at(text, start)
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


CHARACTER_RULES: tuple[Rule, ...] = (
    _open_string,
    _known_character,
    _underscore,
    _foreign_letter,
    _compatible_character,
    _unknown_character,
)
