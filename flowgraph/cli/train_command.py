"""`flowc train`: train a diagram on its data, in numpy or PyTorch."""

from __future__ import annotations

from typing import Any

import click

from .options import FILE, json_option, max_nodes_option, params_options, set_option
from .output import Output

INTERRUPTED = 130


class BatchSize(click.ParamType):
    """A number of rows, or `all`; its range is checked with the others."""

    name = "batch"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == "all" or isinstance(value, int):
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value[:60]!r} is neither a number of rows nor `all`", param, ctx)


@click.command("train")
@click.argument("file", type=FILE)
@click.option("--target", type=click.Choice(["numpy", "torch"]), default="numpy", show_default=True)
@click.option(
    "-O", "level", type=click.Choice(["0", "1", "2"]), default="1", show_default=True,
    help="Of the code that takes the steps, as for `flowc compile`; 2 is fastest in numpy.",
)  # fmt: skip
@click.option("--data", type=FILE, metavar="FILE", help="Examples in place of the file's own data.")
@params_options
@click.option("--epochs", type=int, metavar="N", help="Passes over the data.")
@click.option("--steps", type=int, metavar="N", help="Steps, in place of epochs.")
@click.option("--batch", type=BatchSize(), metavar="N|all", help="Rows in a step.")
@click.option("--lr", type=float, metavar="X", help="Learning rate; a schedule keeps its shape.")
@click.option("--seed", type=int, metavar="N", help="Of the first parameters and of the order of the rows.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
@click.option("--out", type=FILE, metavar="DIR", help="Keep parameters, log, checkpoints and a plot here.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, or begin it.")
@click.option("--device", metavar="D", help="With torch: cpu, cuda, cuda:N or mps.  [default: a GPU if any]")
@click.option(
    "--log",
    type=click.IntRange(min=1),
    metavar="N",
    help="A row of the log every N steps.  [default: epochs]",
)
@click.option(
    "--save-every",
    type=click.IntRange(min=1),
    metavar="N",
    help="A checkpoint every N steps.  [default: every 15 s]",
)
@click.option("--split", type=float, metavar="X", help="The share of the rows for training; 1: all.")
@click.option("--allow-nan", is_flag=True, help="Let nan and infinities in the data pass.")
@click.option(
    "--stream", is_flag=True, help="Leave the rows in their file; large files are left there anyway."
)
@click.option("--detect-anomaly", is_flag=True, help="Look at all parameters after every step.")
@click.option("--fsdp", is_flag=True, help="Under torchrun: split the parameters over the processes.")
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output, file: str, settings: dict[str, Any], max_nodes: int, stream: bool, **wishes: Any
) -> int:
    """Train FILE on its data. `-` is standard input.

    Progress goes to standard error, the final table to standard output; with --json one object.
    Ctrl-C ends the step in hand, saves it in --out, and stops.
    """
    if wishes["epochs"] is not None and wishes["steps"] is not None:
        raise click.UsageError("give --epochs or --steps, not both")
    if wishes["resume"] and wishes["out"] is None:
        raise click.UsageError("--resume goes on with the run in a folder: name it with --out")
    if wishes["target"] == "numpy" and (wishes["fsdp"] or wishes["device"] not in (None, "cpu")):
        raise click.UsageError(f"--{'fsdp' if wishes['fsdp'] else 'device'} is for --target torch")
    output.has_product = True
    from ..diagram import load
    from ..train.distributed import one_voice
    from ..train.place import place

    is_first = place().rank == 0
    with one_voice():
        diagram = load(file, settings=settings, max_nodes=max_nodes)
    if is_first:
        output.diagnostics(diagram.warnings)
    wishes["level"] = int(wishes["level"])
    trained = diagram.train(**wishes, stream=True if stream else None, progress=not output.json)
    if is_first and output.json:
        output.product(f"{trained.as_json()}\n")
    elif is_first and not trained.stopped:
        output.product(trained.table())
    return INTERRUPTED if trained.stopped else 0
