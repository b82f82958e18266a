"""`docs/tutorial.ipynb` runs from top to bottom, shows what it holds, and its numbers are right."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cells import said, shown, tutorial
from running import HAS_TORCH, ROOT

pytest.importorskip("pygraphviz", reason="Graphviz comes with the extra `draw`")

NOTEBOOK = tutorial.read()
CELLS = tutorial.code_cells(NOTEBOOK)


class Ran:
    """The shell after the last cell, and what each cell showed."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.outputs = [tutorial.run_cell(shell, cell) for cell in CELLS]

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    with tutorial.shell() as shell:
        yield Ran(shell)


def test_the_tutorial_is_current(ran: Ran) -> None:
    assert tutorial.stale(NOTEBOOK, ran.outputs) == [], "run `python docs/make_tutorial.py`, and read it"


def test_nothing_is_complained_of(ran: Ran) -> None:
    assert [said(outputs, "stderr") for outputs in ran.outputs if said(outputs, "stderr")] == []


def test_the_circles_answer_their_tables(ran: Ran) -> None:
    tables = {"or_gate": [0, 1, 1, 1], "and_gate": [0, 0, 0, 1], "xor": [0, 1, 1, 0]}
    for name, expected in tables.items():
        assert ran[name].run().outputs["f"].tolist() == expected
        assert ran["module"](ran[name]).forward({}, ran["x1"], ran["x2"]).tolist() == expected
    assert ran["most"] == 3


def test_the_network_learns_xor(ran: Ran) -> None:
    losses = ran["trained"].losses
    assert losses[0] > np.log(2) > 0.05 > losses[-1]
    assert ran["answers"].outputs["p"].argmax(axis=1).tolist() == [0, 1, 1, 0]
    np.testing.assert_allclose(ran["trainer"].params["W_1"], ran["trained"].params["W_1"], rtol=1e-4)


def test_the_gradient_is_right_and_a_step_along_it_helps(ran: Ran) -> None:
    assert ran["worst"] < 1e-8
    assert ran["after"] < ran["loss"]


@pytest.mark.skipif(not HAS_TORCH, reason="PyTorch is not installed")
def test_pytorch_finds_the_same(ran: Ran) -> None:
    assert all(ran["close"])
    predicted = ran["model"](ran["inputs"])
    assert predicted.shape == (4, 2)
    texts = "".join(said(outputs, "stdout") for outputs in ran.outputs)
    assert texts.count("predictions: [0, 1, 1, 0]") == 1


def test_every_step_has_picture_equations_numpy_and_torch() -> None:
    steps: list[str] = []
    for cell in NOTEBOOK["cells"]:
        source = "".join(cell["source"])
        if re.match(r"## \d", source):
            steps.append("")
        elif steps and cell["cell_type"] == "code":
            steps[-1] += source
    assert len(steps) == 8
    for step in steps:
        assert re.search(r"%%flow|\.draw\(", step)
        assert ".explain(" in step or ".table(trace=True)" in step
        assert "module(" in step or "loss_and_grad" in step
        assert "torch is None" in step


def test_the_loss_is_drawn_while_it_trains(ran: Ran) -> None:
    (outputs,) = [
        o for cell, o in zip(CELLS, ran.outputs, strict=True) if "progress=True" in str(cell["source"])
    ]
    (curve,) = shown(outputs)
    assert "image/png" in curve


def test_without_pytorch_its_cells_say_so(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    kept = ran["torch"]
    try:
        for cell in filter(tutorial.is_torch, CELLS):
            assert "PyTorch is not installed" in said(tutorial.run_cell(ran.shell, cell), "stdout")
    finally:
        ran.shell.user_ns["torch"] = kept


def test_links_lead_somewhere() -> None:
    text = "".join("".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "markdown")
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert linked and [name for name in linked if not (ROOT / "docs" / name).exists()] == []


# -- the check itself


def kept_outputs() -> list[Any]:
    return [copy.deepcopy(cell["outputs"]) for cell in CELLS]


def changed(find: str, replace: str) -> list[Any]:
    """What the notebook holds, with a text changed wherever it stands in an output."""
    text = json.dumps(kept_outputs(), ensure_ascii=False)
    assert find in text
    found: list[Any] = json.loads(text.replace(find, replace))
    return found


def test_what_the_notebook_holds_is_current() -> None:
    assert tutorial.stale(NOTEBOOK, kept_outputs()) == []


@pytest.mark.parametrize(
    ("find", "replace"),
    [
        ("loss 1.14 in", "loss 1.34 in"),
        ("numpy: 800 steps", "numpy: 800 strides"),
        ("image/png", "text/html"),
    ],
)
def test_another_number_word_or_kind_is_found(find: str, replace: str) -> None:
    assert len(tutorial.stale(NOTEBOOK, changed(find, replace))) == 1


def test_another_colour_in_a_picture_is_found_where_it_can_be_told() -> None:
    others = changed("fill: #ffe7a3", "fill: #ffe7a4")
    notebook = copy.deepcopy(NOTEBOOK)
    notebook["metadata"]["flowgraph"]["drawn_with"] = tutorial.engines()
    assert len(tutorial.stale(notebook, others)) == 3
    notebook["metadata"]["flowgraph"]["drawn_with"] = "matplotlib 0.1"
    assert tutorial.stale(notebook, others) == []


def test_numbers_may_differ_a_little() -> None:
    assert tutorial.same_text("loss 0.7583, W₁ −2.001", "loss  0.7584, W₁ −2.002")
    assert not tutorial.same_text("loss 0.7583", "loss 0.8583")
    assert not tutorial.same_text("h1 = 1", "h2 = 1")
    assert not tutorial.same_text("1 2", "1")


def test_writing_the_notebook_anew_changes_nothing_but_what_is_shown(ran: Ran) -> None:
    written = json.loads(tutorial.text(copy.deepcopy(NOTEBOOK), ran.outputs))
    assert [cell["source"] for cell in written["cells"]] == [cell["source"] for cell in NOTEBOOK["cells"]]
    assert [cell["execution_count"] for cell in tutorial.code_cells(written)] == [*range(1, len(CELLS) + 1)]
    kinds = {
        output["output_type"]: set(output)
        for cell in tutorial.code_cells(written)
        for output in cell["outputs"]
    }
    assert kinds == {
        "stream": {"output_type", "name", "text"},
        "display_data": {"output_type", "data", "metadata"},
        "execute_result": {"output_type", "data", "metadata", "execution_count"},
    }
