"""`use "blocks.flow" as lib`: what another file offers, its blocks with the sizes and consts they see.

Promises that a file is read once, that paths are relative to the file that names them and stay
within the folder of the diagram, and that files do not use each other in a ring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import Diagnostics, Span, shorten
from ..syntax import BlockStmt, ConstStmt, File, RequireStmt, SizeStmt, UseStmt
from .scope import Scope
from .static import Skip
from .symbols import Symbol

Read = Callable[[str, Span, Diagnostics], File | None]
"""Reads and parses a file, reporting what is wrong with it at the place of the `use` statement or in it."""

OFFERED = (SizeStmt, ConstStmt, RequireStmt, BlockStmt, UseStmt)
"""What counts of a file that is used; a diagram in it is left alone."""


@dataclass
class Files:
    """The files that a diagram uses. folder: none of them lies outside of it. read: reads one."""

    folder: Path
    read: Read | None
    known: dict[Path, dict[str, Symbol]] = field(default_factory=dict)
    open: list[Path] = field(default_factory=list)
    """The files that are being read, from outside."""

    def offered(self, statement: UseStmt, scope: Scope) -> dict[str, Symbol]:
        """What a file offers to call, by name. Raises Skip after reporting E0001 or E0215."""
        path = (Path(scope.path).parent / statement.path).resolve()
        self._check(path, statement, scope)
        if path in self.known:
            return self.known[path]
        assert self.read is not None
        file = self.read(str(Path(scope.path).parent / statement.path), statement.path_span, scope.found)
        if file is None:
            raise Skip
        from .declare import Declarations  # which reads `use` statements itself

        inner = Scope(
            scope.found,
            max_nodes=scope.max_nodes,
            path=str(Path(scope.path).parent / statement.path),
            files=self,
            room=scope.room,
        )
        statements = tuple(s for s in file.statements if isinstance(s, OFFERED))
        self.open.append(path)
        Declarations(inner).read(File(statements, file.span))
        self.open.pop()
        self.known[path] = inner.callables
        return inner.callables

    def _check(self, path: Path, statement: UseStmt, scope: Scope) -> None:
        main = Path(scope.path).resolve()
        chain = [*self.open, main] if not self.open else self.open
        why = ""
        if path in chain or path == main:
            names = [p.name for p in chain[chain.index(path) if path in chain else 0 :]]
            why = "files use each other in a ring: " + " -> ".join([*names, path.name])
        elif self.read is None:
            why = "this diagram uses no files"
        elif Path(statement.path).is_absolute():
            why = "the path is absolute"
        elif not path.is_relative_to(self.folder):
            why = "the path leads out of the diagram's folder"
        if not why:
            return
        scope.found.report(
            "E0215",
            f"`{shorten(statement.path)}` cannot be used here: {why}",
            statement.path_span,
            "used here",
            help="put the shared blocks into a file of their own, beside the diagram or below it",
        )
        raise Skip
