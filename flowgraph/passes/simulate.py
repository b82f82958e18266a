"""Run any typed graph in float64, node by node: the reference for every target.

Assumes a typed graph. Promises the value of every node, computed by the numpy form of its
declaration on float64, int64 and bool arrays; numbers that arise outside an operation's
domain are nan or inf, as in numpy, without a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import FlowError, Span, fail
from ..graph import Graph, Node
from ..ops.ambient import draw_key
from ..ops.control import evaluate_nodes
from ..ops.leaf import DTYPES
from ..types import KEY, Dim, TensorType


class ShapeClash(Exception):
    """A value given does not have the shape its node has, or a size that the diagram requires.

    name: the node's. span, label: the place that requires it, and the sizes that there are.
    """

    def __init__(self, name: str, message: str, span: Span | None = None, label: str = "") -> None:
        self.name, self.span, self.label = name, span, label
        super().__init__(message)

    def refusal(self, code: str, path: str) -> FlowError:
        """The error to raise for values that a user gave. path: the diagram's file."""
        cure = "the symbolic sizes of the diagram are those of the data: give other data"
        cure = cure if self.name or self.label else ""
        return fail(code, str(self), self.span, self.label, help=cure, path=path)


def simulate(graph: Graph, values: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every node by name; without what needs a value that is not given.

    values: one for each input, target, param and buffer that is used, of the shape its type says,
    and those of `mode_values`; symbolic sizes are read off them. Raises ShapeClash.
    """
    sizes = bind_sizes(graph, values)
    given = {node.name: as_array(node, values[node.name]) for node in graph if node.name in values}
    with np.errstate(all="ignore"):
        try:
            return evaluate_nodes(graph, given, sizes)
        except IndexError as error:
            raise ShapeClash("", f"the values hold an index that is out of range: {error}") from None


def mode_values(
    graph: Graph, *, train: bool = False, rng: np.random.Generator | None = None
) -> dict[str, Any]:
    """The values of the leaves that say whether a call trains, and what it draws from.

    rng: gives the key of the call as it does in emitted code; without it nothing can be drawn.
    """
    values: dict[str, Any] = {n.name: np.bool_(train) for n in graph if n.op.name == "training"}
    keys = [n.name for n in graph if n.op.name == "key"]
    if keys and rng is not None:
        values |= dict.fromkeys(keys, np.array(draw_key(rng, "the simulator")))
    return values


def as_array(node: Node, value: Any) -> np.ndarray:
    """A value as the array the simulator works with."""
    return np.asarray(value, dtype=DTYPES[node.type.elem.kind])


def bind_sizes(graph: Graph, values: Mapping[str, Any]) -> dict[str, int]:
    """The symbolic sizes, read off the shapes of the values. Raises ShapeClash.

    What is required of a size that no value has, such as that of targets, is not asked for.
    """
    sizes: dict[str, int] = {}
    for name in (*graph.inputs, *graph.targets, *graph.params, *graph.buffers):
        if name in values and graph[name].type.elem != KEY:
            _bind_shape(name, graph[name].type, np.shape(values[name]), sizes)
    judged = all(name in values for name in graph.targets)
    for requirement in graph.requires:
        if requirement.for_loss and not judged:
            continue
        if requirement.symbols <= sizes.keys() and not holds(requirement.condition, sizes):
            have = ", ".join(f"{s} is {sizes[s]}" for s in sorted(requirement.symbols))
            raise ShapeClash("", requirement.message, requirement.span, f"required here, and {have}")
    return sizes


def _bind_shape(name: str, type: TensorType, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    if len(shape) != type.rank:
        raise ShapeClash(name, f"`{name}` has {len(shape)} axes, not {type.rank}")
    for size, given in zip(type.shape, shape, strict=True):
        assert isinstance(size, Dim)
        if len(size.symbols) == 1 and size == Dim.symbol(size.symbols[0]):
            sizes.setdefault(size.symbols[0], given)
        if all(s in sizes for s in size.symbols) and size.at(sizes) != given:
            raise ShapeClash(name, f"`{name}` has size {given} where {size} = {size.at(sizes)} is needed")


OPERATORS: dict[str, Callable[..., Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "%": lambda a, b: a % b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
}


def holds(condition: Any, sizes: Mapping[str, int]) -> Any:
    """The value of a requirement's condition."""
    if isinstance(condition, Dim):
        return condition.at(sizes)
    if isinstance(condition, tuple):
        op, *sides = condition
        return OPERATORS[op](*(holds(side, sizes) for side in sides))
    return condition
