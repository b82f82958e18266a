"""Pictures as Mermaid flowcharts: the grammar of what is written, line by line."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from conftest import Golden
from drawings import EXAMPLES, FOLDER, ONE_LAYER, WORDS, drawn, hostile_picture

import flowgraph
from flowgraph.draw.mermaid import MOST_WIRES, escaped, text
from flowgraph.draw.picture import Item, Picture, Wire
from flowgraph.draw.theme import LIGHT, ROLES

LABEL = r'"(?:[^"#<>&`*~\\|{}$;]|<br/>|#\d+;)*"'
ID = r"[nf]_[A-Za-z0-9_]*"
COLOUR = r"(?:#[0-9a-f]{6}|none)"
LINES = {
    "comment": r"%% [^%{}]*",
    "node": rf"(?P<id>{ID})(?:\(\({LABEL}\)\)|\(\[{LABEL}\]\)|\[\[{LABEL}\]\]|\[{LABEL}\]):::(?P<role>\w+)",
    "open": rf"subgraph {ID}\[{LABEL}\]",
    "close": "end",
    "wire": rf"(?P<source>{ID}) -->(?:\|{LABEL}\|)? (?P<target>{ID})",
    "kind": rf"classDef (?P<defined>\w+) fill:{COLOUR},stroke:{COLOUR}(?:,[a-z-]+:[#\w. ]+)*",
    "class": rf"class {ID}(?:,{ID})* \w+",
    "style": rf"linkStyle (?:default|\d+(?:,\d+)*) stroke:{COLOUR}(?:,[a-z-]+:[#\w. ]+)*",
}
"""What a line may be, to the last letter: a label that is not escaped matches none."""


def parsed(said: str) -> list[tuple[str, re.Match[str]]]:
    """Each line after the first with its kind. Fails for a line that is none."""
    first, *rest = said.rstrip("\n").split("\n")
    assert re.fullmatch("flowchart (LR|RL|TB|BT)", first)
    out = []
    for line in rest:
        kinds = [(k, m) for k, p in LINES.items() if (m := re.fullmatch(p, line.strip()))]
        assert len(kinds) == 1, line
        out.append(kinds[0])
    return out


def assert_whole(said: str, picture: Picture) -> None:
    """All items and wires are there; ids are unique, wires join them, and styles are of wires and roles."""
    lines = parsed(said)
    kinds = [kind for kind, _ in lines]
    nodes = [match["id"] for kind, match in lines if kind == "node"]
    wires = [(match["source"], match["target"]) for kind, match in lines if kind == "wire"]
    assert len(nodes) == len(set(nodes)) == len(picture.items)
    assert len(wires) == len(picture.wires)
    assert {end for wire in wires for end in wire} <= set(nodes)
    assert kinds.count("open") == kinds.count("close") == len(picture.frames)
    defined = {match["defined"] for kind, match in lines if kind == "kind"}
    assert {match["role"] for kind, match in lines if kind == "node"} <= defined <= set(ROLES)
    assert "linkStyle default" in said or sum(
        len(match[0].split(" ")[1].split(",")) for kind, match in lines if kind == "style"
    ) == len(wires)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_is_a_flowchart(path: Path) -> None:
    drawing = drawn(path)
    assert_whole(drawing.to_text("mmd"), drawing.picture)


def test_no_name_is_taken_for_a_command() -> None:
    picture = hostile_picture()
    assert_whole(text(picture, LIGHT), picture)


@pytest.mark.parametrize("word", WORDS)
def test_an_escaped_text_reads_as_it_was(word: str) -> None:
    read = unescape(re.sub(r"#(\d+);", r"&#\1;", escaped(word).replace("&", "&amp;")))
    assert read == " ".join(word.split())


def test_markdown_sees_no_list_and_no_emphasis() -> None:
    assert escaped("1. item") == "1#46; item"
    assert escaped("- item") == "#45; item"
    assert escaped("_x_ and a_b, 0.5, -1") == "#95;x#95; and a_b, 0.5, -1"


def test_names_of_mermaids_words_get_other_ids() -> None:
    words = ("end", "graph", "subgraph", "style", "click", "x--o")
    items = tuple(Item(word, "neuron", is_circle=True, label="x") for word in words)
    said = text(Picture("p", items=items), LIGHT)
    assert [m["id"] for k, m in parsed(said) if k == "node"] == [
        "n_end", "n_graph", "n_subgraph", "n_style", "n_click", "n_x_o",
    ]  # fmt: skip


def test_ids_that_would_be_the_same_are_numbered() -> None:
    items = tuple(Item(name, "box", label="x") for name in ("a.b", "a_b", "a/b", "a_b_2"))
    wires = (Wire("w", "a/b", "a.b"),)
    picture = Picture("p", items=items, wires=wires)
    assert_whole(text(picture, LIGHT), picture)
    assert "n_a_b_3 --> n_a_b\n" in text(picture, LIGHT)


def test_the_backward_flow_turns_the_chart_so_that_things_stay_where_they_are() -> None:
    diagram = flowgraph.load(FOLDER / "lecture/xor_learned.flow")
    forward, backward = diagram.draw().to_text("mmd"), diagram.draw(grad=True).to_text("mmd")
    assert forward.startswith("flowchart LR\n") and backward.startswith("flowchart RL\n")
    assert re.search(r"n_f -->(\|.*?\|)? n_mse\n", forward)
    assert re.search(r"n_mse -->(\|.*?\|)? n_f\n", backward)


def test_more_arrows_than_mermaid_draws_are_said() -> None:
    items = (Item("a", "box", label="a"), Item("b", "box", label="b"))
    wires = tuple(Wire(f"w{n}", "a", "b") for n in range(MOST_WIRES + 1))
    assert f"%% beyond {MOST_WIRES} arrows" in text(Picture("p", items=items, wires=wires), LIGHT)
    assert "beyond" not in text(Picture("p", items=items, wires=wires[1:]), LIGHT)


@pytest.mark.parametrize("name", ["xor", "layer"])
def test_mermaid_text(name: str, golden: Golden) -> None:
    drawing = drawn(FOLDER / "lecture/xor.flow") if name == "xor" else flowgraph.loads(ONE_LAYER).draw()
    golden(drawing.to_text("mmd"), suffix=".mmd")
