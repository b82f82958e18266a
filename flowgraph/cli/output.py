"""What goes to which stream, and in which form.

The product of a command (code, tables, formatted text) goes to standard output, diagnostics to
standard error. With `--json` diagnostics are one JSON object a line, and go to standard output
where that holds no product (`check`, `fmt`, `compile -o`), so that a tool can read them there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ..errors import Diagnostic


class Output:
    """Where a command writes. `has_product` says that standard output is taken."""

    def __init__(self) -> None:
        self.json = False
        self.has_product = False
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a letter must not stop the command.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")

    def product(self, text: str) -> None:
        """Write what the command was asked for. Raises FlowError (E0701)."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            from ..errors import fail

            raise fail("E0701", f"standard output cannot be written: {error.strerror}") from None

    def note(self, text: str) -> None:
        """Write a line on what was done, for people."""
        if not self.json:
            self.product(f"{text}\n")

    def diagnostics(self, found: Iterable[Diagnostic]) -> None:
        """Write errors and warnings."""
        items = list(found)
        if not items:
            return
        if self.json:
            stream = sys.stderr if self.has_product else sys.stdout
            stream.write("".join(f"{d.as_json()}\n" for d in items))
        else:
            from ..errors import render

            stream = sys.stderr
            stream.write(render(items, color=colored(stream)))
        stream.flush()

    def flush(self) -> None:
        """Let everything written reach its reader."""
        sys.stdout.flush()
        sys.stderr.flush()

    @property
    def ascii(self) -> bool:
        """Whether standard output cannot show Greek letters."""
        try:
            "ξ".encode(sys.stdout.encoding or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return True
        return False


def colored(stream: TextIO) -> bool:
    """Whether to write colours: on a terminal that has them, unless NO_COLOR says no."""
    from ..errors import in_colour

    return in_colour() and stream.isatty()
