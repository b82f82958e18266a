"""`flowc draw`: a picture of a diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import FILE, Command, in_option, json_option, max_nodes_option, params_options, set_option
from .output import Output

if TYPE_CHECKING:
    from ..params import Weights

SCALES = ("auto", "circles", "layers")
THEMES = ("light", "dark")

_LOOKS = (
    click.option(
        "--depth",
        type=click.IntRange(min=0),
        metavar="N",
        help="Unfold N levels of blocks, repeats and scans. Default: as many as stay readable.",
    ),
    click.option(
        "--scale",
        type=click.Choice(SCALES),
        default="auto",
        show_default=True,
        help="Draw vectors in equations as circles, or circles as boxes.",
    ),
    click.option("--theme", type=click.Choice(THEMES), default="light", show_default=True, help="Colours."),
)


def look_options(command: Command) -> Command:
    """`--depth`, `--scale` and `--theme`, of every command that draws."""
    for option in reversed(_LOOKS):
        command = option(command)
    return command


def check_format(out: str) -> str:
    """The format that a file's name asks for. Raises UsageError."""
    from ..draw.formats import format_of

    try:
        return format_of(out)
    except ValueError as error:
        raise click.UsageError(f"-o {out}: {error}") from None


@click.command("draw")
@click.argument("file", type=FILE)
@click.option(
    "-o", "out", type=FILE, required=True, metavar="OUT", help="The picture; its suffix says the format."
)
@look_options
@click.option("--metrics", is_flag=True, help="Draw the metrics too.")
@in_option
@params_options
@click.option(
    "--grad", is_flag=True, help="The backward flow: the gradient at every item, local factors on the arrows."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the initial parameters."
)
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
    inputs: dict[str, Any],
    params: Weights | None,
    grad: bool,
    seed: int,
    settings: dict[str, Any],
    max_nodes: int,
) -> int:
    """Draw FILE to OUT: svg, png, pdf, html, dot, mmd (Mermaid) or tex (TikZ). `-` is standard input."""
    format = check_format(out)
    from ..diagram import load
    from ..errors import Diagnostic
    from .compile_command import refuse_same

    diagram = load(file, settings=settings, max_nodes=max_nodes)
    output.diagnostics(diagram.warnings)
    refuse_same(file, out)
    drawing = diagram.draw(
        depth=depth, scale=scale, theme=theme, metrics=metrics, inputs=inputs or None, params=params,
        grad=grad, seed=seed,
    )  # fmt: skip
    drawing.save(out)
    output.diagnostics(Diagnostic("W0901", said, path=file) for said in drawing.remarks_in(format))
    return 0
