"""The small svg: the same shapes in fewer bytes."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import flowgraph
from flowgraph.draw.slim import slim

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
HEAD = '<svg xmlns="http://www.w3.org/2000/svg" width="9.123456pt" height="9pt" viewBox="0 0 9.123456 9">'
LONG = "L 1 2 Q 3 4 5.5 6.25 C 1 1 2 2 3 3 L 4.125 5 L 9 9 L 10.5 11.5 L 12.25 13.75 L 14 15 z"


def shifted(d: str, by: float) -> str:
    return re.sub(r"[0-9.]+", lambda m: f"{float(m[0]) + by:.6f}", d)


def drawn(svg: str) -> list[tuple[str, list[tuple[float, float]]]]:
    """Every path in the order of drawing: its commands and its points, references followed, rounded."""
    root = ElementTree.fromstring(svg)
    defs = {e.attrib["id"]: e.attrib["d"] for e in root.iter(f"{SVG}path") if "id" in e.attrib}
    out = []
    for element in root.iter():
        if element.tag == f"{SVG}path" and "id" not in element.attrib:
            out.append(points_of(element.attrib["d"], 0.0, 0.0))
        elif element.tag == f"{SVG}use" and "x" in element.attrib:
            x, y = float(element.attrib["x"]), float(element.attrib["y"])
            out.append(points_of(defs[element.attrib["href"].removeprefix("#")], x, y))
    return out


def points_of(d: str, x: float, y: float) -> tuple[str, list[tuple[float, float]]]:
    """The commands in capitals, and the points, absolute."""
    commands, found = "", []
    at = start = (x, y)
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", d):
        values = [float(n) for n in re.findall(r"-?[0-9.]+", numbers)]
        base = at if command.islower() else (x, y)
        points = [(base[0] + a, base[1] + b) for a, b in zip(values[::2], values[1::2], strict=True)]
        found += points
        at = points[-1] if points else start
        start = at if command in "Mm" else start
        commands += command.upper()
    return commands, found


@pytest.mark.parametrize("name", ["lecture/xor", "lecture/cubic"])
def test_all_shapes_stay_where_they_are(name: str) -> None:
    large = flowgraph.load(ROOT / f"examples/{name}.flow").draw().to_text("svg")
    small = slim(large)
    assert len(small) < 0.6 * len(large)
    before, after = drawn(large), drawn(small)
    assert len(before) == len(after) > 20
    for (one, a), (other, b) in zip(before, after, strict=True):
        assert one == other
        flat = [c for point in a for c in point]
        assert [c for point in b for c in point] == pytest.approx(flat, abs=0.02)


def test_an_outline_that_is_there_twice_is_written_once() -> None:
    paths = f'<path d="M 0 0 {LONG}"/><path d="M 0 0 {LONG}" style="fill: #fff"/>'
    small = slim(f"{HEAD}{paths}</svg>")
    assert small.count("<use") == 2 and small.count("<path") == 1
    elsewhere = shifted(f"M 0 0 {LONG}", 7.0)
    small = slim(f'{HEAD}<path d="M 0 0 {LONG}"/><path d="{elsewhere}"/></svg>')
    assert small.count("<use") == 2 and 'x="7" y="7"' in small
    assert drawn(small)[1][1][1] == pytest.approx((8.0, 9.0))


def test_the_version_of_matplotlib_is_not_in_it() -> None:
    large = flowgraph.load(ROOT / "examples/lecture/xor.flow").draw().to_text("svg")
    assert "atplotlib" in large and "atplotlib" not in slim(large)


def test_texts_stay_escaped() -> None:
    small = slim(f"{HEAD}<title>a &lt;b&gt; &amp; c</title></svg>")
    assert ElementTree.fromstring(small).findtext(f"{SVG}title") == "a <b> & c"


def test_what_is_no_svg_is_said() -> None:
    with pytest.raises(ValueError, match="no svg"):
        slim("<svg>")
