"""Diagrams in a notebook: `%%flow` cells, and what a diagram shows of itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cells import said, shown, tutorial
from running import ROOT, example
from test_imports import loaded

from flowgraph.diagram import Diagram, loads
from flowgraph.draw.inline import inline
from flowgraph.errors import FlowError, fail, render
from flowgraph.notebook import command

XOR = """diagram xor "XOR by two hidden step units"
input x1, x2
h1 = step(0.5 - x1 - x2)
h2 = step(-1.5 + x1 + x2)
f = step(0.5 - h1 - h2)
"""
LAYERS = "diagram net\nsize H = 3\ninput x : [2]\nf = linear(x, H) |> tanh\n"
BOXES = "diagram net\ninput x : [2]\nf = where(x < 0.5, softmax(x), x)\n"
"""Laid out by Graphviz, as circles are not."""
WRONG = "input x\nf = tnah(x)\n"
SVG, HTML = "image/svg+xml", "text/html"


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    with tutorial.shell() as made:
        outputs, succeeded = made.run("%load_ext flowgraph")
        assert succeeded and outputs == []
        yield made


@pytest.fixture
def shell(started: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A shell with `%%flow` and no variables of other tests."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    before = set(started.user_ns)
    yield started
    for name in set(started.user_ns) - before:
        del started.user_ns[name]


@pytest.fixture
def no_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)


def diagrams(shell: Any) -> dict[str, Diagram]:
    return {
        name: value
        for name, value in shell.user_ns.items()
        if isinstance(value, Diagram) and not name.startswith("_")
    }


def test_the_package_loads_no_ipython() -> None:
    assert not loaded("import flowgraph.notebook; flowgraph.load_ipython_extension") & {
        "IPython",
        "matplotlib",
    }


# -- what a cell does


def test_a_cell_shows_its_picture_and_binds_its_diagram(shell: Any) -> None:
    outputs, succeeded = shell.run(f"%%flow net\n{XOR}")
    assert succeeded
    (picture,) = shown(outputs)
    assert picture[SVG].startswith("<svg") and HTML not in picture
    assert "XOR by two hidden step units" in picture[SVG]
    assert list(diagrams(shell)) == ["net"]
    answers = shell.user_ns["net"].run({"x1": [0, 0, 1, 1], "x2": [0, 1, 0, 1]}).outputs["f"]
    assert answers.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(("text", "name"), [(XOR, "xor"), ("input x\nf = tanh(x)\n", "diagram")])
def test_without_a_name_it_is_bound_to_its_own(shell: Any, text: str, name: str) -> None:
    assert shell.run(f"%%flow\n{text}")[1]
    assert list(diagrams(shell)) == [name]


def test_a_diagram_that_has_no_name_gets_that_of_its_variable(shell: Any) -> None:
    shell.run("%%flow net\ninput x\nf = tanh(x)\n")
    assert shell.user_ns["net"].name == "net"


def test_set_overrides_a_size(shell: Any) -> None:
    outputs, succeeded = shell.run("%%flow --set H=5 --no-draw\n" + LAYERS)
    assert succeeded and outputs == []
    assert shell.user_ns["net"].params()["f.linear.weight"].shape == (5, 2)


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_the_module_for_a_target_is_printed(shell: Any, target: str) -> None:
    outputs, _ = shell.run(f"%%flow --no-draw --target {target}\n{XOR}")
    assert said(outputs, "stdout") == shell.user_ns["xor"].compile(target)


def test_warnings_are_shown_at_the_line_of_the_cell(shell: Any) -> None:
    outputs, succeeded = shell.run("%%flow net\ninput x\nsize Q = 3\nf = tanh(x)\n")
    assert succeeded and "net" in diagrams(shell)
    assert "\x1b[1;33mwarning[W0102]\x1b[0m" in said(outputs, "stderr")
    assert "--> net:3:6" in said(outputs, "stderr")
    assert len(shown(outputs)) == 1


def test_what_a_picture_leaves_out_is_said(shell: Any) -> None:
    many = ", ".join(f"x{i}" for i in range(1500))
    outputs, _ = shell.run(f"%%flow net\ninput {many}\nf = tanh({many.replace(', ', ' + ')})\n")
    assert "warning[W0901]" in said(outputs, "stderr")


# -- mistakes


def test_an_error_is_shown_as_flowc_shows_it(shell: Any) -> None:
    outputs, succeeded = shell.run(f"%%flow net\n{WRONG}")
    assert not succeeded
    (error,) = outputs
    with pytest.raises(FlowError) as caught:
        loads("\n" + WRONG, "net")
    assert "\n".join(error["traceback"]) + "\n" == render(caught.value.diagnostics, color=True)
    assert "--> net:3:5" in "\n".join(error["traceback"])
    assert any("^^^^" in line for line in error["traceback"])


def test_an_error_binds_nothing_and_keeps_what_was_bound(shell: Any) -> None:
    shell.run(f"%%flow net\n{WRONG}")
    assert diagrams(shell) == {}
    shell.run(f"%%flow net --no-draw\n{XOR}")
    before = shell.user_ns["net"]
    shell.run(f"%%flow net\n{WRONG}")
    assert shell.user_ns["net"] is before


def test_what_a_target_refuses_binds_and_shows_nothing(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(diagram: Diagram, target: str) -> str:
        raise fail("E0602", f"{diagram.name} cannot be written for {target}")

    monkeypatch.setattr(Diagram, "compile", refuse)
    (error,), succeeded = shell.run(f"%%flow net --target torch\n{XOR}")
    assert not succeeded and diagrams(shell) == {}
    assert "xor cannot be written for torch" in error["traceback"][0]


def test_without_colours_there_are_none(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    ((error,), _) = shell.run(f"%%flow net\n{WRONG}")
    assert "\x1b" not in "".join(error["traceback"])


def test_a_mistake_of_a_method_has_no_traceback_either(shell: Any) -> None:
    shell.run(f"%%flow net --no-draw\n{XOR}")
    ((error,), _) = shell.run('net.run({"x3": 1})')
    assert "E0504" in error["traceback"][0]
    assert "Traceback" not in "\n".join(error["traceback"])


@pytest.mark.parametrize(
    ("line", "body", "part"),
    [
        ("--nope", XOR, "No such option '--nope'"),
        ("net other", XOR, "unexpected extra argument"),
        ("--set H", XOR, "'H' is not NAME=NUMBER"),
        ("--target c", XOR, "'c' is not one of 'numpy', 'torch'"),
        ("2x", XOR, "`2x` cannot be a variable"),
        ("class", XOR, "`class` cannot be a variable"),
        ("'net", XOR, "no closing quotation"),
        ("net", "\n  \n", "the cell is empty"),
        ("net", "", "the cell body is empty"),
        ("", "diagram lambda\ninput x\nf = tanh(x)\n", "the diagram's name `lambda` cannot be a variable"),
        ("", "diagram list\ninput x\nf = tanh(x)\n", "`list` is a variable already, of type type"),
    ],
)
def test_a_cell_that_cannot_be_used_is_refused_in_a_line(shell: Any, line: str, body: str, part: str) -> None:
    outputs, succeeded = shell.run(f"%%flow {line}\n{body}")
    assert not succeeded and diagrams(shell) == {}
    told = said(outputs, "stderr")
    assert told.startswith("UsageError: %%flow") and told.count("\n") == 1
    assert part in told
    assert [output for output in outputs if output.get("name") != "stderr"] == []


def test_an_own_name_replaces_a_diagram_and_nothing_else(shell: Any) -> None:
    shell.run("xor = 7")
    assert not shell.run(f"%%flow --no-draw\n{XOR}")[1]
    assert shell.user_ns["xor"] == 7
    assert shell.run(f"%%flow xor --no-draw\n{XOR}")[1]
    assert shell.run(f"%%flow --no-draw\n{XOR}")[1]


def test_the_line_is_help(shell: Any) -> None:
    for line in ("%flow", "%flow --help"):
        outputs, succeeded = shell.run(line)
        assert succeeded and said(outputs, "stdout").startswith("Usage: %%flow [OPTIONS] [NAME]")
    outputs, succeeded = shell.run("%flow xor.flow")
    assert not succeeded and "`%%flow`" in said(outputs, "stderr")
    shown_help, _ = shell.run(f"%%flow --help\n{XOR}")
    assert said(shown_help, "stdout").startswith("Usage:") and diagrams(shell) == {}


def test_the_extension_can_be_unloaded(shell: Any) -> None:
    try:
        assert shell.run("%unload_ext flowgraph")[1]
        assert not shell.run(f"%%flow net\n{XOR}")[1]
    finally:
        assert shell.run("%load_ext flowgraph")[1]
    assert shell.run("%flow")[1]


# -- what shows itself


def test_a_diagram_shows_itself(shell: Any) -> None:
    shell.user_ns["mlp"] = example("mlp_2_3_2")
    (picture,) = shown(shell.run("mlp")[0])
    assert set(picture) == {SVG, "text/plain"}
    assert picture["text/plain"] == "<Diagram mlp_2_3_2: x → f>"


def test_a_drawing_shows_itself(shell: Any) -> None:
    shell.user_ns["xor"] = example("xor")
    (picture,) = shown(shell.run('xor.draw(inputs={"x1": 0, "x2": 1})')[0])
    assert set(picture) == {SVG, "text/plain"}
    assert picture["text/plain"] == "<Drawing of xor>"


def test_without_graphviz_layers_are_equations_and_the_extra_is_named(shell: Any, no_graphviz: None) -> None:
    outputs, succeeded = shell.run(f"%%flow\n{BOXES}")
    assert succeeded and said(outputs, "stderr") == ""
    (instead,) = shown(outputs)
    assert set(instead) == {HTML, "text/plain"}
    assert "flowgraph[draw]" in instead[HTML]
    assert "f = where(x &lt; 0.5, softmax(x), x)" in instead[HTML]  # text, no markup


def test_without_graphviz_circles_are_drawn(shell: Any, no_graphviz: None) -> None:
    assert SVG in shown(shell.run(f"%%flow\n{XOR}")[0])[0]


def test_without_graphviz_a_drawing_says_so_and_has_no_traceback(shell: Any, no_graphviz: None) -> None:
    shell.run(f"%%flow --no-draw\n{BOXES}")
    outputs, _ = shell.run("net.draw()")
    errors = ["\n".join(output["traceback"]) for output in outputs if output["output_type"] == "error"]
    assert len(errors) == 1 and "E0605" in errors[0] and "Traceback" not in errors[0]


def test_long_equations_are_cut(no_graphviz: None) -> None:
    lines = "".join(f"a{i + 1} = softmax(a{i})\n" for i in range(150))
    told = loads(f"input a0 : [2]\n{lines}")._repr_html_()
    assert told is not None and 100 < told.count("\n") < 110
    assert "more lines" in told


def test_a_diagram_of_many_inputs_names_the_first() -> None:
    many = [f"x{i}" for i in range(9)]
    diagram = loads(f"input {', '.join(many)}\nf = tanh({' + '.join(many)})\n")
    assert repr(diagram) == "<Diagram diagram: x0, x1, x2, x3, x4, x5, … → f>"
    assert repr(loads("")) == "<Diagram diagram: nothing → nothing>"


def test_pictures_of_one_page_share_no_ids() -> None:
    pictures = [inline(example(name).draw().to_text("svg")) for name in ("xor_learned", "augmented")]
    own = [set(re.findall(r'id="(p[^"]*outline[^"]*)"', picture)) for picture in pictures]
    assert all(own) and not own[0] & own[1]
    for picture in pictures:
        assert set(re.findall(r'href="#([^"]*)"', picture)) <= set(re.findall(r'id="([^"]*)"', picture))


# -- the page


def test_the_page_names_every_option_and_its_cell_compiles(shell: Any) -> None:
    page = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    options = [
        flag for param in command.params for flag in (*param.opts, *param.secondary_opts) if flag[0] == "-"
    ]
    assert [flag for flag in options if flag not in page] == []
    (cell,) = re.findall(r"^```\n(%%flow \w+\n(?s:.)*?)^```$", page, re.MULTILINE)
    assert shell.run(cell)[1]
    assert shell.user_ns["xor"].run({"x1": 0, "x2": 1}).outputs["f"] == 1
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", page)
    assert [name for name in linked if not (ROOT / "docs" / name).exists()] == []
