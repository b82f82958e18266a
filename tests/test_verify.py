"""`flowc verify`: right diagrams agree, wrong operations are caught and named, kinks are explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import EXAMPLES, HAS_TORCH, example

from flowgraph.cli.main import main
from flowgraph.diagram import Diagram, loads
from flowgraph.errors import FlowError
from flowgraph.ops import OPS
from flowgraph.ops.base import Value
from flowgraph.verify.compare import Quantities
from flowgraph.verify.engines import Case
from flowgraph.verify.modules import NumpyModule
from flowgraph.verify.report import Verification

has_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")

NET = """\
diagram net
input x : [2]
target y
param W : [3, 2] = glorot()
param b : [3] = zeros()
h = tanh(W @ x + b)
f = sum(h)
output f, h
loss mse(f, y)
metric error = mae(f, y)
data { x0 x1 |  y
        0  1 |  1
        1  2 | -1
        2  0 |  3 }
"""


def net(text: str = NET) -> Diagram:
    return loads(text, "net.flow")


def statuses(found: Verification) -> dict[tuple[str, str], str]:
    return {(r.quantity, r.engine): r.status for r in found.rows}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_agree(name: str) -> None:
    found = example(name).verify()
    assert found.ok, found.table()
    assert all(r.status in ("ok", "kink", "rounding", "skipped") for r in found.rows)


def test_every_quantity_of_every_engine() -> None:
    found = net().verify()
    assert found.ok, found.table()
    seen = statuses(found)
    for level in ("-O0", "-O1"):
        for dtype in ("", " float32"):
            for quantity in (
                "init",
                "outputs",
                "loss",
                "metrics",
                "gradient",
                "gradient per example",
                "jvp",
                "hvp",
            ):
                assert seen[quantity, f"numpy {level}{dtype}"] == "ok"
    for quantity in ("gradient", "jvp", "hvp"):
        assert seen[quantity, "central differences"] == "ok"
    assert set(seen.values()) == {"ok"}


@has_torch
def test_every_quantity_of_torch() -> None:
    seen = statuses(net().verify())
    for quantity in ("outputs", "loss", "metrics", "gradient", "gradient written out", "jvp", "hvp"):
        for engine in ("torch -O0", "torch -O1", "torch -O0 float32", "torch -O1 float32"):
            assert seen[quantity, engine] == "ok"


def test_differences_are_of_rounding() -> None:
    for row in net().verify().rows:
        assert row.difference is not None
        if "float32" in row.engine:
            assert row.difference < 2e-5
        elif row.engine != "central differences":
            assert row.difference < 1e-12


# ---------------------------------------------------------------------------------------
# What is wrong is caught and named


def wrong_partial(self: Any, y: Value, *xs: Value) -> list[Any]:
    return [1 - y**2 * 0.99]


def test_a_wrong_derivative_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPS["tanh"], "partials", wrong_partial)
    found = net().verify()
    assert not found.ok
    assert statuses(found)["gradient", "central differences"] == "DIFFERS"
    assert found.blamed == ["`tanh` of `h`, line 6: its derivative is not the slope of its values"]


@has_torch
def test_autograd_catches_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPS["tanh"], "partials", wrong_partial)
    found = net().verify()
    [row] = [r for r in found.rows if (r.quantity, r.engine) == ("gradient", "torch -O0")]
    assert row.status == "DIFFERS"
    assert row.note.startswith("gradient ") and row.note.endswith(", on example 1 by itself")


def test_a_wrong_form_is_caught_by_its_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator runs the numpy form: what shows is that the derivative is no longer its slope."""
    monkeypatch.setattr(OPS["tanh"], "numpy", "np.tanh(x) * 1.01")
    found = net().verify()
    assert not found.ok
    assert "`tanh` of `h`, line 6: its derivative is not the slope of its values" in found.blamed


@has_torch
def test_a_wrong_torch_form_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPS["tanh"], "torch", "torch.tanh(x) * 1.01")
    monkeypatch.setattr(OPS["tanh"], "torch_module", "")
    found = net().verify()
    seen = statuses(found)
    assert seen["outputs", "torch -O0"] == seen["outputs", "torch -O1"] == "DIFFERS"
    assert seen["outputs", "numpy -O0"] == seen["gradient", "central differences"] == "ok"
    assert found.blamed == ["`tanh` of `h`, line 6: its torch form does not give the simulator's value"]
    [row] = [r for r in found.rows if (r.quantity, r.engine) == ("outputs", "torch -O0")]
    assert "output h[" in row.note or "output f[" in row.note
    assert ", example " in row.note


def test_a_form_that_fails_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowgraph.emit import numpy as emit_numpy

    real = emit_numpy.emit_numpy

    def emit_broken(*arguments: Any) -> str:
        return real(*arguments).replace("np.tanh(", "np.tanh(1, 2, 3, ")

    monkeypatch.setattr("flowgraph.emit.emit_numpy", emit_broken)
    found = net().verify()
    notes = [r.note for r in found.rows if r.engine == "numpy -O1" and r.status == "DIFFERS"]
    assert notes and "raises TypeError" in notes[0]
    assert any("its numpy form raises TypeError" in said for said in found.blamed)


def test_a_wrong_pass_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that the levels compute by different roads: here -O1 alone folds 0.5 - 0.5, to 1."""
    from flowgraph.passes import fold

    real = fold._fold

    def fold_wrong(out: Any, node: Any) -> Any:
        made = real(out, node)
        wrong = getattr(made, "op", None)
        if wrong is not None and wrong.name == "const" and wrong.value == 0:
            from flowgraph.graph import renamed

            return renamed(made, op=wrong.with_attrs(value=1))
        return made

    monkeypatch.setattr(fold, "_fold", fold_wrong)
    found = net(NET.replace("f = sum(h)", "f = sum(h) + (0.5 - 0.5)")).verify()
    seen = statuses(found)
    assert seen["outputs", "numpy -O1"] == "DIFFERS"
    assert seen["outputs", "numpy -O0"] == "ok"


# ---------------------------------------------------------------------------------------
# What is explained


def test_a_kink_is_explained() -> None:
    """relu at exactly 0 on the data, where the slopes are 0 and 1."""
    found = net(NET.replace("tanh(W @ x + b)", "relu(W @ x)").replace("0  1 |", "0  0 |")).verify()
    assert found.ok, found.table()
    flat = net(
        "input x\ntarget y\nparam b = 0\nf = relu(b * x)\nloss mse(f, y)\ndata { x | y\n 1 | 2 }\n"
    ).verify()
    assert flat.ok, flat.table()
    [row] = [r for r in flat.rows if (r.quantity, r.engine) == ("gradient", "central differences")]
    assert row.status == "kink"
    assert "to the left and" in row.note and "beside it both agree" in row.note
    assert row.note in flat.table()


def test_what_passes_no_gradient_is_held_still() -> None:
    """The derivative takes what stop_gradient gives as constant; differences of the loss do not."""
    found = net(NET.replace("f = sum(h)", "f = sum(h * stop_gradient(h))")).verify()
    assert found.ok, found.table()
    [row] = [r for r in found.rows if (r.quantity, r.engine) == ("gradient", "central differences")]
    assert row.status == "kink"
    assert "`stop_gradient` of `f`" in row.note or "`stop_gradient`, line 7" in row.note
    assert "held still, both agree" in row.note


def test_an_operation_that_hides_its_derivative_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not called agreement: the table says what passes no gradient."""
    monkeypatch.setattr(OPS["tanh"], "differentiable", False)
    monkeypatch.setattr(OPS["tanh"], "partials", lambda self, y, *xs: [None])
    found = net().verify()
    assert statuses(found)["gradient", "central differences"] == "kink"
    assert "`tanh` of `h`, line 6, passes no gradient" in found.table()
    assert found.ok == (not HAS_TORCH)


@has_torch
def test_another_slope_of_pytorch_at_a_tie_is_explained() -> None:
    """At a tie `maximum` takes the first here; PyTorch halves."""
    tie = "input x\ntarget y\nparam a = 1\nparam b = 1\nloss mse(maximum(a * x, b * x), y)\n"
    found = net(tie + "data { x | y\n 1 | 2 }\n").verify()
    assert found.ok, found.table()
    [row] = [r for r in found.rows if (r.quantity, r.engine) == ("gradient", "torch -O0")]
    assert row.status == "kink"


def test_rounding_at_a_jump_is_explained() -> None:
    """0.1 + 0.2 - 0.3 is 5.6e-17 in float64 and -7e-9 in float32: the step sees another side."""
    found = net("input x\nf = step(0.1 * x + 0.2 * x - 0.3 * x)\ndata { x\n 1\n 2 }\n").verify()
    assert found.ok, found.table()
    assert statuses(found)["outputs", "numpy -O0 float32"] == "rounding"


def test_exact_ties_are_not_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tie between whole numbers is no rounding: the first must win in every engine."""
    monkeypatch.setattr(OPS["argmax"], "torch", "(x.shape[-1] - 1 - torch.argmax(x.flip(-1), dim=-1))")
    tie = net("input x : [3]\nf = one_hot(argmax(x))\ndata { x0 x1 x2\n 1 1 0 }\n")
    found = tie.verify()
    assert found.ok == (not HAS_TORCH)


def test_no_loss_means_values_alone() -> None:
    found = net("input x\nparam w = 2.0\nf = w * x\noutput f\n").verify()
    assert found.ok
    assert {r.quantity for r in found.rows} == {"init", "outputs"}
    assert "There is no loss" in found.table()


def test_data_without_targets_compare_outputs() -> None:
    text = NET[: NET.index("data")] + "data { x0 x1\n 1 2 }\n"
    found = net(text).verify()
    assert found.ok
    assert "The data have no targets" in found.table()
    assert statuses(found)["gradient", "numpy -O0"] == "ok"


def test_without_numbers_it_says_so() -> None:
    found = net("input x\nf = log(-abs(x) - 1)\noutput f\n").verify()
    assert found.ok
    assert "infinities or non-numbers in output f" in found.table()


def test_sizes_that_come_with_data_are_chosen() -> None:
    text = "size T\nrequire T % 5 == 0\ninput x : [T]\nparam w = 1.0\nloss mean(tanh(w * x))\noutput x\n"
    found = net(text).verify()
    assert found.ok
    assert statuses(found)["gradient", "central differences"] == "ok"
    nothing = net(text.replace("T % 5 == 0", "T > 1000")).verify()
    assert "no sizes were found" in nothing.table()


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "torch" else real(name, *a)
    )
    found = net().verify()
    assert found.ok
    assert "PyTorch is not installed" in found.table()
    assert not any(r.engine.startswith("torch") for r in found.rows)


def test_what_pytorch_cannot_differentiate_is_skipped_aloud() -> None:
    found = net(NET.replace("tanh", "hard_sigmoid")).verify()
    assert found.ok, found.table()
    if HAS_TORCH:
        assert statuses(found)["hvp", "torch -O0"] == "skipped"
        assert "not implemented" in found.table()


def test_empty_data_leave_random_values() -> None:
    import flowgraph.data.table as table

    nothing = table.Table({"x": np.zeros((0, 2)), "y": np.zeros(0)}, ("x",), ("y",))
    found = net().verify(nothing)
    assert found.ok
    assert len(found.head) - ("PyTorch" in found.head[-1]) == 1


# ---------------------------------------------------------------------------------------
# The command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.flow"
    path.write_text(NET)
    return path


def test_command(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(file), "--seed", "3", "--rows", "2"]) == 0
    printed = capsys.readouterr()
    assert "2 of 3 rows of the data with initial values, seed 3." in printed.out
    assert "central differences" in printed.out
    assert printed.err == ""


def test_command_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(file), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(r["status"] == "ok" and r["difference"] <= r["tolerance"] for r in rows)
    assert {r["quantity"] for r in rows} >= {"outputs", "loss", "metrics", "gradient", "jvp", "hvp"}


def test_command_exits_with_1_and_names_the_operation(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OPS["tanh"], "partials", wrong_partial)
    assert main(["verify", str(file)]) == 1
    printed = capsys.readouterr()
    assert "DIFFERS" in printed.out and "`tanh` of `h`, line 6" in printed.out
    assert "error[E0604]: gradient: central differences and the simulator disagree" in printed.err
    assert main(["verify", str(file), "--json"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert found and all(d["code"] == "E0604" and "`tanh`" in d["help"] for d in found)


def test_command_with_params_and_data(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params, data = tmp_path / "params.npz", tmp_path / "data.npz"
    np.savez(params, W=np.ones((3, 2)), b=np.ones(3))
    np.savez(data, x=np.ones((2, 2)), y=np.ones(2))
    assert main(["verify", str(file), "--params", str(params), "--data", str(data)]) == 0
    assert "all 2 rows of the data with" in capsys.readouterr().out
    np.savez(params, W=np.ones((3, 2)))
    assert main(["verify", str(file), "--params", str(params)]) == 1
    assert "error[E0505]" in capsys.readouterr().err


def test_wrong_files_are_the_users(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="E0501"):
        net().verify(tmp_path / "missing.npz")


def test_a_file_is_verified_the_same_way_twice() -> None:
    assert net().verify(seed=5).table() == net().verify(seed=5).table()


NEARLY = """
input x
target y
param a = 0.1
h = relu(x * a - 0.05)
loss mse(h, y)
data { x | y
 0.5 | 1
 0.8 | 1 }
"""
"""At the first row float32 has 0 for what relu takes, and float64 more than it."""


def test_a_value_within_rounding_of_a_kink_has_two_slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 it may be on the other side, where the other slope is as right."""
    assert net(NEARLY).verify().ok
    monkeypatch.setattr("flowgraph.verify.NOISE_SINGLE", 1e-30)  # as if no try had hit it
    found = net(NEARLY).verify()
    assert found.ok, found.table()
    assert statuses(found)["gradient", "numpy -O0 float32"] == "kink"
    assert "within single precision" in found.table()


def test_a_wrong_gradient_in_float32_alone_is_no_kink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the point it is as wrong."""
    right = NumpyModule.quantities

    def wrong(self: NumpyModule, case: Case) -> Quantities:
        found = right(self, case)
        return found | {n: 1.01 * v for n, v in found.items() if self.single and n.startswith("gradient")}

    monkeypatch.setattr(NumpyModule, "quantities", wrong)
    assert statuses(net(NEARLY).verify())["gradient", "numpy -O0 float32"] == "DIFFERS"
