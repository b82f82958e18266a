"""Which passes run in which order, from a typed graph to what is emitted.

Assumes a typed graph of one example without calls and requests for derivatives.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from .passes.autodiff import Jvp, Vjp
from .passes.base import Pass, Pipeline
from .passes.batch import Batch
from .passes.biases import Biases
from .passes.cancel import Cancel
from .passes.columns import Columns
from .passes.cse import Cse
from .passes.dce import Dce
from .passes.fold import Fold
from .passes.horner import Horner
from .passes.inline import Inline
from .passes.inside import Inside
from .passes.keep import Keep
from .passes.labels import Labels
from .passes.linear_model import LinearModel
from .passes.packing import Packing
from .passes.per_example import PerExample
from .passes.pick import Pick
from .passes.powers import Powers
from .passes.reductions import Reductions
from .passes.scales import Scales
from .passes.signs import Signs
from .passes.simpler import Simpler
from .passes.simplify import Simplify
from .passes.slices import Slices
from .passes.split_sums import SplitSums
from .passes.tile import Tile
from .passes.totals import Totals
from .passes.updates import Updates
from .passes.vectorise import Vectorise

DERIVED: dict[str, tuple[Pass, ...]] = {
    "loss_and_grad": (Updates(), Keep(("loss", "buffer")), Vjp()),
    "vjp": (Keep(("loss",)), Vjp()),
    "jvp": (Keep(("loss",)), Jvp()),
    "hvp": (Keep(("loss",)), Vjp(), Keep(("gradient",)), Jvp(), Keep(("gradient_dot",))),
    "per_example_grad": (PerExample(),),
}
"""The emitted functions with derivatives, each with the passes that differentiate."""

BEFORE_BATCHING = ("per_example_grad",)
"""Those of them that differentiate the loss of one example, and are batched after it."""

TIDY: tuple[Pass, ...] = (
    Cancel(),
    Simplify(),
    Cancel(),
    Tile(),
    Pick(),
    Signs(),
    Simplify(),
    Cse(),
    Simplify(),
    Cancel(),
    Simplify(),
    Dce(),
)
"""What makes a derived graph readable."""


def within(*passes: Pass) -> tuple[Pass, ...]:
    """The passes, run in the graphs that nodes hold too."""
    return tuple(map(Inside, passes))


def pipeline(level: int, *, rounds: bool = False, packed: bool = False) -> Pipeline:
    """The passes from a typed graph to what is emitted at a level.

    rounds: whether loops whose rounds differ in their parameters alone stay loops. packed: whether
    weights of single wires become params in arrays.
    """
    inline = Inline(rounds=rounds)
    if level == 0:
        return Pipeline((Batch(), inline, *within(SplitSums())))
    return Pipeline((*_vectorised(packed), Batch(), inline, *within(*TIDY, SplitSums())))


def _vectorised(packed: bool) -> tuple[Pass, ...]:
    """The passes that make a drawing's circles layers."""
    return (*within(Fold(), Simplify()), Vectorise(), *([Dce(), Packing()] if packed else []))


def modular_pipeline(level: int, *, packed: bool = False) -> Pipeline:
    """The same, where blocks with parameters stay calls: what is done to a graph is done in those it
    holds too."""
    bare = within(Inline(bare=True))
    if level == 0:
        return Pipeline((*bare, Batch(), *within(SplitSums())))
    return Pipeline((*bare, *_vectorised(packed), Batch(), *within(*TIDY, SplitSums())))


def derivative_pipeline(level: int, function: str, *, rounds: bool = False, packed: bool = False) -> Pipeline:
    """The passes from a typed graph to what a function with derivatives is emitted from.

    rounds: whether loops whose rounds differ in their parameters alone stay loops, as they may where
    the function is the gradient alone. packed: as for `pipeline`.
    """
    differentiate = DERIVED[function]
    if level > 0:
        differentiate = tuple(replace(p, tidy=TIDY) if isinstance(p, Vjp) else p for p in differentiate)
    batch = (Batch(), Inline(rounds=rounds))
    if level == 0:
        steps = (*differentiate, *batch) if function in BEFORE_BATCHING else (*batch, *differentiate)
        return Pipeline((*steps, Dce(), *within(SplitSums())))
    tidy = within(*TIDY)
    again = (Dce(), *within(Fold()), *tidy)
    if function in BEFORE_BATCHING:
        before = (*_vectorised(packed), *tidy)
        return Pipeline((*before, *differentiate, *again, *batch, *tidy, *within(SplitSums())))
    before = (*_vectorised(packed), *batch, *tidy)
    return Pipeline((*before, *differentiate, *again, *within(SplitSums())))


FAST = (
    "vectorise", "linear_model", "biases", "columns", "labels", "powers", "scales", "totals", "reductions",
    "rate",
)  # fmt: skip
"""The passes of level 2 that can be left out, to see what each gains."""

OPTIMISATIONS = (*FAST, "hoist", "reuse", "within", "lazy_loss", "blocks", "apply")
"""The same, and what a plan of memory does."""


def fast_pipeline(function: str, *, scaled: bool = False, without: Collection[str] = ()) -> Pipeline:
    """The passes from a typed graph to what the classes of level 2 are planned from.

    function: "loss_and_grad" for the Trainer's, "outputs" for Forward's. scaled: whether gradients come out
    times the learning rate. without: those of FAST to leave out, or "packing": weights of single wires in
    arrays.
    """

    def chosen(title: str, *passes: Pass) -> tuple[Pass, ...]:
        return () if title in without else passes

    tidy = within(*TIDY)
    vectorise = chosen(
        "vectorise", *_vectorised("packing" not in without), *chosen("linear_model", LinearModel())
    )
    vjp = Vjp(tidy=TIDY, scaled=scaled and "rate" not in without)
    differentiate = (
        (Updates(), Keep(("loss", "buffer")), vjp) if function == "loss_and_grad" else (Keep(("output",)),)
    )
    steps = (
        *vectorise,
        *(Batch(), Inline(), *tidy),
        *chosen("biases", Biases()),
        *differentiate,
        *(Dce(), *within(Fold()), *tidy),
        *chosen("biases", Slices()),
        *chosen("columns", Columns()),
        *chosen("labels", Labels()),
        Simpler(),
        *chosen("powers", Powers(), Horner()),
        *TIDY,
        *chosen("scales", Scales()),
        *(Cse(), Cancel(), Simplify(), Dce()),
        *chosen("totals", Totals(), Cse(), Dce()),
        *chosen("reductions", Reductions(), Cse(), Dce()),
    )
    return Pipeline(steps)
