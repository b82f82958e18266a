"""What operations take from the call of an emitted function: whether it trains, and keys to draw from.

Promises that every operation that draws, and every body that holds one, has a key of its own; and
that in a body these come in as inputs, like all values from around it.
"""

from __future__ import annotations

from typing import Any

from ..ops.ambient import OF_KEY, TRAINING, Key, Stream, Training
from ..ops.base import Op
from ..ops.leaf import Input
from .scope import Scope


def ambient_operands(scope: Scope, op: Op) -> list[str]:
    """The nodes of the operands that a call in the file does not pass."""
    makers = {"train": training, "key": own_key}
    return [makers[name](scope) for name in op.ambient]


def training(scope: Scope) -> str:
    """The node that says whether the call is for training."""
    return _known(scope, "train", Training(type=TRAINING), training)


def own_key(scope: Scope) -> str:
    """A key that nothing else in the scope has."""
    scope.streams += 1
    given = _known(scope, "key", Key(type=OF_KEY), own_key)
    return scope.add(Stream(path=(scope.streams,)), [given], name=scope.namer.unique("key"))


def _known(scope: Scope, what: str, leaf: Any, outside: Any) -> str:
    """The scope's own node of this kind: a leaf, or in a body an input."""
    place = ("ambient", what)
    if place in scope.interned:
        return scope.interned[place]
    if scope.parent is None:
        made = scope.add(leaf, name=scope.namer.unique(what))
    else:
        around = outside(scope.parent)
        # No name of a diagram has brackets, so this one is another's in no body.
        made = scope.add(Input(type=leaf.type), hint=f"({what})", name=scope.namer.unique(what))
        scope.captured[made] = around
    scope.interned[place] = made
    return made
