"""`flowc explain`: the equations of a diagram, forward and backward."""

from __future__ import annotations

from typing import Any

import click

from .options import FILE, json_option, max_nodes_option, set_option
from .output import Output


@click.command("explain")
@click.argument("file", type=FILE)
@click.option("--backward", is_flag=True, help="The chain rule too, line by line.")
@click.option("--saved", is_flag=True, help="With --backward: what the forward pass keeps for it.")
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output, file: str, backward: bool, saved: bool, settings: dict[str, Any], max_nodes: int
) -> int:
    """Print the equations of FILE for one example. `-` is standard input."""
    if saved and not backward:
        raise click.UsageError("--saved lists what the backward pass needs: add --backward")
    output.has_product = True
    from ..diagram import load

    diagram = load(file, settings=settings, max_nodes=max_nodes)
    output.diagnostics(diagram.warnings)
    output.product(diagram.explain(backward=backward, saved=saved))
    return 0
