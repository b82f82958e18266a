"""LeNet, VGG, U-Net, ResNet and the autoencoder of `examples/models` against torch.nn, and what they learn.

`benchmarks/networks.py` has them in torch.nn, `benchmarks/convolutional.py` says what an error is.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import convolutional
import numpy as np
import pytest
from comparisons import MODELS, tensors
from convolutional import CASES, Case
from running import HAS_TORCH, ROOT
from shown import shown_commands, words_of
from test_digits import parts
from test_transformers_torch import assert_compiles
from threadpoolctl import threadpool_limits
from trained import TARGETS, one_thread

from flowgraph.cli.main import main
from flowgraph.diagram import Diagram, load, loads
from flowgraph.execute import execute
from flowgraph.naming import class_name

SIZES = {
    "lenet": "",
    "autoencoder": "",
    "vgg": "S=32 W=2 F=8 K=10",
    "unet": "H=16 V=16 W=2",
    "residual": "C=3 S=16 W=8 K=4",
    "resnet18": "S=32 W=2 K=5",
}
"""The networks of this file, at sizes for tests."""
FILES = {name: MODELS / f"{name}.flow" for name in SIZES}
BOUNDS = {"float64": 1e-9, "float32": 1e-5}

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


@pytest.fixture(autouse=True, scope="module")
def threads() -> Iterator[None]:
    """One: on matrices as small as ours several spend most of their time on waiting for each other."""
    with threadpool_limits(1), one_thread() if HAS_TORCH else contextlib.nullcontext():
        yield


def example(name: str) -> Diagram:
    """One of them at its sizes for tests."""
    return Case(name, SIZES[name], 1).diagram()


# ---------------------------------------------------------------------------------------
# Against torch.nn

USUAL = [
    Case("lenet", "", 7),
    Case("autoencoder", "C=7 CODE=3", 1),
    Case("vgg", "C=1 S=37 W=5 F=13 K=7", 1),
    Case("unet", "C=3 K=5 H=16 V=48 W=3", 1),
    Case("residual", "C=2 S=7 W=5 K=3", 1, train=True),
    Case("resnet18", "C=1 S=37 W=5 K=7", 1),
    Case("resnet18", "S=64 W=4 K=10", 8, train=True),
]
IN_SINGLE = [case for case in USUAL if case.model in ("lenet", "residual")]
REST = [(case, dtype) for dtype in BOUNDS for case in CASES if case not in USUAL]
REST += [(case, "float32") for case in USUAL if case not in IN_SINGLE]


def assert_agree(case: Case, dtype: str) -> None:
    """Outputs, the gradient of every parameter, and new running statistics, in both targets."""
    for target, found in convolutional.compare(case, dtype):
        assert found.outputs <= BOUNDS[dtype], target
        assert found.gradients <= BOUNDS[dtype], target
        assert found.statistics <= BOUNDS[dtype], target


@needs_torch
@pytest.mark.parametrize("case", USUAL, ids=str)
def test_agrees(case: Case) -> None:
    assert_agree(case, "float64")


@needs_torch
@pytest.mark.parametrize("case", IN_SINGLE, ids=str)
def test_agrees_in_single_precision(case: Case) -> None:
    assert_agree(case, "float32")


@needs_torch
@pytest.mark.slow
@pytest.mark.parametrize(("case", "dtype"), REST, ids=str)
def test_agrees_at_other_sizes(case: Case, dtype: str) -> None:
    assert_agree(case, dtype)


def test_every_network_is_compared_at_odd_sizes() -> None:
    assert all(case in CASES for case in USUAL)
    for name in SIZES:
        assert any(case.model == name and case.batch == 1 for case in CASES)
        assert len([case for case in CASES if case.model == name]) >= 2


@pytest.mark.parametrize(
    ("name", "count"), [("lenet", 19_850), ("vgg", 132_863_336), ("resnet18", 11_689_512)]
)
def test_as_many_parameters_as_the_well_known_ones(name: str, count: int) -> None:
    """Those of torchvision. LeNet: 6·25 + 6, 16·54 + 16, 120·65, 84·121, 10·85."""
    graph = load(FILES[name]).graph
    shapes = [[d.value for d in graph[p].type.shape] for p in graph.params]
    assert sum(int(np.prod(shape)) for shape in shapes) == count


# ---------------------------------------------------------------------------------------
# The emitted torch


def some(*names: str) -> list[Any]:
    """All networks, those that are not named only before a release."""
    return [n if n in names else pytest.param(n, marks=pytest.mark.slow) for n in SIZES]


def case_of(name: str, train: bool = False) -> Case:
    return Case(name, SIZES[name], 3, train)


def values_of(case: Case) -> dict[str, np.ndarray]:
    """Random parameters and running statistics."""
    theirs = convolutional.build(case, "float32")
    return convolutional.ours_of(case, theirs, theirs.module.state_dict())


def imported(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Any]]:
    """The emitted module from a file that is imported, as torch.compile reads it again, and a batch."""
    import torch

    title = f"emitted_{case.model}"
    (folder / f"{title}.py").write_text(case.diagram().compile("torch"), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    model = getattr(importlib.import_module(title), class_name(case.diagram().name))()
    state = {k: torch.tensor(v, dtype=torch.float32) for k, v in values_of(case).items()}
    model.load_state_dict(state, strict=True)
    return model.train(case.train), tensors(convolutional.batch_of(case, "float32"))


@needs_torch
@pytest.mark.parametrize("name", SIZES)
def test_state_dict_there_and_back(name: str) -> None:
    """Its names are the diagram's, and torch.nn's own count of batches; what it gives it loads."""
    import torch

    graph = example(name).graph
    own = [str(graph[n].hint) for n in (*graph.params, *graph.buffers)]
    model, other = (
        convolutional.torch_model(case_of(name), "float32", values_of(case_of(name))) for _ in "12"
    )
    state = {k: torch.randn(v.shape) for k, v in model.state_dict().items() if v.is_floating_point()}
    assert set(state) == set(own)
    assert {k.rpartition(".")[2] for k in set(model.state_dict()) - set(own)} <= {"num_batches_tracked"}
    model.load_state_dict(state, strict=True)
    other.load_state_dict(model.state_dict(), strict=True)
    for k, value in state.items():
        assert torch.equal(other.state_dict()[k], value)


@needs_torch
@pytest.mark.parametrize("name", some("resnet18"))
def test_compiles_without_a_break(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In training where that makes a difference, which needs no random numbers."""
    case = case_of(name, train=bool(example(name).graph.buffers))
    assert_compiles(*imported(case, tmp_path, monkeypatch), "aot_eager")


@needs_torch
@pytest.mark.parametrize("name", some("lenet", "resnet18"))
def test_exports_for_every_batch(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model, batch = imported(case_of(name), tmp_path, monkeypatch)
    given = {k: batch[k] for k in example(name).graph.inputs}
    free = {k: {0: torch.export.Dim.AUTO} for k in given}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(model, (), given, dynamic_shapes=free).module()
    for values in (given, {k: v[:2] for k, v in given.items()}):
        torch.testing.assert_close(exported(**values), model(**values))


# ---------------------------------------------------------------------------------------
# What they learn


@functools.cache
def trained(name: str, target: str = "numpy", seed: int = 0) -> Any:
    """After the file's own training."""
    return load(FILES[name]).train(target=target, seed=seed)


@pytest.mark.parametrize(("target", "seed"), [("numpy", 0), (TARGETS[-1], 1)])
def test_lenet_reads_98_percent_of_the_held_out_fifth(target: str, seed: int) -> None:
    found = trained("lenet", target, seed).validation
    assert found.count == 359
    assert found.values["accuracy"] >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("target", TARGETS)
def test_lenet_from_many_seeds(target: str, seed: int) -> None:
    assert trained("lenet", target, seed).validation.values["accuracy"] >= 0.98


def test_the_autoencoder_keeps_more_than_principal_components() -> None:
    """Of the held-out fifth; eight numbers for an image in both."""
    found = trained("autoencoder")
    assert found.rows[0]["loss"] > 2 > 1 > found.training.values["loss"]
    training, held_out = (part["x"] / 16 for part in parts())
    mean = training.mean(axis=0)
    axes = np.linalg.svd(training - mean, full_matrices=False)[2][:8]
    lost = held_out - mean - (held_out - mean) @ axes.T @ axes
    assert np.mean(lost**2) > 1.4 * found.validation.values["reconstruction"]
    assert found.validation.values["accuracy"] > 0.9


def test_the_reader_has_no_say_in_the_code() -> None:
    """The gradient of its loss by the parameters of encoder and decoder is that of the reconstruction."""
    text = FILES["autoencoder"].read_text(encoding="utf-8")
    without = text.replace("loss reading = ", "metric reading = ")
    assert without != text
    grads = []
    for each in (text, without):
        module = execute(loads(each, str(FILES["autoencoder"])).compile("numpy", dtype="float64"))
        grads.append(module["loss_and_grad"](module["init"](0), **parts()[1])[1])
    for name, gradient in grads[1].items():
        if not name.startswith("reader."):
            np.testing.assert_allclose(gradient, grads[0][name], rtol=1e-12, atol=1e-15)


def test_the_residual_blocks_learn() -> None:
    found = trained("residual")
    assert found.training.values["accuracy"] > 0.95


LEARNS = [
    ("vgg", "S=32 W=8 F=64 K=10", 0.8),
    ("unet", "H=32 V=32 W=4", 0.97),
    ("resnet18", "S=32 W=4 K=5", 0.95),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sizes", "accuracy"), LEARNS)
@pytest.mark.parametrize("target", TARGETS)
def test_the_large_ones_learn_at_small_sizes(name: str, sizes: str, accuracy: float, target: str) -> None:
    found = Case(name, sizes, 1).diagram().train(target=target)
    assert found.training.values["accuracy"] > accuracy


# ---------------------------------------------------------------------------------------
# The files


@pytest.mark.parametrize("name", SIZES)
def test_no_warnings(name: str) -> None:
    assert [w.message for w in example(name).warnings] == []
    assert load(FILES[name]).warnings == ()


@pytest.mark.parametrize("name", SIZES)
def test_canonical(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check", str(FILES[name])]) == 0, capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_verified(name: str) -> None:
    found = example(name).verify()
    assert found.ok, found.table()


COMMANDS = [(name, line) for name in SIZES for line in shown_commands(FILES[name])]


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[f"{n}-{c.split()[1]}" for n, c in COMMANDS])
def test_commands_at_the_head_of_the_file(
    name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` reads weights with the names of torchvision."""
    words = words_of(line, FILES[name])
    if words[0] == "run":
        pytest.importorskip("torch")
        from safetensors.torch import save_file

        theirs = convolutional.build(Case(name, SIZES[name], 1), "float32")
        save_file(theirs.module.state_dict(), tmp_path / "model.safetensors")
    if words[0] != "check" and "--set" not in words:
        words += [f"--set={pair}" for pair in SIZES[name].split()]
    if words[0] == "train":
        words += ["--steps", "2"]
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0


def test_the_readme_names_all_of_them() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in SIZES if f"examples/models/{name}.flow" not in text] == []
