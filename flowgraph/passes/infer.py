"""Infer the type of every node, by unification.

Assumes the graph that `lower` makes: types on inputs, targets and params only, perhaps with
unknown sizes. Promises a graph in which every node carries a type without unknowns, attrs are
canonical (axes counted from the end), and conversions of element types are nodes. All errors
of the graph are reported; a node that depends on a faulty one is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..errors import MAX_ERRORS, Diagnostics, FlowError, Span, shorten
from ..graph import Graph, Node, Result
from ..naming import Namer
from ..ops import OPS
from ..types import (
    MAX_ELEMENTS,
    MAX_RANK,
    Dim,
    Elem,
    Mismatch,
    NotYetKnown,
    TensorType,
    TupleType,
    Type,
    Unifier,
    Unknown,
    describe,
    element_count,
)
from .base import Pass


@dataclass(frozen=True)
class InferTypes(Pass):
    """Types and shapes for all nodes; errors go to `found`."""

    name: ClassVar[str] = "infer-types"
    found: Diagnostics = field(default_factory=Diagnostics, compare=False)

    def run(self, graph: Graph) -> Graph:
        """The typed graph, without the nodes that have errors.

        Where `found` has errors afterwards the result serves only to look for more. Raises
        FlowError with what is found where there are very many.
        """
        return _Inference(graph, self.found).run()


def operand_types(op: Any, types: Sequence[Any]) -> list[Any]:
    """The operands' types after the conversions that the operation asks for."""
    if any(isinstance(t, TupleType) for t in types):
        return list(types)
    wanted = op.wants(types)
    return [t if e is None else TensorType(e, t.shape) for t, e in zip(types, wanted, strict=True)]


def rule_of(u: Unifier, op: Any, types: Sequence[Any]) -> Type:
    """The type of an operation's result, its operands converted as it asks.

    Raises Mismatch, or NotYetKnown.
    """
    several = [i for i, t in enumerate(types) if isinstance(t, TupleType)]
    if several and op.name != "item":
        raise Mismatch(
            "one value is needed here",
            blame=[(i, f"is {describe(types[i])}") for i in several],
            help="give each result a name: `a, b = ...`",
        )
    type: Type = op.rule(u, *operand_types(op, types))
    return type


class _Inference:
    def __init__(self, graph: Graph, found: Diagnostics) -> None:
        self.graph = graph
        self.found = found
        self.u = Unifier()
        self.types: dict[str, Type] = {}
        self.failed: set[str] = set()

    def run(self) -> Graph:
        pending = list(self.graph)
        waiting: dict[str, Unknown] = {}
        while pending:
            waiting = {}
            left = [node for node in pending if not self._try(node, waiting)]
            if len(left) == len(pending):
                break
            pending = left
        for node in pending:
            self.failed.add(node.name)
            if node.name in waiting:
                report_unknown(self.found, waiting[node.name], node.span)
        self._report_leftovers()
        return self._build()

    def _try(self, node: Node, waiting: dict[str, Unknown]) -> bool:
        """Infer one node; False if it must wait for sizes that later nodes fix."""
        if self.failed and any(o in self.failed for o in node.operands):
            self.failed.add(node.name)
            return True
        if any(o not in self.types for o in node.operands):
            return False
        types = [self.u.type(self.types[o]) for o in node.operands]
        try:
            type = rule_of(self.u, node.op, types)
            _check_size(type)
        except NotYetKnown as need:
            waiting[node.name] = need.size
            return False
        except Mismatch as error:
            views = [view(self.graph[o], o, t, node) for o, t in zip(node.operands, types, strict=True)]
            report_mismatch(self.found, error, node.op, node.span, views)
            self.failed.add(node.name)
            if self.found.error_count >= MAX_ERRORS:
                raise FlowError(self.found.sorted()) from None
            return True
        self.types[node.name] = type
        return True

    def _report_leftovers(self) -> None:
        """Report params whose sizes nothing fixed, and params of symbolic size."""
        had_errors = self.found.has_errors
        for name in self.graph.params:
            if name in self.failed or name not in self.types:
                continue
            type = self.u.type(self.types[name])
            assert isinstance(type, TensorType)
            unknown = [d for d in type.shape if isinstance(d, Unknown)]
            symbolic = [d for d in type.shape if not isinstance(d, Unknown) and d.value is None]
            if had_errors and not self.graph.users(name):
                continue  # its use may be what has the error
            if unknown and not any(user.name in self.failed for user in self.graph.users(name)):
                report_unknown(self.found, unknown[0], None, self.graph[name].span)
            if symbolic:
                self._report_symbolic(self.graph[name], type, symbolic[0])

    def _report_symbolic(self, param: Node, type: TensorType, size: Dim) -> None:
        place = size.origin.span if size.origin is not None else None
        self.found.report(
            "E0308",
            f"the parameter `{shorten(str(param.hint))}` would have the symbolic size {size}",
            param.span,
            f"this is {describe(type)}",
            labels=[]
            if place is None or size.origin is None
            else [(place, f"{size} is known only with the data")],
            help="parameters are made before data arrive: give the size a number, here or with --set",
        )

    # -- the typed graph

    def _build(self) -> Graph:
        out = self.graph.like()
        conversions = _Conversions(out, [n.name for n in self.graph])
        whole = not self.failed
        for node in self.graph:
            type = self.types.get(node.name)
            if type is None or not (whole or all(o in out for o in node.operands)):
                continue
            types = [out[o].type for o in node.operands]
            operands = conversions.apply(node, types)
            types = [out[o].type for o in operands]
            op = node.op.canonical(types)
            if hasattr(op, "type"):
                op = op.with_attrs(type=self.u.type(op.type))
            final = self.u.type(type)
            out.add(Node(node.name, op, tuple(operands), final, node.hint, node.span))

        def still(names: Sequence[str]) -> list[str]:
            return [name for name in names if name in out]

        results: list[Result] = [r for r in self.graph.results if r.node in out]
        return out.close(
            still(self.graph.inputs), still(self.graph.targets), still(self.graph.params), results
        )


class _Conversions:
    """Inserts the element-type conversions that operations ask for; each value converted once."""

    def __init__(self, out: Graph, names: Sequence[str]) -> None:
        self.out = out
        self.namer = Namer(names)
        self.made: dict[tuple[str, str], str] = {}

    def apply(self, node: Node, types: Sequence[Any]) -> list[str]:
        if any(isinstance(t, TupleType) for t in types):
            return list(node.operands)
        wanted = node.op.wants(types)
        return [
            operand if elem is None else self._converted(operand, elem)
            for operand, elem in zip(node.operands, wanted, strict=True)
        ]

    def _converted(self, operand: str, elem: Elem) -> str:
        source = self.out[operand]
        if source.type.elem.kind == elem.kind:
            return operand
        key = (operand, elem.kind)
        if key not in self.made:
            name = self.namer.unique(f"{operand.replace('.', '_')}_{elem.kind}")
            if hasattr(source.op, "as_kind"):
                op, operands = source.op.as_kind(elem.kind), ()
            else:
                op, operands = OPS["cast"](kind=elem.kind), (operand,)  # type: ignore[assignment]
            type = TensorType(elem, source.type.shape)
            self.out.add(Node(name, op, operands, type, None, source.span))
            self.made[key] = name
        return self.made[key]


def _check_size(type: Type) -> None:
    """Raise Mismatch (E0904) for an array too large to be meant, or of too many axes."""
    for tensor in type.items if isinstance(type, TupleType) else (type,):
        if tensor.rank > MAX_RANK:
            raise Mismatch(
                f"an array of {tensor.rank} axes",
                help=f"an array may have up to {MAX_RANK} axes",
                code="E0904",
            )
        if tensor.shape and element_count(tensor.shape) > MAX_ELEMENTS:
            raise Mismatch(
                f"an array of {element_count(tensor.shape)} elements",
                help=f"an array may have up to {MAX_ELEMENTS} elements per example",
                code="E0904",
                sizes=tensor.shape,
            )


# ---------------------------------------------------------------------------------------
# Reporting


def report_unknown(
    found: Diagnostics, size: Unknown, span: Span | None, declared: Span | None = None
) -> None:
    """Report a size that nothing fixes (E0301); `span` is where it is needed.

    declared: the place to show where the size has none. What is reported already is not again.
    """
    place = size.origin.span if size.origin is not None else None
    at = place or span or declared
    if at is not None and found.has("E0301", at):
        return
    found.report(
        "E0301",
        "a size cannot be inferred",
        at,
        "nothing says how large this is",
        labels=[(span, "needed here")]
        if place is not None and span is not None and not _inside(place, span)
        else [],
        help="write the size out, or use the value where its size follows",
    )


@dataclass(frozen=True)
class View:
    """An operand as an error message shows it."""

    text: str
    span: Span | None
    type: Any
    is_named: bool = True
    """Whether the diagram has a name for it; else the text is the expression itself."""


SIGNS = {"logical_not": "not", "logical_and": "and", "logical_or": "or", "mod": "%"}
"""Operations that are written otherwise than they are called."""


def view(node: Node | None, name: str, type: Any, user: Node | None = None) -> View:
    """How to speak of an operand of `user`: by its name, or by the text that makes it."""
    if node is None:
        return View(f"`{shorten(name)}`", None, type)
    if user is not None and user.hint is not None and node.hint == f"xi_{user.hint}":
        return View(f"the excitation of `{shorten(user.hint)}`", node.span, type)
    if node.hint is not None:
        return View(f"`{shorten(node.hint)}`", node.span, type)
    text = node.op.name
    if node.span is not None:
        text = node.span.source.text[node.span.start : min(node.span.end, node.span.start + 200)]
    return View(f"`{shorten(' '.join(text.split()), 40)}`", node.span, type, is_named=False)


def report_mismatch(
    found: Diagnostics, error: Mismatch, op: Any, span: Span | None, operands: Sequence[View]
) -> None:
    """Report a Mismatch: the operands involved, where each conflicting size came from, the cure."""
    blame = [(operands[slot], text) for slot, text in error.blame if slot < len(operands)]
    said = dict.fromkeys(f"{operand.text} {text}" for operand, text in blame)
    labels: dict[Span, str] = {}
    paired = len(blame) == len(error.sizes)
    for index, (operand, _) in enumerate(blame):
        for place, text in _origin(operand, error.sizes[index] if paired else None, span):
            labels.setdefault(place, text)
    for size in () if paired else error.sizes:
        if size.origin is not None and size.origin.span is not None and size.origin.text:
            labels.setdefault(size.origin.span, f"{size} is from {size.origin.text}")
    help = _with_names(error.help, op, operands)
    if not help and op.group:
        help = f"`flowc ops {op.name}` shows what it needs"
    sign = SIGNS.get(op.name, op.name)
    message = error.message.replace(f"`{op.name}`", f"`{sign}`")
    label = ", ".join(said) or ("too large" if error.code == "E0904" else "")
    found.report(error.code, message, span, label, labels=labels.items(), help=help)


def _origin(operand: View, size: Any, at: Span | None) -> list[tuple[Span, str]]:
    """Labels that say where an operand was made, and where its conflicting size comes from."""
    origin = getattr(size, "origin", None)
    place = operand.span
    if place is not None and at is not None and _inside(place, at):
        place = None  # it is part of what the error points at
    if origin is None or origin.span is None:
        return [] if place is None or not operand.is_named else [(place, f"{operand.text} is made here")]
    if origin.text:
        line = f" (line {origin.span.line})"
        if place is None or operand.span is None:
            return [(origin.span, f"the {size} of {operand.text} is from {origin.text}")]
        return [(place, f"the {size} of {operand.text} is from {origin.text}{line}")]
    return [(origin.span, f"this is the {size} of {operand.text}")]


def _inside(inner: Span, outer: Span) -> bool:
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _with_names(text: str, op: Any, operands: Sequence[View]) -> str:
    """The text with `{a}` replaced by what stands for the operand `a`."""
    for slot, name in enumerate(op.operands):
        if slot < len(operands):
            text = text.replace("{" + name.rstrip("?") + "}", operands[slot].text)
    return text
