"""`flowc fmt`: the canonical form of files."""

from __future__ import annotations

import click

from .options import FILE, json_option
from .output import Output


@click.command("fmt")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file would change.")
@json_option
@click.pass_obj
def command(output: Output, files: tuple[str, ...], check: bool) -> int:
    """Bring FILES into the canonical form, in place. `-` formats standard input to standard output.

    A file with syntax errors is left as it is.
    """
    from ..errors import FlowError

    output.has_product = "-" in files and not check
    failed = False
    for file in files:
        try:
            _format(output, file, check)
        except FlowError as error:
            failed = True
            output.diagnostics(error.diagnostics)
    return 1 if failed else 0


def _format(output: Output, file: str, check: bool) -> None:
    """Format one file. Raises FlowError: syntax errors, E0701, and E0703 with `check`."""
    from ..errors import fail
    from ..writing import write_text

    old, text = _formatted(file)
    if check:
        if old != text:
            help = f"`flowc fmt {file}` brings it there"
            raise fail("E0703", f"`{file}` is not in the canonical form", help=help, path=file)
    elif file == "-":
        output.product(text)
    elif old != text:
        write_text(file, text)
        output.note(f"{file}: formatted")


def _formatted(file: str) -> tuple[str, str]:
    """A file's text as it is and as it should be. Raises FlowError."""
    from ..errors import Diagnostics, InternalError, Source
    from ..format import format_source
    from ..parse import parse, read_source

    found = Diagnostics()
    source = read_source(file, found)
    found.raise_errors()
    assert source is not None
    tree = parse(source, found)
    found.raise_errors()
    text = format_source(tree)
    # It is the user's own file: look twice before writing.
    again = Diagnostics()
    if parse(Source(source.path, text), again) != tree or again.has_errors:
        raise InternalError("the formatted text does not mean what the file means; nothing was written")
    return source.text, text
