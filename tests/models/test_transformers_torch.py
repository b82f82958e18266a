"""The emitted torch of the transformers of `examples/models`: compiled, exported, saved and loaded."""

from __future__ import annotations

import importlib
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comparisons
import numpy as np
import pytest
from comparisons import Case
from conftest import Golden
from running import HAS_TORCH, initial
from transformer_files import FILES, NETWORKS, network

from flowgraph.diagram import load
from flowgraph.naming import class_name

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


def test_gpt2_in_torch(golden: Golden) -> None:
    """Twelve layers are one loop: at most 250 lines."""
    text = load(FILES["gpt2"]).compile("torch")
    assert text.count("\n") <= 250
    assert "for h in self.h:" in text
    golden(text, suffix=".py")


@dataclass
class Emitted:
    """The emitted module of a network, and two batches, whose rows differ in length where they may."""

    model: Any
    batch: dict[str, Any]
    other: dict[str, Any]


def emitted(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Emitted:
    """From a file that is imported: torch.compile reads it again."""
    import torch

    diagram, title = network(name), f"emitted_{name}"
    (folder / f"{title}.py").write_text(diagram.compile("torch"), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    model = getattr(importlib.import_module(title), class_name(diagram.name))()
    state = {k: torch.tensor(v, dtype=torch.float32) for k, v in initial(diagram).items()}
    model.load_state_dict(state, strict=True)
    length = NETWORKS[name].get("T")
    cases = [Case(name, NETWORKS[name], 3, length or 11), Case(name, NETWORKS[name], 2, length or 5)]
    return Emitted(model, *(comparisons.tensors(comparisons.batch_of(c, diagram)) for c in cases))


def inputs_of(name: str, batch: dict[str, Any]) -> dict[str, Any]:
    return {k: batch[k] for k in network(name).graph.inputs}


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def some(names: list[str]) -> list[Any]:
    """All networks, those that are not named only before a release."""
    return [n if n in names else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS]


def assert_compiles(model: Any, batch: dict[str, Any], backend: str) -> None:
    """The loss and its gradient under torch.compile as one graph, as without it."""
    import torch

    expected = model.loss(**batch)
    expected.backward()
    grads = {k: p.grad.clone() for k, p in model.named_parameters()}
    model.zero_grad()
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = torch.compile(model.loss, fullgraph=True, backend=backend)(**batch)
        loss.backward()
    torch.testing.assert_close(loss, expected)
    for k, p in model.named_parameters():
        torch.testing.assert_close(p.grad, grads[k], rtol=1e-4, atol=1e-6)


@needs_torch
@pytest.mark.parametrize("name", some(["gpt2"]))
def test_compiles_without_a_break(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = emitted(name, tmp_path, monkeypatch)
    assert_compiles(found.model, found.batch, "aot_eager")


@needs_torch
@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler is found")
@pytest.mark.parametrize("name", NETWORKS)
def test_compiles_to_machine_code(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = emitted(name, tmp_path, monkeypatch)
    assert_compiles(found.model, found.batch, "inductor")


@needs_torch
@pytest.mark.parametrize("name", some(["bert"]))
def test_exports_for_every_length(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One export serves batches and rows of other lengths."""
    import torch

    found = emitted(name, tmp_path, monkeypatch)
    given = inputs_of(name, found.batch)
    auto = torch.export.Dim.AUTO
    free = {k: {0: auto, 1: auto} if "T" not in NETWORKS[name] else {0: auto} for k in given}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(found.model, (), given, dynamic_shapes=free).module()
    for each in (found.batch, found.other):
        values = inputs_of(name, each)
        for ours, theirs in zip(as_list(exported(**values)), as_list(found.model(**values)), strict=True):
            torch.testing.assert_close(ours, theirs)


@needs_torch
@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_there_and_back(name: str) -> None:
    """Its names are the diagram's, in their order, and what it loads is what it gives."""
    diagram = network(name)
    params = {k: v.astype(np.float32) for k, v in initial(diagram, seed=3).items()}
    model = comparisons.torch_model(diagram, "float32", params)
    state = model.state_dict()
    assert list(state) == list(params)
    for k, value in params.items():
        np.testing.assert_array_equal(state[k].numpy(), value)


@needs_torch
def test_embeddings_start_as_the_file_says() -> None:
    """0.02 in GPT-2, where nn.Embedding alone would start at 1; and so in both targets."""
    import torch

    torch.manual_seed(0)
    space = comparisons.emitted(network("gpt2"), "torch", "float32")
    drawn = space["Gpt2"]().wte.weight.detach().numpy()
    for table in (drawn, initial(network("gpt2"))["wte.weight"]):
        assert abs(float(np.std(table)) / 0.02 - 1) < 0.05
