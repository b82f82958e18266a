"""`flowc draw -o OUT.html` without a browser: what is in the file, and that it needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

import flowgraph
from flowgraph.draw.compose import compose
from flowgraph.draw.drawing import Drawing
from flowgraph.draw.html import html, page
from flowgraph.draw.measure import measure
from flowgraph.draw.names import plain, runs, word
from flowgraph.draw.picture import Frame, Item, Picture, Wire
from flowgraph.draw.scene import Scene
from flowgraph.draw.states import states
from flowgraph.draw.svg_markup import number
from flowgraph.draw.theme import DARK, LIGHT, ROLES
from flowgraph.draw.webfont import LOOKS, cut

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("lecture/xor", "lecture/layers", "digits/digits", "models/gpt2", "models/lstm_chars")
HOSTILE = "</script></style><script>alert(1)</script><!-- \"'&\x00\x0b\ud800]]>"

pytest.importorskip("pygraphviz", reason="Graphviz comes with the extra `draw`")


def drawn(name: str, **how: Any) -> Drawing:
    return flowgraph.load(ROOT / "examples" / f"{name}.flow").draw(**how)


def pictures(text: str) -> list[Element]:
    """The svg elements of a page, read as XML."""
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg\b.*?</svg>", text, re.DOTALL)]


def data(text: str) -> Any:
    """What the page's script reads."""
    found = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


class Tags(HTMLParser):
    """The tags of a page, in order, and its text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.stack = "", [""]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "input"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack[-1] not in ("script", "style"):
            self.text += data


def scenes(drawing: Drawing) -> list[Scene]:
    return [drawing.scene, *(compose(picture) for picture in states(drawing)[1:])]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_is_well_formed_and_has_a_picture_for_every_state(name: str) -> None:
    drawing = drawn(name)
    text = drawing.to_text("html")
    tags = Tags(text)
    assert tags.stack == [""]
    assert len(pictures(text)) == len(data(text)["states"]) == len(states(drawing))
    assert [a["data-state"] for t, a in tags.found if t == "template"] == [
        str(n) for n in range(1, len(states(drawing)))
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_geometry_is_that_of_the_scene(name: str) -> None:
    drawing = drawn(name)
    for svg, scene in zip(pictures(drawing.to_text("html")), scenes(drawing), strict=True):
        assert svg.get("viewBox") == f"0 0 {svg.get('data-width')} {svg.get('data-height')}"
        assert float(svg.get("data-width", "")) == pytest.approx(scene.width, abs=0.01)
        things = {e.get("data-id"): e for e in svg.iter("g") if e.get("class") in ("item", "frame", "wire")}
        for circle in scene.circles:
            drawn_circle = things[circle.owner].find("circle")
            assert drawn_circle is not None
            found = [float(drawn_circle.get(k, "")) for k in ("cx", "cy", "r")]
            assert found == pytest.approx([circle.x, circle.y, circle.radius], abs=0.006)
        for box in (*scene.boxes, *scene.frames):
            rect = things[box.owner].find("rect")
            assert rect is not None
            found = [float(rect.get(k, "")) for k in ("x", "y", "width", "height")]
            own = box.rect
            assert found == pytest.approx([own.x0, own.y0, own.width, own.height], abs=0.006)
        for arrow in scene.arrows:
            path, head = things[arrow.owner].findall("path")[1], things[arrow.owner].find("polygon")
            numbers = [float(n) for n in re.findall(r"-?[0-9.]+", path.get("d", ""))]
            assert numbers == pytest.approx([v for point in arrow.points for v in point], abs=0.006)
            assert head is not None
            tip = [float(n) for n in head.get("points", "").split()[0].split(",")]
            assert tip == pytest.approx(arrow.tip, abs=0.006)
            assert things[arrow.owner].get("data-from") == arrow.source
            assert things[arrow.owner].get("data-to") == arrow.target
        assert len(things) == len(scene.shapes) + len(scene.frames) + len(scene.arrows)
        corners = [(t[0].get("x"), t[0].get("y")) for t in svg.iter("text")]
        first = [measure(t.tex, t.size).pieces[0] for t in scene.texts]
        places = [(number(t.x + p.dx), number(t.y + p.dy)) for t, p in zip(scene.texts, first, strict=True)]
        assert sorted(corners) == sorted(places)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_label_is_there_as_text(name: str) -> None:
    drawing = drawn(name)
    for svg, scene in zip(pictures(drawing.to_text("html")), scenes(drawing), strict=True):
        found = {"".join(text.itertext()).replace(" ", "") for text in svg.iter("text")}
        for text in scene.texts:
            assert "".join(run.text for run in runs(text.tex)).replace(" ", "") in found


def test_words_have_spaces_between_them() -> None:
    text = drawn("models/gpt2", depth=0).to_text("html")
    said = ["".join(t.itertext()) for t in pictures(text)[0].iter("text")]
    assert "repeat 12 ×" in said and "wte.weight [50257, 768]" in said
    assert "[T, 768]" in said


def test_what_hovering_shows_is_told_of_everything() -> None:
    text = drawn("lecture/xor", inputs={"x1": 0, "x2": 1}).to_text("html")
    records = data(text)["records"]
    numbers = {
        e.get("data-id"): int(e.get("data-r", "")) for e in pictures(text)[0].iter("g") if e.get("data-r")
    }
    neuron, wire = records[numbers["h1"]], records[numbers["x2->h1"]]
    facts = dict(neuron["facts"])
    assert (neuron["title"], neuron["kind"]) == ("h₁", "neuron")
    assert facts["equation"] == "step(0.5 − x₁ − x₂)"
    assert facts["activation"] == "step" and facts["shape"] == "a single number"
    assert facts["reads"] == "x₁ · −1, x₂ · −1, 1 · 0.5" and facts["feeds"] == "f"
    assert facts["line"] == "xor.flow:10" and facts["source"].startswith("h1 = step(")
    assert (facts["ξ"], facts["value"]) == ("-0.5", "0")
    assert wire["title"] == "x₂ → h₁" and dict(wire["facts"])["weight"] == "-1"
    buttons = [e for e in pictures(text)[0].iter("g") if e.get("role") == "button"]
    assert len(buttons) == 7 and all(e.get("tabindex") == "0" for e in buttons)
    assert "h₁, neuron" in [str(e.get("aria-label"))[:10] for e in buttons]


def test_gradients_and_parameters_are_told() -> None:
    text = drawn("lecture/regression", inputs={"x": [1, 2], "y": 2}, grad=True).to_text("html")
    said = [dict(record["facts"]) for record in data(text)["records"]]
    assert any("gradient" in facts for facts in said)
    assert any("local factor" in facts for facts in said)
    text = drawn("models/gpt2").to_text("html")
    said = [dict(record["facts"]) for record in data(text)["records"]]
    assert any(facts.get("parameter") == "wte.weight [50257, 768]" for facts in said)


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_is_loaded(name: str) -> None:
    text = drawn(name).to_text("html")
    tags = Tags(text)
    assert not [a for _, a in tags.found if {"src", "href", "xlink:href", "srcset", "data"} & set(a)]
    assert not {"link", "img", "iframe", "object", "embed", "base"} & {tag for tag, _ in tags.found}
    bare = re.sub(r"url\(data:font/ttf;base64,[A-Za-z0-9+/=]+\)", "", text)
    assert "url(" not in bare and "@import" not in bare and "http" not in bare.replace("http-equiv", "")
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\s*\(", bare)


def test_the_policy_allows_the_page_itself_alone() -> None:
    text = drawn("models/gpt2").to_text("html")
    (policy,) = [a["content"] for t, a in Tags(text).found if a.get("http-equiv")]
    assert policy is not None
    for kind in ("style", "script"):
        (inside,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert not [name for _, a in Tags(text).found for name in a if name.startswith("on") or name == "style"]


def hostile() -> Picture:
    """A picture whose every text tries to leave its place."""
    said = word("x</text><script>") + r"\mathrm{&<}"
    items = (
        Item(HOSTILE, "box", name=HOSTILE, label=said, facts=((HOSTILE, HOSTILE),), frame=f"f{HOSTILE}"),
        Item("b", "box", label="b", params=((HOSTILE, HOSTILE),)),
    )
    wires = (Wire(f"{HOSTILE}->b", HOSTILE, "b", facts=((HOSTILE, HOSTILE),)),)
    frames = (Frame(f"f{HOSTILE}", "block", said, HOSTILE, facts=((HOSTILE, HOSTILE),)),)
    return Picture(HOSTILE, HOSTILE, items, wires, frames, remarks=(HOSTILE,))


def test_hostile_texts_stay_texts() -> None:
    one, other = hostile(), replace(hostile(), frames=(), items=(Item("b", "box", label="b"),), wires=())
    text = page([compose(one), compose(other)], LIGHT)
    text.encode("utf-8")
    tags = Tags(text)
    assert tags.stack == [""]
    assert [a for t, a in tags.found if t == "script"] == [{"id": "data", "type": "application/json"}, {}]
    assert len([t for t, _ in tags.found if t == "style"]) == 1
    assert len(pictures(text)) == 2
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\x0b", "\ufffd").replace("\ud800", "\ufffd")
    assert shown in tags.text
    kept = HOSTILE.replace("\ud800", "\ufffd")
    assert [kept, kept] in data(text)["records"][0]["facts"]


def test_a_hostile_file_makes_a_page(tmp_path: Path) -> None:
    doc = HOSTILE.replace('"', '\\"').replace("\x00", "").replace("\ud800", "").replace("\x0b", "")
    file = tmp_path / "a'b<c>&.flow"
    file.write_text(f'diagram d "{doc}"\ninput x # {doc}\nf = step(x - 1) # </script>\n', encoding="utf-8")
    text = flowgraph.load(file).draw().to_text("html")
    tags = Tags(text)
    assert tags.stack == [""] and doc.replace('\\"', '"') in tags.text
    assert len([t for t, _ in tags.found if t == "script"]) == 2
    assert "a'b<c>&.flow:3" in [dict(r["facts"]).get("line") for r in data(text)["records"]]


def test_the_bytes_are_always_the_same() -> None:
    file = ROOT / "examples" / "models" / "lstm_chars.flow"
    code = (
        "import sys, flowgraph; sys.stdout.buffer.write(flowgraph.load(sys.argv[1]).draw().to_bytes('html'))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code, file], env=environment, capture_output=True, check=True
    )
    assert done.stdout == flowgraph.load(file).draw().to_bytes("html")


def test_a_dark_drawing_is_dark_and_a_light_one_follows_the_system() -> None:
    light, dark = drawn("lecture/xor").to_text("html"), drawn("lecture/xor", theme="dark").to_text("html")
    assert '<html lang="en" class="plain">' in light
    assert '<html lang="en" class="plain" data-theme="dark">' in dark
    for text in (light, dark):
        assert f"--input:{LIGHT['input'].stroke}" in text and f"--input:{DARK['input'].stroke}" in text


def test_themes_differ_in_nothing_but_colours() -> None:
    for role in ROLES:
        assert (LIGHT[role].width, LIGHT[role].dash) == (DARK[role].width, DARK[role].dash)
        assert (LIGHT[role].stroke == "none") == (DARK[role].stroke == "none")


def test_the_fonts_are_as_wide_as_was_measured() -> None:
    from fontTools.ttLib import TTFont

    seen = set()
    for tex in ("W", r"\mathrm{W8}", r"\mathbf{W}", r"\xi", r"\vdots", r"\mathrm{Ա}", "−"):
        (piece,) = measure(tex, 10.0).pieces
        with TTFont(BytesIO(cut(piece.file, piece.text))) as font:
            letters = font.getBestCmap()
            wide = sum(font["hmtx"][letters[ord(letter)]][0] for letter in piece.text)
            assert measure(tex, 10.0).width == pytest.approx(10 * wide / font["head"].unitsPerEm, rel=1e-3)
            assert set(letters) == set(map(ord, piece.text))
        seen.add(piece.file)
    assert seen == set(LOOKS)


def test_a_picture_with_a_folded_middle_has_one_state_and_says_so(tmp_path: Path) -> None:
    names = [f"h{i}" for i in range(1500)]
    many = tmp_path / "many.flow"
    many.write_text(f"input x\nnode {', '.join(names)} : tanh\nx -[1]-> {', '.join(names)}\n")
    text = flowgraph.load(many).draw().to_text("html")
    assert len(pictures(text)) == 1
    assert "1501 items are too many for a page" in Tags(text).text
    assert 'data-does="fold"' not in text


def test_remarks_and_the_diagrams_own_text_are_read_aloud() -> None:
    text = html(drawn("lecture/xor")).decode()
    svg = pictures(text)[0]
    assert (svg.findtext("title"), svg.get("role")) == ("xor", "group")
    said = svg.findtext("desc")
    assert said == "XOR by two hidden step units. A flow diagram: 7 items, 9 wires."


def test_search_finds_names_as_the_file_spells_them() -> None:
    text = drawn("lecture/xor").to_text("html")
    words = {record["title"]: record["words"].split() for record in data(text)["records"]}
    assert {"h1", "h₁", "step"} <= set(words["h₁"])
    assert plain("x_{1}") in words and "x1" in words["x₁"]
