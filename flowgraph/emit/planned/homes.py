"""What a plan says: where each value lives, and in which order all are computed.

Assumes nothing; `plan` makes it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields

import numpy as np

from ...graph import Graph, Node
from ...ops.base import Op
from .phases import Phase
from .rooms import Room, Tenant

Steps = tuple[Op, ...]
"""How a place is found in an array: operations that look at it otherwise, from the first to the last."""


@dataclass(frozen=True)
class Given:
    """A leaf, a number, or a result of a node that has several: nothing is to be computed."""


@dataclass(frozen=True)
class View:
    """Another value, looked at otherwise. of: the operand. fixed: whether that stays where it is for ever."""

    of: str
    fixed: bool


@dataclass(frozen=True)
class Home:
    """An array made once. within: the value in whose array it lies, by which steps; or its own."""

    within: str = ""
    steps: Steps = ()
    copied: bool = False
    """Whether it is a view that its operand's layout does not allow, so that the entries are copied."""


@dataclass(frozen=True)
class Fresh:
    """An array made anew each time: no form of the operation writes into one."""


@dataclass(frozen=True)
class Number:
    """A number of Python's made of others: the last steps to the value of a loss, which arrays without axes
    would make several times as long."""


@dataclass(frozen=True)
class Options:
    """The optimisations of a plan, each of which can be left out."""

    hoist: bool = True
    reuse: bool = True
    within: bool = True
    lazy_loss: bool = True
    blocks: bool = True
    apply: bool = True

    @staticmethod
    def besides(without: Collection[str]) -> Options:
        """All but those with these names."""
        return Options(**{f.name: f.name not in without for f in fields(Options)})


ALL = Options()


@dataclass
class Plan:
    """order: the nodes in the order in which they are computed. gradients: of the values that are computed
    into the array of all gradients the parameter, and where in its gradient they lie."""

    graph: Graph
    phase: dict[str, Phase]
    order: list[Node]
    homes: dict[str, Given | View | Home | Fresh | Number]
    gradients: dict[str, tuple[str, Steps]]
    tenants: dict[str, Tenant]
    rooms: list[Room]
    applied: dict[str, str] = field(default_factory=dict)
    """Of the gradients that are taken from their parameters as soon as they are computed, the parameter."""
    users: dict[str, list[str]] = field(default_factory=dict)
    layouts: dict[str, np.ndarray] = field(default_factory=dict)

    def within(self, node: str, operand: str) -> bool:
        """Whether an operand of a node, as a view shows it, is computed into the node's own array."""
        while isinstance(home := self.homes[operand], View):
            operand = home.of
        return isinstance(home, Home) and home.within == node

    def is_fixed(self, node: str) -> bool:
        """Whether a value lies in the same memory in every step."""
        home = self.homes[node]
        if isinstance(home, View):
            return home.fixed
        return (
            isinstance(home, Home) or self.graph[node].op.name == "param" or self.phase[node] == Phase.SETUP
        )
