"""The only place where an emitted module is executed: our own text, never a user's.

Assumes text that came out of `flowgraph.emit`, whose one way for a user's words into it is
`naming`. Promises the module's namespace.
"""

from __future__ import annotations

from typing import Any


def execute(text: str, name: str = "emitted") -> dict[str, Any]:
    """The namespace of an emitted module; name: what tracebacks call it."""
    space: dict[str, Any] = {"__name__": name}
    exec(compile(text, f"{name}.py", "exec"), space)
    return space
