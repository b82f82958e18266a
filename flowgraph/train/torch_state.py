"""What a torch run must remember, as plain arrays by name, and back.

Assumes a module with the diagram's names and an optimiser of torch.optim over its parameters, which
may be split over processes (then all of them must ask together). Promises that a state given back
restores every tensor bit for bit, on whatever device and in however many processes.

Names: `params/NAME`, buffers too, and the optimiser's own slots as PyTorch calls them:
`exp_avg/NAME`, `step/NAME`, `momentum_buffer/NAME`, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import FlowError, InternalError, fail, shorten
from ..torch_params import entry, places_of

COUNTED = "step"
"""The slot that is a number on the CPU, not an array like its parameter."""


def array_of(tensor: Any) -> np.ndarray:
    """A copy of a tensor, gathered from all processes where they each hold a part."""
    whole = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return np.array(whole.detach().cpu().numpy())


def tensor_of(array: np.ndarray, like: Any) -> Any:
    """A copy of an array as a tensor of the kind, the device and the split of another."""
    import torch

    tensor = torch.from_numpy(np.array(array)).to(device=like.device, dtype=like.dtype)
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, like.device_mesh, like.placements)


def params_of(model: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The parameters by the diagram's names, in the order given."""
    state = model.state_dict()
    return {name: array_of(state[name]) for name in names}


def state_of(model: Any, optimizer: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Parameters and slots; what changes of the learning rate as `t` where there is a schedule."""
    found = {f"params/{name}": array for name, array in params_of(model, names).items()}
    for name, (param, place) in places_of(model).items():
        for slot, value in optimizer.state.get(param, {}).items():
            if value is not None:
                found[f"{slot}/{name}"] = array_of(value if slot == COUNTED else entry(value, place))
    group = optimizer.param_groups[0]
    return found | ({"t": np.array(group["t"], np.int64)} if "t" in group else {})


def restore(model: Any, optimizer: Any, names: Iterable[str], state: Mapping[str, np.ndarray]) -> None:
    """Become what `state_of` gave. Raises FlowError (E0802) if it does not fit, and changes nothing.

    state: `step`, the number of steps taken, is among it.
    """
    import torch

    places = places_of(model)
    names = list(names)
    slots = slots_of(optimizer)
    held = model.state_dict()
    learning = {name: held[name] for name, (param, _) in places.items() if param.requires_grad}
    _check(state, optimizer, held, learning, names)
    with torch.no_grad():
        for name in names:
            held[name].copy_(tensor_of(state[f"params/{name}"], held[name]))
    for param, _ in places.values():
        optimizer.state.pop(param, None)
    for name, (param, place) in places.items():
        for slot in slots:
            if f"{slot}/{name}" in state:
                _put(optimizer.state[param], slot, state[f"{slot}/{name}"], param, place)
    for group in optimizer.param_groups:
        if "t" in group:
            group["t"] = int(state["t"])


def slots_of(optimizer: Any) -> tuple[str, ...]:
    """The slots that an optimiser keeps for each parameter once it has taken a step."""
    settings = optimizer.param_groups[0]
    momentum = ("momentum_buffer",) if settings.get("momentum") else ()
    known = {
        "SGD": momentum,
        "Adam": (COUNTED, "exp_avg", "exp_avg_sq"),
        "AdamW": (COUNTED, "exp_avg", "exp_avg_sq"),
        "RMSprop": (COUNTED, "square_avg", *momentum),
        "Adagrad": (COUNTED, "sum"),
    }
    kind = type(optimizer).__name__
    if kind not in known:
        raise InternalError(f"it is not known what torch.optim.{kind} keeps")
    return known[kind]


def _put(slots: dict[str, Any], slot: str, value: np.ndarray, param: Any, place: int | None) -> None:
    """Put a value into a parameter's slot, or into an entry of it."""
    import torch

    if slot == COUNTED:
        slots[slot] = torch.from_numpy(np.array(value))
    elif place is None:
        slots[slot] = tensor_of(value, param)
    else:
        with torch.no_grad():
            whole = slots.setdefault(slot, torch.zeros_like(param))
            entry(whole, place).copy_(tensor_of(value, entry(whole, place)))


def _check(
    state: Mapping[str, np.ndarray],
    optimizer: Any,
    params: Mapping[str, Any],
    learning: Mapping[str, Any],
    names: Sequence[str],
) -> None:
    """Raise FlowError (E0802) at the first thing that is missing, left over or of another shape.

    params, learning: tensors by name, all of them and those that change.
    """
    wanted = dict.fromkeys(["step", *(["t"] if "t" in optimizer.param_groups[0] else [])], ())
    wanted |= {f"params/{name}": tuple(params[name].shape) for name in names}
    if int(state.get("step", 0)) > 0:
        for slot in slots_of(optimizer):
            sizes = {name: tuple(p.shape) for name, p in learning.items()}
            wanted |= {f"{slot}/{name}": () if slot == COUNTED else s for name, s in sizes.items()}
    for key, shape in wanted.items():
        if key not in state:
            raise _unfit(f"the checkpoint does not hold `{shorten(key)}`")
        if np.shape(state[key]) != shape:
            shapes = f"{list(np.shape(state[key]))}, not {list(shape)}"
            raise _unfit(f"`{shorten(key)}` of the checkpoint is {shapes}")
    for key in state:
        if key.startswith("params/") and key not in wanted:
            raise _unfit(f"the checkpoint holds more than this run has: `{shorten(key)}`")


def _unfit(said: str) -> FlowError:
    return fail("E0802", said, help="start without --resume")
