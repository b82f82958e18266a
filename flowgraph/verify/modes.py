"""Training mode and random draws in verification: every engine is given the same numbers to draw.

Assumes a typed graph over batches without calls. Promises the draws of a call in the order of the
graph, which is the order of the emitted torch code, and a way to let PyTorch draw them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..graph import Graph
from ..ops.base import concrete
from ..ops.scan import Scan
from ..passes.simulate import mode_values
from ..types import KEY

Drawn = tuple[str, np.ndarray]
"""The function of PyTorch's that draws it, and the array."""


def has_modes(graph: Graph) -> bool:
    """Whether training differs from other calls."""
    return any(node.op.name in ("training", "buffer") for node in graph)


def couples(graph: Graph) -> bool:
    """Whether in training the examples of a batch act on each other."""
    return any(node.op.couples for node in graph)


def least_rows(graph: Graph) -> int:
    """How many examples a batch in training must have; graph: of one example."""
    return max((n.op.least_rows([graph[o].type for o in n.operands]) for n in graph), default=0)


def refused(graph: Graph) -> set[str]:
    """The roles of results that cannot be computed in training."""
    guarded = graph.depends_on(n.name for n in graph if n.op.name == "outside_training")
    guards = {n.name for n in graph if n.op.name == "outside_training"}
    return {r.role for r in graph.results if guards and r.node in guarded}


def draws_of(
    graph: Graph, roles: Sequence[str], sizes: Mapping[str, int], train: bool, rng: np.random.Generator
) -> list[Drawn]:
    """What a call that computes the results of these roles draws, one after another."""
    alive = graph.ancestors(r.node for r in graph.results if r.role in roles)
    return list(_drawn(graph, alive, mode_values(graph, rng=rng), sizes, train))


def _drawn(
    graph: Graph, alive: Iterable[str], keys: Mapping[str, Any], sizes: Mapping[str, int], train: bool
) -> Iterator[Drawn]:
    known, alive = dict(keys), set(alive)
    for node in graph:
        if node.name not in alive:
            continue
        if node.operands and getattr(node.type, "elem", None) == KEY:
            known[node.name] = node.op.evaluate([known[o] for o in node.operands], [], {})
        elif node.op.draws == "always" or (node.op.draws and train):
            shape = concrete(node.type.shape, sizes)
            yield node.op.torch_draw, node.op.drawn(known[node.operands[-1]], shape)
        elif isinstance(node.op, Scan):
            step = node.op.graph
            given = {i: known[o] for i, o in zip(step.inputs, node.operands, strict=True) if o in known}
            length = concrete(node.op.length([graph[o].type for o in node.operands]), sizes)
            for t in range(length):
                inner = {name: np.append(key, t) for name, key in given.items()}
                yield from _drawn(step, (n.name for n in step), inner, sizes, train)


def replayed(draws: Sequence[Drawn]) -> AbstractContextManager[Any]:
    """A context in which PyTorch draws these, one after another. Raises ValueError where it would not."""
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    left = list(draws)

    def drawn(kind: str, shape: Any) -> np.ndarray:
        want, array = left.pop(0) if left else ("nothing", np.zeros(0))
        if want != kind or array.shape != tuple(shape):
            said = f"PyTorch draws {kind} {tuple(shape)} where the simulator draws {want} {array.shape}"
            raise ValueError(said)
        return array

    class Replay(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func is functional.dropout:
                given = inspect.signature(func).bind(*args, **kwargs).arguments
                x = given["input"]
                if not given["training"]:
                    return x
                return x * torch.as_tensor(drawn("dropout", x.shape), dtype=x.dtype)
            if func in (torch.rand, torch.randn):
                return torch.as_tensor(drawn(func.__name__, args[0]), dtype=kwargs["dtype"])
            return func(*args, **kwargs)

    return Replay()
