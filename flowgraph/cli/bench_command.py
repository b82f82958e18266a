"""`flowc bench`: time a diagram's numpy code against its PyTorch code."""

from __future__ import annotations

import sys
from typing import Any

import click

from .options import FILE, json_option, max_nodes_option, params_options, set_option
from .output import Output
from .train_command import BatchSize


@click.command("bench")
@click.argument("file", type=FILE, required=False)
@click.option("--data", type=FILE, metavar="FILE", help="Examples in place of the file's own data.")
@params_options
@click.option("--batch", type=BatchSize(), metavar="N|all", help="Rows in a step.  [default: as in the file]")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=15, show_default=True, metavar="N", help="Turns of each."
)
@click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="For everyone.  [default: all cores]"
)
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of what is random.")
@click.option("--compile", "compiled", is_flag=True, help="The torch module under torch.compile besides.")
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(output: Output, file: str | None, settings: dict[str, Any], max_nodes: int, **wishes: Any) -> int:
    """Time training steps and forward passes of FILE, in numpy at every level and in PyTorch.

    On one batch of the file's data, or of random examples where it has none. Each takes turns in a
    process of its own; a time is the median of the rounds, a ratio that of the rounds' ratios. Without FILE,
    a few networks of known sizes are measured: a quick look at a machine. `-` is standard input.
    """
    output.has_product = True
    if file is None:
        for name in ("data", "params", "batch"):
            if wishes[name] is not None:
                raise click.UsageError(f"--{name} is about a FILE, and there is none")
        if settings:
            raise click.UsageError("--set is about a FILE, and there is none")
    from ..bench import bench, busy_text
    from ..bench.known import known, table_of
    from ..bench.progress import Silent, watcher_for
    from ..diagram import load

    busy = [said] if (said := busy_text()) else []
    if file is None:
        measured = []
        for each in known():
            measured.append(
                bench(each, **wishes, watcher=Silent() if output.json else watcher_for(sys.stderr))
            )
        text = table_of(measured, output.ascii, busy)
        output.product("".join(f"{one.as_json()}\n" for one in measured) if output.json else text)
        return 0
    diagram = load(file, settings=settings, max_nodes=max_nodes)
    output.diagnostics(diagram.warnings)
    found = bench(diagram, **wishes, watcher=Silent() if output.json else watcher_for(sys.stderr))
    found.notes += busy
    output.product(f"{found.as_json()}\n" if output.json else found.table(output.ascii))
    return 0
