"""Parameters from files and dicts: by name, renamed, transposed, left out; of every kind; and out."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from weights import MLP, TOWER, numbered, refused, said, same, with_prefix

import flowgraph
from flowgraph import Weights, loads, save_params
from flowgraph.cli.main import main
from flowgraph.data.weights import bfloat16_numbers
from flowgraph.diagram import Diagram
from flowgraph.errors import FlowError

Capture = pytest.CaptureFixture[str]

LEARNING = """
target y
loss mse(f[0], y)
data { x0 x1 x2 x3 | y
       1  2  3  4  | 1
       2  0  1  0  | 2 }
train sgd(lr=0.01), steps=2
"""


# -- from files and dicts


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "SafeTensors"])
def test_a_file_gives_the_numbers_that_were_saved(tmp_path: Path, suffix: str) -> None:
    diagram = loads(MLP)
    arrays, path = numbered(diagram), tmp_path / f"w.{suffix}"
    np.savez(path, **arrays) if suffix == "npz" else save_file(arrays, path)
    for source in (path, str(path), Weights(path), arrays, Weights(arrays)):
        same(diagram.params(source, dtype="float64"), arrays)


def test_first_values_are_those_of_the_emitted_init() -> None:
    from running import execute

    diagram = loads(MLP)
    same(diagram.params(seed=3), execute(diagram.compile())["init"](3))
    assert list(diagram.params()) == list(execute(diagram.compile())["PARAMS"])


def test_names_layouts_and_strangers_are_brought_together(tmp_path: Path) -> None:
    """As GPT-2's files are: a prefix, weights of Conv1D transposed, masks among the parameters."""
    diagram = loads(TOWER)
    want = numbered(diagram)
    held = {n: np.ascontiguousarray(a.T) if ".c_" in n and a.ndim == 2 else a for n, a in want.items()}
    held = with_prefix(held, "transformer.") | {
        f"transformer.h.{i}.attn.bias": np.tril(np.ones((1, 1, 9, 9))) for i in range(6)
    }
    save_file(held, tmp_path / "gpt.safetensors")
    weights = Weights(
        tmp_path / "gpt.safetensors",
        rename="transformer.*=*",
        transpose="h.*.c_*.weight",
        ignore=["transformer.h.*.attn.bias"],
    )
    got = diagram.params(weights, dtype="float64")
    same(got, want)
    assert all(a.flags.c_contiguous for a in got.values())


def test_the_first_rename_that_matches_counts() -> None:
    diagram = loads("param a = 0\nparam b = 0\nf = a + b\n")
    arrays = {"x.p": 1.0, "x.a": 2.0}
    assert diagram.params(Weights(arrays, ("x.p=b", "x.*=*"))) == {"b": 1, "a": 2}
    first, *_ = refused(diagram, Weights(arrays, ("x.*=*", "x.p=b")))
    assert first.message == "`--rename x.p=b` matches no entry that is left"
    assert first.help == "`--rename x.*=*` is given before it and takes them: give this one first"


def test_ignored_entries_are_not_renamed_and_need_not_be_there() -> None:
    diagram = loads("param a = 0\nf = a\n")
    arrays = {"m.a": 3.0, "m.mask": np.ones(4)}
    assert diagram.params(Weights(arrays, "m.*=*", ignore=("m.mask", "m.other"))) == {"a": 3}


def test_the_last_two_axes_are_swapped() -> None:
    diagram = loads("param W : [2, 3, 4] = zeros()\nf = sum(W)\n")
    array = np.arange(24.0).reshape(2, 4, 3)
    got = diagram.params(Weights({"W": array}, transpose="W"))["W"]
    assert np.array_equal(got, array.swapaxes(1, 2))


# -- kinds of numbers


def raw_safetensors(path: Path, kind: str, shape: tuple[int, ...], data: bytes) -> Path:
    header = {"w": {"dtype": kind, "shape": list(shape), "data_offsets": [0, len(data)]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_bfloat16_is_the_upper_half_of_float32() -> None:
    bits = np.array([0x3F80, 0xBF80, 0x4049, 0x0001, 0x7F80, 0xFF80, 0x7FC0, 0x8000, 0x7F7F], "<u2")
    got = bfloat16_numbers(bits)
    # 0x4049 is 3.140625, 0x0001 the smallest subnormal, 0x7f7f the largest finite number
    largest = (2 - 2.0**-7) * 2.0**127
    expected = np.array([1, -1, 3.140625, 2.0**-133, np.inf, -np.inf, np.nan, 0, largest], np.float32)
    np.testing.assert_array_equal(got, expected)
    assert np.signbit(got[7]) and got.dtype == np.float32


@pytest.mark.parametrize("target", ["<f2", "<f4", "<f8", "<i8", "u1", "?"])
def test_numbers_of_every_kind_are_taken_exactly(tmp_path: Path, target: str) -> None:
    diagram = loads("param w : [3] = zeros()\nf = sum(w)\n")
    array = np.array([0, 1, 0.1 if "f" in target else 1]).astype(target)
    save_file({"w": array}, tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", w=array)
    for name in ("w.safetensors", "w.npz"):
        assert np.array_equal(diagram.params(tmp_path / name, dtype="float64")["w"], array.astype(float))


def test_bfloat16_in_safetensors(tmp_path: Path) -> None:
    diagram = loads("param w : [2, 2] = zeros()\nf = sum(w)\n")
    data = np.array([[0x3F80, 0x4049], [0xC000, 0x0000]], "<u2").tobytes()
    path = raw_safetensors(tmp_path / "w.safetensors", "BF16", (2, 2), data)
    for dtype in ("float32", "float64"):
        got = diagram.params(path, dtype=dtype)["w"]
        assert got.dtype == dtype and got.tolist() == [[1, 3.140625], [-2, 0]]
    turned = diagram.params(Weights(path, transpose="w"))["w"]
    assert turned.tolist() == [[1, -2], [3.140625, 0]]


def test_one_number_in_bfloat16(tmp_path: Path) -> None:
    path = raw_safetensors(tmp_path / "w.safetensors", "BF16", (), b"\x80\x3f")
    assert loads("param w = 0\nf = w\n").params(path)["w"] == 1


def test_numbers_too_large_for_the_runs_dtype_are_refused() -> None:
    diagram = loads("input x\ntarget y\nparam w = 0\nf = w * x\nloss mse(f, y)\ndata { x | y\n 1 | 2 }\n")
    params = {"w": 1e300}
    (message,) = said(diagram, params)
    assert message == "the parameter `w` holds numbers that are too large for float32"
    with pytest.raises(FlowError, match="too large for float32"):
        diagram.train(params=params, steps=1)
    assert diagram.params(params, dtype="float64")["w"] == 1e300
    assert diagram.params({"w": np.inf})["w"] == np.inf


def test_eight_bits_of_floating_point_are_refused(tmp_path: Path) -> None:
    path = raw_safetensors(tmp_path / "w.safetensors", "F8_E4M3", (3,), b"abc")
    (error,) = refused(loads("param w : [3] = zeros()\nf = sum(w)\n"), path)
    assert error.code == "E0501" and "holds F8_E4M3" in error.message


# -- files that cannot be read


def test_files_of_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("w.onnx", "w.npy", "w.csv", "w"):
        (tmp_path / name).write_bytes(b"x")
        (error,) = refused(loads(MLP), tmp_path / name)
        assert error.code == "E0501" and ".safetensors, .npz, .pt, .pth, .bin" in error.help


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "pt"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"d.{suffix}").mkdir()
    os.mkfifo(tmp_path / f"f.{suffix}")
    (tmp_path / f"l.{suffix}").symlink_to(tmp_path / f"f.{suffix}")
    (tmp_path / f"loop.{suffix}").symlink_to(tmp_path / f"loop.{suffix}")
    for name in ("d", "f", "l", "loop", "none"):
        (error,) = refused(loads(MLP), tmp_path / f"{name}.{suffix}")
        assert error.code == "E0501", name


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    save_file({"w": np.ones(())}, tmp_path / "w.safetensors")
    (tmp_path / "l.safetensors").symlink_to("w.safetensors")
    assert loads("param w = 0\nf = w\n").params(tmp_path / "l.safetensors")["w"] == 1


def test_arrays_that_share_bytes_are_refused(tmp_path: Path) -> None:
    place = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    text = json.dumps({"a": place, "b": place}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    (error,) = refused(loads(MLP), tmp_path / "w.safetensors")
    assert error.code == "E0501"


def test_cut_and_changed_files_give_one_error(tmp_path: Path) -> None:
    diagram = loads(MLP)
    save_file(numbered(diagram), tmp_path / "w.safetensors")
    whole, path = (tmp_path / "w.safetensors").read_bytes(), tmp_path / "cut.safetensors"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        (error,) = refused(diagram, path)
        assert error.code == "E0501", length


# -- out


def test_what_is_saved_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    arrays = {"a": np.array(-0.0), "b": np.arange(6.0).reshape(2, 3).T, "c": np.ones((0, 2), np.float32)}
    save_params(tmp_path / "w.safetensors", arrays)
    diagram = loads("param a = 0\nparam b : [3, 2] = 0\nparam c : [0, 2] = 0\nf = a + sum(b) + sum(c)\n")
    got = diagram.params(tmp_path / "w.safetensors", dtype="float64")
    assert np.signbit(got["a"]) and got["b"].tolist() == arrays["b"].tolist() and got["c"].shape == (0, 2)


def test_only_numbers_are_saved_and_only_as_safetensors(tmp_path: Path) -> None:
    for name, arrays in (("w.npz", {"a": np.ones(1)}), ("w.safetensors", {"a": np.array("x")})):
        with pytest.raises(FlowError) as caught:
            save_params(tmp_path / name, arrays)
        assert caught.value.diagnostics[0].code == "E0701"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FlowError):
        save_params(tmp_path / "no" / "w.safetensors", {"a": np.ones(1)})


# -- the command


@pytest.fixture
def tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagram:
    monkeypatch.chdir(tmp_path)
    Path("tower.flow").write_text(TOWER.replace("repeat 6", "repeat 1") + LEARNING)
    diagram = flowgraph.load("tower.flow")
    held = {n: np.ascontiguousarray(a.T) if ".c_" in n else a for n, a in numbered(diagram).items()}
    save_file(with_prefix(held, "m.") | {"m.h.0.mask": np.ones(2)}, "w.safetensors")
    return diagram


OPTIONS = (
    "--params",
    "w.safetensors",
    "--rename",
    "m.*=*",
    "--transpose",
    "h.*.c_*.weight",
    "--ignore",
    "*.mask",
)


def test_run_takes_weights(tower: Diagram, capsys: Capture) -> None:
    assert main(["run", "tower.flow", *OPTIONS]) == 0
    out = capsys.readouterr().out
    assert out == tower.run(params=numbered(tower)).table().replace("the values given", "w.safetensors")


def test_train_begins_with_the_weights(tower: Diagram, capsys: Capture) -> None:
    assert main(["train", "tower.flow", *OPTIONS, "--steps", "3", "--dtype", "float64", "--out", "run"]) == 0
    trained = tower.train(params=numbered(tower), steps=3, dtype="float64")
    same(tower.params("run/model.safetensors", dtype="float64"), trained.params)


def test_verify_takes_weights(tower: Diagram, capsys: Capture) -> None:
    assert main(["verify", "tower.flow", *OPTIONS]) == 0
    assert "with w.safetensors" in capsys.readouterr().out


def test_weights_that_do_not_fit_are_said_before_anything_is_written(tower: Diagram, capsys: Capture) -> None:
    for command in (["run"], ["verify"], ["train", "--out", "run"]):
        assert main([command[0], "tower.flow", *command[1:], *OPTIONS[:4]]) == 1
        assert "error[E0505]" in capsys.readouterr().err and not Path("run").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--rename", "a"),
        ("--rename", "a.*=b"),
        ("--transpose", "a**"),
        ("--ignore", ""),
    ],
)
def test_a_bad_pattern_is_a_wrong_command_line(
    tower: Diagram, options: tuple[str, str], capsys: Capture
) -> None:
    for command in ("run", "verify", "train"):
        assert main([command, "tower.flow", "--params", "w.safetensors", *options]) == 2
        assert f"Invalid value for '{options[0]}'" in capsys.readouterr().err


def test_patterns_without_a_file_are_a_wrong_command_line(tower: Diagram, capsys: Capture) -> None:
    assert main(["run", "tower.flow", "--ignore", "a"]) == 2
    assert "--ignore is about the file that --params names" in capsys.readouterr().err
