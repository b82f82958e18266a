"""Pictures as TikZ: pdflatex compiles them; and what is written is whole, where there is no pdflatex."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from drawings import EXAMPLES, FOLDER, drawn, hostile_picture

import flowgraph
from flowgraph.draw.compose import compose
from flowgraph.draw.picture import Item, Picture, Wire
from flowgraph.draw.scene import Scene
from flowgraph.draw.theme import DARK, LIGHT, Theme
from flowgraph.draw.tikz import LARGEST, document, math

pytest.importorskip("pygraphviz", reason="Graphviz comes with the extra `draw`")

COMPILED = ("lecture/xor", "lecture/layers", "models/gpt2")
FORMULA = re.compile(r"\{\$(.*)\$\};$", re.MULTILINE)


def pdflatex(said: str, folder: Path) -> tuple[int, str]:
    """The exit status of pdflatex, and what it logs."""
    (folder / "a.tex").write_text(said, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "a.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def _latex(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where there is no pdflatex that draws a line by TikZ."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    line = r"\documentclass{article}\usepackage{tikz}\begin{document}\tikz\draw(0,0)--(1,1);\end{document}"
    status, _ = pdflatex(line, tmp_path_factory.mktemp("latex"))
    if status:
        pytest.skip("pdflatex has no TikZ")


needs_latex = pytest.mark.usefixtures("_latex")


def compiled(said: str, folder: Path) -> str:
    """What pdflatex logs; it has made one page, and complains of nothing."""
    status, log = pdflatex(said, folder)
    assert status == 0, log[-3000:]
    assert "(1 page" in log
    complaints = [line for line in log.splitlines() if re.search("Warning|Missing|Overfull|^!", line)]
    assert [line for line in complaints if "rerun" not in line.lower()] == []
    return log


def assert_whole(said: str, scene: Scene) -> None:
    """Braces are balanced, and everything of the scene is there, once."""
    assert_balanced(said)
    body = said[said.index(r"\begin{tikzpicture}") : said.index(r"\end{tikzpicture}")]
    lines = body.split("\n")
    assert sum(line.startswith(r"\node[") for line in lines) == len(scene.texts) == len(FORMULA.findall(body))
    assert body.count("circle[radius=") == len(scene.circles)
    assert sum(" -- cycle;" in line for line in lines) == sum(1 for arrow in scene.arrows if arrow.head)
    boxes = sum(1 for box in scene.boxes if LIGHT[box.role].stroke != "none")
    assert body.count("rounded corners=") == boxes + len(scene.frames)
    beziers = sum((len(arrow.points) - 1) // 3 for arrow in scene.arrows)
    assert body.count(".. controls ") == beziers
    for name in set(re.findall(r"(?:draw|fill|text)=(flow\w+)", said)):
        assert rf"\definecolor{{{name}}}" in body
    for name in set(re.findall(r"\\(?:path|node)\[(flow [a-z ]+)", body)):
        assert f"{name.strip()}/.style=" in body


def assert_balanced(said: str) -> None:
    """Every brace that LaTeX counts has its partner: those behind a % or a backslash it does not count."""
    for line in said.split("\n"):
        counted = re.sub(r"(?<!\\)%.*", "", re.sub(r"\\[{}\\]", "", line))
        level = 0
        for brace in re.findall("[{}]", counted):
            level += 1 if brace == "{" else -1
            assert level >= 0, line
        assert level == 0, line


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_is_whole_and_mathtext_reads_its_formulas(path: Path) -> None:
    from matplotlib.mathtext import MathTextParser

    drawing = drawn(path)
    said = drawing.to_text("tex")
    assert_whole(said, drawing.scene)
    parser: MathTextParser = MathTextParser("path")
    for formula in FORMULA.findall(said):
        parser.parse(f"${formula}$")


@needs_latex
@pytest.mark.parametrize("name", COMPILED)
def test_pdflatex_compiles_examples(name: str, tmp_path: Path) -> None:
    compiled(flowgraph.load(FOLDER / f"{name}.flow").draw(theme="dark").to_text("tex"), tmp_path)


@needs_latex
@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_pdflatex_compiles_every_example(path: Path, tmp_path: Path) -> None:
    compiled(drawn(path).to_text("tex"), tmp_path)


@needs_latex
def test_pdflatex_compiles_values_and_gradients(tmp_path: Path) -> None:
    diagram = flowgraph.load(FOLDER / "lecture/xor_learned.flow")
    said = diagram.draw(inputs={"x": [1, 0], "y": 1}, grad=True).to_text("tex")
    assert r"\partial" in said
    compiled(said, tmp_path)


def test_whatever_names_are_they_are_balanced() -> None:
    scene = compose(hostile_picture())
    assert_whole(document(scene, LIGHT), scene)


@needs_latex
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda t: t.name)
def test_pdflatex_compiles_whatever_names_are(theme: Theme, tmp_path: Path) -> None:
    compiled(document(compose(hostile_picture()), theme), tmp_path)


def test_a_name_that_would_read_a_file_is_letters() -> None:
    said = document(compose(hostile_picture()), LIGHT)
    code = "\n".join(re.sub(r"(?<!\\)%.*", "", line) for line in said.split("\n"))
    assert r"\input" not in code


def test_letters_become_signs_or_letters_with_accents_or_numbers() -> None:
    assert math(r"\mathrm{a × ξ}") == r"\mathrm{a \times  \xi }"
    assert math("é") == r"\text{é}"
    assert math("中") == r"\text{U+4E2D}"
    assert math("x₁²") == "x{}_{1}{}^{2}"


def test_the_tikzpicture_defines_all_it_needs() -> None:
    """It can be copied out: colours and styles are inside, and there is no macro with an argument."""
    said = drawn(FOLDER / "lecture/xor.flow").to_text("tex")
    before, body = said.split(r"\begin{tikzpicture}")
    assert "definecolor" not in before and "newcommand" not in said
    assert "#" not in body
    assert set(re.findall(r"\\usepackage(?:\[.*?\])?\{(\w+)\}", before)) == {"geometry", "amsmath", "tikz"}


def test_places_are_the_scenes() -> None:
    drawing = drawn(FOLDER / "lecture/xor.flow")
    said = drawing.to_text("tex")
    found = re.findall(r"\(([\d.]+),([\d.]+)\) circle\[radius=([\d.]+)bp\]; % (.*)", said)
    assert [owner for *_, owner in found] == [circle.owner for circle in drawing.scene.circles]
    for (x, y, radius, _), circle in zip(found, drawing.scene.circles, strict=True):
        assert (float(x), float(y), float(radius)) == pytest.approx(
            (circle.x, circle.y, circle.radius), abs=0.006
        )


def long_picture(count: int) -> Picture:
    items = tuple(Item(f"h{n}", "box", label=f"h_{{{n}}}") for n in range(count))
    wires = tuple(Wire(f"w{n}", f"h{n}", f"h{n + 1}") for n in range(count - 1))
    return Picture("long", items=items, wires=wires)


def test_a_page_that_is_too_large_for_tex_is_made_smaller() -> None:
    scene = replace(compose(long_picture(3)), width=100.0, height=3 * LARGEST)
    said = document(scene, LIGHT)
    assert f"paperheight={LARGEST:g}bp" in said
    assert "scale=0.429" in said  # a name of 14 points, a third as large, and 0.92 for the font
    numbers = [abs(float(n)) for n in re.findall(r"[-(,]([0-9.]+)[,)]", said)]
    assert max(numbers) <= LARGEST


@needs_latex
def test_pdflatex_compiles_the_largest_page(tmp_path: Path) -> None:
    scene = replace(compose(long_picture(3)), width=2 * LARGEST, height=3 * LARGEST)
    compiled(document(scene, LIGHT), tmp_path)


@needs_latex
def test_pdflatex_compiles_a_picture_of_nothing(tmp_path: Path) -> None:
    compiled(document(compose(Picture("empty")), LIGHT), tmp_path)
