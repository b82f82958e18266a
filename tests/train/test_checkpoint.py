"""Checkpoints: what is written comes back bit for bit, and what is not as it was written is refused."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import pickle
import random
import re
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowgraph.errors import FlowError
from flowgraph.train.checkpoint import (
    MAX_HEADER,
    Checkpoint,
    checkpoint_name,
    read_checkpoint,
    write_checkpoint,
)


def real_checkpoint(seed: int = 0) -> Checkpoint:
    """A small network with the memory of Adam, in mid-run."""
    rng = np.random.default_rng(seed)
    params = {"h.weight": (3, 4), "h.bias": (3,), "w_x1_h1": ()}
    arrays = {f"{kind}/{n}": rng.normal(size=s) for kind in ("params", "m", "v") for n, s in params.items()}
    arrays["step"] = np.array(123)
    about = {"step": 123, "loss": 0.1 + 0.2, "description": {"params": {"h.bias": [3]}}, "log": None}
    return Checkpoint(arrays, about)


def refused(path: Path, reason: str = "") -> str:
    """The message with which a file is refused."""
    with pytest.raises(FlowError) as caught:
        read_checkpoint(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0802" and diagnostic.help
    assert str(path.name) in diagnostic.message and diagnostic.path == str(path)
    assert reason in diagnostic.message
    return diagnostic.message


def crafted(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    """A file whose checksum is right, whatever it holds."""
    body = (len(header) if length is None else length).to_bytes(8, "little") + header + data
    line = f"sha256 {hashlib.sha256(body).hexdigest()} of {len(body)} bytes\n"
    path.write_bytes(b"flowgraph checkpoint 1\n" + line.encode() + body)
    return path


# -- what is written comes back


@pytest.mark.parametrize(
    "array",
    [
        np.array(-0.0),
        np.array([math.nan, math.inf, -math.inf, 5e-324, 0.1]),
        np.zeros((0, 3), np.float32),
        np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(10)[::-2],
        np.array([True, False, True]),
        np.array(2**62),
        np.arange(3, dtype=">f8"),
        np.float16([0.5]),
        np.array([2**64 - 1], np.uint64),
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_arrays_come_back_bit_for_bit(tmp_path: Path, array: np.ndarray) -> None:
    back = read_checkpoint(write_checkpoint(tmp_path, 0, Checkpoint({"a": array}, {}))).arrays["a"]
    assert back.shape == array.shape and back.dtype == array.dtype.newbyteorder("=")
    assert back.tobytes() == array.astype(back.dtype).tobytes()
    assert back.flags.writeable and back.flags.c_contiguous and back.dtype.isnative


def test_what_is_about_the_run_comes_back_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    about = {
        "rng": rng.bit_generator.state,
        "floats": [0.1 + 0.2, 5e-324, -0.0, 1e308, math.inf, float(np.float32(0.1))],
        "whole": [2**100, -(2**63), 0],
        "rest": [None, True, "ξ\n\ud800\0", {"": []}],
    }
    back = read_checkpoint(write_checkpoint(tmp_path, 0, Checkpoint({}, about))).about
    assert back == about and repr(back) == repr(about)
    rng.bit_generator.state = back["rng"]


def test_arrays_keep_their_order(tmp_path: Path) -> None:
    arrays = {name: np.ones(1) for name in ("b", "a", "b.c", "ξ", "")}
    assert list(read_checkpoint(write_checkpoint(tmp_path, 0, Checkpoint(arrays, {}))).arrays) == list(arrays)


def test_equal_checkpoints_are_equal_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        write_checkpoint(folder, 5, real_checkpoint())
    assert (one / checkpoint_name(5)).read_bytes() == (two / checkpoint_name(5)).read_bytes()


@pytest.mark.parametrize(
    "about",
    [{"a": (1, 2)}, {"a": {1: 2}}, {"a": np.int64(1)}, {"a": [b"x"]}, {"a": {"b": [object()]}}],
    ids=["tuple", "whole key", "numpy", "bytes", "object"],
)
def test_what_json_would_change_is_never_written(tmp_path: Path, about: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"about\.a"):
        write_checkpoint(tmp_path, 0, Checkpoint({}, about))
    assert list(tmp_path.iterdir()) == []


def test_objects_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="object"):
        write_checkpoint(tmp_path, 0, Checkpoint({"a": np.array([None])}, {}))


def test_a_header_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="E0802"):
        write_checkpoint(tmp_path, 0, Checkpoint({}, {"a": "x" * MAX_HEADER}))
    assert list(tmp_path.iterdir()) == []


def test_the_reader_in_the_documentation_reads_a_checkpoint(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    (reader,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = write_checkpoint(tmp_path, 123, real_checkpoint())
    space: dict[str, Any] = {}
    exec(reader.replace("run/checkpoint-00000120.flowckpt", str(path)), space)
    assert space["about"] == real_checkpoint().about
    for name, array in real_checkpoint().arrays.items():
        np.testing.assert_array_equal(space["arrays"][name], array, strict=True)


# -- damage


def test_one_flipped_bit_is_found_at_256_places(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 123, real_checkpoint())
    good = path.read_bytes()
    places = random.Random(0).sample(range(8 * len(good)), 256)
    found = 0
    for place in places:
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad)
        found += bool(refused(path))
    assert found == 256
    path.write_bytes(good)
    read_checkpoint(path)


def test_a_flipped_bit_is_found_wherever_the_lines_and_lengths_are(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 1, Checkpoint({"a": np.arange(3.0)}, {}))
    good = path.read_bytes()
    for place in range(8 * (good.index(b"{") + 1)):
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad)
        refused(path)


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 1, Checkpoint({"a": np.arange(3.0), "b": np.array(1)}, {"x": 1}))
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        refused(path)
    path.write_bytes(good[:-3])
    refused(path, f"it is cut short: {len(good) - good.index(b'bytes') - 9} of")


def test_bytes_after_the_end_are_found(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 1, real_checkpoint())
    with path.open("ab") as file:
        file.write(b"\0\0")
    refused(path, "2 bytes follow its end")


def test_a_file_of_zeros_is_refused(tmp_path: Path) -> None:
    # What a power loss leaves where a file system keeps a length and loses the bytes.
    path = write_checkpoint(tmp_path, 1, real_checkpoint())
    path.write_bytes(bytes(path.stat().st_size))
    refused(path, "it is something else, or damaged")


def test_another_version_is_called_that(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 1, real_checkpoint())
    path.write_bytes(path.read_bytes().replace(b"checkpoint 1\n", b"checkpoint 2\n", 1))
    refused(path, "another version")


# -- files that are no checkpoints


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("evil",)


def npz_bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(2**26))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (pickle.dumps(Evil()), "a pickle"),
        (npz_bomb(), "a zip archive"),
        (b"\x93NUMPY\x01\x00", "numpy.save"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"", "empty"),
        (b"\x08\0\0\0\0\0\0\0{}      ", "something else"),
        (b"step,loss\n", "something else"),
    ],
    ids=["pickle", "bomb", "npy", "gzip", "empty", "safetensors", "csv"],
)
def test_other_files_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / checkpoint_name(1)
    path.write_bytes(content)
    refused(path, kind)
    assert list(tmp_path.iterdir()) == [path], "nothing of it may run"


def test_a_file_of_torch_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    path = tmp_path / checkpoint_name(1)
    torch.save({"a": torch.ones(2)}, path)
    refused(path, "torch.save")
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    refused(path, "torch.save")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    real = write_checkpoint(outside, 1, real_checkpoint())
    link = tmp_path / checkpoint_name(1)
    link.symlink_to(real)
    assert str(real) in refused(link, "it is a link to")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    folder, pipe = tmp_path / "folder", tmp_path / "pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    refused(folder, "it is a directory")
    refused(pipe, "it is not a regular file")
    refused(tmp_path / "missing", "no such file")
    refused(Path("/dev/zero"), "it is not a regular file")


LIES = {
    "header of 2^63": (b"{}", b"", 2**63),
    "header longer than the file": (b"{}", b"", 3),
    "no header": (b"", b"", 0),
    "no json": (b"{'about'}", b"", None),
    "no utf-8": (b'{"about":{},"arrays":[["\xff","float64",[]]]}', b"12345678", None),
    "nested deeply": (b'{"about":' + b"[" * 10**5, b"", None),
    "a number of many digits": (b'{"about":{"a":' + b"9" * 5000 + b'},"arrays":[]}', b"", None),
    "a list": (b"[]", b"", None),
    "another key": (b'{"about":{},"arrays":[],"code":1}', b"", None),
    "about is a list": (b'{"about":[],"arrays":[]}', b"", None),
    "a key twice": (b'{"about":{"a":1,"a":2},"arrays":[]}', b"", None),
    "an array twice": (b'{"about":{},"arrays":[["a","int8",[1]],["a","int8",[1]]]}', b"12", None),
    "a key twice above": (b'{"about":{},"arrays":[],"arrays":[]}', b"", None),
}


@pytest.mark.parametrize(("header", "data", "length"), LIES.values(), ids=LIES)
def test_a_header_that_lies_is_refused(
    tmp_path: Path, header: bytes, data: bytes, length: int | None
) -> None:
    refused(crafted(tmp_path / "a.flowckpt", header, data, length))


ROWS = [
    ["a", "float64", [10**12]],
    ["a", "float64", [2**62, 2**62]],
    ["a", "float64", [2**61, 8, 0]],
    ["a", "float64", [2**63]],
    ["a", "float64", [-1]],
    ["a", "float64", [-2, -4]],
    ["a", "float64", [8.0]],
    ["a", "float64", [True]],
    ["a", "float64", [1] * 40],
    ["a", "float64", "8"],
    ["a", "float64", [2]],
    ["a", "object", [1]],
    ["a", "O", [1]],
    ["a", ["float64"], [1]],
    ["a", "bool", [8]],
    [1, "float64", [1]],
    ["a", "float64"],
    {"a": 1},
    None,
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_an_array_that_lies_is_refused_and_takes_no_memory(tmp_path: Path, row: Any) -> None:
    header = json.dumps({"about": {}, "arrays": [row]}).encode()
    path = crafted(tmp_path / "a.flowckpt", header, b"\x7f" * 8)
    tracemalloc.start()
    refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 2**20
