"""`flowc compile`: a module for numpy or PyTorch, or any stage on the way there."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click

from .options import FILE, json_option, max_nodes_option, set_option
from .output import Output

STAGES = ("ast", "graph", "typed", "batched", "grad", "optimised", "plan", "code")


def _names(ctx: click.Context, param: click.Parameter, given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


@click.command("compile")
@click.argument("file", type=FILE)
@click.option("--target", type=click.Choice(["numpy", "torch"]), default="numpy", show_default=True)
@click.option("-o", "out", type=FILE, metavar="OUT", help="Write here, not to standard output.")
@click.option(
    "-O",
    "level",
    type=click.Choice(["0", "1", "2"]),
    default="1",
    show_default=True,
    help="0: a statement for every node; 1: simplified; 2: classes that work in memory planned beforehand.",
)
@click.option(
    "--with",
    "extras",
    metavar="NAME,...",
    callback=_names,
    help="Further functions: jvp, hvp, per_example_grad (numpy), vjp (torch).",
)
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True)
@click.option(
    "--sparse", type=click.Choice(["numpy", "scipy"]), default="numpy", show_default=True,
    help="What computes lists of wires in numpy code: numpy alone, or scipy's CSR matrices.",
)  # fmt: skip
@click.option(
    "--emit", "stage", type=click.Choice(STAGES), default="code", help="Print a stage instead of the code."
)
@click.option(
    "--without",
    metavar="NAME,...",
    callback=_names,
    help="Optimisations of -O2 to leave out, to see what each gains: see docs/performance.md.",
)
@click.option("--spans", is_flag=True, help="With --emit of a graph: the line each node comes from.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if OUT differs.")
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output,
    file: str,
    target: str,
    out: str | None,
    level: str,
    extras: list[str],
    dtype: str,
    sparse: str,
    stage: str,
    without: list[str],
    spans: bool,
    check: bool,
    settings: dict[str, Any],
    max_nodes: int,
) -> int:
    """Compile FILE to a Python module, or print a stage of it. `-` is standard input."""
    if check and out is None:
        raise click.UsageError("--check compares with a file: name it with -o")
    output.has_product = out in (None, "-")
    from ..compiling import EXTRAS
    from ..diagram import load
    from ..pipelines import OPTIMISATIONS

    unknown = [name for name in extras if name not in EXTRAS[target]]
    if unknown:
        known = ", ".join(EXTRAS[target])
        raise click.UsageError(f"--with {unknown[0]}: the {target} target has {known}")
    strange = [name for name in without if name not in OPTIMISATIONS]
    if strange:
        raise click.UsageError(f"--without {strange[0]}: -O2 has {', '.join(OPTIMISATIONS)}")
    planned = stage == "plan" or (stage == "code" and level == "2")
    if without and (not planned or target != "numpy"):
        raise click.UsageError("--without is for -O2 of the numpy target, and for its plan")
    library = "" if sparse == "numpy" else sparse
    if library and target != "numpy":
        raise click.UsageError("--sparse scipy is for the numpy target")
    diagram = load(file, settings=settings, max_nodes=max_nodes)
    output.diagnostics(diagram.warnings)
    if stage == "code":
        text = diagram.compile(
            target, level=int(level), dtype=dtype, extras=extras, sparse=library, without=without
        )
    else:
        text = diagram.stage(stage, level=int(level), dtype=dtype, spans=spans, without=without)
    if out is None or out == "-":
        output.product(text)
    elif check:
        _compare(out, text)
    else:
        _write(file, out, text)
    return 0


def _write(file: str, out: str, text: str) -> None:
    from ..writing import write_text

    refuse_same(file, out)
    write_text(out, text)


def refuse_same(file: str, out: str) -> None:
    """Raise FlowError (E0701) where the output would overwrite the diagram."""
    from ..errors import fail

    if _is_same(file, out):
        message = f"`{out}` is the diagram itself, and would be overwritten"
        raise fail("E0701", message, help="choose another name for the output", path=out)


def _is_same(file: str, out: str) -> bool:
    """Whether two paths are one file; paths that lead nowhere are not."""
    try:
        return file != "-" and Path(out).samefile(file)
    except (OSError, ValueError):
        return False


def _compare(out: str, text: str) -> None:
    """Raise FlowError (E0703) unless the file holds exactly this text."""
    from ..errors import fail, shorten

    try:
        old = Path(out).read_bytes().decode("utf-8", errors="backslashreplace")
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise fail("E0703", f"`{out}` cannot be compared: {why}", help="compile it first", path=out) from None
    if old == text:
        return
    pairs = zip([*old.splitlines(), None], [*text.splitlines(), None], strict=False)
    line = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), 1)
    changed = [d for d in difflib.unified_diff(old.splitlines(), text.splitlines(), n=0) if d[0] in "+-"][2:]
    count = f"{len(changed)} changed lines, from line {line} on" if changed else "only in line ends"
    shown = f": `{shorten(changed[0])}`" if changed else ""
    raise fail(
        "E0703",
        f"`{out}` differs from what would be written ({count}{shown})",
        help="compile it again without --check",
        path=out,
    )
