"""The transformers of `examples/models`, at sizes for tests."""

from __future__ import annotations

import functools
import importlib.util

import comparisons
import pytest
from running import HAS_TORCH

from flowgraph.diagram import Diagram, load

NETWORKS: dict[str, dict[str, int]] = {
    "gpt2": {"V": 97, "P": 64, "L": 2, "H": 4, "D": 32},
    "llama": {"V": 97, "L": 2, "H": 4, "G": 2, "D": 32, "F": 53},
    "bert": {"V": 97, "P": 64, "L": 2, "H": 4, "D": 32, "F": 53},
    "transformer_classifier": {"T": 6, "L": 2, "H": 2, "D": 16, "F": 24},
}
FILES = {name: comparisons.MODELS / f"{name}.flow" for name in NETWORKS}
FROM_TRANSFORMERS = ("gpt2", "llama", "bert")
HAS_TRANSFORMERS = importlib.util.find_spec("transformers") is not None


@functools.cache
def network(name: str) -> Diagram:
    """One of them at its sizes for tests."""
    return load(FILES[name], settings=NETWORKS[name])


def need(model: str) -> None:
    """Skip where the other implementation of a model is not installed."""
    if not HAS_TORCH:
        pytest.skip("torch is not installed")
    if model in FROM_TRANSFORMERS and not HAS_TRANSFORMERS:
        pytest.skip("transformers is not installed: pip install 'flowgraph[models]'")
