"""Pictures in the language of Graphviz: Graphviz itself reads and lays them out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Golden
from drawings import EXAMPLES, FOLDER, ONE_LAYER, WORDS, drawn, hostile_picture

import flowgraph
from flowgraph.cli.main import main
from flowgraph.draw.dot import text
from flowgraph.draw.formats import UNPLACED
from flowgraph.draw.picture import Picture
from flowgraph.draw.theme import DARK, LIGHT, Theme

pygraphviz = pytest.importorskip("pygraphviz", reason="Graphviz comes with the extra `draw`")


Read = Callable[[str], pygraphviz.AGraph]
COMPLAINT = re.compile("error|mismatch|illegal|unknown|not a known|ignored|using", re.IGNORECASE)


@pytest.fixture
def read(capfd: pytest.CaptureFixture[str]) -> Read:
    """Makes a graph of a text, laid out; Graphviz, which writes past Python, says nothing against it."""

    def found(said: str) -> pygraphviz.AGraph:
        graph = pygraphviz.AGraph(string=said)
        graph.layout(prog="dot")
        lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("Fontconfig")]
        assert [line for line in lines if COMPLAINT.search(line)] == []
        return graph

    return found


def test_graphviz_is_heard_when_it_complains(read: Read) -> None:
    with pytest.raises(AssertionError, match="mismatched"):
        read("digraph { a [label=<<b>x</i>>]; }")


def assert_same(graph: pygraphviz.AGraph, picture: Picture) -> None:
    """All items and wires are there, and all have places."""
    assert {unescaped(name) for name in graph.nodes()} == {item.id for item in picture.items}
    assert all(node.attr["pos"] for node in graph.nodes())
    drawn = [edge for edge in graph.edges() if edge.attr["style"] != "invis"]
    ends = sorted((unescaped(a), unescaped(b)) for a, b in drawn)
    assert ends == sorted((wire.source, wire.target) for wire in picture.wires)


def unescaped(name: str) -> str:
    return name.replace("\\\\", "\\")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_graphviz_lays_out_every_example(path: Path, read: Read) -> None:
    drawing = drawn(path)
    assert_same(read(drawing.to_text("dot")), drawing.picture)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda t: t.name)
def test_no_name_is_taken_for_a_command(theme: Theme, read: Read) -> None:
    picture = hostile_picture()
    graph = read(text(picture, theme))
    ids = {unescaped(name) for name in graph.nodes()}
    assert ids == {item.id.replace("\n", " ").replace("\t", " ") for item in picture.items}
    labels = [node.attr["label"] for node in graph.nodes()]
    assert len(labels) == len(WORDS)
    assert any(">say &quot;no&quot;<" in label for label in labels)
    assert any("&lt;b&gt;bold" in label for label in labels) and not any("<b>" in label for label in labels)


def test_frames_are_clusters_in_each_other(read: Read) -> None:
    graph = read(text(hostile_picture(), LIGHT))
    (outer,) = graph.subgraphs()
    (inner,) = outer.subgraphs()
    assert outer.name.startswith("cluster") and inner.name.startswith("cluster")
    assert len(inner.nodes()) < len(outer.nodes()) < len(graph.nodes())


def test_circles_stand_in_columns_in_the_order_of_the_file(read: Read) -> None:
    graph = read(drawn(FOLDER / "lecture/xor.flow").to_text("dot"))
    place = {name: tuple(map(float, graph.get_node(name).attr["pos"].split(","))) for name in graph.nodes()}
    assert place["x1"][0] == place["x2"][0] < place["h1"][0] == place["h2"][0] < place["f"][0]
    assert place["x1"][1] > place["x2"][1] > place["1@0"][1]
    assert place["h1"][1] > place["h2"][1] > place["1@1"][1]


def test_weights_are_labels_of_edges() -> None:
    graph = pygraphviz.AGraph(string=drawn(FOLDER / "lecture/xor.flow").to_text("dot"))
    assert ">−1.5</font>" in graph.get_edge("1@0", "h2").attr["label"]


def test_the_backward_flow_has_reversed_arrows_in_the_same_places(read: Read) -> None:
    diagram = flowgraph.load(FOLDER / "lecture/xor_learned.flow")
    forward, backward = (read(diagram.draw(grad=grad).to_text("dot")) for grad in (False, True))
    assert {e.attr["dir"] or "forward" for e in forward.edges()} == {"forward"}
    assert backward.get_edge("f", "mse").attr["dir"] == "back"
    assert {tuple(e) for e in forward.edges()} == {tuple(e) for e in backward.edges()}


@pytest.mark.parametrize("name", ["xor", "layer"])
def test_dot_text(name: str, golden: Golden) -> None:
    drawing = drawn(FOLDER / "lecture/xor.flow") if name == "xor" else flowgraph.loads(ONE_LAYER).draw()
    golden(drawing.to_text("dot"), suffix=".dot")


@pytest.mark.parametrize("format", UNPLACED)
def test_boxes_are_written_without_graphviz_too(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    gpt2 = str(FOLDER / "models/gpt2.flow")
    assert main(["draw", gpt2, "-o", str(tmp_path / "a.svg")]) == 1
    assert main(["draw", gpt2, "-o", str(tmp_path / f"a.{format}")]) == 0


def test_a_picture_of_nothing_is_a_graph_of_nothing(read: Read) -> None:
    assert read(text(Picture("empty"), LIGHT)).nodes() == []
