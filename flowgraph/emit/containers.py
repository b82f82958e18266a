"""Dotted names of parameters as torch modules in modules: `h.0.attn.weight` is `self.h[0].attn.weight`.

Promises that a module's state_dict has exactly the dotted names, whatever words they are made of:
a part that is a number is the place in an nn.ModuleList, and one that is a word of Python, or a
method of the emitted class, is reached through the table that keeps it.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ..naming import KEYWORDS
from . import source
from .template import name

OWN_METHODS = ("loss", "metrics")


def access(path: str, table: str) -> ast.expr:
    """The module or parameter of a dotted name; table: where a first part that is a method's name is kept."""
    head, *rest = path.split(".")
    node: ast.expr = name("self")
    if head in OWN_METHODS:
        node = ast.Subscript(ast.Attribute(node, table, ast.Load()), ast.Constant(head), ast.Load())
    else:
        node = ast.Attribute(node, head, ast.Load())
    for part in rest:
        if part.isdigit():
            node = ast.Subscript(node, ast.Constant(int(part)), ast.Load())
        elif part in KEYWORDS:
            modules = ast.Attribute(node, "_modules", ast.Load())
            node = ast.Subscript(modules, ast.Constant(part), ast.Load())
        else:
            node = ast.Attribute(node, part, ast.Load())
    return node


def container_lines(paths: Sequence[str], made: Sequence[str]) -> list[str]:
    """Statements of `__init__` that make the modules which hold others.

    paths: of modules and parameters. made: of the modules that are made apart, which may hold
    others themselves.
    """
    known = {*made, *(path.split(".")[0] for path in made if "." not in path)}
    rounds: dict[str, int] = {}
    wanted: dict[str, None] = {}
    for path in paths:
        parts = path.split(".")
        for count in range(1, len(parts)):
            container = ".".join(parts[:count])
            wanted.setdefault(container)
            if parts[count].isdigit():
                rounds[container] = max(rounds.get(container, 0), int(parts[count]) + 1)
    lines: list[str] = []
    for container in wanted:
        last = container.rpartition(".")[2]
        if container in known or last.isdigit():
            continue
        value = "nn.Module()"
        if container in rounds:
            value = f"nn.ModuleList(nn.Module() for _ in range({rounds[container]}))"
        holder, _, last = container.rpartition(".")
        if holder and last in KEYWORDS:
            lines.append(f'        {source.text(access(holder, "_modules"))}.add_module("{last}", {value})')
        else:
            lines.append(f"        {source.text(access(container, '_modules'))} = {value}")
    return lines
