"""The last step of lowering: nodes in order of dependence, outputs, and what nobody uses."""

from __future__ import annotations

from typing import Any

from ..errors import shorten
from ..graph import Graph, Requirement, Result
from ..naming import Namer, class_name
from ..ops import OPS
from ..types import Dim
from .declare import Declarations
from .order import in_order
from .program import Program
from .results import Results
from .scope import Scope


def finish(
    scope: Scope,
    results: Results,
    name: str,
    doc: str,
    declarations: Declarations,
    program: dict[str, Any],
) -> Program:
    """The program of a scope; where circles depend on each other in a ring it lacks them."""
    order = in_order(scope)
    said = [*declarations.requires, *scope.requires]
    requires = [Requirement(value, message, span) for value, message, span in said]
    sizes = {s.name: s.value for s in scope.symbols.values() if s.kind == "size" and not s.poisoned}
    graph = Graph(name, doc=doc, sizes=scope.sizes, requires=requires, constants=_constants(name, sizes))
    known: set[str] = set()
    for node_name in order:
        node = scope.nodes[node_name]
        if all(o in known for o in node.operands):  # a circle without wires has no node
            graph.add(node)
            known.add(node_name)
    params = sorted((n for n in graph if n.op.name == "param"), key=lambda n: scope.param_places[n.name])
    found = [r for r in results.results if r.node in known]
    graph.close(scope.inputs, scope.targets, [n.name for n in params], found)
    if not results.says_outputs and not scope.skipped:
        graph.results = (*_default_outputs(scope, graph, results), *found)
    if not scope.found.has_errors:
        _warn_unused(scope)
    statics = {s.name: s.value for s in scope.symbols.values() if s.kind in ("size", "const")}
    return Program(
        graph,
        program.get("training"),
        program.get("data"),
        statics,
        declarations.types,
        sizes,
        is_partial=scope.skipped or len(known) < len(scope.nodes),
    )


def _constants(diagram: str, sizes: dict[str, Dim]) -> list[tuple[str, int]]:
    """The sizes that are numbers, under names that emitted modules can give them."""
    title = class_name(diagram)
    namer = Namer([title, f"{title}Loss", *OPS])
    return [(namer.variable(n), d.value) for n, d in sizes.items() if d.value is not None]


def _default_outputs(scope: Scope, graph: Graph, results: Results) -> list[Result]:
    """Design 1.8: what depends on no target and is used by nothing but losses and the like."""
    judged = graph.depends_on(graph.targets) | results.judged
    candidates = [
        (s.span.start, s.name, s.node) for s in scope.symbols.values() if s.kind in ("node", "equation")
    ]
    found = []
    for _, label, node in sorted(c for c in candidates if c[2] in graph):
        if node not in judged and all(user.name in judged for user in graph.users(node)):
            found.append(Result("output", label, node, span=graph[node].span))
    return found


def _warn_unused(scope: Scope) -> None:
    for symbol in scope.symbols.values():
        if symbol.kind in ("size", "const", "param") and not symbol.used:
            scope.found.report(
                "W0102",
                f"the {symbol.kind} `{shorten(symbol.name)}` is not used",
                symbol.span,
                "nothing depends on it",
                help="use it, or remove it",
            )
