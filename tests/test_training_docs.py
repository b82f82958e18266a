"""What `docs/training.md` says is so: its command lines and programs run, its tables are the code's."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from running import HAS_TORCH, ROOT
from test_docs import assert_compiles
from trained import one_thread

from flowgraph.cli.main import main
from flowgraph.diagram import loads
from flowgraph.ops.describe import signature
from flowgraph.ops.optimiser import OPTIMISERS, SCHEDULES

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n((?s:.)*?)^```$", PAGE, re.MULTILINE)
PROGRAMS = [text for kind, text in BLOCKS if kind == "python"]
LINES = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
NUMBER = re.compile(r"\b\d+\.\d+(?:e-?\d+)?")
ROWS = dict(re.findall(r"^\| `(.+?)` \| (.+) \|$", PAGE, re.MULTILINE))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout as far as the page needs one, and what its programs import is forgotten again."""
    for name in ("digits", "iris", "lecture"):
        shutil.copytree(ROOT / "examples" / name, tmp_path / "examples" / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("digits", "digits_torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def run_program(text: str) -> None:
    exec(compile(text, "training.md", "exec"), {"__name__": "__main__"})


def run_line(line: str) -> None:
    command, *words = shlex.split(line)
    assert command == "flowc"
    assert main(words) == 0, line


@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
def test_the_page_from_top_to_bottom(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every command line and every program, in order, in one folder."""
    printed = []
    with one_thread():
        for kind, text in BLOCKS:
            for line in text.splitlines() if kind == "sh" else []:
                run_line(line)
            if kind == "python":
                capfd.readouterr()
                run_program(text)
                printed.append(capfd.readouterr().out)
    in_numpy, in_torch, in_python = ([float(n) for n in NUMBER.findall(text)] for text in printed)
    first, last, accuracy = in_numpy
    assert first == pytest.approx(math.log(10), abs=0.2)
    assert last < 0.05
    assert accuracy >= 0.97
    assert in_torch == [pytest.approx(accuracy, abs=0.006)]  # two images
    assert in_python[1] >= 0.97
    assert (folder / "state.pt").stat().st_size > 10_000


def test_the_final_table_is_the_one_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But for its numbers, whose last digits differ between machines."""
    run_line(LINES[0])
    shown = next(text for kind, text in BLOCKS if kind == "text")
    printed = capsys.readouterr().out
    assert skeleton(printed) == skeleton(shown)
    validation = re.search(r"validation +359 +(\S+) +(\S+)", printed)
    assert validation is not None
    assert float(validation[2]) >= 0.97


def skeleton(text: str) -> list[str]:
    """The words of a final table, numbers and times as one sign."""
    text = re.sub(r"in .* examples/s", "in T", text)
    return re.sub(r"\b0\.\d+", "0.N", text).split()


def test_every_optimiser_and_schedule_is_listed_with_its_settings_and_formula() -> None:
    for cls in (*OPTIMISERS.values(), *SCHEDULES.values()):
        assert ROWS[signature(cls)] == cls.formula


def test_the_diagrams_compile_without_a_warning() -> None:
    programs = [text for kind, text in BLOCKS if kind == "flow"]
    assert len(programs) == 1
    diagram = loads(programs[0])
    assert diagram.warnings == ()
    assert_compiles(diagram)


def test_the_trainer_takes_what_the_page_says(folder: Path) -> None:
    run_line("flowc compile examples/digits/digits.flow -o digits.py")
    text = (folder / "digits.py").read_text()
    for part in ("def run(self, x, y, steps=None, epochs=None, log=1)", "def step(self, x, y, loss=True)"):
        assert part in text
        assert part.removeprefix("def ").replace("self, ", "") in PAGE


def test_nothing_of_the_page_is_overlooked() -> None:
    assert len(PROGRAMS) == 3
    assert len(LINES) == 9
    assert PAGE.count("```") == 2 * (len(BLOCKS) + 2)  # two tables of an interface have no language
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", PAGE)
    assert [name for name in linked if not (ROOT / "docs" / name).exists()] == []
