"""The last step of lowering: nodes in order of dependence, outputs, and what nobody uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import FlowError
from ..graph import Graph, Requirement, Result
from .declare import Declarations
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
    """The program of a scope. Raises FlowError where circles depend on each other in a ring."""
    order = _in_order(scope)
    requires = [Requirement(value, message, span) for value, message, span in declarations.requires]
    sizes = {s.name: s.value for s in scope.symbols.values() if s.kind == "size" and not s.poisoned}
    constants = [(n, d.value) for n, d in sizes.items() if d.value is not None]
    graph = Graph(name, doc=doc, sizes=scope.sizes, requires=requires, constants=constants)
    known: set[str] = set()
    for node_name in order:
        node = scope.nodes[node_name]
        if all(o in known for o in node.operands):  # a circle without wires has no node
            graph.add(node)
            known.add(node_name)
    params = [n.name for n in graph if n.op.name == "param"]
    found = [r for r in results.results if r.node in known]
    graph.close(scope.inputs, scope.targets, params, found)
    if not results.says_outputs:
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
    )


def _in_order(scope: Scope) -> list[str]:
    """All nodes, operands before users, otherwise as they were made."""
    order: list[str] = []
    done: set[str] = set()
    active: dict[str, None] = {}
    for root in scope.nodes:
        if root in done:
            continue
        stack: list[tuple[str, Iterable[str]]] = [(root, iter(scope.nodes[root].operands))]
        active[root] = None
        while stack:
            name, rest = stack[-1]
            step = next((o for o in rest if o not in done and o in scope.nodes), None)
            if step is None:
                stack.pop()
                active.pop(name)
                done.add(name)
                order.append(name)
            elif step in active:
                _report_ring(scope, [*_from(active, step), step])
                raise FlowError(scope.found.sorted())
            else:
                active[step] = None
                stack.append((step, iter(scope.nodes[step].operands)))
    return order


def _from(active: dict[str, None], start: str) -> list[str]:
    names = list(active)
    return names[names.index(start) :]


def _report_ring(scope: Scope, ring: list[str]) -> None:
    ring = ring[::-1]
    names = [n for n in ring if n in scope.circles or _is_named(scope, n)]
    if names and names[0] != names[-1]:
        names.append(names[0])
    first = next((n for n in names if n in scope.circles), names[0] if names else ring[0])
    span = scope.circles[first].span if first in scope.circles else scope.nodes[first].span
    if len(names) > 9:
        names = [*names[:4], "...", *names[-4:]]
    scope.found.report(
        "E0201",
        "circles depend on each other in a ring",
        span,
        " -> ".join(n if n == "..." else f"`{n}`" for n in names),
        help="remove one of these wires: a value cannot depend on itself",
    )


def _is_named(scope: Scope, name: str) -> bool:
    hint = scope.nodes[name].hint
    return hint is not None and not hint.startswith("xi_")


def _default_outputs(scope: Scope, graph: Graph, results: Results) -> list[Result]:
    """Design 1.8: what depends on no target and is used by nothing but losses and the like."""
    judged = graph.depends_on(graph.targets) | results.judged
    candidates = [(s.span.start, s.name, s.node) for s in scope.symbols.values() if s.kind in ("node", "equation")]
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
                f"the {symbol.kind} `{symbol.name}` is not used",
                symbol.span,
                "not used",
                help="remove it, or use it",
            )
