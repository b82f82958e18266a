"""`flowc run`: simulate a diagram and print a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import FILE, in_option, json_option, max_nodes_option, params_options, set_option
from .output import Output

if TYPE_CHECKING:
    from ..params import Weights


@click.command("run")
@click.argument("file", type=FILE)
@in_option
@click.option("--data", type=FILE, metavar="FILE", help="Examples: csv, npz, npy, safetensors, parquet.")
@params_options
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the initial parameters."
)
@click.option(
    "--trace",
    is_flag=True,
    help="Show every named value: its formula, ξ and h, and the derivative of the loss by it.",
)
@click.option(
    "--rows", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="Rows to show."
)
@click.option("--all", "all_rows", is_flag=True, help="Show all rows.")
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output,
    file: str,
    inputs: dict[str, Any],
    data: str | None,
    params: Weights | None,
    seed: int,
    trace: bool,
    rows: int,
    all_rows: bool,
    settings: dict[str, Any],
    max_nodes: int,
) -> int:
    """Simulate FILE in float64 on its data, on a data file, or on the values given."""
    if inputs and data is not None:
        raise click.UsageError("give values with --in or a file with --data, not both")
    output.has_product = True
    from ..diagram import load

    diagram = load(file, settings=settings, max_nodes=max_nodes)
    output.diagnostics(diagram.warnings)
    result = diagram.run(inputs or None, data, params, seed)
    shown = None if all_rows else rows
    if trace and not output.ascii:
        from ..explain.trace import trace_text

        output.product(trace_text(diagram.expanded, result, rows=shown))
    else:
        output.product(result.table(rows=shown, trace=trace, ascii=output.ascii))
    return 0
