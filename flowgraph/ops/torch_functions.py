"""What only the torch target is written with: operations that the passes for it put in place of others.

No file names them. Each computes what the operations it stands for compute; `passes.functions` says
which, and from which level on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..types import TensorType, TupleType, Type, Unifier
from .attention import Attention
from .base import LinearMap, Op, Sample, Value, axis_of, fn, real
from .declared import Axis
from .loss import BceWithLogits

if TYPE_CHECKING:
    import torch
    from torch.nn import functional as F


class Unbind(LinearMap):
    """All entries along an axis of known size, one by one: autograd goes back through them in one step."""

    axis: Axis = 0
    samples = [Sample(real(2)), Sample(real(2, 3), axis=-1), Sample(real(3, 2, 2), axis=1)]
    bad_samples = [Sample(real()), Sample(real(2), axis=1)]

    def canonical(self, types: Sequence[Any]) -> Op:
        return self.with_attrs(axis=axis_of(self, self.axis, types[0].rank))

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        (x,) = types
        axis = axis_of(self, self.axis, x.rank) % x.rank
        count = u.known(x.shape[axis]).value or 0
        entry = TensorType(x.elem, (*x.shape[:axis], *x.shape[axis + 1 :]))
        return TupleType((entry,) * count)

    def form(self, target: str, types: Sequence[Any]) -> str:
        axis = self.axis % types[0].rank
        return f"tuple(np.moveaxis(x, {axis}, 0))" if target == "numpy" else f"x.unbind({axis})"

    def transpose(self, cotangent: Any, *xs: Value) -> list[Value | None]:
        """cotangent: a sequence with that of each entry, None for zero."""
        (x,) = xs
        axis = axis_of(self, self.axis, x.type.rank) % x.type.rank
        shape = (*x.shape[:axis], *x.shape[axis + 1 :])
        given = [fn.zeros(shape=shape) if c is None else c for c in cotangent]
        return [fn.stack(*given, axis=axis)]


class FusedBceWithLogits(BceWithLogits):
    """By PyTorch's own function, which in single precision is 0 where the loss is below 1e-7."""

    group = ""
    unmeant = {}
    torch = 'F.binary_cross_entropy_with_logits(z, y, reduction="none")'
    torch_whole = "F.binary_cross_entropy_with_logits(z, y, WHOLE)"


def masked_causal_groups_torch(q, k, v, mask, scale=None):
    """Attention of grouped heads under a mask, no row looking at what comes after it."""
    later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device)
    later = later.triu(1)
    is_bool = mask.dtype == torch.bool
    mask = mask & ~later if is_bool else mask.masked_fill(later, -torch.inf)
    settings = {"scale": scale, "enable_gqa": True}
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **settings)


class GroupedAttention(Attention):
    """Where several heads of q share one of k and v, without copies of these: needs PyTorch 2.5."""

    group = ""
    samples = [s for s in Attention.samples if len(s.args[0].shape) == 3]
    bad_samples = []

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if target == "numpy" or not self.groups(types):
            return super().form(target, types)
        if len(types) > 3 and self.causal:
            return masked_causal_groups_torch
        mask = ""
        if len(types) > 3:  # PyTorch's masks have two axes at least
            mask = ", attn_mask=mask[None]" if types[3].rank == 1 else ", attn_mask=mask"
        settings = "is_causal=causal, scale=scale, enable_gqa=True"
        return f"F.scaled_dot_product_attention(q, k, v{mask}, {settings})"
