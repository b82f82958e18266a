"""Any tree of dataclasses as indented text: how `--emit ast` shows a file's syntax.

    File
      EquationStmt
        targets: Name name=f
        value: Call func=step
          args: Name name=x

Assumes dataclasses whose fields are plain values, dataclasses, or tuples of them. Promises one
line for each, in the order of the fields, without recursion. Fields that take no part in
equality (spans, comments), and those that are None or empty, are left out.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

INDENT = "  "


def print_tree(root: Any) -> str:
    """The text of a tree."""
    lines: list[str] = []
    stack: list[tuple[int, str, Any]] = [(0, "", root)]
    while stack:
        depth, label, item = stack.pop()
        head = f"{INDENT * depth}{label}{type(item).__name__}"
        children: list[tuple[int, str, Any]] = []
        for field in fields(item):
            if not field.compare:
                continue
            value = getattr(item, field.name)
            many = isinstance(value, tuple)
            if many or is_dataclass(value):
                # A statement's place in the file says enough; parts of one say what they are.
                part = "" if field.name in ("statements", "body") else f"{field.name}: "
                children += [(depth + 1, part, child) for child in (value if many else (value,))]
            elif value is not None:
                head += f" {field.name}={_shown(value)}"
        lines.append(head)
        stack += reversed(children)
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if not isinstance(value, str):
        return repr(value)
    return value if value and value.isprintable() and not any(c in value for c in ' "') else json.dumps(value)
