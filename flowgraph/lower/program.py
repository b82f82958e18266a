"""What a file comes to once lowered: its graph, and what it says of training and data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import Span
from ..graph import Graph
from ..syntax import DataFileStmt, DataMadeStmt, DataTableStmt, Expr
from ..types import Dim, TensorType


@dataclass(frozen=True)
class Training:
    """The `train` statement, checked: optimiser, its attrs, and the settings of the run."""

    optimiser: Any
    settings: dict[str, Any]
    span: Span | None = None


@dataclass(frozen=True)
class Made:
    """Generated data: the number of examples, and the columns' equations in order."""

    count: int
    columns: tuple[tuple[str, Expr], ...]
    span: Span


@dataclass
class Program:
    """One diagram. `statics` holds sizes and consts, for data equations that use them."""

    graph: Graph
    training: Training | None = None
    data: DataFileStmt | DataTableStmt | DataMadeStmt | None = None
    statics: dict[str, Any] = field(default_factory=dict)
    types: dict[str, TensorType] = field(default_factory=dict)
    """Declared types of inputs and targets."""
    sizes: dict[str, Dim] = field(default_factory=dict)
    is_partial: bool = False
    """Whether statements or nodes were left out, which happens only where errors were reported."""
