"""Types while lowering: what is known of a node before the whole graph is.

A wire's form depends on whether its ends are single circles or layers, and a layer's
parameters on the size it is applied to; both must be known when the statement is read.
"""

from __future__ import annotations

from ..errors import Span, shorten
from ..graph import Node
from ..passes.infer import View, report_mismatch, report_unknown, rule_of, view
from ..types import Mismatch, NotYetKnown, TensorType, Type
from .scope import Scope
from .static import Skip


def type_of(scope: Scope, name: str) -> Type:
    """The type of a node as far as it follows from what is read so far.

    Raises Skip where it does not follow, having reported the mistake, or the size that is not
    known yet (E0301).
    """
    stack = [name]
    while stack:
        current = stack[-1]
        if current in scope.types:
            stack.pop()
        elif current in scope.circles:
            scope.types[current] = scope.circles[current].type
        elif current in scope.excitations:
            scope.types[current] = scope.excitations[current].type
        else:
            missing = [o for o in scope.nodes[current].operands if o not in scope.types]
            stack += missing
            if not missing:
                scope.types[current] = _infer(scope, current)
    return scope.unifier.type(scope.types[name])


def tensor_of(scope: Scope, name: str, span: Span) -> TensorType:
    """The type of a node that must be one array. Raises Skip, having reported E0310 for several."""
    type = type_of(scope, name)
    if isinstance(type, TensorType):
        return type
    scope.found.report(
        "E0310",
        "one value is needed here",
        span,
        f"this is {len(type.items)} values",
        help="give each a name first: `a, b = ...`",
    )
    raise Skip


def view_of(scope: Scope, name: str, type: Type, user: Node | None = None) -> View:
    """How to speak of an operand, which may be a circle whose wires are still being read."""
    if name in scope.nodes:
        return view(scope.nodes[name], name, type, user)
    circle = scope.circles.get(name) or scope.excitations[name]
    return View(f"`{shorten(circle.name)}`", circle.span, type)


def _infer(scope: Scope, name: str) -> Type:
    node = scope.nodes[name]
    types = [scope.unifier.type(scope.types[o]) for o in node.operands]
    try:
        return rule_of(scope.unifier, node.op, types)
    except Mismatch as error:
        # Told here, for the whole may come to lack this node; inference telling it again is no harm.
        operands = zip(node.operands, types, strict=True)
        report_mismatch(
            scope.found, error, node.op, node.span, [view_of(scope, o, t, node) for o, t in operands]
        )
        raise Skip from None
    except NotYetKnown as need:
        report_unknown(scope.found, need.size, node.span)
        raise Skip from None
