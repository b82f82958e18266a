"""Bad data files: one clear error each, with the file, and the line or example where there is one."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opening import FORMATS, SMALL, columns, opened, refused, write

from flowgraph.errors import Diagnostic

HEADER = "x0,x1,i,y,b\n"
BOTH = pytest.mark.parametrize("stream", [None, True])


def one(text: str, path: Path, **options: Any) -> Diagnostic:
    """The only error of a file, which names the file and a cure."""
    (found,) = refused(text, path, **options)
    assert found.path.startswith(str(path)) and found.help
    return found


# -- csv


@pytest.mark.parametrize(
    ("content", "code", "line", "said"),
    [
        ("x0,x1,y,b\n", "E0502", 1, "the input `i` has no column `i`"),
        ("x0,i,y,b\n", "E0502", 1, "the input `x` has no column `x1`"),
        ("x0,x1,i,y,b,name\n", "E0502", 1, "the column `name` belongs to no input or target"),
        ("x0,x1,i,y,b,b\n", "E0502", 1, "the column `b` is given twice"),
        (HEADER + "1,2,3,0,1\n1,2,3\n", "E0503", 3, "a row has 3 values, where there are 5 columns"),
        (HEADER + "1,2,3,0,1\n1,2,3,0,1,9\n", "E0503", 3, "a row has 6 values, where there are 5 columns"),
        (HEADER + "1,2,3,0,1\n1,two,3,0,1\n", "E0503", 3, "the column `x1` holds `two`"),
        (HEADER + "1,,3,0,1\n", "E0503", 2, "the column `x1` is empty"),
        (HEADER + "1,NA,3,0,1\n", "E0503", 2, "the column `x1` holds `NA`"),
        (HEADER + "1,2,3.5,0,1\n", "E0503", 2, "the column `i` holds `3.5`"),
        (HEADER + "1,2,3,0,1\n1,2,3,3,1\n", "E0307", 3, "3 is no label of class(3), in `y`"),
        (HEADER + "1,2,3,-1,1\n", "E0307", 2, "-1 is no label of class(3), in `y`"),
        (HEADER + "1,2,3,0,2\n", "E0503", 2, "2 is neither true (1) nor false (0), in `b`"),
        (HEADER + "1,2,3,,1\n", "E0503", 2, "the column `y` is empty"),
        (HEADER + "1,2,3,a,1\n1,2,3,nan,1\n", "E0503", 3, "the column `y` holds `nan`"),
        (
            HEADER + "1,2,3,0,1\n1,2,3,a,1\n",
            "E0307",
            3,
            "the label `a` beside whole numbers such as `0`",
        ),
        (
            HEADER + "".join(f"1,2,3,{label},1\n" for label in "bacabd"),
            "E0307",
            7,
            "`y` has 4 different labels (`a`, `b`, `c`, `d`), not 3",
        ),
        (
            HEADER + '1,2,3,0,1\n1,2,3,0,"1\n1,2,3,0,1\n',
            "E0503",
            3,
            "the row that begins here cannot be read: unexpected end of data",
        ),
        ('x0,"x1\n', "E0503", 1, "the row that begins here cannot be read: unexpected end of data"),
        (HEADER, "E0503", 0, "there are no examples"),
        ("", "E0502", 1, "the file has no columns"),
        ("\n\n", "E0502", 1, "the file has no columns"),
    ],
)
def test_csv_files(tmp_path: Path, content: str, code: str, line: int, said: str) -> None:
    path = tmp_path / "d.csv"
    path.write_text(content)
    found = one(SMALL, path)
    assert found.code == code and said in found.message
    assert found.path == (f"{path}:{line}" if line else str(path))


def test_binary_data_are_no_csv(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(b"x0,x1\n\xff\xfe\0")
    assert one(SMALL, tmp_path / "d.csv").message.endswith("line 2 is not UTF-8")


# -- arrays


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"y": None}, "E0502", "there is no array for the target `y`"),
        ({"q": np.zeros(4)}, "E0502", "the column `q` belongs to no input or target"),
        ({"i": np.arange(3)}, "E0503", "different numbers of examples: `x` has 4, `i` has 3"),
        ({"x": np.zeros((4, 3))}, "E0503", "`x` is [4, 3], where [N, 2] is needed"),
        ({"i": np.array(3)}, "E0503", "`i` is [], where [N] is needed"),
        ({"x": np.array([[1, 1], [1, np.nan]] * 2)}, "E0503", "not a finite number, in `x[1]` (example 1)"),
        ({"y": np.array([0, 1, 2, 3])}, "E0307", "3 is no label of class(3), in `y` (example 3)"),
        ({"y": np.array([0, 1, 2, -1])}, "E0307", "-1 is no label of class(3), in `y` (example 3)"),
        ({"y": np.array(["p", "q", "r", "s"])}, "E0307", "`y` has 4 different labels"),
        ({"y": np.array(["p", "", "r", "p"])}, "E0307", "`` is no label, in `y`"),
        ({"i": np.array([0, 1, 0.5, 2])}, "E0503", "0.5 is not a whole number, in `i` (example 2)"),
        ({"i": np.array([0, 1, 2**63, 2], np.uint64)}, "E0503", "too large for a whole number, in `i`"),
        ({"i": np.array([0, 1, 2.0**63, 2])}, "E0503", "too large for a whole number, in `i` (example 2)"),
        ({"x": np.array([["1", "2"], ["3", "z"]] * 2)}, "E0503", "`x[1]` holds text (`z`)"),
        ({"i": np.array([0, 1, None, 2])}, "E0501", "pickled"),
        ({"i": np.zeros(4, complex)}, "E0501", "complex128"),
    ],
)  # fmt: skip
@BOTH
def test_npz_files(
    tmp_path: Path, changes: dict[str, Any], code: str, said: str, stream: bool | None
) -> None:
    arrays = {name: array for name, array in (columns(4) | changes).items() if array is not None}
    found = one(SMALL, write(tmp_path / "d.npz", arrays), stream=stream)
    assert found.code == code and said in found.message


@BOTH
@pytest.mark.parametrize("suffix", FORMATS)
def test_values_are_checked_to_the_last_row(tmp_path: Path, suffix: str, stream: bool | None) -> None:
    arrays = columns(150_000)
    arrays["x"][-1, 1] = np.inf
    found = one(SMALL, write(tmp_path / f"d.{suffix}", arrays), stream=stream)
    assert found.message == "inf is not a finite number, in `x[1]` (example 149999)"
    assert "--allow-nan" in found.help


@BOTH
@pytest.mark.parametrize("suffix", FORMATS)
def test_files_without_rows(tmp_path: Path, suffix: str, stream: bool | None) -> None:
    found = one(SMALL, write(tmp_path / f"d.{suffix}", columns(0)), stream=stream)
    assert found.code == "E0503" and found.message == "there are no examples"


# -- what is no data file at all


@BOTH
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", ["empty", "pickle", "half", "directory", "fifo", "absent"])
def test_what_is_no_file_of_its_format(tmp_path: Path, suffix: str, kind: str, stream: bool | None) -> None:
    path = tmp_path / f"d.{suffix}"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "half":
        write(path, columns(50))
        os.truncate(path, path.stat().st_size // 2)
    elif kind != "absent":
        path.write_bytes(pickle.dumps(columns(5)) if kind == "pickle" else b"")
    found = one(SMALL, path, stream=stream)
    assert found.code == "E0501" and "pickle" not in found.help
    said = {"directory": "it is a directory", "fifo": "not a regular file", "absent": "no such file"}
    assert said.get(kind, "cannot be used") in found.message


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "parquet", "npy"])
@BOTH
def test_files_cut_at_any_place_are_refused(tmp_path: Path, suffix: str, stream: bool | None) -> None:
    whole = write(tmp_path / f"d.{suffix}", columns(5)).read_bytes()
    for size in range(0, len(whole), 37):
        (tmp_path / f"d.{suffix}").write_bytes(whole[:size])
        assert one(SMALL, tmp_path / f"d.{suffix}", stream=stream).code == "E0501", size


def test_a_flipped_bit_of_an_npz_is_found(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "d.npz", columns(5)).read_bytes())
    data[data.index(b"\x93NUMPY") + 130] ^= 4
    (tmp_path / "d.npz").write_bytes(data)
    assert "CRC" in one(SMALL, tmp_path / "d.npz").message


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "loaded",))

    evil = np.empty(2, dtype=object)
    evil[:] = Evil()
    np.savez(tmp_path / "d.npz", x=evil)
    np.save(tmp_path / "d.npy", evil, allow_pickle=True)
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(Evil()))
    for name in ("d.npz", "d.npy", "raw.npy"):
        for stream in (None, True):
            one("input x\nloss x\n", tmp_path / name, stream=stream)
    assert not (tmp_path / "loaded").exists()


def bomb(path: Path, count: int, written: int) -> Path:
    """A small npz whose array `x` has `count` float64 by its header, `written` of them there."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open(
        "x.npy", "w", force_zip64=True
    ) as member:  # fmt: skip
        header = {"descr": "<f8", "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(member, header)
        member.write(bytes(8 * written))
    return path


@BOTH
def test_an_archive_that_says_it_is_huge_is_refused(tmp_path: Path, stream: bool | None) -> None:
    path = bomb(tmp_path / "d.npz", 10**12, 1000)
    assert one("input x\nloss x\n", path, stream=stream).code == "E0501"


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowgraph.data.arrays.MAX_BYTES", 10**6)
    path = bomb(tmp_path / "d.npz", 10**6, 10**6)
    assert path.stat().st_size < 10**5
    assert "unpacks to more than 1000000 bytes" in one("input x\nloss x\n", path).message


def test_an_archive_whose_numbers_would_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number of one byte is trained on as 8 bytes of float64."""
    path = tmp_path / "d.npz"
    np.savez_compressed(path, x=np.zeros(200_000, np.int8))
    monkeypatch.setattr("flowgraph.data.files.MAX_BYTES", 10**6)
    found = one("input x\nloss x\n", path)
    assert found.code == "E0501" and "more than 1000000 bytes" in found.message


@BOTH
def test_an_npy_that_says_more_than_it_has_is_refused(tmp_path: Path, stream: bool | None) -> None:
    np.save(tmp_path / "d.npy", np.zeros(10))
    os.truncate(tmp_path / "d.npy", 128 + 72)
    found = one("input x\nloss x\n", tmp_path / "d.npy", stream=stream)
    assert "8 bytes are missing" in found.message


@BOTH
@pytest.mark.parametrize("names", [["x.npy", "x.npy"], ["readme.txt"], ["x"]])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_are_twice_there_or_no_arrays(
    tmp_path: Path, names: list[str], stream: bool | None
) -> None:
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        for name in names:
            archive.writestr(name, "text")
    found = one(SMALL, tmp_path / "d.npz", stream=stream)
    assert found.code == "E0501" and names[0].removesuffix(".npy") in found.message


@BOTH
@pytest.mark.parametrize(
    "header",
    [
        b'{"x":{"dtype":"F64","shape":[4],"data_offsets":[0,16]}}',
        b'{"x":{"dtype":"F64","shape":[2],"data_offsets":[8,24]}}',
        b'{"x":{"dtype":"F64","shape":[-2],"data_offsets":[0,16]}}',
        b'{"x":{"dtype":"F64","shape":[2]}}',
        b'{"x":{"dtype":"BF16","shape":[8],"data_offsets":[0,16]}}',
        b'{"x":7}',
        b"[1,2]",
        b'{"x":' + b"[" * 10_000,
    ],
)
def test_safetensors_headers_that_lie(tmp_path: Path, header: bytes, stream: bool | None) -> None:
    path = tmp_path / "d.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    assert one("input x\nloss x\n", path, stream=stream).code == "E0501"


# -- --allow-nan


@BOTH
@pytest.mark.parametrize("suffix", FORMATS)
def test_nan_and_infinities_are_taken_where_they_are_allowed(
    tmp_path: Path, suffix: str, stream: bool | None
) -> None:
    arrays = columns(5)
    arrays["x"][1:4, 0] = np.nan, np.inf, -np.inf
    path = write(tmp_path / f"d.{suffix}", arrays)
    refused(SMALL, path, stream=stream)
    (rows,) = opened(SMALL, path, stream=stream, allow_nan=True).train.chunks(5)
    assert np.array_equal(rows["x"], arrays["x"], equal_nan=True)


def test_nan_and_infinities_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(HEADER + "nan, NaN ,3,0,1\ninf,-Infinity,3,0,1\n+INF,2.5,3,0,1\n")
    found = refused(SMALL, path)
    assert [d.path for d in found] == [f"{path}:{line}" for line in (2, 2, 3, 3, 4)]
    assert all("--allow-nan" in d.help for d in found)
    (rows,) = opened(SMALL, path, allow_nan=True).train.chunks(5)
    expected = [[np.nan, np.nan], [np.inf, -np.inf], [np.inf, 2.5]]
    assert np.array_equal(rows["x"], expected, equal_nan=True)


@pytest.mark.parametrize("cell", ["", "NA", "--nan", "1e999", "infinite"])
def test_other_cells_are_refused_all_the_same(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "d.csv"
    path.write_text(HEADER + f"1,{cell},3,0,1\n")
    assert one(SMALL, path, allow_nan=True).path == f"{path}:2"


@pytest.mark.parametrize("row", ["1,2,nan,0,1", "1,2,3,nan,1", "1,2,3,0,nan"])
def test_nan_is_no_whole_number_label_or_truth_value(tmp_path: Path, row: str) -> None:
    path = tmp_path / "d.csv"
    path.write_text(HEADER + row + "\n")
    refused(SMALL, path, allow_nan=True)
    arrays = columns(3)
    name = {2: "i", 3: "y", 4: "b"}[row.split(",").index("nan")]
    arrays[name] = np.array([0, np.nan, 1])
    assert "not a finite number" in one(SMALL, write(tmp_path / "d.npz", arrays), allow_nan=True).message


def test_generated_data_may_hold_nan_where_it_is_allowed() -> None:
    text = "input x\nloss x\ndata 3 { x = log(arange() - 1) }"
    assert refused(text)[0].code == "E0503"
    values = opened(text, allow_nan=True).train.batch(0, None, 0)["x"]
    assert np.isnan(values[0]) and np.isneginf(values[1]) and values[2] == 0
