"""`flowc draw`: a picture of a diagram."""

from __future__ import annotations

from typing import Any

import click

from .options import FILE, json_option, max_nodes_option, set_option
from .output import Output

SCALES = ("auto", "circles", "layers")
THEMES = ("light", "dark")


@click.command("draw")
@click.argument("file", type=FILE)
@click.option(
    "-o", "out", type=FILE, required=True, metavar="OUT", help="The picture; its suffix says the format."
)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    metavar="N",
    help="Unfold N levels of blocks, repeats and scans. Default: as many as stay readable.",
)
@click.option(
    "--scale",
    type=click.Choice(SCALES),
    default="auto",
    show_default=True,
    help="Draw vectors in equations as circles, or circles as boxes.",
)
@click.option("--theme", type=click.Choice(THEMES), default="light", show_default=True, help="Colours.")
@click.option("--metrics", is_flag=True, help="Draw the metrics too.")
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output,
    file: str,
    out: str,
    depth: int | None,
    scale: str,
    theme: str,
    metrics: bool,
    settings: dict[str, Any],
    max_nodes: int,
) -> int:
    """Draw FILE to OUT: svg, png or pdf. `-` is standard input."""
    from ..draw.formats import format_of

    try:
        format_of(out)
    except ValueError as error:
        raise click.UsageError(f"-o {out}: {error}") from None
    from ..diagram import load
    from ..errors import Diagnostic
    from .compile_command import refuse_same

    diagram = load(file, settings=settings, max_nodes=max_nodes)
    output.diagnostics(diagram.warnings)
    refuse_same(file, out)
    drawing = diagram.draw(depth=depth, scale=scale, theme=theme, metrics=metrics)
    drawing.save(out)
    output.diagnostics(Diagnostic("W0901", said, path=file) for said in drawing.remarks)
    return 0
