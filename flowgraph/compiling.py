"""A diagram as the text of a module: which graphs it is written from, for a target at a level.

Assumes a diagram without errors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .lower.program import Training
from .parse import paused_collector
from .passes.base import Shared
from .passes.learn import staying
from .pipelines import OPTIMISATIONS, fast_pipeline, modular_pipeline, pipeline
from .reading import check_sparse
from .version import __version__

TARGETS = ("numpy", "torch")
DTYPES = ("float32", "float64")
LEVELS = (0, 1, 2)

EXTRAS = {"numpy": ("jvp", "hvp", "per_example_grad"), "torch": ("vjp",)}
"""What `--with` may ask for, by target."""


def compiled(
    diagram: Any,
    file_name: str,
    target: str,
    *,
    level: int,
    dtype: str,
    extras: Sequence[str],
    training: Training | None,
    sparse: str,
    without: Collection[str],
) -> str:
    """The text of the module for a `Diagram`, as its method `compile` says. Raises FlowError, ValueError."""
    from .emit import Header, emit

    check_sparse(sparse, target)
    unknown = [*(e for e in extras if e not in EXTRAS.get(target, ())), *(set(without) - {*OPTIMISATIONS})]
    if target not in TARGETS or dtype not in DTYPES or level not in LEVELS or unknown:
        raise ValueError(f"no target {target!r}, level {level!r}, dtype {dtype!r}, extras {unknown}")
    with paused_collector():
        header = Header(file_name, __version__, target, level, dtype, sparse, without=frozenset(without))
        trained = training or diagram.training
        frozen = staying(diagram.expanded, trained.freeze)
        if len(frozen) < len(diagram.graph.params):
            header = replace(header, training=trained, frozen=frozen)
        functions = [e for e in EXTRAS[target] if e in extras]
        packed = not frozen and "vjp" not in extras
        if target == "torch":
            return _torch(diagram, header, functions, packed)
        has_loss = bool(diagram.graph.results_of("loss"))
        if has_loss:
            functions.insert(0, "loss_and_grad")
        shared: Shared = {}
        derived = {f: diagram.written(level, f, packed=packed, shared=shared) for f in functions}
        if frozen:  # each parameter has an array of its own, which stays as it is or learns
            without = {*without, "packing", "biases", "linear_model", "apply"}
        if level == 2 and diagram.graph.results_of("output"):
            derived["outputs"] = fast_pipeline("outputs", without=without).run(
                diagram.expanded, shared=shared
            )
        if level == 2 and header.training is not None and has_loss:
            made = fast_pipeline("loss_and_grad", scaled=trained.is_plain, without=without)
            derived["trainer"] = made.run(diagram.expanded, shared=shared)
        whole = diagram.written(level, packed=packed, shared=shared)
        shared.clear()
        return emit(whole, header, derived, diagram.graph)


def _torch(diagram: Any, header: Any, functions: Sequence[str], packed: bool) -> str:
    from .emit import CannotHold, emit

    derived = {f: diagram.differentiated(header.level, f) for f in functions}
    if diagram.has_blocks:
        with suppress(CannotHold):
            modular = modular_pipeline(header.level, packed=packed).run(diagram.graph)
            return emit(modular, header, derived, diagram.graph)
    whole = pipeline(header.level, packed=packed).run(diagram.expanded)
    return emit(whole, header, derived, diagram.graph)
