"""What `docs/derivatives.md` shows is what happens: its programs, and its table of values."""

from __future__ import annotations

import re

import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, ROOT, SIMULATOR, same
from test_docs import assert_compiles, assert_runs

from flowgraph.diagram import loads

PAGE = (ROOT / "docs" / "derivatives.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```flow\n((?s:.)*?)^```$", PAGE, re.MULTILINE)
ROW = re.compile(r"^\| ([^|]+) \| (\[?-?\d[^|]*) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
ROWS = [tuple(cell.strip() for cell in row) for row in ROW.findall(PAGE)]


@pytest.mark.parametrize("text", PROGRAMS, ids=range(len(PROGRAMS)))
def test_program(text: str) -> None:
    diagram = loads(text)
    assert diagram.warnings == ()
    assert_compiles(diagram)
    if diagram.program.data is not None:
        assert_runs(diagram)


def number(cell: str) -> np.ndarray:
    return np.array([float(n) for n in cell.strip("[]").split(",")]).reshape(-1 if "[" in cell else ())


@pytest.mark.parametrize(("y", "x", "value", "slope"), ROWS, ids=[f"{y} at {x}" for y, x, _, _ in ROWS])
def test_value(y: str, x: str, value: str, slope: str) -> None:
    at = number(x)
    declared = f"x : [{len(at)}]" if at.ndim else "x"
    diagram = loads(f"input {declared}\ny = {y}\noutput y, g = grad(y, x)\n")
    inputs = {"x": at[None]}
    expected = SIMULATOR.run(diagram, {}, inputs)
    np.testing.assert_allclose(expected.outputs[0], number(value)[None], rtol=1e-12)
    np.testing.assert_allclose(np.broadcast_to(expected.outputs[1], (1, *at.shape)), number(slope)[None])
    for engine in EMITTED:
        if engine.dtype == "float64" and (engine.target != "torch" or HAS_TORCH):
            with np.errstate(all="ignore"):
                same(engine.run(diagram, {}, inputs), expected, rtol=1e-12, atol=1e-12)


def test_the_table_is_read_whole() -> None:
    table = PAGE.split("## Values where")[1].split("\n## ")[0]
    assert len(ROWS) == table.count("\n| ") - 1 > 20
    assert len(PROGRAMS) == PAGE.count("```flow") == 3
