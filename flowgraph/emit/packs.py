"""Weights of single wires in arrays: the functions of an emitted module that go there and back.

Assumes a module with PACKED, the names of the entries of every array, and in numpy PARAMS. Promises that
what is exchanged has the diagram's names, whatever the arrays are that the code computes with.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Graph
from ..types import Dim
from . import source

if TYPE_CHECKING:
    import torch

PACKED: dict[str, Any] = {}
ENTRIES: dict[str, Any] = {}
PARAMS: dict[str, Any] = {}
"""What the emitted module has under these names."""


def pack(params):  # type: ignore[no-untyped-def]
    """The parameters as the code computes with them: weights of single wires in arrays."""
    packed = {name: params[name] for name in PARAMS}
    for title, (names, shape) in ENTRIES.items():
        packed[title] = np.array([packed.pop(n) for n in names]).reshape(shape)
    return packed


def unpack(packed):  # type: ignore[no-untyped-def]
    """The parameters, or their gradients, by their own names, as views."""
    views = dict(packed)
    for title, (names, _) in ENTRIES.items():
        entries = views.pop(title).reshape(-1)
        views |= {n: entries[i, ...] for i, n in enumerate(names)}
    return {name: views[name] for name in PARAMS}


def keep_packed(module, packed):  # type: ignore[no-untyped-def]
    """Let a module save and load the entries of its arrays by the diagram's names."""
    module._packed = packed
    module._register_state_dict_hook(save_packed)
    module._register_load_state_dict_pre_hook(load_packed, with_module=True)


def save_packed(module, state, prefix, *_):  # type: ignore[no-untyped-def]
    """Put the entries of arrays into a state_dict, each by its name, in the arrays' stead."""
    packed = {prefix + title: names for title, names in module._packed.items()}
    for key in list(state):
        value = state.pop(key)
        if key not in packed:
            state[key] = value
            continue
        for name, entry in zip(packed[key], value.view(-1), strict=True):
            state[prefix + name] = entry


def load_packed(module, state, prefix, *_):  # type: ignore[no-untyped-def]
    """Lay entries of a state_dict that is loaded out in arrays, where none is missing."""
    for title, names in module._packed.items():
        if all(prefix + n in state for n in names):
            entries = [torch.as_tensor(state.pop(prefix + n)) for n in names]
            state[prefix + title] = torch.stack(entries).view_as(getattr(module, title))


PACK_KEEPERS = (keep_packed, save_packed, load_packed)
"""What a torch module contains that keeps weights of single wires in arrays."""


def packed_params(graph: Graph) -> list[str]:
    """The nodes of the params of a graph that hold others."""
    return [p for p in graph.params if graph[p].op.parts]


def packed_lines(graph: Graph, *, is_flat: bool = False) -> list[str]:
    """The table of what the arrays hold, if there are any: row by row, or as one list."""
    nodes = [graph[p] for p in packed_params(graph)]
    if not nodes:
        return []
    shapes = [
        [len(n.op.parts)] if is_flat else [int(Dim.of(d).value or 0) for d in n.type.shape] for n in nodes
    ]
    tables = [_nested(n.op.parts, shape) for n, shape in zip(nodes, shapes, strict=True)]
    lines = source.assign("PACKED", ast.Dict([ast.Constant(n.hint) for n in nodes], tables), depth=0)
    if is_flat:
        return lines
    return [*lines, "ENTRIES = {t: (np.ravel(n).tolist(), np.shape(n)) for t, n in PACKED.items()}"]


def _nested(parts: Sequence[str], lengths: Sequence[int]) -> ast.expr:
    if len(lengths) == 1:
        return ast.List([ast.Constant(part) for part in parts], ast.Load())
    step = len(parts) // max(lengths[0], 1)
    rows = [_nested(parts[i * step : (i + 1) * step], lengths[1:]) for i in range(lengths[0])]
    return ast.List(rows, ast.Load())
