"""One run of the parser over a text: which line breaks count, brackets, recovery from errors.

Assumes a Lark parser of `grammar/flow.lark` and syntax-tree callbacks. Promises what `parse` does:
all syntax errors in one run, linear time, no recursion.

How recovery works: at an error the parser's stack is cut back to the innermost place where a
statement (or a row of a data table) may begin, and the text is skipped up to the end of the
statement: the end of its line, or of the line that closes its brackets. A line that begins with a
statement word always begins a statement, whatever is open before it.

It drives Lark's interactive parser and touches three of its fields that are not documented (the
lexer's position and the two stacks); `tests/test_parse.py` holds them to this use.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import Diagnostics, Source, Span
from .explain import explain, explain_open_bracket, explain_unfinished
from .exprs import MAX_NAME, STATEMENT_WORDS
from .mistake import Bracket, Mistake

if TYPE_CHECKING:
    from lark import Lark

MAX_DEPTH = 200
MAX_ERRORS = 1000

# After these a line break does not end the statement.
_CONTINUES = frozenset(
    (
        *("PLUS", "MINUS", "STAR", "SLASH", "PERCENT", "AT", "CIRCUMFLEX", "CMP", "AND", "OR"),
        *("EQUAL", "ARROW", "COMMA", "PIPE"),
    )
)
_OPENERS = {"LPAR": ")", "LSQB": "]", "WIRE": "]", "LBRACE": "}"}
_CLOSERS = {"RPAR": ")", "RSQB": "]", "RBRACE": "}"}
_BRACKETS = frozenset(_OPENERS) | frozenset(_CLOSERS)

# Statements that define no name: of these a part is worth nothing.
_NAMELESS = frozenset(("require", "output", "loss", "metric", "train", "data", "return"))

# `train = ...` inside brackets is a keyword argument, not a statement.
_WORD_LINE = re.compile(rf"(?:{'|'.join(STATEMENT_WORDS)})(?![A-Za-z0-9_])(?!\s*=)")
_END = r"(?:[A-Za-z]\w*+(?:\[[^\]\n]*+\])?|1)[ \t]*+"
_STATEMENT_LINE = re.compile(rf"{_WORD_LINE.pattern}|{_END}(?:,[ \t]*+{_END})*+(?:=(?!=)|->|-[ \t]*\[)")
_PIPE_LINE = re.compile(r"(?:[ \t\r\f\n]|#[^\n]*\n)*\|>")
_SKIP = re.compile(r'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*"?|#[^\n]*|[()\[\]{}\n;]')


class _OpenAtLine(Exception):
    """A line begins with a statement word while a bracket is open."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


class _TooDeep(Exception):
    """Brackets are nested too deeply from this offset on; already reported."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Run:
    """One parse: feeds tokens to Lark, keeps track of brackets, recovers from errors."""

    def __init__(self, lark: Lark, source: Source, found: Diagnostics) -> None:
        text = source.text
        if text.startswith("\ufeff"):
            text = " " + text[1:]
        # The line break at the end gives every statement one; offsets stay those of the source.
        self.text = text + "\n"
        self.source = source
        self.found = found
        self.errors = 0
        self.error_at = -1
        self.brackets: list[Bracket] = []
        self.last: Any = None
        # The last token after which a line break was dropped outside brackets.
        self.joint: Any = None
        self.can_skip_braces = True
        # Line breaks before this offset are followed, after comments only, by `|>`.
        self.joined_until = 0
        self.parser = lark.parse_interactive(self.text)
        self.state = self.parser.parser_state
        self.tables = self.state.parse_conf.states
        self.lexer: Any = self.parser.lexer_thread

    def statements(self) -> list[Any]:
        """The statements of the file."""
        from lark.exceptions import UnexpectedCharacters, UnexpectedToken

        self._refuse_lone_returns()
        done = False
        while not done and self.errors < MAX_ERRORS:
            try:
                self._feed_all()
                done = True
            except UnexpectedToken as error:
                token = error.token
                self._recover(token.type, token.start_pos, token.end_pos)
            except UnexpectedCharacters as error:
                at = error.pos_in_stream or 0
                self._recover("", at, at + 1)
            except _OpenAtLine as error:
                self.errors += 1
                self._settle()
                self._report_open(error.offset)
                self._resume(error.offset, rows=False)
            except _TooDeep as error:
                self.errors += 1
                self._skip(error.offset)
        if not done:
            self._report_too_many()
        elif self.brackets:
            self._report_open(None)
        self._settle()
        # The stack's first value is always the list of the file's statements read so far.
        values = self.state.value_stack
        return values[0] if values else []

    def _refuse_lone_returns(self) -> None:
        """A carriage return alone ends no line here but does so in some editors: no guessing."""
        at = re.search(r"\r(?!\n)", self.text[:-1])
        if at is None:
            return
        self.found.report(
            "E0003",
            "a carriage return without a line feed",
            Span(self.source, at.start(), at.start() + 1),
            help="end lines by a line feed, or by a carriage return and a line feed",
        )

    # -------------------------------------------------------------------------------
    # Feeding

    def _feed_all(self) -> None:
        """Feed tokens to the parser up to the end of the text or an error.

        This loop runs for every token of the file, so it is one function with local names.
        """
        feed = self.state.feed_token
        last_kind = "NL" if self.last is None else self.last.type
        for token in self.lexer.lex(self.state):
            kind = token.type
            if kind == "NL":
                if last_kind == "NL" or self._is_dropped(token.end_pos, last_kind):
                    continue
            elif kind in _BRACKETS:
                self._check_depth(token, kind)
                feed(token)
                self._count_bracket(token, kind, last_kind)
                self.last, last_kind = token, kind
                continue
            elif kind == "NAME" and len(token.value) > MAX_NAME:
                self._report_long_name(token)
            feed(token)
            self.last, last_kind = token, kind

    def _is_dropped(self, next_line: int, last_kind: str) -> bool:
        """Whether a line break ends no statement; `next_line` is the offset after it."""
        text = self.text
        bracket = self.brackets[-1] if self.brackets else None
        if bracket is not None and bracket.closer != "}":
            if _WORD_LINE.match(text, next_line):
                raise _OpenAtLine(next_line)
            return True
        if bracket is not None and bracket.in_table and _WORD_LINE.match(text, next_line):
            raise _OpenAtLine(next_line)
        if last_kind in _CONTINUES:
            # Before a statement word, a body's end and the text's the parser shall see a line end.
            self.joint = self.last
            ends = text[next_line : next_line + 1] in ("", "}")
            return not ends and not _WORD_LINE.match(text, next_line)
        if next_line < self.joined_until:
            return True
        if text[next_line : next_line + 1] not in ("|", "#"):
            return False
        pipe = _PIPE_LINE.match(text, next_line)
        self.joined_until = pipe.end() if pipe else 0
        return pipe is not None

    def _check_depth(self, token: Any, kind: str) -> None:
        if kind in _CLOSERS or len(self.brackets) < MAX_DEPTH:
            return
        self.found.report(
            "E0903",
            f"brackets are nested more than {MAX_DEPTH} deep",
            Span(self.source, token.end_pos - 1, token.end_pos),
            help="name the inner parts by equations of their own",
        )
        raise _TooDeep(token.start_pos)

    def _count_bracket(self, token: Any, kind: str, last_kind: str) -> None:
        closer = _OPENERS.get(kind)
        if closer is None:
            self.brackets.pop()
            return
        depth = len(self.state.state_stack)
        in_table = kind == "LBRACE" and last_kind == "DATA"
        self.brackets.append(Bracket(closer, token.end_pos - 1, depth, in_table))

    def _report_long_name(self, token: Any) -> None:
        self.found.report(
            "E0902",
            f"a name has {len(token.value)} characters",
            Span(self.source, token.start_pos, token.end_pos),
            help=f"use at most {MAX_NAME}",
        )

    # -------------------------------------------------------------------------------
    # Recovery

    def _recover(self, kind: str, start: int, end: int) -> None:
        """Report an error at a token or character, and go on after the statement."""
        self.errors += 1
        mistake = self._mistake(kind, start, end)
        # At the same place once more: something has to be left out, or this would never end.
        repeated = start <= self.error_at
        self.error_at = max(start, self.error_at)
        line = None if repeated else self._new_statement_line(mistake)
        if line is not None:
            self._report_unfinished(line)
            self._resume(line)
            return
        explain(mistake, self.found)
        if "NL" in mistake.accepts and mistake.first_word not in _NAMELESS:
            # What stands before the error is complete: keep it for the names it defines.
            self._feed_line_end()
            self._settle()
        if kind == "NL":
            self._resume(start)
            return
        self._skip(end if repeated else start)

    def _mistake(self, kind: str, start: int, end: int) -> Mistake:
        accepts = frozenset(self.parser.accepts())
        open_now = tuple(self.brackets)
        begin = self._begin(start)
        return Mistake(self.source, kind, start, end, self.last, accepts, open_now, begin)

    def _begin(self, offset: int) -> int:
        """Where the statement begins that an error at `offset` is in."""
        values = self.state.value_stack
        depth = self._cut_depth()
        return _start_of(values[depth - 1], offset) if depth - 1 < len(values) else offset

    def _cut_depth(self, rows: bool = True) -> int:
        """How much of the state stack stays: up to where a statement, or a row, may begin."""
        stack = self.state.state_stack
        depth = len(stack)
        while depth > 1:
            table = self.tables[stack[depth - 1]]
            if "statement" in table or "statements" in table or (rows and "row" in table):
                break
            depth -= 1
        return depth

    def _report_unfinished(self, line: int) -> None:
        """Report that a statement goes on into a line which begins another one."""
        opened = [b for b in self.brackets if b.closer != "}" and b.start < line]
        if opened:
            explain_open_bracket(self.source, self.found, opened[-1], line)
        else:
            explain_unfinished(self.source, self.found, self.joint, line)

    def _new_statement_line(self, m: Mistake) -> int | None:
        """Where a new statement begins, if the error comes of the line break before it.

        That is so if the line of the error reads like a statement up to or from the error, is not
        indented more than the statement at hand, and its line break was dropped.
        """
        line = self.text.rfind("\n", 0, m.start) + 1
        if m.last is None or line <= m.begin:
            return None
        begins = _STATEMENT_LINE.match(self.text, _after_blanks(self.text, line))
        if begins is None or not begins.start() <= m.start < begins.end():
            return None
        return begins.start() if self._indent(line) <= self._indent(m.begin) else None

    def _indent(self, offset: int) -> int:
        """How far the line of an offset is indented."""
        line = self.text.rfind("\n", 0, offset) + 1
        return _after_blanks(self.text, line) - line

    def _settle(self) -> None:
        """Let the parser file the last complete statement.

        It does so only at the token after the line's end, which in an error is a wrong one.
        """
        values = self.state.value_stack
        ended = bool(values) and getattr(values[-1], "type", None) in ("NL", "SEMICOLON")
        if ended and "NL" in self.tables[self.state.state_stack[-1]]:
            self._feed_line_end()

    def _feed_line_end(self) -> None:
        from lark import Token

        self.state.feed_token(Token("NL", "\n", 0, 0, 0, 0, 0, 0))

    def _resume(self, offset: int, rows: bool = True) -> None:
        """Cut the stacks back to where a statement or row may begin, and go on at an offset."""
        depth = self._cut_depth(rows)
        del self.state.state_stack[depth:]
        del self.state.value_stack[depth - 1 :]
        self.brackets[:] = [b for b in self.brackets if b.depth <= depth]
        self.lexer.state.line_ctr.char_pos = offset
        self.last = None

    def _skip(self, offset: int) -> None:
        """Go on after the statement that an error at `offset` spoils."""
        depth = self._cut_depth()
        given_up = [b.closer for b in self.brackets if b.depth > depth]
        braces = given_up.count("}")
        indent = self._indent(self._begin(offset))
        self._resume(self._statement_end(offset, len(given_up) - braces, braces, indent))

    def _statement_end(self, offset: int, rounds: int, braces: int, indent: int) -> int:
        """Where a broken statement ends, with so many round (or square) and curly brackets open.

        That is at the end of a line with none of them open, or before a line that begins a
        statement, or before the brace that closes the body around it.
        """
        text, line_end = self.text, -1
        in_body = any(b.closer == "}" for b in self.brackets)
        for match in _SKIP.finditer(text, offset):
            mark = text[match.start()]
            if mark in "([":
                rounds += 1
            elif mark in ")]":
                rounds = max(rounds - 1, 0)
            elif mark == "{":
                braces += 1
            elif mark == "}" and braces:
                braces -= 1
                rounds = rounds if braces else 0
            elif (mark == "}" and in_body) or (mark == ";" and not rounds and not braces):
                return match.start()
            elif mark == "\n":
                line_end = match.start() if line_end < 0 else line_end
                if braces and self.can_skip_braces:
                    continue
                if not rounds or self._begins_statement(match.end(), indent):
                    return match.start()
        # A brace that is never closed: once is enough to look for its end.
        self.can_skip_braces = self.can_skip_braces and not braces
        return line_end if braces and line_end >= 0 else len(text)

    def _begins_statement(self, line: int, indent: int) -> bool:
        """Whether the line at an offset reads like a new statement rather than more of the last."""
        begin = _after_blanks(self.text, line)
        if _WORD_LINE.match(self.text, begin):
            return True
        return begin - line <= indent and _STATEMENT_LINE.match(self.text, begin) is not None

    def _report_open(self, line: int | None) -> None:
        """Report what is open at a line that begins a statement, or at the end of the file."""
        reported = set()
        for bracket in reversed(self.brackets):
            kind = bracket.closer == "}"
            if kind not in reported and (line is None or not kind or bracket.in_table):
                explain_open_bracket(self.source, self.found, bracket, line)
            reported.add(kind)

    def _report_too_many(self) -> None:
        at = min(self.lexer.state.line_ctr.char_pos, len(self.source.text))
        self.found.report(
            "E0004",
            f"more than {MAX_ERRORS} syntax errors",
            Span(self.source, at, at + 1),
            "the file is not read from here on",
            help="is this a Flow file?",
        )


def _after_blanks(text: str, offset: int) -> int:
    """The offset of the first character from `offset` on that is no blank or tab."""
    while offset < len(text) and text[offset] in " \t":
        offset += 1
    return offset


def _start_of(value: Any, otherwise: int) -> int:
    """The offset at which a value on the parser's stack begins."""
    while isinstance(value, (list, tuple)) and value and not isinstance(value, Span):
        value = value[0]
    if hasattr(value, "start_pos"):
        return int(value.start_pos)
    span = getattr(value, "span", None)
    return span.start if span is not None else otherwise
