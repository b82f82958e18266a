"""`flowc explain`: the equations of a diagram, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import FILE, in_option, json_option, max_nodes_option, params_options, set_option
from .output import Output

if TYPE_CHECKING:
    from ..params import Weights

FORMATS = ("text", "latex", "markdown")


@click.command("explain")
@click.argument("file", type=FILE)
@click.option("--backward", is_flag=True, help="The chain rule too, line by line.")
@click.option("--saved", is_flag=True, help="With --backward: what the forward pass keeps for it.")
@click.option("--expand", is_flag=True, help="Write out every call of a block and every round of a repeat.")
@in_option
@params_options
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the initial parameters."
)
@click.option(
    "--format", type=click.Choice(FORMATS), default="text", show_default=True, help="How it is set."
)
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output,
    file: str,
    backward: bool,
    saved: bool,
    expand: bool,
    inputs: dict[str, Any],
    params: Weights | None,
    seed: int,
    format: str,
    settings: dict[str, Any],
    max_nodes: int,
) -> int:
    """Print the equations of FILE for one example; --in fills its numbers in. `-` is standard input."""
    if saved and not backward:
        raise click.UsageError("--saved lists what the backward pass needs: add --backward")
    output.has_product = True
    from ..diagram import load

    diagram = load(file, settings=settings, max_nodes=max_nodes)
    output.diagnostics(diagram.warnings)
    text = diagram.explain(
        backward=backward, saved=saved, expand=expand, inputs=inputs or None, params=params, seed=seed,
        format=format,
    )  # fmt: skip
    output.product(text)
    return 0
