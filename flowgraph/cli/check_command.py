"""`flowc check`: every error and warning of files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from .options import FILE, json_option, max_nodes_option, set_option
from .output import Output

if TYPE_CHECKING:
    from ..diagram import Diagram


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--params", is_flag=True, help="Print name, shape and statement of every parameter.")
@set_option
@max_nodes_option
@json_option
@click.pass_obj
def command(
    output: Output, files: tuple[str, ...], params: bool, settings: dict[str, Any], max_nodes: int
) -> int:
    """Parse and type FILES; report every error and warning. `-` is standard input."""
    from ..diagram import load
    from ..errors import FlowError

    failed = False
    for file in files:
        try:
            diagram = load(file, settings=settings, max_nodes=max_nodes)
        except FlowError as error:
            failed = True
            output.diagnostics(error.diagnostics)
            continue
        output.diagnostics(diagram.warnings)
        if params:
            output.product(_json_params(diagram) if output.json else _params(diagram))
        else:
            count = len(diagram.warnings)
            said = "no errors" if not count else f"no errors, {count} warning{'s' if count > 1 else ''}"
            output.note(f"{diagram.source.path}: {said}")
    return 1 if failed else 0


def _rows(diagram: Diagram) -> list[tuple[str, list[int], str, int, str]]:
    """Name, shape, file, line and statement of every parameter, in order of declaration."""
    rows = []
    for name in diagram.graph.params:
        node = diagram.graph[name]
        source = diagram.source if node.span is None else node.span.source
        line = node.span.line if node.span is not None else 0
        text = " ".join(source.line(line).split()) if line else ""
        shape = [int(str(size)) for size in node.type.shape]
        rows.append((str(node.hint), shape, source.path, line, text))
    return rows


def _params(diagram: Diagram) -> str:
    rows = [(name, str(shape), f"{path}:{line}: {text}") for name, shape, path, line, text in _rows(diagram)]
    if not rows:
        return f"{diagram.source.path}: no parameters\n"
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "".join(f"{name:<{first}}  {shape:<{second}}  {place}\n" for name, shape, place in rows)


def _json_params(diagram: Diagram) -> str:
    return "".join(
        json.dumps({"param": name, "shape": shape, "file": path, "line": line, "text": text}) + "\n"
        for name, shape, path, line, text in _rows(diagram)
    )
