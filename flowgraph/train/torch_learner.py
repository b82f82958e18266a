"""Training by the emitted torch module: its `make_optimizer` and `train_step` take the steps.

Assumes the text of a torch module with a loss and something to train, and batches that name its
inputs and targets. Promises the steps that the emitted file takes on its own; in several
processes those of one process on the same batches, to rounding: each process takes its own rows
of every batch, and losses are scaled so that the mean of the gradients is the gradient.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import InternalError, fail, shorten
from ..execute import execute
from ..naming import class_name
from ..torch_params import places_of
from .distributed import Group, alone, guarded
from .learner import EVALUATING, STEPPING, Batch
from .place import find_device, need_torch
from .plan import Plan
from .torch_state import params_of, restore, state_of

LARGE = 2**16
"""With fsdp, a layer of at least so many numbers is gathered for its own use and let go again."""


class TorchLearner:
    """A learner of one process or several.

    text: of the emitted torch module. name: the diagram's. params: first values of all parameters
    and buffers by the diagram's names. device: of `find_device`. fsdp: split parameters and the optimiser's
    memory over the processes (FSDP2), which must all ask for `params` and `state` then. group: of
    `processes`; None is this process alone. by: of `evaluate.loss_by`, how the loss is made of its
    rows; needed in several processes. draws: whether anything is random; PyTorch's generator is then
    seeded by the step, and by the process. Raises FlowError (E0605, E0806).
    """

    target = "torch"

    def __init__(
        self,
        text: str,
        name: str,
        params: Mapping[str, np.ndarray],
        plan: Plan,
        *,
        device: str | None = None,
        fsdp: bool = False,
        group: Group | None = None,
        by: str | None = None,
        draws: bool = False,
    ) -> None:
        need_torch()
        import torch

        self.group = group or alone(find_device(device, plan.dtype))
        self.step_count = 0
        self._names = list(params)
        self._seed = plan.seed if draws else None
        self._real = np.dtype(plan.dtype)
        if by is None and self.group.world > 1:
            raise InternalError("several processes must know how the loss is made of its rows")
        self.group.agree(f"{plan.batch} {plan.seed}\n{text}".encode(), "diagrams or settings")
        self.group.agree(b"".join(a.tobytes() for a in params.values()), "parameters")
        module = execute(text, "emitted_torch")
        self._train_step = module["train_step"]
        model = module[class_name(name)]()
        first = {n: torch.from_numpy(np.array(value, self._real)) for n, value in params.items()}
        model.load_state_dict(first, strict=True)
        loss = module[f"{class_name(name)}Loss"](model.to(self.group.device))
        self._takes = list(inspect.signature(loss.forward).parameters)
        self._share = _share(loss, by or "mean", self.group.world)
        self._model = model
        if fsdp:
            _split(self._share, model, text, self.group)
        self._optimizer = module["make_optimizer"](model)
        self._wrapped = self._share if fsdp else _parallel(self._share, self.group)

    @property
    def is_writer(self) -> bool:
        return self.group.rank == 0

    @property
    def is_distributed(self) -> bool:
        return self.group.world > 1

    def step(self, batch: Batch) -> float:
        """Take one step; the loss over the whole batch before it, the same in every process."""
        with guarded():
            own = self._own_rows(batch)
            self._draw_for(STEPPING)
            loss = self._train_step(self._wrapped, self._optimizer, *own)
            self.step_count += 1
            return self.group.total([loss / self.group.world])[0]

    def evaluate(self, batch: Batch) -> dict[str, float]:
        import torch

        with guarded(), torch.no_grad():
            own = self._own_rows(batch)
            self._draw_for(EVALUATING)
            self._share.eval()
            values = {"loss": self._share(*own) / self.group.world, **self._share.metrics(*own)}
            self._share.train()
            return dict(zip(values, self.group.total(list(values.values())), strict=True))

    def params(self) -> dict[str, np.ndarray]:
        with guarded():
            return params_of(self._model, self._names)

    def state(self) -> dict[str, np.ndarray]:
        with guarded():
            state = state_of(self._model, self._optimizer, self._names)
        return state | {"step": np.array(self.step_count, np.int64)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        with guarded():
            restore(self._model, self._optimizer, self._names, state)
        self.step_count = int(state["step"])

    def stop(self, wanted: bool) -> bool:
        return self.group.any(wanted)

    def _draw_for(self, purpose: int) -> None:
        """Seed what PyTorch draws from, so that a step draws the same however the run came to it."""
        if self._seed is None:
            return
        import torch

        entropy = [self._seed, self.step_count, purpose, self.group.rank]
        torch.manual_seed(int(np.random.default_rng(entropy).integers(2**63)))

    def _own_rows(self, batch: Batch) -> list[Any]:
        """This process's rows as tensors, in the order in which the module takes them."""
        total = len(batch[self._takes[0]]) if self._takes else 0
        rows = self.group.share(total)
        self._share.weight = (rows.stop - rows.start) / total if total else 1 / self.group.world
        return [self._tensor(batch[name][rows]) for name in self._takes]

    def _tensor(self, array: np.ndarray) -> Any:
        import torch

        is_real = array.dtype.kind == "f"
        return torch.from_numpy(np.array(array, self._real if is_real else None)).to(self.group.device)


# ---------------------------------------------------------------------------------------
# Several processes


def _share(loss_module: Any, by: str, world: int) -> Any:
    """A module around the loss module, for a process that holds `weight` of a batch's rows.

    The mean over the processes of what it returns is the loss of the whole batch. A mean over
    rows counts by their number; a sum over rows counts as often as there are processes; a term
    that depends on no row is the same everywhere and counts once, and an empty batch gives it.
    """
    import torch
    from torch import nn

    class Share(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = loss_module
            self.weight = 1.0

        def forward(self, *rows: Any) -> Any:
            loss = self.whole(*rows)
            if world == 1:
                return loss
            if by == "mean":
                return loss * (self.weight * world)
            once = self.whole(*(r[:0] for r in rows))
            if by == "sum":
                return (loss - once) * world + once
            # Terms of both kinds: the sums are what grows when every row is there twice.
            summed = self.whole(*(torch.cat([r, r]) for r in rows)) - loss
            return (summed + (loss - summed - once) * self.weight) * world + once

        def metrics(self, *rows: Any) -> dict[str, Any]:
            model = self.whole.model
            if not callable(getattr(type(model), "metrics", None)):
                return {}
            return {name: value * self.weight for name, value in model.metrics(*rows).items()}

    return Share()


def _parallel(share: Any, group: Group) -> Any:
    """The module under DistributedDataParallel, which averages gradients over the processes."""
    if group.world == 1:
        return share
    from torch.nn.parallel import DistributedDataParallel

    ids = [group.device.index] if group.device.type == "cuda" else None
    with guarded():
        return DistributedDataParallel(share, device_ids=ids)


def _split(share: Any, model: Any, text: str, group: Group) -> None:
    """Split the parameters over the processes, in place. Raises FlowError (E0806)."""
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
    except ImportError:
        raise fail("E0806", "--fsdp needs PyTorch 2.6", help="install a newer one, or leave it out") from None
    for name, (param, _) in places_of(model).items():
        if not param.dim():
            said = f"--fsdp cannot split the parameter `{shorten(name)}`, a single number"
            raise fail("E0806", said, help="train without --fsdp; each process then holds the whole model")
    with guarded():
        mesh = init_device_mesh(group.device.type, (group.world,))
        for layer in _large_layers(model, text):
            fully_shard(layer, mesh=mesh)
        fully_shard(share, mesh=mesh)
        register_fsdp_forward_method(share, "metrics")


def _large_layers(model: Any, text: str) -> Iterator[Any]:
    """The model's layers that are worth splitting on their own.

    They must be used by being called and in no other way: a parameter that the module reads by
    itself would not be gathered.
    """
    for name, layer in model.named_children():
        is_read = re.search(rf"\bself\.{name}\b(?!\(| = )", text)
        if not is_read and sum(p.numel() for p in layer.parameters()) >= LARGE:
            yield layer
