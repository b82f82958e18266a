"""A torch module's parameters by the diagram's names, wherever they lie.

Assumes an emitted module, or one that holds such a module. A parameter of the diagram is a parameter of the
module, or an entry of one: weights of single wires lie in arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[Any, int | None]
"""A parameter of the module, and which of its entries is meant; None for all of it."""


def places_of(model: Any) -> dict[str, Place]:
    """Where each parameter of the diagram lies."""
    return dict(_places(model))


def _places(model: Any) -> Iterator[tuple[str, Place]]:
    from torch import nn

    for name, value in model.state_dict(keep_vars=True).items():
        if isinstance(value, nn.Parameter):
            yield name, (value, None)
        elif isinstance(value._base, nn.Parameter):
            yield name, (value._base, value.storage_offset() - value._base.storage_offset())


def entry(tensor: Any, place: int | None) -> Any:
    """Of a tensor like a parameter what belongs to a parameter of the diagram, as a view where it can be."""
    return tensor if place is None else tensor.reshape(-1)[place]


def by_name(places: Mapping[str, Place], found: Mapping[Any, Any]) -> dict[str, Any]:
    """Tensors like the module's parameters, by the diagram's names. found: by the parameter."""
    return {name: entry(found[param], place) for name, (param, place) in places.items()}
