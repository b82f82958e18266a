"""The syntax tree: what a `.flow` file says, with a span on everything, and nothing more.

Assumes nothing. Promises that two files with equal trees mean the same: spans take no part
in equality. Names are plain strings; which thing a name means is decided in `lower`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .errors import Span


def _span() -> Span:
    return field(compare=False, repr=False)


# ---------------------------------------------------------------------------------------
# Expressions


@dataclass(frozen=True, slots=True)
class Number:
    """`3`, `0.5`, `1e-6`; whole numbers are int, all others float."""

    value: int | float
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class String:
    value: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Name:
    """A name, also the constants `pi`, `inf`, `true` and `false`."""

    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`."""

    op: str
    operand: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binary:
    """`+ - * / ^ % @`, comparisons, `and`, `or`; `op_span` marks the operator itself."""

    op: str
    left: Expr
    right: Expr
    op_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Keyword:
    """`name=value` in a call."""

    name: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """`f(a, k=b)`; `func` may be dotted (`lib.f`). `has_parens` is False for a bare `step`."""

    func: str
    args: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]
    func_span: Span = _span()
    span: Span = _span()
    has_parens: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Pipe:
    """`value |> call`: the call with `value` before its arguments."""

    value: Expr
    call: Call
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Member:
    """`value.name`: `h.xi`, `enc.weight`, `x.T`."""

    value: Expr
    name: str
    name_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Slice:
    """`start:stop` or a bare `:` in an index."""

    start: Expr | None
    stop: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Index:
    """`value[i, a:b, :]`."""

    value: Expr
    items: tuple[Expr | Slice, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ListExpr:
    """`[a, b]`."""

    items: tuple[Expr, ...]
    span: Span = _span()


Expr: TypeAlias = Number | String | Name | Unary | Binary | Call | Pipe | Member | Index | ListExpr

# ---------------------------------------------------------------------------------------
# Parts of declarations


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`_`, a size that is to be inferred."""

    span: Span = _span()


@dataclass(frozen=True, slots=True)
class TypeExpr:
    """`[D]`, `class(50257)[T]`, `class("setosa", "virginica")`, `int`; no shape is a single number."""

    kind: str  # "real", "int", "bool", "class"
    classes: Expr | None
    names: tuple[String, ...]
    shape: tuple[Expr | Wildcard, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Declared:
    """One name of an `input` or `target` statement."""

    name: str
    type: TypeExpr | None
    name_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class SizeItem:
    """`D = 784`, or `T` alone: known when data arrive."""

    name: str
    value: Expr | None
    name_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class NodeItem:
    """`h1`, or `h[3]` for a layer of three circles."""

    name: str
    size: Expr | None
    name_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class End:
    """An end of a wire: a name, a circle of a layer (`x[3]`), or the constant 1 (`name` None)."""

    name: str | None
    index: Expr | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class NamedExpr:
    """`p = softmax(z)` or just `h`, in an `output` statement."""

    name: str | None
    value: Expr
    name_span: Span | None = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a block's signature: `x : [d]`, `width`, `heads = 4`."""

    name: str
    type: TypeExpr | None
    default: Expr | None
    span: Span = _span()


# ---------------------------------------------------------------------------------------
# Statements


@dataclass(frozen=True, slots=True)
class DiagramStmt:
    name: str
    doc: str | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class UseStmt:
    path: str
    alias: str
    path_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class SizeStmt:
    items: tuple[SizeItem, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ConstStmt:
    name: str
    value: Expr
    name_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class RequireStmt:
    condition: Expr
    message: str | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class InputStmt:
    items: tuple[Declared, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class TargetStmt:
    items: tuple[Declared, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ParamStmt:
    """`param W : [H, _] = glorot()`; `init` is None only if the user left it out (an error)."""

    name: str
    shape: tuple[Expr | Wildcard, ...] | None
    init: Expr | None
    name_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class NodeStmt:
    """`node h1, h2 : step`; `activation` is a call whose `args` hold its settings only."""

    items: tuple[NodeItem, ...]
    activation: Call | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class WireStmt:
    """`x1, x2 -[w]-> h1, h2`; `weight` is None for a fresh trainable one (`x1 -> h1`)."""

    sources: tuple[End, ...]
    weight: Expr | None
    dests: tuple[End, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class EquationStmt:
    """`z = W @ h`, or `a, b = split(x, 2)`."""

    targets: tuple[Name, ...]
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class LayerStmt:
    name: str
    call: Call
    name_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class OutputStmt:
    items: tuple[NamedExpr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class LossStmt:
    """`loss kl = f(...) by sum`; `by` is "mean" or "sum"."""

    name: str | None
    value: Expr
    by: str
    name_span: Span | None = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class MetricStmt:
    name: str | None
    value: Expr
    name_span: Span | None = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class TrainStmt:
    """`train sgd(lr=0.1), epochs=20, batch=64`."""

    optimiser: Call
    settings: tuple[Keyword, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DataFileStmt:
    """`data "digits.csv" split 0.8`."""

    path: str
    split: Expr | None
    path_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DataTableStmt:
    """`data { x1 x2 | y ... }`: column names before and after the bar, then rows of expressions."""

    inputs: tuple[Name, ...]
    targets: tuple[Name, ...]
    rows: tuple[DataRow, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DataRow:
    """One row: the values before and after the bar (numbers, strings, lists)."""

    inputs: tuple[Expr, ...]
    targets: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DataMadeStmt:
    """`data 2000 { x = linspace(-pi, pi); y = sin(x) }`."""

    count: Expr
    equations: tuple[EquationStmt, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ReturnStmt:
    values: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class BlockStmt:
    name: str
    params: tuple[Param, ...]
    results: tuple[TypeExpr, ...]
    body: tuple[Stmt, ...]
    name_span: Span = _span()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class RepeatStmt:
    """`repeat 12 as h { ... }`."""

    count: Expr
    name: str
    body: tuple[Stmt, ...]
    name_span: Span = _span()
    span: Span = _span()


Stmt: TypeAlias = (
    DiagramStmt
    | UseStmt
    | SizeStmt
    | ConstStmt
    | RequireStmt
    | InputStmt
    | TargetStmt
    | ParamStmt
    | NodeStmt
    | WireStmt
    | EquationStmt
    | LayerStmt
    | OutputStmt
    | LossStmt
    | MetricStmt
    | TrainStmt
    | DataFileStmt
    | DataTableStmt
    | DataMadeStmt
    | ReturnStmt
    | BlockStmt
    | RepeatStmt
)


@dataclass(frozen=True, slots=True)
class Comment:
    """`# ...` with its `#`, and whether it stands alone on its line."""

    text: str
    alone: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class File:
    """A whole file; comments take no part in equality, for they mean nothing."""

    statements: tuple[Stmt, ...]
    span: Span = _span()
    comments: tuple[Comment, ...] = field(default=(), compare=False)
