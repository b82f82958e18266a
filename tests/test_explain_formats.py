"""Explanations as LaTeX and Markdown: every formula is set, every document compiles."""

from __future__ import annotations

import functools
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import random_program, random_wiring
from running import FILES

from flowgraph.diagram import Diagram, load, loads
from flowgraph.explain import FORMATS, explained
from flowgraph.explain.page import Page, Words
from flowgraph.formula import Formula

NAMES = [path.stem for path in FILES]
HAS_PDFLATEX = shutil.which("pdflatex") is not None

STRANGE = """
diagram odd "50% & more: a_b {x} #1 $ ^ ~ \\\\ ξ … ≥ 中"
input x_1_2, x_, xi_a_b, L : [2]
target y
param W__ : [2] = [1, 2]
param lambda_max = 1e-7
z = lambda_max * W__ @ L + x_1_2 * x_ - xi_a_b
u = sigmoid(z)
u = u ^ 2
loss mse(u, y)
"""
"""Names and words with all that LaTeX and Markdown give a meaning."""


@functools.cache
def diagram(name: str) -> Diagram:
    return load(FILES[NAMES.index(name)])


def page(found: Diagram, **wishes: object) -> Page:
    return explained(found.program, found.graph, found.expanded, found.source.path, **wishes)  # type: ignore[arg-type]


def formulas(found: Page) -> Iterator[Formula]:
    """Every formula of a page."""
    for section in found.sections:
        for row in section.rows:
            if isinstance(row, Words):
                yield from (part for part in row.said if isinstance(part, Formula))
            else:
                yield from (row.left, row.right, *([row.value] if row.value is not None else []))
        for entry in section.entries:
            yield from (f for f in (entry.name, entry.value, entry.other, entry.space) if f is not None)
            yield from (part for part in entry.more if isinstance(part, Formula))


def set_by_mathtext(found: Page) -> int:
    """How many formulas there are, all of which mathtext sets."""
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    every = list(dict.fromkeys(f.latex() for f in formulas(found)))
    for latex in every:
        parser.parse(f"${latex}$")
    return len(every)


@pytest.mark.parametrize("name", NAMES)
def test_mathtext_sets_every_forward_formula_of_the_examples(name: str) -> None:
    assert set_by_mathtext(page(diagram(name))) > 1


LARGE = {"resnet18", "unet", "bert", "llama", "residual", "vgg", "gpt2", "autoencoder"}
LARGE |= {"transformer_classifier"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in NAMES]
)
def test_mathtext_sets_every_backward_formula_of_the_examples(name: str) -> None:
    if diagram(name).graph.results_of("loss"):
        assert set_by_mathtext(page(diagram(name), backward=True, saved=True)) > 5


def test_mathtext_sets_strange_names_and_numbers() -> None:
    values = {"x_1_2": 1e-9, "x_": -1e300, "xi_a_b": 0.1, "L": [1, -2], "y": 1}
    assert set_by_mathtext(page(loads(STRANGE), backward=True, inputs=values)) > 20


@pytest.mark.skipif(not HAS_PDFLATEX, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["xor", "mlp_2_3_2", "one_hot_error", "gpt2", "lstm_chars", "strange"])
def test_pdflatex_compiles_the_document(name: str, tmp_path: Path) -> None:
    found = loads(STRANGE) if name == "strange" else diagram(name)
    backward = bool(found.graph.results_of("loss"))
    (tmp_path / "a.tex").write_text(found.explain(backward=backward, saved=backward, format="latex"))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout[-1500:]
    assert (tmp_path / "a.pdf").exists()


@pytest.mark.parametrize("name", ["xor_learned", "transformer_classifier", "gru_chars"])
@pytest.mark.parametrize("format", ["latex", "markdown"])
def test_environments_and_braces_are_closed(name: str, format: str) -> None:
    text = diagram(name).explain(backward=True, saved=True, format=format)
    open: list[str] = []
    for kind, environment in re.findall(r"\\(begin|end)\{(\w+\*?)\}", text):
        if kind == "begin":
            open.append(environment)
        else:
            assert open.pop() == environment
    assert not open
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$$") % 2 == 0 and bare.replace("$$", "").count("$") % 2 == 0


def test_the_lines_of_an_alignment_can_be_copied() -> None:
    text = diagram("xor").explain(format="latex")
    body = text.split(r"\begin{align*}")[1].split(r"\end{align*}")[0].strip().splitlines()
    assert body[0] == r"\xi_{1} &= 0.5 - x_{1} - x_{2} \tag{1} \\"
    assert body[1] == r"h_{1} &= u(\xi_{1}) \tag{2} \\"
    assert len(body) == 6 and not body[5].endswith(r"\\")


def test_the_chain_rule_points_at_the_equations_that_it_is_from() -> None:
    text = diagram("cubic").explain(backward=True, format="latex")
    assert r"L &= (f - y)^{2} \tag{2}" in text
    assert r"\frac{\partial L}{\partial f} &= 2\, (f - y) \tag*{from (2)}" in text
    assert r"\frac{\partial L}{\partial b} &= \frac{\partial L}{\partial f}\, x \tag*{from (1)}" in text
    assert r"\text{from (2)}" in diagram("cubic").explain(backward=True, format="markdown")


def test_markdown_has_a_block_of_its_own_for_equations() -> None:
    text = diagram("xor").explain(format="markdown", inputs={"x1": 0, "x2": 1})
    assert text.startswith("# xor\n\nXOR by two hidden step units\n\n## Forward, for one example\n\n$$\n")
    assert "\n$$\n\\begin{aligned}\n\\xi_{1} &= 0.5 - x_{1} - x_{2} && = -0.5 && \\text{(1)} \\\\\n" in text
    assert text.endswith("\\end{aligned}\n$$\n")


def test_words_are_made_safe() -> None:
    latex = loads(STRANGE).explain(format="latex")
    assert r"50\% \& more: a\_b \{x\} \#1 $\$$ \^{} \~{}" in latex
    assert r"$\xi$ \ldots{} $\geq$ U+4E2D" in latex
    assert r"a\_b \{x\} \#1 \$" in loads(STRANGE).explain(format="markdown")


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_are_explained(seed: int) -> None:
    rng = random.Random(seed)
    found = loads(random_program(rng) if seed % 3 else random_wiring(rng)[0])
    backward = bool(found.graph.results_of("loss"))
    assert set_by_mathtext(page(found, backward=backward, saved=backward)) > 1
    for format in FORMATS:
        assert found.explain(backward=backward, expand=True, format=format)


def test_all_formats_are_the_same_from_run_to_run() -> None:
    for format in FORMATS:
        found = diagram("lenet")
        assert found.explain(backward=True, format=format) == found.explain(backward=True, format=format)
