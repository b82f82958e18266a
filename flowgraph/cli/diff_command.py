"""`flowc diff`: what differs between two diagrams."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .draw_command import check_format, look_options
from .options import FILE, json_option, max_nodes_option, set_option, settings_option
from .output import Output, colored

if TYPE_CHECKING:
    from ..diagram import Diagram
    from ..diff import Difference


@click.command("diff")
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option("--exit-code", is_flag=True, help="Exit 1 if anything differs.")
@click.option(
    "-o", "out", type=FILE, metavar="OUT", help="A picture of both too; its suffix says the format."
)
@look_options
@set_option
@settings_option("--set-a", "settings_a", "Override in A only. May be repeated.")
@settings_option("--set-b", "settings_b", "Override in B only. May be repeated.")
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output,
    a: str,
    b: str,
    exit_code: bool,
    out: str | None,
    depth: int | None,
    scale: str,
    theme: str,
    settings: dict[str, Any],
    settings_a: dict[str, Any],
    settings_b: dict[str, Any],
    max_nodes: int,
) -> int:
    """Say what differs between the diagrams of A and B: nodes, wires, shapes, params, training, data.

    What means the same is no difference: comments, another order of declarations, wires for equations.
    `--set` overrides in both; one file may be compared with itself at two sizes. `-` is standard input.
    """
    if a == b == "-":
        raise click.UsageError("standard input can be one of the two files only")
    if out is not None:
        check_format(out)
    elif (depth, scale, theme) != (None, "auto", "light"):
        raise click.UsageError("--depth, --scale and --theme are about the picture: name it with -o")
    output.has_product = True
    sides = [(a, {**settings, **settings_a}), (b, {**settings, **settings_b})]
    found = _load_both(output, sides, max_nodes)
    if found is None:
        return 1
    difference = found[0].diff(found[1])
    if output.json:
        output.product(difference.json())
    else:
        head = "".join(
            f"{sign} {_title(file, own)}\n" for sign, (file, own) in zip(("---", "+++"), sides, strict=True)
        )
        text = difference.text(color=colored(sys.stdout))
        output.product(f"{head}\n{text}" if difference else text)
    if out is not None:
        _draw(output, difference, (a, b), out, {"depth": depth, "scale": scale, "theme": theme})
    return 1 if exit_code and difference else 0


def _draw(
    output: Output, difference: Difference, files: tuple[str, str], out: str, looks: dict[str, Any]
) -> None:
    """Write the picture. Raises FlowError (E0605, E0701)."""
    from ..errors import Diagnostic
    from .compile_command import refuse_same

    for file in files:
        refuse_same(file, out)
    drawing = difference.draw(**looks)
    drawing.save(out)
    output.diagnostics(Diagnostic("W0901", said, path=out) for said in drawing.remarks)


def _load_both(
    output: Output, sides: list[tuple[str, dict[str, Any]]], max_nodes: int
) -> list[Diagram] | None:
    """Both diagrams, or None with the errors of both reported; a file given twice is read once."""
    from ..diagram import load
    from ..errors import FlowError

    found = []
    for file, settings in sides[:1] if sides[0] == sides[1] else sides:
        try:
            found.append(load(file, settings=settings, max_nodes=max_nodes))
        except FlowError as error:
            output.diagnostics(error.diagnostics)
    if len(found) == len(sides):
        return found
    return found * 2 if found and sides[0] == sides[1] else None


def _title(file: str, settings: dict[str, Any]) -> str:
    said = "".join(f" --set {name}={value}" for name, value in settings.items())
    return f"{'standard input' if file == '-' else file}{said}"
