"""Types while lowering: what is known of a node before the whole graph is.

A wire's form depends on whether its ends are single circles or layers, and a layer's
parameters on the size it is applied to; both must be known when the statement is read.
"""

from __future__ import annotations

from ..passes.infer import operand_types
from ..types import Mismatch, NotYetKnown, TensorType
from .scope import Scope
from .static import Skip


def type_of(scope: Scope, name: str) -> TensorType:
    """The type of a node as far as it follows from declarations.

    Raises Skip where it does not follow: the node is in the graph, and inference of the whole
    reports why.
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
    return scope.unifier.tensor(scope.types[name])


def _infer(scope: Scope, name: str) -> TensorType:
    node = scope.nodes[name]
    types = operand_types(node.op, [scope.unifier.type(scope.types[o]) for o in node.operands])
    try:
        type = node.op.rule(scope.unifier, *types)
    except (Mismatch, NotYetKnown):
        raise Skip from None
    return type  # type: ignore[no-any-return]
