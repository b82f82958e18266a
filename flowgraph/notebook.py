"""Cells of a notebook written in the Flow language: `%load_ext flowgraph`, then `%%flow`.

Assumes IPython, which calls `load_ipython_extension`. Promises that a cell either compiles, shows what
it is asked for and binds its diagram, or says what is wrong as `flowc` does and binds nothing: the cell then
has failed, so that a notebook run as a whole stops there.
"""

from __future__ import annotations

import builtins
import keyword
import shlex
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .cli.options import set_option
from .diagram import TARGETS, Diagram, loads
from .errors import Diagnostic, FlowError, in_colour, render, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

CELL = "<cell>"
"""Where the mistakes of a cell are said to be that has no name; it gives a diagram none (UNNAMED)."""


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext flowgraph`."""

    def flow(line: str, cell: str | None = None) -> None:
        if cell is None:
            flow_line(line)
        else:
            flow_cell(shell, line, cell)

    flow.__doc__ = command.help
    shell.register_magic_function(flow, "line_cell", "flow")


def unload_ipython_extension(shell: Any) -> None:
    """Called by `%unload_ext flowgraph`."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("flow", None)


@click.command("flow", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", required=False)
@set_option
@click.option("--draw/--no-draw", default=True, show_default=True, help="Show the picture.")
@click.option("--target", type=click.Choice(TARGETS), help="Print the module for this target too.")
@click.pass_obj
def command(
    found: dict[str, Any], name: str | None, settings: dict[str, Any], draw: bool, target: str | None
) -> None:
    """Compile the cell below, show warnings and picture, and bind the diagram to the variable NAME.

    Without a NAME it is bound to the name that its `diagram` statement gives. A mistake binds nothing.
    """
    found.update(name=name, settings=settings, draw=draw, target=target)


def flow_line(line: str) -> None:
    """`%flow`: how to use `%%flow`. Raises UsageError where more is said."""
    if line.strip() not in ("", "-h", "--help"):
        _refuse("a diagram is written in a cell of its own, under `%%flow`; `%flow` alone is help")
    command.main(["--help"], prog_name="%%flow", standalone_mode=False)


def flow_cell(shell: Any, line: str, cell: str) -> None:
    """`%%flow`: compile a cell, show and bind the diagram. Raises FlowError, UsageError."""
    wishes = _wishes(line)
    if not wishes:
        return
    if not cell.strip():
        _refuse("the cell is empty: write a diagram under `%%flow`")
    name, target = wishes["name"], wishes["target"]
    if name is not None:
        _check_name(name, f"`{shorten(name)}`", "such as `%%flow xor`")
    # The line of `%%flow` counts as the notebook counts it.
    diagram = loads("\n" + cell, name or CELL, settings=wishes["settings"])
    bound = name or _own_name(shell, diagram)
    module = diagram.compile(target) if target else ""
    shell.user_ns[bound] = diagram
    _say(diagram.warnings)
    if wishes["draw"]:
        _show(diagram)
    if module:
        print(module, end="")


def _wishes(line: str) -> dict[str, Any]:
    """What the line asks for; nothing where that was help, which is printed. Raises UsageError."""
    found: dict[str, Any] = {}
    try:
        words = shlex.split(line)
        command.main(words, prog_name="%%flow", standalone_mode=False, obj=found)
    except ValueError as error:
        _refuse(f"the line cannot be read: {str(error).lower()}")
    except click.ClickException as error:
        _refuse(f"{error.format_message().rstrip('.')}; `%flow` lists what can be said")
    return found


def _own_name(shell: Any, diagram: Diagram) -> str:
    """The variable for a diagram where none is named. Raises UsageError."""
    name = diagram.name
    _check_name(name, f"the diagram's name `{shorten(name)}`", "and name one: `%%flow NAME`")
    taken = shell.user_ns.get(name, getattr(builtins, name, None))
    if taken is not None and not isinstance(taken, Diagram):
        kept = f"`%%flow NAME` keeps it, `%%flow {name}` replaces it"
        _refuse(f"`{name}` is a variable already, of type {type(taken).__name__}: {kept}")
    return name


def _check_name(name: str, said: str, cure: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        _refuse(f"{said} cannot be a variable of Python; use a word of letters, digits and _, {cure}")


def _say(found: Sequence[Diagnostic]) -> None:
    if found:
        sys.stderr.write(render(found, color=in_colour()))


def _show(diagram: Diagram) -> None:
    from IPython.display import display

    display(diagram)
    if not isinstance(diagram.shown, FlowError):
        _say([Diagnostic("W0901", said, path=diagram.source.path) for said in diagram.shown.remarks])


def _refuse(message: str) -> NoReturn:
    """Say what is wrong with the line, which is no mistake of the diagram. Raises UsageError."""
    from IPython.core.error import UsageError

    raise UsageError(f"%%flow: {message}")
