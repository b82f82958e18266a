"""Bodies: calls of blocks and rounds of repeats become nodes that hold closed graphs.

Promises for each one `call` node whose graph is typed and closed: arguments, values from outside
and parameters are its operands. What is wrong inside is told with the place of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import Diagnostics, Span, shorten
from ..graph import Graph, Result
from ..ops import OPS
from ..ops.control import Call as CallOp
from ..passes.infer import InferTypes
from ..syntax import BlockStmt, Call, RepeatStmt, Stmt, TypeExpr, Wildcard
from ..types import Dim, TensorType, TupleType, Unknown, describe
from .constants import static_value
from .order import in_order
from .scope import Scope
from .static import Skip, evaluate, whole
from .symbols import Symbol

MAX_CALLS = 24
"""How deeply calls of blocks and repeats may be nested: it bounds Python's own stack."""


@dataclass
class Definition:
    """A block, and what its file declares: sizes and consts, and blocks and files to call."""

    statement: BlockStmt
    symbols: dict[str, Symbol]
    callables: dict[str, Symbol]


@dataclass
class Returned:
    """What a body gives back: nodes of its scope, and the label and place of each."""

    nodes: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


class ToldFromOutside(Diagnostics):
    """Where a body's errors go: on to those of the scope around it, with the place of the call."""

    def __init__(self, outer: Diagnostics, place: Span, text: str) -> None:
        super().__init__(outer.items)
        self.outer, self.place, self.text = outer, place, text

    def report(self, code: str, message: str, span: Span | None = None, label: str = "", **more: Any) -> None:
        labels = [*more.pop("labels", ()), (self.place, self.text)]
        if span is None:
            span, label, labels = self.place, self.text, labels[:-1]
        self.outer.report(code, message, span, label, labels=labels, **more)


def inside(scope: Scope, of: BlockStmt | RepeatStmt | Call, place: Span, text: str, **settings: Any) -> Scope:
    """The scope of a body. Reports E0214 for a block inside itself, E0903 for too deep a nest.

    place, text: the call, and how it is spoken of.
    """
    if isinstance(of, BlockStmt) and of in scope.chain:
        names = [b.name for b in scope.chain[scope.chain.index(of) :] if isinstance(b, BlockStmt)]
        scope.found.report(
            "E0214",
            f"the block `{shorten(of.name)}` calls itself",
            place,
            " -> ".join(f"`{shorten(n, 30)}`" for n in [*names, of.name]),
            labels=[(of.name_span, "it is made here")],
            help="a block is laid out when it is called, so it cannot hold itself; use `repeat` or `scan`",
        )
        raise Skip
    if len(scope.chain) >= MAX_CALLS:
        scope.found.report(
            "E0903",
            "calls of blocks are nested too deeply",
            place,
            f"more than {MAX_CALLS} deep",
            help="call fewer blocks inside of blocks",
        )
        raise Skip
    return Scope(
        ToldFromOutside(scope.found, place, text),
        max_nodes=scope.max_nodes,
        path=scope.path,
        parent=scope,
        place=place,
        unifier=scope.unifier,
        room=scope.room,
        requires=scope.requires,
        lower_body=scope.lower_body,
        chain=(*scope.chain, of),
        **settings,
    )


def run_body(
    scope: Scope,
    child: Scope,
    statements: Sequence[Stmt],
    title: str,
    span: Span,
    hint: str | None,
    results: Callable[[], Returned] | None = None,
) -> tuple[str, Returned]:
    """Lower a body and add the node of its call; returns that node, and what the body returns.

    title: the name of its graph. span: the call. hint: what its value is called, if it is one.
    results: what the body gives back, where no `return` says so. Raises Skip after reporting what is wrong.
    """
    returned: Returned = child.lower_body(child, statements, span)
    if child.skipped:
        raise Skip
    if results is not None:
        returned = results()
    elif not returned.nodes:
        cure = "end it with `return` and the values that it gives back"
        scope.found.report(
            "E0207", f"the block `{shorten(title)}` returns nothing", span, "called here", help=cure
        )
        raise Skip
    typed = _typed(child, returned, title)
    if _spread(child, returned, typed, by_name=results is not None):
        typed = _typed(child, returned, title)
    operands = [child.captured[name] for name in typed.inputs]
    single = hint if len(returned.nodes) == 1 else None
    path = child.layer.name if child.layer is not None else child.prefix
    path = path if child.params else ""
    return scope.add(CallOp(graph=typed, path=path), operands, hint=single, span=span), returned


def _typed(child: Scope, returned: Returned, title: str) -> Graph:
    """The typed graph of a body, its inputs what it takes from outside. Raises Skip."""
    graph = Graph(title, sizes=scope_sizes(child))
    for name in in_order(child):
        graph.add(child.nodes[name])
    outputs = [
        Result("output", label, node, span=at)
        for node, label, at in zip(returned.nodes, returned.labels, returned.spans, strict=True)
    ]
    graph.close(list(child.captured), (), (), outputs)
    before = child.found.outer.error_count if isinstance(child.found, ToldFromOutside) else 0
    typed = InferTypes(child.found).run(graph)
    if isinstance(child.found, ToldFromOutside) and child.found.outer.error_count > before:
        raise Skip
    if any(node not in typed for node in returned.nodes):
        raise Skip  # the mistake was told already, of another call of the block
    return typed


def _spread(child: Scope, returned: Returned, typed: Graph, *, by_name: bool) -> bool:
    """Return several values one by one where the only value returned is several; whether it was so.

    by_name: whether what is returned is to have its name. Reports E0310 and raises Skip where it is,
    or stands among others.
    """
    several = [i for i, node in enumerate(returned.nodes) if isinstance(typed[node].type, TupleType)]
    if not several:
        return False
    (node, *others), span = returned.nodes, returned.spans[several[0]]
    type = typed[returned.nodes[several[0]]].type
    assert isinstance(type, TupleType)
    count = len(type.items)
    if others or by_name:
        cure = "give each a name first: `a, b = ...`"
        child.found.report("E0310", "one value is needed here", span, f"this is {count} values", help=cure)
        raise Skip
    returned.nodes = [child.add(OPS["item"](index=i, count=count), [node], span=span) for i in range(count)]
    returned.labels = [f"result_{i}" if i else "result" for i in range(count)]
    returned.spans = [span] * count
    return True


def scope_sizes(scope: Scope) -> list[str]:
    """The symbolic sizes of the file that a body may mention."""
    while scope.parent is not None:
        scope = scope.parent
    return scope.sizes


# ---------------------------------------------------------------------------------------
# Signatures


def bind_shape(
    child: Scope, scope: Scope, declared: TypeExpr, type: TensorType, what: str, place: Span
) -> None:
    """Hold a value's type against a signature's, and bind the sizes that it names for the first time.

    scope: where the value is. what: the value in words. Reports E0310 or E0303 and raises Skip.
    """
    problem = ""
    if declared.kind != type.elem.kind:
        problem = f"{declared.kind} is needed"
    elif len(declared.shape) != type.rank:
        problem = f"{_axes(len(declared.shape))} needed"
    if problem:
        scope.found.report(
            "E0310" if declared.kind == type.elem.kind else "E0303",
            f"{what} does not fit the signature: {problem}",
            place,
            f"is {describe(type)}",
            labels=[(declared.span, "declared here")],
            help="change the value, or the signature",
        )
        raise Skip
    for expr, size in zip(declared.shape, type.shape, strict=True):
        if isinstance(expr, Wildcard):
            continue
        name = getattr(expr, "name", "")
        if name and name not in child.symbols:
            child.symbols[name] = Symbol("size", name, expr.span, value=size, used=True)
            continue
        wanted = whole(
            evaluate(expr, lambda n: static_value(child, n, "not a size"), child.found),
            expr.span,
            child.found,
        )
        if isinstance(size, Unknown):
            scope.unifier.unify(size, wanted)
        elif size != wanted:
            labels = [(expr.span, f"{wanted} by the signature")]
            if isinstance(size, Dim) and size.origin is not None and size.origin.span is not None:
                said = f"{size} is from {size.origin.text}" if size.origin.text else f"this is the {size}"
                labels.append((size.origin.span, said))
            scope.found.report(
                "E0310",
                f"{what} does not fit the signature: a size is {size}, not {wanted}",
                place,
                f"is {describe(type)}",
                labels=labels,
                help="change the value, or the signature",
            )
            raise Skip


def _axes(count: int) -> str:
    return "a single number is" if count == 0 else "1 axis is" if count == 1 else f"{count} axes are"
