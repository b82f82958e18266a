"""Functions pasted into emitted modules: the forms of operations that take several lines.

Assumes that such a function uses only its arguments, the array library, and other plain
functions of `flowgraph.ops`. Promises their source with all they call, each once, in order of
first use.
"""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from .template import helper_name

Function = Callable[..., Any]

STANDARD = ("base64", "copy", "math", "zlib")
"""Modules of Python's own that helpers use."""


def with_callees(functions: Iterable[Function]) -> list[Function]:
    """The functions and all functions of `flowgraph.ops` that they call, callers first."""
    found: list[Function] = []
    stack = list(functions)[::-1]
    while stack:
        function = stack.pop()
        if function not in found:
            found.append(function)
            stack += _callees(function)[::-1]
    return found


def _callees(function: Function) -> list[Function]:
    scope: Mapping[str, Any] = function.__globals__
    names = [n.id for n in ast.walk(_tree(function)) if isinstance(n, ast.Name)]
    out: list[Function] = []
    for name in dict.fromkeys(names):
        other = scope.get(name)
        if (
            inspect.isfunction(other)
            and other.__module__.startswith("flowgraph.ops")
            and other is not function
        ):
            out.append(other)
    return out


@cache
def _tree(function: Function) -> ast.Module:
    return ast.parse(_source(function))


@cache
def _source(function: Function) -> str:
    text = textwrap.dedent(inspect.getsource(function))
    text = "\n".join(line for line in text.splitlines() if line.strip() != "@staticmethod")
    return re.sub(r"  # type: ignore.*", "", text).rstrip()


def modules_used(functions: Iterable[Function]) -> set[str]:
    """Which of the modules that emitted code may import the functions mention."""
    names = {n.id for f in functions for n in ast.walk(_tree(f)) if isinstance(n, ast.Name)}
    return names & {"np", "torch", "F", *STANDARD, "sparse"}


def import_lines(functions: Iterable[Function]) -> list[str]:
    """The imports of a numpy module that contains the functions."""
    used = modules_used(functions)
    own = [f"import {module}" for module in STANDARD if module in used]
    scipy = ["from scipy import sparse"] if "sparse" in used else []
    return [*(["", *own] if own else []), "", "import numpy as np", *scipy]


def paste(function: Function, rename: Mapping[str, str]) -> list[str]:
    """The source of a helper, with module-level functions renamed."""
    wanted = {}
    for each in with_callees([function]):
        short = helper_name(each)
        wanted[each.__name__] = rename.get(short, short)
    return _renamed(_source(function), wanted).splitlines()


def _renamed(source: str, names: Mapping[str, str]) -> str:
    """The source with the functions' names exchanged, and nothing else."""
    if all(old == new for old, new in names.items()):
        return source
    lines = source.splitlines(keepends=True)
    previous = ""
    places = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string in names and previous != ".":
            places.append((token.start, token.string))
        previous = token.string
    for (row, column), old in reversed(places):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + names[old] + line[column + len(old) :]
    return "".join(lines)
