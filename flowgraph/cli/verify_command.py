"""`flowc verify`: hold every engine against every other, and derivatives against differences."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from .options import FILE, json_option, max_nodes_option, params_options, set_option
from .output import Output

if TYPE_CHECKING:
    from ..params import Weights


@click.command("verify")
@click.argument("file", type=FILE)
@click.option("--data", type=FILE, metavar="FILE", help="Examples in place of the file's own data.")
@params_options
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of everything random."
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    metavar="N",
    help="Look at no more rows of the data.",
)
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output,
    file: str,
    data: str | None,
    params: Weights | None,
    seed: int,
    rows: int,
    settings: dict[str, Any],
    max_nodes: int,
) -> int:
    """Compare simulator, numpy, PyTorch and central differences on FILE; exit 1 if they disagree."""
    output.has_product = True
    # Many products of small arrays: threads would spend more time on each other. Read when numpy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ..diagram import load

    diagram = load(file, settings=settings, max_nodes=max_nodes)
    output.diagnostics(diagram.warnings)
    found = diagram.verify(data, params, seed, rows=rows)
    if output.json:
        output.product("".join(f"{row.as_json()}\n" for row in found.rows))
    else:
        output.product(found.table())
    output.diagnostics(found.diagnostics(file))
    return 0 if found.ok else 1
