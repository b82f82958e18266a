"""The syntax tree: what a `.flow` file says, with a span on everything, and nothing more.

Assumes nothing. Promises that two files with equal trees mean the same: spans take no part
in equality. Names are plain strings; which thing a name means is decided in `lower`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from .errors import Span


class Tree:
    """What all parts of the tree share: equality of meaning, and a readable form.

    Their dataclasses generate a constructor and nothing else, which is what makes importing fifty
    of them quick. Nothing changes a tree once it is parsed.
    """

    __slots__ = ()

    def _parts(self) -> list[tuple[str, Any]]:
        """The fields that carry meaning; spans and the like do not."""
        found = fields(self)  # type: ignore[arg-type]
        return [(f.name, getattr(self, f.name)) for f in found if f.compare]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash((type(self), *(value for _, value in self._parts())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._parts())})"


def _span() -> Span:
    return field(compare=False, repr=False)


# ---------------------------------------------------------------------------------------
# Expressions


@dataclass(slots=True, eq=False, repr=False)
class Number(Tree):
    """`3`, `0.5`, `1e-6`; whole numbers are int, all others float."""

    value: int | float
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class String(Tree):
    """Text in double quotes."""

    value: str
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Name(Tree):
    """A name, also the constants `pi`, `inf`, `true` and `false`."""

    name: str
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Unary(Tree):
    """`-x` or `not x`."""

    op: str
    operand: Expr
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Binary(Tree):
    """`+ - * / ^ % @`, comparisons, `and`, `or`; `op_span` marks the operator itself."""

    op: str
    left: Expr
    right: Expr
    op_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Keyword(Tree):
    """`name=value` in a call."""

    name: str
    value: Expr
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Call(Tree):
    """`f(a, k=b)`; `func` may be dotted (`lib.f`). `has_parens` is False for a bare `step`."""

    func: str
    args: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]
    func_span: Span = _span()
    span: Span = _span()
    has_parens: bool = field(default=True, compare=False)


@dataclass(slots=True, eq=False, repr=False)
class Pipe(Tree):
    """`value |> call`: the call with `value` before its arguments."""

    value: Expr
    call: Call
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Member(Tree):
    """`value.name`: `h.xi`, `enc.weight`, `x.T`."""

    value: Expr
    name: str
    name_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Slice(Tree):
    """`start:stop` or a bare `:` in an index."""

    start: Expr | None
    stop: Expr | None
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Index(Tree):
    """`value[i, a:b, :]`."""

    value: Expr
    items: tuple[Expr | Slice, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class ListExpr(Tree):
    """`[a, b]`."""

    items: tuple[Expr, ...]
    span: Span = _span()


Expr: TypeAlias = Number | String | Name | Unary | Binary | Call | Pipe | Member | Index | ListExpr

# ---------------------------------------------------------------------------------------
# Parts of declarations


@dataclass(slots=True, eq=False, repr=False)
class Wildcard(Tree):
    """`_`, a size that is to be inferred."""

    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class TypeExpr(Tree):
    """`[D]`, `class(50257)[T]`, `class("setosa", "virginica")`, `int`; no shape is a single number."""

    kind: str  # "real", "int", "bool", "class"
    classes: Expr | None
    names: tuple[String, ...]
    shape: tuple[Expr | Wildcard, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Declared(Tree):
    """One name of an `input` or `target` statement."""

    name: str
    type: TypeExpr | None
    name_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class SizeItem(Tree):
    """`D = 784`, or `T` alone: known when data arrive."""

    name: str
    value: Expr | None
    name_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class NodeItem(Tree):
    """`h1`, or `h[3]` for a layer of three circles."""

    name: str
    size: Expr | None
    name_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class End(Tree):
    """An end of a wire: a name, a circle of a layer (`x[3]`), or the constant 1 (`name` None)."""

    name: str | None
    index: Expr | None
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class NamedExpr(Tree):
    """`p = softmax(z)` or just `h`, in an `output` statement."""

    name: str | None
    value: Expr
    name_span: Span | None = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class Param(Tree):
    """One parameter of a block's signature: `x : [d]`, `width`, `heads = 4`."""

    name: str
    type: TypeExpr | None
    default: Expr | None
    span: Span = _span()


# ---------------------------------------------------------------------------------------
# Statements


@dataclass(slots=True, eq=False, repr=False)
class DiagramStmt(Tree):
    """`diagram xor "XOR by two circles"`"""

    name: str
    doc: str | None
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class UseStmt(Tree):
    """`use "blocks.flow" as lib`"""

    path: str
    alias: str
    path_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class SizeStmt(Tree):
    """`size D = 784, T`"""

    items: tuple[SizeItem, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class ConstStmt(Tree):
    """`const eps = 1e-5`"""

    name: str
    value: Expr
    name_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class RequireStmt(Tree):
    """`require D % 4 == 0, "message"`"""

    condition: Expr
    message: str | None
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class InputStmt(Tree):
    """`input x : [D]`"""

    items: tuple[Declared, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class TargetStmt(Tree):
    """`target y : class(3)`"""

    items: tuple[Declared, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class ParamStmt(Tree):
    """`param W : [H, _] = glorot()`; `init` is None only if the user left it out (an error)."""

    name: str
    shape: tuple[Expr | Wildcard, ...] | None
    init: Expr | None
    name_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class NodeStmt(Tree):
    """`node h1, h2 : step`; `activation` is a call whose `args` hold its settings only."""

    items: tuple[NodeItem, ...]
    activation: Call | None
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class WireStmt(Tree):
    """`x1, x2 -[w]-> h1, h2`; `weight` is None for a fresh trainable one (`x1 -> h1`)."""

    sources: tuple[End, ...]
    weight: Expr | None
    dests: tuple[End, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class WiresStmt(Tree):
    """`wires W from "edges.csv"`: the wires that a table lists, W their weights."""

    name: str
    path: str
    name_span: Span = _span()
    path_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class EquationStmt(Tree):
    """`z = W @ h`, or `a, b = split(x, 2)`."""

    targets: tuple[Name, ...]
    value: Expr
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class LayerStmt(Tree):
    """`layer wte = embedding(V, 64)`"""

    name: str
    call: Call
    name_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class OutputStmt(Tree):
    """`output p = softmax(z), h`"""

    items: tuple[NamedExpr, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class LossStmt(Tree):
    """`loss kl = f(...) by sum`; `by` is "mean" or "sum"."""

    name: str | None
    value: Expr
    by: str
    name_span: Span | None = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class MetricStmt(Tree):
    """`metric top = accuracy(z, y)`"""

    name: str | None
    value: Expr
    name_span: Span | None = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class TrainStmt(Tree):
    """`train sgd(lr=0.1), epochs=20, batch=64`."""

    optimiser: Call
    settings: tuple[Keyword, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class DataFileStmt(Tree):
    """`data "digits.csv" split 0.8`."""

    path: str
    split: Expr | None
    path_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class DataTableStmt(Tree):
    """`data { x1 x2 | y ... }`: column names before and after the bar, then rows of expressions."""

    inputs: tuple[Name, ...]
    targets: tuple[Name, ...]
    rows: tuple[DataRow, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class DataRow(Tree):
    """One row: the values before and after the bar (numbers, strings, lists)."""

    inputs: tuple[Expr, ...]
    targets: tuple[Expr, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class DataMadeStmt(Tree):
    """`data 2000 { x = linspace(-pi, pi); y = sin(x) }`."""

    count: Expr
    equations: tuple[EquationStmt, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class ReturnStmt(Tree):
    """`return a, b`"""

    values: tuple[Expr, ...]
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class BlockStmt(Tree):
    """`block f(x : [d], width) -> [d] { ... }`"""

    name: str
    params: tuple[Param, ...]
    results: tuple[TypeExpr, ...]
    body: tuple[Stmt, ...]
    name_span: Span = _span()
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class RepeatStmt(Tree):
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
    | WiresStmt
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


@dataclass(slots=True, eq=False, repr=False)
class Comment(Tree):
    """`# ...` with its `#`, and whether it stands alone on its line."""

    text: str
    alone: bool
    span: Span = _span()


@dataclass(slots=True, eq=False, repr=False)
class File(Tree):
    """A whole file; comments take no part in equality, for they mean nothing."""

    statements: tuple[Stmt, ...]
    span: Span = _span()
    comments: tuple[Comment, ...] = field(default=(), compare=False)
