"""What the documentation shows is what the compiler does.

A block marked `flow` in the language reference compiles in both targets without a warning, and
runs where it has data. The words after `flow` say what else is to be expected: `error CODE`, `warning CODE`,
`needs FILE` (data that do not exist here), `uses FILE` (blocks of the first example of them).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, ROOT, SIMULATOR, initial, same

from flowgraph.data.load import check_data, load_data
from flowgraph.diagram import Diagram, load, loads
from flowgraph.errors import Diagnostics, FlowError
from flowgraph.ops import OPS
from flowgraph.ops.init import INITS
from flowgraph.ops.optimiser import OPTIMISERS, SCHEDULES
from flowgraph.parse import STATEMENT_WORDS
from flowgraph.syntax import DataFileStmt

LANGUAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Block:
    """A block of the reference: its text, the words after `flow`, the line it begins at."""

    line: int
    words: tuple[str, ...]
    text: str


def blocks() -> list[Block]:
    found = []
    for match in re.finditer(r"^```flow *(.*)\n((?s:.)*?)^```$", LANGUAGE, re.MULTILINE):
        line = LANGUAGE.count("\n", 0, match.start()) + 1
        found.append(Block(line, tuple(match[1].split()), match[2]))
    return found


BLOCKS = blocks()


def of_kind(kind: str | None) -> list[pytest.ParameterSet]:
    chosen = [b for b in BLOCKS if (b.words[0] if b.words else None) == kind]
    return [pytest.param(b, id=f"line-{b.line}") for b in chosen]


def codes(error: FlowError) -> list[str]:
    return [d.code for d in error.diagnostics if d.is_error]


def assert_compiles(diagram: Diagram) -> None:
    for engine in EMITTED:
        compile(diagram.compile(engine.target, level=engine.level, dtype=engine.dtype), "emitted.py", "exec")


@pytest.mark.parametrize("block", of_kind(None))
def test_block(block: Block) -> None:
    diagram = loads(block.text)
    assert [w.message for w in diagram.warnings] == []
    assert_compiles(diagram)
    if diagram.program.data is not None:
        assert_runs(diagram)


def assert_runs(diagram: Diagram) -> None:
    """Every engine answers the same to the block's own data."""
    found = Diagnostics()
    table = load_data(diagram.program, ROOT / "docs", found, targets=True)
    assert table is not None, [d.message for d in found.items]
    graph = diagram.graph
    inputs = {name: table.columns[name] for name in graph.inputs}
    targets = {name: table.columns[name] for name in graph.targets}
    params = initial(diagram)
    expected = SIMULATOR.run(diagram, params, inputs, targets)
    assert all(np.all(np.isfinite(output)) for output in expected.outputs)
    for engine in EMITTED:
        if engine.dtype == "float64" and (engine.target != "torch" or HAS_TORCH):
            same(engine.run(diagram, params, inputs, targets), expected, **engine.tolerance)


@pytest.mark.parametrize("block", of_kind("needs"))
def test_block_with_a_file(block: Block) -> None:
    diagram = loads(block.text)
    assert diagram.warnings == ()
    assert_compiles(diagram)
    statement = diagram.program.data
    assert isinstance(statement, DataFileStmt)
    assert statement.path == block.words[1]
    found = Diagnostics()
    check_data(diagram.program, found)
    assert found.items == []


@pytest.mark.parametrize("block", of_kind("uses"))
def test_block_that_uses_a_file(block: Block, tmp_path: Path) -> None:
    blocks = next(b.text for b in BLOCKS if b.text.startswith("block "))
    (tmp_path / block.words[1]).write_text(blocks, encoding="utf-8")
    (tmp_path / "main.flow").write_text(block.text, encoding="utf-8")
    diagram = load(tmp_path / "main.flow")
    assert diagram.warnings == ()
    assert_compiles(diagram)


@pytest.mark.parametrize("block", of_kind("table"))
def test_block_with_a_table_of_wires(block: Block, tmp_path: Path) -> None:
    lines = LANGUAGE.splitlines()[block.line + block.text.count("\n") + 2 :]
    rows = [line.strip() for line in itertools.takewhile(bool, lines)]
    (tmp_path / block.words[1]).write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "main.flow").write_text(block.text, encoding="utf-8")
    diagram = load(tmp_path / "main.flow")
    assert diagram.warnings == ()
    assert_compiles(diagram)


@pytest.mark.parametrize("block", of_kind("error"))
def test_block_with_an_error(block: Block) -> None:
    with pytest.raises(FlowError) as caught:
        loads(block.text)
    assert codes(caught.value) == [block.words[1]]


@pytest.mark.parametrize("block", of_kind("warning"))
def test_block_with_a_warning(block: Block) -> None:
    diagram = loads(block.text)
    assert [w.code for w in diagram.warnings] == [block.words[1]]
    assert_compiles(diagram)


def test_no_block_is_overlooked() -> None:
    kinds = {b.words[0] for b in BLOCKS if b.words}
    assert kinds == {"needs", "uses", "table", "error", "warning"}
    assert LANGUAGE.count("```") == 2 * len(BLOCKS)


def test_every_statement_has_an_example() -> None:
    text = "\n".join(b.text for b in BLOCKS)
    assert [w for w in STATEMENT_WORDS if not re.search(rf"(?:^|; ) *{w}\b", text, re.MULTILINE)] == []


def section(title: str) -> str:
    return LANGUAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_operation_is_listed() -> None:
    """The table of operations, group by group, is the table of the code."""
    symbols = {"add", "sub", "mul", "div", "mod", "pow", "neg", "matmul", "transpose_last"}
    symbols |= {
        name for name in OPS if name.startswith(("logical_", "less", "greater", "equal", "not_equal"))
    }
    listed = {
        row[1]: set(re.split(r"[,;] ", row[2]))
        for row in re.finditer(r"^\| (\w+) \| (\w.*) \|$", section("Operations"), re.MULTILINE)
        if row[1] != "group"
    }
    declared: dict[str, set[str]] = {}
    for name, op in OPS.items():
        if op.group and name not in symbols:
            declared.setdefault(op.group, set()).add(name)
    declared["derivatives"] = {"grad", "jvp", "stop_gradient"}  # forms of the language, and one operation
    assert listed == declared


def test_initialisers_and_optimisers_are_listed() -> None:
    public = [name for name, cls in INITS.items() if cls.public]
    assert [n for n in public if f"`{n}(" not in section("Params")] == []
    training = section("Training")
    assert [n for n in (*OPTIMISERS, *SCHEDULES) if f"`{n}`" not in training] == []


def test_the_readme_shows_the_code_that_xor_becomes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split("```py\n", 1)[1].split("```", 1)[0]
    made = load(ROOT / "examples" / "lecture" / "xor.flow").compile().splitlines()
    assert [line for line in shown.splitlines() if line.strip() not in ("", "...") and line not in made] == []
