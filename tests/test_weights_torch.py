"""PyTorch's own files: read by name, run nothing; and parameters there and back."""

from __future__ import annotations

import ast
import builtins
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH, ROOT, example, execute
from weights import MLP, TOWER, numbered, refused, same

from flowgraph import Weights, load, loads, save_params
from flowgraph.data.weights import bfloat16_numbers
from flowgraph.diagram import Diagram
from flowgraph.naming import class_name

pytestmark = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
if HAS_TORCH:
    import torch
    from torch.torch_version import TorchVersion

ONE = "param w : [2] = zeros()\nf = sum(w)\n"


def model_of(diagram: Diagram, dtype: str = "float64") -> Any:
    return execute(diagram.compile("torch", dtype=dtype))[class_name(diagram.name)]()


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def saved(value: Any, path: Path, **options: Any) -> Path:
    torch.save(value, path, **options)
    return path


def only_error(diagram: Diagram, params: Any, code: str = "E0501") -> str:
    (error,) = refused(diagram, params)
    assert error.code == code
    assert "safetensors" in error.help and len(error.message) < 300
    return error.message


# -- there and back


@pytest.mark.parametrize("name", ["xor_learned", "digits", "mlp_2_3_2", "perceptron", "burgers"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_to_torch_to_numpy_is_the_same_bits(tmp_path: Path, name: str, dtype: str) -> None:
    from safetensors.torch import load_file, save_file

    diagram = example(name)
    arrays = {n: a.astype(dtype) for n, a in numbered(diagram).items()}
    save_params(tmp_path / "out.safetensors", arrays)
    model = model_of(diagram, dtype)
    model.load_state_dict(load_file(tmp_path / "out.safetensors"), strict=True)
    save_file(model.state_dict(), tmp_path / "back.safetensors")
    for suffix in ("pt", "pth", "bin"):
        saved(model.state_dict(), tmp_path / f"back.{suffix}")
        same(diagram.params(tmp_path / f"back.{suffix}", dtype=dtype), arrays)
    same(diagram.params(tmp_path / "back.safetensors", dtype=dtype), arrays)
    same(diagram.params(model.state_dict(), dtype=dtype), arrays)


def test_a_trained_model_goes_to_torch_and_back(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    diagram = example("xor_learned")
    trained = diagram.train(steps=5, out=tmp_path / "run")
    model = model_of(diagram, "float32")
    model.load_state_dict(load_file(tmp_path / "run" / "model.safetensors"), strict=True)
    again = diagram.train(steps=1, target="torch", params=model.state_dict(), device="cpu", lr=1e-30)
    same(again.params, trained.params)


def test_a_model_of_torch_layers_computes_the_same(tmp_path: Path) -> None:
    """The names are the other model's, the Linear's layout is ours."""
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)).double()
    path = saved(theirs.state_dict(), tmp_path / "m.pt")
    diagram = loads("input x : [2]\nf = x |> linear(3) |> tanh |> linear(1)\n")
    weights = Weights(path, ("0.*=f.linear.*", "2.*=f.linear_2.*"))
    x = np.array([[0.5, -1.0], [2.0, 0.25]])
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(diagram.run({"x": x}, params=weights).outputs["f"], expected, rtol=1e-12)


# -- what tensors may be


def test_tensors_of_every_kind_are_taken_exactly(tmp_path: Path) -> None:
    diagram = loads(ONE)
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int64,
        torch.uint8, torch.bool,
    ):  # fmt: skip
        tensor = torch.tensor([0.1, 3.0]).to(dtype)
        expected = tensor.to(torch.float64).tolist()
        for source in (saved({"w": tensor}, tmp_path / "w.pt"), {"w": tensor}):
            assert diagram.params(source, dtype="float64")["w"].tolist() == expected, dtype


def test_bfloat16_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    bits = np.arange(2**16, dtype=np.uint16)
    ours = bfloat16_numbers(bits)
    theirs = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).to(torch.float32).numpy()
    assert ours.tobytes() == theirs.tobytes()
    numbers = torch.linspace(-3, 3, 2).to(torch.bfloat16)
    save_file({"w": numbers}, tmp_path / "w.safetensors")
    assert loads(ONE).params(tmp_path / "w.safetensors")["w"].tolist() == numbers.tolist()


def test_views_parameters_and_shared_storage_are_read_as_they_look(tmp_path: Path) -> None:
    diagram = loads("param a : [2, 3] = zeros()\nparam b : [3] = zeros()\nf = sum(a) + sum(b)\n")
    whole = torch.arange(6.0).reshape(3, 2)
    held = {"a": torch.nn.Parameter(whole.T), "b": whole[:, 1]}
    for source in (saved(held, tmp_path / "w.pt"), held):
        got = diagram.params(source)
        assert got["a"].tolist() == [[0, 2, 4], [1, 3, 5]] and got["b"].tolist() == [1, 3, 5]


def test_what_is_no_plain_tensor_is_named(tmp_path: Path) -> None:
    for value in (torch.eye(2).to_sparse(), torch.ones(2, dtype=torch.complex64), [1.0, 2.0], "text"):
        path = saved({"w": value}, tmp_path / "w.pt")
        (error,) = refused(loads(ONE), path)
        assert error.code == "E0505" and error.message.startswith("the parameter `w` holds ")
    (error,) = refused(loads(ONE), {"w": torch.ones(2, device="meta")})
    assert "holds float32 in another form" in error.message


def test_dicts_in_a_dict_have_both_names(tmp_path: Path) -> None:
    """A checkpoint of a training loop: the model's weights are `model.*`, the rest is left out."""
    diagram = loads(MLP)
    arrays = numbered(diagram)
    state = OrderedDict(tensors(arrays))
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]}
    path = saved({"model": state, "optimizer": optimizer, "epoch": 3}, tmp_path / "c.pt")
    (error,) = refused(diagram, path)
    assert error.help == '--rename "model.*=*" brings 5 of them together'
    weights = Weights(path, "model.*=*", ignore=("optimizer.*", "epoch"))
    same(diagram.params(weights, dtype="float64"), arrays)


def test_names_that_meet_are_refused(tmp_path: Path) -> None:
    path = saved({"a.w": torch.ones(2), "a": {"w": torch.ones(2)}}, tmp_path / "w.pt")
    assert "the name `a.w` is there twice" in only_error(loads(ONE), path)


def test_dicts_without_end_are_refused(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless |= {"a": endless, "b": endless}
    assert "nested too deeply" in only_error(loads(ONE), saved(endless, tmp_path / "w.pt"))


# -- files that would harm


class Harm:
    """Its pickle makes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class Shell(Harm):
    """Its pickle runs a command when it is opened."""

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.path}",))


class Evaluated(Harm):
    """Its pickle evaluates text when it is opened."""

    def __reduce__(self) -> Any:
        return (builtins.eval, (f"__import__('pathlib').Path({str(self.path)!r}).touch()",))


@pytest.mark.parametrize("kind", [Harm, Shell, Evaluated])
@pytest.mark.parametrize("suffix", ["pt", "pth", "bin"])
def test_a_pickle_that_would_run_never_does(
    tmp_path: Path, kind: type[Harm], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(kind(canary)))
    assert canary.exists(), "the file would do no harm: the test shows nothing"
    canary.unlink()
    # what a user may have set for other programs must not open the way here
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = saved({"w": torch.ones(2), "more": kind(canary)}, tmp_path / f"w.{suffix}")
    message = only_error(loads(ONE), path)
    assert "holds more than tensors" in message and "weights_only" not in message
    path.write_bytes(pickle.dumps({"w": [1.0, 2.0], "more": kind(canary)}))
    assert "no zip archive" in only_error(loads(ONE), path)
    saved({"w": torch.ones(2), "more": kind(canary)}, path, _use_new_zipfile_serialization=False)
    assert "no zip archive" in only_error(loads(ONE), path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", pickle.dumps(kind(canary), protocol=2))
        archive.writestr("w/version", "3\n")
    only_error(loads(ONE), path)
    assert not canary.exists()


def test_no_pickle_is_opened_in_any_other_way() -> None:
    """`torch.load` stands once in the package, with `weights_only=True`; nothing unpickles beside it."""
    loading, unpickling = [], []
    for path in sorted((ROOT / "flowgraph").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                loading.append(
                    (path.name, {k.arg: ast.unparse(k.value) for k in node.keywords}["weights_only"])
                )
            elif isinstance(node, ast.Call) and any(
                k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords
            ):
                unpickling.append(path.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
                unpickling += [
                    path.name for n in names if n.split(".")[0] in ("pickle", "dill", "shelve", "joblib")
                ]
    assert loading == [("weights.py", "True")] and unpickling == []


def test_files_that_are_cut_or_changed_give_one_error(tmp_path: Path) -> None:
    diagram = loads(MLP)
    path = saved(tensors(numbered(diagram)), tmp_path / "w.pt")
    whole = path.read_bytes()
    for length in [0, 1, 10, *range(100, len(whole), 211), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert "no zip archive" in only_error(diagram, path), length
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(whole)
        broken[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(broken)
        try:
            diagram.params(path)  # a changed number, or a byte that nobody reads
        except Exception as error:
            assert type(error).__name__ == "FlowError", error


def test_archives_of_other_things_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    only_error(loads(ONE), path)
    np.savez(tmp_path / "w.npz", w=np.ones(2))
    (tmp_path / "w.npz").replace(path)
    only_error(loads(ONE), path)
    saved([torch.ones(2)], path)
    assert only_error(loads(ONE), path).endswith("it holds list, not weights by name")
    saved(torch.ones(2), path)
    assert "it holds Tensor" in only_error(loads(ONE), path)
    saved(torch.nn.Linear(1, 2), path)
    assert "holds more than tensors (`torch.nn.modules.linear.Linear`)" in only_error(loads(ONE), path)


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowgraph.data.weights.MAX_BYTES", 10**6)
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", bytes(10**6 + 1))
    assert "it unpacks to more than 1000000 bytes" in only_error(loads(ONE), path)


# -- PyTorch that is too old, or not there


def test_an_old_pytorch_is_not_trusted_with_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved({"w": torch.ones(2)}, tmp_path / "w.pt")
    for version in ("2.9.1+cpu", "2.4.0", "2.10.0a0", "1.13"):
        monkeypatch.setattr(torch, "__version__", TorchVersion(version))
        message = only_error(loads(ONE), path, "E0605")
        assert version in message
    for version in ("2.10.0", "2.10.0+cu128", "3.0"):
        monkeypatch.setattr(torch, "__version__", TorchVersion(version))
        assert loads(ONE).params(path)["w"].tolist() == [1, 1]


def test_without_pytorch_the_cure_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved({"w": torch.ones(2)}, tmp_path / "w.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    (error,) = refused(loads(ONE), path)
    assert error.code == "E0605" and "pip install 'flowgraph[torch]'" in error.help
    save_params(tmp_path / "w.safetensors", {"w": np.ones(2)})
    assert loads(ONE).params(tmp_path / "w.safetensors")["w"].tolist() == [1, 1]


# -- the page


def test_the_page_says_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPT-2's line in docs/weights.md, on a file that looks like GPT-2's."""
    import re
    import shlex

    from flowgraph.cli.main import main

    page = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^flowc run gpt2\.flow .*(?:\\\n.*)*$", page, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("gpt2.flow").write_text(TOWER)
    diagram = load("gpt2.flow")
    held = {n: a.T.copy() if ".c_" in n else a for n, a in numbered(diagram).items()}
    held |= {f"h.{i}.attn.bias": np.ones((1, 1, 5, 5)) for i in range(6)}
    from safetensors.numpy import save_file

    save_file(held, "model.safetensors")
    words = shlex.split(line.replace("\\\n", " "))
    assert main([*words[1:], "--in", "x=[1,2,3,4]"]) == 0
    program = page.split("```python\n")[1].split("```")[0]
    exec(program, {})
    same(diagram.params("here.safetensors"), diagram.params(numbered(diagram)))
