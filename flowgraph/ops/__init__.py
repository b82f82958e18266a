"""Every operation. Importing this package declares them all in `OPS`."""

from . import (  # noqa: F401
    activation,
    arithmetic,
    axes,
    class_loss,
    control,
    creator,
    derivative,
    einsum,
    elementwise,
    gather,
    init,
    join,
    layer,
    leaf,
    loss,
    metric,
    optimiser,
    product,
    reduce,
    select,
    shape,
    softmax,
    statistic,
)
from .base import OPS, Op, OpDefinitionError

__all__ = ["OPS", "Op", "OpDefinitionError"]
