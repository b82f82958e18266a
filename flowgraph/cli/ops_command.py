"""`flowc ops`: the operations, and what there is to know of one."""

from __future__ import annotations

import click

from .options import json_option
from .output import Output


@click.command("ops")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def command(output: Output, name: str | None) -> int:
    """List all operations, or describe NAME: formula, arguments, shapes, derivative, code."""
    output.has_product = True
    from ..errors import did_you_mean, fail, shorten
    from ..ops.describe import describe_name, listing, names

    if name is None:
        output.product(listing().rstrip("\n") + "\n")
        return 0
    text = describe_name(name)
    if not text:
        cure = did_you_mean(name, names()) or "`flowc ops` lists them all"
        raise fail("E0104", f"there is no operation `{shorten(name)}`", help=cure)
    output.product(text.rstrip("\n") + "\n")
    return 0
