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

from ..errors import Diagnostics, Span, shorten
from ..graph import Graph, Node, Result
from ..naming import Namer
from ..ops import OPS
from ..types import (
    MAX_ELEMENTS,
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

        Where `found` has errors afterwards the result serves only to look for more.
        """
        return _Inference(graph, self.found).run()


def operand_types(op: Any, types: Sequence[Any]) -> list[Any]:
    """The operands' types after the conversions that the operation asks for."""
    if any(isinstance(t, TupleType) for t in types):
        return list(types)
    wanted = op.wants(types)
    return [t if e is None else TensorType(e, t.shape) for t, e in zip(types, wanted, strict=True)]


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
                self._report_unknown(waiting[node.name], node)
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
            if any(isinstance(t, TupleType) for t in types) and node.op.name != "item":
                raise Mismatch(
                    f"`{node.op.name}` needs one value",
                    blame=[(i, describe(t)) for i, t in enumerate(types) if isinstance(t, TupleType)],
                    help="give each result a name: `a, b = ...`",
                )
            type = node.op.rule(self.u, *operand_types(node.op, types))
            _check_size(type)
        except NotYetKnown as need:
            waiting[node.name] = need.size
            return False
        except Mismatch as error:
            views = [view(self.graph[o], o, t) for o, t in zip(node.operands, types, strict=True)]
            report_mismatch(self.found, error, node.op.name, node.span, views)
            self.failed.add(node.name)
            return True
        self.types[node.name] = type
        return True

    def _report_unknown(self, size: Unknown, node: Node) -> None:
        origin = size.origin
        self.found.report(
            "E0301",
            "a size cannot be inferred",
            origin.span if origin else node.span,
            "nothing says how large this is",
            labels=[(node.span, "needed here")] if origin else [],
            help="write the size out",
        )

    def _report_leftovers(self) -> None:
        """Report params whose sizes nothing fixed, and params of symbolic size."""
        for name in self.graph.params:
            if name in self.failed or name not in self.types:
                continue
            type = self.u.type(self.types[name])
            assert isinstance(type, TensorType)
            unknown = [d for d in type.shape if isinstance(d, Unknown)]
            symbolic = [d for d in type.shape if not isinstance(d, Unknown) and d.value is None]
            if (unknown or symbolic) and self.found.has_errors and not self.graph.users(name):
                continue
            if unknown and not self._is_reported(name):
                origin = unknown[0].origin
                self.found.report(
                    "E0301",
                    f"a size of `{name}` cannot be inferred",
                    origin.span if origin and origin.span else self.graph[name].span,
                    "nothing says how large this is",
                    help="write the size out, or use the parameter where its size follows",
                )
            if symbolic:
                self.found.report(
                    "E0301",
                    f"the parameter `{name}` would have the symbolic size {symbolic[0]}",
                    self.graph[name].span,
                    f"it is {describe(type)}",
                    labels=[(d.origin.span, f"from {d.origin.text}") for d in symbolic if d.origin],
                    help="parameters are made before data arrive: give the size a number",
                )

    def _is_reported(self, name: str) -> bool:
        return any(user.name in self.failed for user in self.graph.users(name))

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
    """Raise Mismatch (E0904) for an array too large to be meant."""
    for tensor in type.items if isinstance(type, TupleType) else (type,):
        if tensor.shape and element_count(tensor.shape) > MAX_ELEMENTS:
            raise Mismatch(
                f"an array of {element_count(tensor.shape)} elements",
                help=f"arrays may have up to {MAX_ELEMENTS} elements per example",
                code="E0904",
                sizes=tensor.shape,
            )


# ---------------------------------------------------------------------------------------
# Reporting


@dataclass(frozen=True)
class View:
    """An operand as an error message shows it."""

    text: str
    span: Span | None
    type: Any


def view(node: Node | None, name: str, type: Any) -> View:
    """How to speak of an operand: by its name, or by the text that makes it."""
    if node is None:
        return View(f"`{name}`", None, type)
    if node.hint is not None:
        return View(f"`{node.hint}`", node.span, type)
    text = shorten(" ".join(node.span.text.split()), 40) if node.span is not None else node.op.name
    return View(f"`{text}`", node.span, type)


def report_mismatch(
    found: Diagnostics, error: Mismatch, op: str, span: Span | None, operands: Sequence[View]
) -> None:
    """Report a Mismatch: each operand involved, where each conflicting size came from, the cure."""
    said = [f"{operands[slot].text} {text}" for slot, text in error.blame if slot < len(operands)]
    labels: list[tuple[Span | None, str]] = []
    for size in error.sizes:
        if size.origin is not None and size.origin.span is not None:
            labels.append((size.origin.span, f"{size} comes from {size.origin.text}"))
    for slot, text in error.blame:
        if slot >= len(operands):
            continue
        where = operands[slot].span
        if where is None or where == span or any(at == where for at, _ in labels):
            continue
        if span is not None and where.source is span.source and span.start <= where.start < span.end:
            continue
        labels.append((where, f"{operands[slot].text} {text}"))
    help = error.help or (f"`flowc ops {op}` shows what it needs" if op in OPS and OPS[op].group else "")
    found.report(error.code, error.message, span, ", ".join(said), labels=labels, help=help)
