"""What an operation's form reads that is worked out once: index arrays, and what is made of them.

A form may name, beside operands and attrs, the tables that its operation declares (`Op.tables`). The
simulator makes a table when it is first asked for; an emitted module makes each once, at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .leaf import Array


@dataclass(frozen=True)
class Table:
    """A plain function applied to arrays and numbers; without one, the only array itself."""

    build: Callable[..., Any] | None
    arguments: tuple[Any, ...]

    @property
    def value(self) -> Any:
        """What stands in the table."""
        return _value(self)


@lru_cache(maxsize=256)
def _value(table: Table) -> Any:
    known = [a.data if isinstance(a, Array) else a for a in table.arguments]
    return known[0] if table.build is None else table.build(*known)
