"""A small svg out of matplotlib's: the same picture in half of the bytes.

Assumes svg as `figure` makes it: paths of absolute M, L, C, Q and z, and no clipping but at the page's edge.
Promises the same shapes to two decimals; that an outline which is there more than once, such as the rim of a
digit, is written once; an element a line; and bytes that do not name the version of matplotlib.
"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from .svg_markup import PLACES, number

COMMAND = re.compile(r"([MLCQz])([^MLCQz]*)")
DECIMALS = re.compile(r"-?[0-9]+\.[0-9]+")
ROUNDED = ("width", "height", "viewBox", "x", "y", "r")
LEFT_OUT = ("metadata", "clipPath")
SHORTEST = 60
"""Outlines of fewer letters are not worth a reference."""


def slim(svg: str) -> str:
    """The small svg. Raises ValueError for what is no svg of matplotlib's."""
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise ValueError(f"no svg: {error}") from None
    _tidy(root)
    shared = _share([path for path in root.iter("path") if "id" not in path.attrib])
    if shared:
        defs = Element("defs")
        defs[:] = shared
        root.append(defs)
    root.attrib = {"xmlns": "http://www.w3.org/2000/svg", **root.attrib}
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>").replace("><", ">\n<") + "\n"


def _local(name: str) -> str:
    """A name without its namespace."""
    return name.rpartition("}")[2]


def _tidy(element: Element) -> None:
    """Leave out what shows nothing, in an element and all within, and round its numbers."""
    element.tag = _local(element.tag)
    element.attrib = {_local(key): value for key, value in element.attrib.items() if key != "clip-path"}
    for key in ROUNDED:
        if key in element.attrib:
            element.attrib[key] = DECIMALS.sub(lambda m: number(float(m[0])), element.attrib[key])
    element.tail = None
    if element.tag not in ("title", "style"):
        element.text = None
    kept: list[Element] = []
    for child in element:
        _tidy(child)
        is_bare = child.tag in ("g", "defs") and not child.attrib.keys() - {"id"}
        if child.tag in LEFT_OUT or (is_bare and not len(child)):
            continue
        kept += list(child) if is_bare and child.tag == "g" else [child]
    element[:] = kept
    if "id" in element.attrib and "d" in element.attrib:
        element.attrib["d"] = _packed(element.attrib["d"])


def _share(paths: list[Element]) -> list[Element]:
    """Round paths, and give those that are the same but for their place a reference to one of them."""
    starts = [_start(path.attrib["d"]) for path in paths]
    outlines = [_packed(path.attrib["d"], x, y) for path, (x, y) in zip(paths, starts, strict=True)]
    counts = Counter(outlines)
    names: dict[str, str] = {}
    for path, outline, (x, y) in zip(paths, outlines, starts, strict=True):
        if counts[outline] < 2 or len(outline) < SHORTEST:
            path.attrib["d"] = _packed(path.attrib["d"])
            continue
        name = names.setdefault(outline, f"outline{len(names)}")
        path.tag = "use"
        del path.attrib["d"]
        path.attrib |= {"href": f"#{name}", "x": number(x), "y": number(y)}
    return [Element("path", {"id": name, "d": outline}) for outline, name in names.items()]


def _start(d: str) -> tuple[float, float]:
    """The first point of a path."""
    x, y = d[1:].split(maxsplit=2)[:2]
    return float(x), float(y)


def _packed(d: str, x: float = 0.0, y: float = 0.0) -> str:
    """A path whose numbers are rounded, each point from the one before it, and of which x, y is the origin.

    Points are rounded before they are subtracted, so that errors do not add up.
    """
    out = ""
    at = start = (0.0, 0.0)
    for command, numbers in COMMAND.findall(d):
        values = [float(value) for value in numbers.split()]
        points = [
            (round(px - x, PLACES), round(py - y, PLACES))
            for px, py in zip(values[::2], values[1::2], strict=True)
        ]
        said = [number(coordinate) for px, py in points for coordinate in (px - at[0], py - at[1])]
        out += command.lower() + "".join(
            value if n == 0 or value[0] == "-" else f" {value}" for n, value in enumerate(said)
        )
        at = points[-1] if points else start
        start = at if command == "M" else start
    return "M" + out[1:]
