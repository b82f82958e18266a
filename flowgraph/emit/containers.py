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
    if head in OWN_METHODS or head in KEYWORDS:
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


def module_lines(path: str, made: ast.expr) -> list[str]:
    """The statement of `__init__` that puts a module in its place."""
    holder, _, last = path.rpartition(".")
    if last in KEYWORDS:
        inside = access(holder, "_modules") if holder else name("self")
        add = ast.Attribute(inside, "add_module", ast.Load())
        return source.expression(ast.Call(add, [ast.Constant(last), made], []), depth=2)
    if holder:
        return source.assign(source.text(access(path, "_modules")), made, depth=2)
    return source.assign(f"self.{path}", made, depth=2)


class Containers:
    """Makes the modules that hold others, each when something is first put into it.

    paths: of all modules and parameters of the class.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.known: set[str] = set()
        self.rounds: dict[str, int] = {}
        """How many modules a container has that are numbered."""
        for path in paths:
            parts = path.split(".")
            for count in range(1, len(parts)):
                if parts[count].isdigit():
                    container = ".".join(parts[:count])
                    self.rounds[container] = max(self.rounds.get(container, 0), int(parts[count]) + 1)

    def lines(self, path: str) -> list[str]:
        """Statements of `__init__` that make what is to hold a module or parameter; it counts as made."""
        found: list[str] = []
        parts = path.split(".")
        for count in range(1, len(parts)):
            container = ".".join(parts[:count])
            if container not in self.known and not parts[count - 1].isdigit():
                found += module_lines(container, self._made(container))
            self.known.add(container)
        self.known.add(path)
        return found

    def _made(self, container: str) -> ast.expr:
        rounds = self.rounds.get(container)
        text = f"nn.ModuleList(nn.Module() for _ in range({rounds}))" if rounds else "nn.Module()"
        return ast.parse(text, mode="eval").body
