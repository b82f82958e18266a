"""What to say of circles that depend on each other in a ring.

Assumes a ring of nodes of the scope, each an operand of the one before it and the first one an
operand of the last. Promises one error, at the wire or equation of the ring that stands last.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Span, shorten
from .scope import Scope

MAX_NAMED = 9
"""A longer ring is shown by its ends."""


def report_ring(scope: Scope, ring: Sequence[str]) -> None:
    """Report E0201 for a ring of nodes."""
    scope.skipped = True
    steps = _steps(scope, _circles(scope, ring[::-1]))
    last = max(steps, key=lambda s: s[0].start)
    names = [target for _, _, target in steps]
    at = steps.index(last)
    turned = [*names[at:], *names[: at + 1]]
    if len(turned) > MAX_NAMED:
        turned = [*turned[:4], "", *turned[-4:]]
    shown = " -> ".join(f"`{shorten(n, 30)}`" if n else "..." for n in turned)
    others = [s for s in steps if s is not last][:4]
    message = "circles depend on each other in a ring"
    cure = "no value can depend on itself: remove one of these wires"
    if len(steps) == 1:
        circle = scope.circles.get(last[2])
        is_layer = circle is not None and circle.size is not None
        message = "a layer depends on itself" if is_layer else "a circle depends on itself"
        cure = "no value can depend on itself: remove the wire"
        if is_layer:
            cure = (
                "circles of one layer cannot feed each other: declare them as single nodes, or as two layers"
            )
    scope.found.report(
        "E0201",
        message,
        last[0],
        f"this closes the ring {shown}",
        labels=[(span, f"`{shorten(a, 30)}` feeds `{shorten(b, 30)}`") for span, a, b in others],
        help=cure,
    )


def _circles(scope: Scope, ring: Sequence[str]) -> list[str]:
    """The circles and named equations of a ring, in the direction of the wires."""
    return [n for n in ring if n in scope.circles or _is_named(scope, n)] or list(ring)


def _is_named(scope: Scope, name: str) -> bool:
    return scope.nodes[name].hint in scope.symbols and name not in scope.excitations


def _steps(scope: Scope, nodes: Sequence[str]) -> list[tuple[Span, str, str]]:
    """The place of each wire or equation of the ring, with the names of what it connects."""
    steps = []
    for source, target in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
        before, after = (scope.nodes[n].hint or n for n in (source, target))
        circle = scope.circles.get(target)
        span = scope.nodes[target].span if circle is None else circle.feeds.get(before, circle.span)
        assert span is not None
        steps.append((span, before, after))
    return steps
