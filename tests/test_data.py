"""Data from tables, equations and files: what fits, and what is said of what does not."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from running import EXAMPLES, example

from flowgraph.data import Table, check_data, load_data
from flowgraph.diagram import load, loads
from flowgraph.errors import Diagnostic, Diagnostics, FlowError, Source
from flowgraph.lower import Program, lower
from flowgraph.parse import parse

TWO = """input x : [2], s
target y : class("no", "yes"), t
f = s * sum(x)
loss (f - t)^2
metric top_k(x, y, k=1)
"""


def program(text: str) -> Program:
    """A program without errors, its data not looked at yet."""
    found = Diagnostics()
    made = lower(parse(Source("d.flow", text), found), found)
    assert not found.has_errors, found.items
    return made


def table(text: str, folder: Path | str = ".", path: Path | None = None, **options: object) -> Table:
    found = Diagnostics()
    read = load_data(program(text), folder, found, path=path, **options)  # type: ignore[arg-type]
    found.raise_errors()
    assert read is not None
    return read


def problems(
    text: str, folder: Path | str = ".", path: Path | None = None, **options: object
) -> list[Diagnostic]:
    """The errors of reading the data, which must give no table."""
    found = Diagnostics()
    assert load_data(program(text), folder, found, path=path, **options) is None  # type: ignore[arg-type]
    return found.sorted()


def codes(found: list[Diagnostic]) -> list[str]:
    return [d.code for d in found]


# -- tables


def test_a_table_gives_arrays() -> None:
    read = table(TWO + 'data { x0 x1 s | y t\n 1 2 3 | "yes" 0.5\n -1 0 1e2 | 0 -2 }')
    assert read.inputs == ("x", "s") and read.targets == ("y", "t") and read.count == 2
    assert np.array_equal(read.columns["x"], [[1, 2], [-1, 0]]) and read.columns["x"].dtype == np.float64
    assert np.array_equal(read.columns["s"], [3, 100])
    assert np.array_equal(read.columns["y"], [1, 0]) and read.columns["y"].dtype == np.int64
    assert read.labels == {"y": ("no", "yes")}


def test_a_vector_may_be_a_column_of_lists() -> None:
    read = table(
        "input x : [2], m : [1, 3], b : bool, i : int\nf = sum(x)\ndata { x m b i\n [1, 2] [[1,2,3]] true 7 }"
    )
    assert np.array_equal(read.columns["x"], [[1, 2]])
    assert read.columns["m"].shape == (1, 1, 3)
    assert read.columns["b"].dtype == np.bool_ and read.columns["b"][0]
    assert read.columns["i"].dtype == np.int64


def test_a_matrix_may_be_spread_row_by_row() -> None:
    read = table("input m : [2, 2]\nf = sum(m)\ndata { m0 m1 m2 m3\n 1 2 3 4 }")
    assert np.array_equal(read.columns["m"], [[[1, 2], [3, 4]]])


def test_targets_may_be_left_out_of_a_run() -> None:
    text = TWO + "data { x0 x1 s\n 1 2 3 }"
    assert table(text).targets == ()
    assert codes(problems(text, targets=True)) == ["E0502", "E0502"]


def test_an_empty_table_is_an_empty_batch() -> None:
    read = table("input x : [3]\nf = sum(x)\ndata { x0 x1 x2 }")
    assert read.columns["x"].shape == (0, 3)


def test_every_misfit_of_a_table_is_reported_at_its_place() -> None:
    text = TWO + 'data { x0 x1 q s | y t\n 1 2 3 4 | "yse" 1\n 1 2 3 | "no" 1\n "a" [2] 0 4 | 2 1 }'
    found = problems(text)
    assert [(d.code, d.span and d.span.text) for d in found] == [
        ("E0502", "q"),
        ("E0307", '"yse"'),
        ("E0503", '1 2 3 | "no" 1'),
        ("E0503", '"a"'),
        ("E0503", "[2]"),
        ("E0307", "2"),
    ]
    assert found[1].help == "did you mean `yes`?"


@pytest.mark.parametrize(
    ("table_text", "code", "said"),
    [
        ("data { s x0 | y t\n 1 1 | 0 0 }", "E0502", "`x1`"),
        ("data { x0 x1 x1 s\n 1 1 1 1 }", "E0502", "given twice"),
        ("data { x0 x1 s y\n 1 1 1 1 }", "E0502", "wrong side"),
        ("data { x s\n [1] 1 }", "E0503", "must be [2], and is [1]"),
        ("data { x s\n [[1], [2, 3]] 1 }", "E0503", "not all of one length"),
        ("data { x0 x1 s\n 1 1 1 | 0 }", "E0503", "1 value right of the bar"),
        ("data { x0 x1 s | y t\n 1 1 1 | 0.5 1 }", "E0503", "not a whole number"),
        ("data { x0 x1 s | y t\n 1 1 1 | -1 1 }", "E0307", "-1 is no label"),
    ],
)
def test_tables_that_do_not_fit(table_text: str, code: str, said: str) -> None:
    found = problems(TWO + table_text)
    assert codes(found) == [code] and said in found[0].message + found[0].help


def test_a_table_is_checked_with_the_file() -> None:
    with pytest.raises(FlowError) as caught:
        loads("input x1, x2\nf = step(x1 - x2)\ndata { x1 x3\n 0 0\n 1 }")
    assert codes(list(caught.value.diagnostics)) == ["E0502", "E0502", "E0503"]


def test_examples_of_one_table_have_one_size() -> None:
    text = "size T\ninput x : [T]\nf = sum(x)\ndata { x\n [1, 2]\n [3] }"
    assert "not all of one size" in problems(text)[0].message
    assert table("size T\ninput x : [T]\nf = sum(x)\ndata { x\n [1, 2]\n [3, 4] }").columns["x"].shape == (
        2,
        2,
    )


# -- generated data


def test_the_lectures_sine() -> None:
    read = table("input x\ntarget y\nloss (x - y)^2\ndata 2000 { x = linspace(-pi, pi); y = sin(x) }")
    assert np.array_equal(read.columns["x"], np.linspace(-np.pi, np.pi, 2000))
    assert np.array_equal(read.columns["y"], np.sin(read.columns["x"]))


def test_equations_of_data_are_about_one_example() -> None:
    read = table(
        "size D = 3\nconst c = [1, 2, 3]\ninput x : [D], z : [2]\ntarget k : class(3), b : bool\nf = sum(x)\n"
        "data 4 { t = arange(); x = c * t; z = [t, full(7)]; k = argmax(-x); b = sum(x) > 6 }"
    )
    assert np.array_equal(read.columns["x"], np.outer(range(4), [1, 2, 3]))
    assert np.array_equal(read.columns["z"], [[0, 7], [1, 7], [2, 7], [3, 7]])
    assert np.array_equal(read.columns["k"], [0, 0, 0, 0])
    assert np.array_equal(read.columns["b"], [False, False, True, True])


def test_creators_fill_the_column_and_random_ones_have_streams() -> None:
    text = "input x : [2], u, w\nf = sum(x)\n"
    text += "data 500 { x = normal(1, 2); u = uniform() + uniform(); w = zeros() }"
    read = table(text)
    assert np.array_equal(read.columns["x"], np.random.default_rng([0, *b"x"]).normal(1, 2, (500, 2)))
    first, second = (np.random.default_rng([0, *b"u", *more]).uniform(0, 1, 500) for more in ([], [1]))
    assert np.array_equal(read.columns["u"], first + second)
    assert not read.columns["w"].any()
    assert np.array_equal(table(text).columns["x"], read.columns["x"])
    assert not np.array_equal(table(text, seed=1).columns["x"], read.columns["x"])
    alone = table("input x : [2]\nf = sum(x)\ndata 500 { x = normal(1, 2) }")
    assert np.array_equal(alone.columns["x"], read.columns["x"]), "a stream depends on its column alone"


def test_an_equation_may_make_several_names() -> None:
    read = table("input x\nf = x\ndata 3 { a, b = split([arange(), 1], 2); x = a[0] }")
    assert read.columns["x"].tolist() == [0, 1, 2]


def test_a_constant_column_is_repeated() -> None:
    assert np.array_equal(
        table("input x : [2]\nf = sum(x)\ndata 3 { x = [1, 2] }").columns["x"], [[1, 2]] * 3
    )


@pytest.mark.parametrize(
    ("equations", "code", "said"),
    [
        ("data 3 { x = normal(); y = q }", "E0101", "`q` is not defined"),
        ("data 3 { x = y; y = normal() }", "E0103", "before its equation"),
        ("data 3 { x = normal(); y = 1; w = 2 }", "E0502", "`w` belongs to no"),
        ("data 3 { y = normal() }", "E0502", "`x` has no column"),
        ("data 3 { x = normal(); x = zeros(); y = 1 }", "E0502", "given twice"),
        ("data 3 { x = ones(shape=[3]); y = 1 }", "E0310", "does not fit the input"),
        ("data 3 { x = linear(ones(), 2); y = 1 }", "E0", ""),
        ("data 3 { x = linspace(0); y = 1 }", "E0403", "needs `stop`"),
        ("data 3 { x = uniform(2, 1); y = 1 }", "E0404", "from `a` up to `b`"),
        ("data 3 { x = normal(0, -1); y = 1 }", "E0404", "at least 0"),
        ("data 3 { x = linspace(-inf, inf); y = 1 }", "E0404", "must be finite"),
        ("data 1.5 { x = normal(); y = 1 }", "E0302", "whole number"),
        ("data 10 ^ 12 { x = normal(); y = 1 }", "E0904", "numbers"),
        ("data -1 { x = normal(); y = 1 }", "E0302", "at least 0"),
    ],
)
def test_equations_that_do_not_fit(equations: str, code: str, said: str) -> None:
    text = f"input x : [2]\ntarget y\nloss sum(x) - y\n{equations}"
    found = problems(text)
    assert found[0].code.startswith(code) and said in found[0].message
    checked = Diagnostics()
    check_data(program(text), checked)
    assert codes(checked.sorted()) == codes(found), "seen without computing anything"


def test_values_of_equations_must_fit() -> None:
    found = problems("input x\ntarget y : class(3)\nf = x\ndata 5 { x = arange(); y = x }")
    assert codes(found) == ["E0307"] and found[0].label == "computed here in example 3"
    found = problems("input x\nf = x\ndata 5 { x = log(arange() - 1) }")
    assert codes(found) == ["E0503"] and "not a finite number" in found[0].message


# -- files


def test_the_iris_file() -> None:
    found = Diagnostics()
    read = load_data(example("iris").program, EXAMPLES["iris"].parent, found)
    assert read is not None and read.count == 150 and not found.items
    assert np.array_equal(np.bincount(read.columns["species"]), [50, 50, 50])
    assert read.columns["petal_width"][0] == 0.2


IMAGE = "input x : [4]\ntarget k : class(3)\nz = sum(x)\nloss z\n"


@pytest.mark.parametrize("style", ["x{}", "x[{}]"])
def test_csv_spreads_vectors(tmp_path: Path, style: str) -> None:
    header = ",".join(f'"{style.format(i)}"' for i in (3, 2, 1, 0))
    file = tmp_path / "d.csv"
    file.write_bytes(f'\ufeffk,{header}\r\n2, 3.5,2,1,0\r\n"0",7,6,5,4\r\n\r\n'.encode())
    read = table(IMAGE + 'data "d.csv" split 0.5', tmp_path)
    assert np.array_equal(read.columns["x"], [[0, 1, 2, 3.5], [4, 5, 6, 7]])
    assert np.array_equal(read.columns["k"], [2, 0]) and read.split == 0.5 and read.labels == {}


def test_csv_names_of_classes(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_text("x,k\n1,pear\n2,apple\n3,pear\n")
    read = table('input x\ntarget k : class(3)\nloss x\ndata "d.csv"', tmp_path)
    assert read.labels == {"k": ("apple", "pear")} and np.array_equal(read.columns["k"], [1, 0, 1])
    named = table('input x\ntarget k : class("pear", "apple")\nloss x\ndata "d.csv"', tmp_path)
    assert np.array_equal(named.columns["k"], [0, 1, 0])
    found = problems('input x\ntarget k : class("pear", "plum")\nloss x\ndata "d.csv"', tmp_path)
    assert codes(found) == ["E0307"] and found[0].path.endswith("d.csv:3")
    found = problems('input x\ntarget k : class(1)\nloss x\ndata "d.csv"', tmp_path)
    assert codes(found) == ["E0307"] and "2 different labels" in found[0].message


@pytest.mark.parametrize(
    ("content", "code", "line", "said"),
    [
        ("x,k\n1,0\n2,1,3\n", "E0503", 3, "3 values, where there are 2 columns"),
        ("x,k\n1,0\nabc,1\n", "E0503", 3, "`x` holds `abc`"),
        ("x,k\n1,0\n,1\n", "E0503", 3, "`x` is empty"),
        ("x,k\nnan,0\n", "E0503", 2, "`x` holds `nan`"),
        ("x,k\n1e999,0\n", "E0503", 2, "`x` holds `1e999`"),
        ("x,k\n1_000,0\n", "E0503", 2, "`x` holds `1_000`"),
        ("x,k\n1,0\n\n2,3\n", "E0307", 4, "3 is no label"),
        ("x\n1\n", "", 0, ""),
        ("k\n1\n", "E0502", 1, "the input `x` has no column"),
        ("x,k,id\n1,0,9\n", "E0502", 1, "`id` belongs to no input"),
        ("x,x,k\n1,1,0\n", "E0502", 1, "given twice"),
        ("1,0\n", "E0502", 1, "`1` belongs to no input"),
        ("x;k\n1;0\n", "E0502", 1, ""),
        ("", "E0502", 1, "has no column"),
        ('x,k\n"1,0\n', "E0503", 2, "unexpected end"),
    ],
)
def test_csv_files_that_do_not_fit(tmp_path: Path, content: str, code: str, line: int, said: str) -> None:
    (tmp_path / "d.csv").write_text(content)
    text = 'input x\ntarget k : class(3)\nloss x\ndata "d.csv"'
    if not code:
        assert table(text, tmp_path).targets == ()
        return
    found = problems(text, tmp_path)
    assert code in codes(found)
    first = next(d for d in found if d.code == code)
    assert said in first.message and (not line or first.path.endswith(f"d.csv:{line}"))


def test_csv_cures_for_headers(tmp_path: Path) -> None:
    text = 'input x\nf = x\ndata "d.csv"'
    for content, cure in (("x;y\n", "by commas"), ("", "is empty"), ("1,2\n", "must name the columns")):
        (tmp_path / "d.csv").write_text(content)
        assert any(cure in d.help for d in problems(text, tmp_path)), content


def test_csv_with_many_errors_stops(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x\n" + "a\n" * 10_000)
    assert len(problems('input x\nf = x\ndata "d.csv"', tmp_path)) == 60


def test_csv_of_several_blocks(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(9001, 3))
    (tmp_path / "d.csv").write_text(
        "x0,x1,x2\n" + "".join(",".join(map(repr, r.tolist())) + "\n" for r in values)
    )
    assert np.array_equal(table('input x : [3]\nf = sum(x)\ndata "d.csv"', tmp_path).columns["x"], values)


def test_integers_of_csv_are_exact(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(f"i,b\n{2**62 + 1},true\n-3.0,0\n")
    read = table('input i : int, b : bool\nf = i\ndata "d.csv"', tmp_path)
    assert read.columns["i"].tolist() == [2**62 + 1, -3] and read.columns["b"].tolist() == [True, False]


def test_npz_npy_and_safetensors(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    x, k = np.arange(8, dtype=np.float32).reshape(2, 4), np.array([1, 2])
    np.savez(tmp_path / "d.npz", x=x, k=k)
    np.save(tmp_path / "d.npy", x)
    save_file({"x": x, "k": k}, tmp_path / "d.safetensors")
    for name in ("d.npz", "d.safetensors"):
        read = table(IMAGE, path=tmp_path / name)
        assert np.array_equal(read.columns["x"], x) and read.columns["x"].dtype == np.float64
        assert np.array_equal(read.columns["k"], k)
    assert np.array_equal(table(IMAGE, path=tmp_path / "d.npy").columns["x"], x)
    both = np.array([(1.5, 2), (2.5, 0)], dtype=[("s", float), ("k", int)])
    np.save(tmp_path / "s.npy", both)
    read = table("input s\ntarget k : class(3)\nloss s\n", path=tmp_path / "s.npy")
    assert np.array_equal(read.columns["s"], [1.5, 2.5]) and np.array_equal(read.columns["k"], [2, 0])


@pytest.mark.parametrize(
    ("arrays", "code", "said"),
    [
        ({"x": np.zeros((2, 3))}, "E0503", "[2, 3], where [N, 4] is needed"),
        ({"x": np.zeros((2, 4)), "k": np.zeros(3)}, "E0503", "different numbers"),
        ({"x": np.full((2, 4), np.nan)}, "E0503", "not a finite number"),
        ({"x": np.zeros((2, 4)), "k": np.array([0, 3])}, "E0307", "(example 1)"),
        ({"x": np.zeros((2, 4)), "K": np.zeros(2)}, "E0502", "`K` belongs to no"),
        ({"k": np.zeros(2)}, "E0502", "no array for the input `x`"),
        ({"x": np.array([None, 1])}, "E0501", "pickle"),
        ({"x": np.zeros((2, 4), complex)}, "E0501", "complex128"),
        ({"x": np.full((2, 4), "a")}, "E0503", "holds text"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, np.ndarray], code: str, said: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    found = problems(IMAGE, path=tmp_path / "d.npz")
    assert codes(found) == [code] and said in found[0].message


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    entry = b'"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = b"{" + entry + b"," + entry + b"}"
    (tmp_path / "twice.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    (tmp_path / "long.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    (tmp_path / "short.safetensors").write_bytes(b"\1")
    (tmp_path / "text.npz").write_text("no archive")
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
        archive.writestr("x.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head)
    (tmp_path / "huge.npy").write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head)
    (tmp_path / "d.pt").write_bytes(b"")
    (tmp_path / "d.npz").mkdir()
    for name in sorted(p.name for p in tmp_path.iterdir()):
        found = problems(IMAGE, path=tmp_path / name)
        assert codes(found) == ["E0501"], name
    assert "key 'x' is there twice" in problems(IMAGE, path=tmp_path / "twice.safetensors")[0].message


def test_missing_files_are_said_where_they_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.flow"
    file.write_text('input x\nf = x\ndata "no.csv"\n')
    (found,) = problems(file.read_text(), tmp_path)
    assert found.code == "E0501" and found.span is not None and found.span.text == '"no.csv"'
    assert load(file).program.data is not None, "a missing file is no error of the diagram"
    with pytest.raises(FlowError) as caught:
        loads('input x\nf = x\ndata "no.xls"\n')
    assert codes(list(caught.value.diagnostics)) == ["E0501"]


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "a.flow").write_text('input x\nf = 2 * x\ndata "d.csv"\n')
    (folder / "d.csv").write_text("x\n3\n")
    monkeypatch.chdir(tmp_path)
    assert load("net/a.flow").run().outputs["f"].tolist() == [6]
