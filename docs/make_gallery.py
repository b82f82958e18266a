"""The gallery: a picture of every example, and the page that shows them.

    python docs/make_gallery.py            writes docs/gallery.md and docs/gallery/*.svg
    python docs/make_gallery.py --check    says what is not current, and exits with 1 if anything is

Needs the extra `draw`. A picture holds two digests: of what it shows (names, weights, colours), and of the
page as it was laid out. The first must always be that of the example; the second too where matplotlib and
pygraphviz, which measure and lay out, are the versions that the picture was made with. So no picture is out
of date because somebody has another version, and none need be made again for it.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import flowgraph
from flowgraph.draw.drawing import Drawing
from flowgraph.draw.slim import slim

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGE, PICTURES = DOCS / "gallery.md", DOCS / "gallery"
GROUPS = {
    "lecture": "The lecture",
    "": "Learning from a file",
    "models": "Models",
}
"""Folders of the examples and their titles; what is in none of them is in that of no name."""
HEAD = """# Gallery

Every example, as `flowc draw FILE -o OUT.svg` draws it: circles where the diagram is drawn neuron by neuron,
boxes where it is written in layers, frames around the blocks that are unfolded. [draw.md](draw.md) is about
the command. The page and its pictures are made by `python docs/make_gallery.py`.
"""
ENGINES = ("matplotlib", "pygraphviz")
"""What measures texts and lays out: another version may place things elsewhere."""
GRAIN, OFFSET = 0.1, 0.0371
"""Places are compared up to so many points. The offset keeps those that are round numbers off the border."""
STAMP = re.compile(r"<!-- flowgraph gallery: shows ([0-9a-f]+), page ([0-9a-f]+), drawn with (.*?) -->")


@dataclass(frozen=True)
class Stamp:
    """What a picture was made of: digests of what it shows and of its page, and the engines' versions."""

    shows: str
    page: str
    engines: str

    def __str__(self) -> str:
        return f"<!-- flowgraph gallery: shows {self.shows}, page {self.page}, drawn with {self.engines} -->"

    def is_current(self, now: Stamp) -> bool:
        """Whether a picture of this stamp still shows what it would show now."""
        if self.shows != now.shows:
            return False
        return self.page == now.page or self.engines != now.engines


@dataclass(frozen=True)
class Example:
    """A diagram, and where its picture is."""

    path: Path
    doc: str
    drawing: Drawing

    @property
    def picture(self) -> Path:
        return PICTURES / f"{self.path.stem}.svg"

    @property
    def stamp(self) -> Stamp:
        engines = ", ".join(f"{name} {version(name)}" for name in ENGINES)
        parts = list(displayed(self.drawing))
        shows, place = [_shown(part) for part in parts], [_placed(part) for part in parts]
        return Stamp(_digest(repr(shows)), _digest(repr(place)), engines)


def examples() -> list[Example]:
    """All examples in the order of the page. Raises ValueError where two would have the same picture."""
    found = []
    for path in sorted((ROOT / "examples").rglob("*.flow")):
        diagram = flowgraph.load(path)
        found.append(Example(path, diagram.graph.doc or diagram.graph.name, diagram.draw()))
    pictures = [example.picture for example in found]
    if len(set(pictures)) < len(pictures):
        raise ValueError("two examples have the same name: their pictures would be one file")
    return sorted(found, key=lambda example: list(GROUPS).index(group(example)))


def group(example: Example) -> str:
    """The key in GROUPS."""
    folder = example.path.parent.name
    return folder if folder in GROUPS else ""


# ---------------------------------------------------------------------------------------
# Digests


def displayed(drawing: Drawing) -> Iterator[Any]:
    """Everything that a renderer is told."""
    scene, theme = drawing.scene, drawing.theme
    yield from (theme.page, scene.width, scene.height)
    things: list[Any] = [
        *scene.frames,
        *scene.arrows,
        *scene.circles,
        *scene.boxes,
        *scene.curves,
        *scene.texts,
    ]
    yield from things
    yield from (theme[role] for role in dict.fromkeys(thing.role for thing in things))


def _shown(value: Any) -> Any:
    """A value without places and sizes."""
    if is_dataclass(value):
        return [_shown(getattr(value, field.name)) for field in fields(value)]
    return None if isinstance(value, float | tuple) else value


def _placed(value: Any) -> Any:
    """A value with places and sizes in whole grains."""
    if is_dataclass(value):
        return [_placed(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, tuple):
        return [_placed(each) for each in value]
    return math.floor((value + OFFSET) / GRAIN) if isinstance(value, float) else value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---------------------------------------------------------------------------------------
# Files


def page(found: list[Example]) -> str:
    """The text of docs/gallery.md."""
    out = [HEAD]
    for key, title in GROUPS.items():
        members = [example for example in found if group(example) == key]
        out += [f"## {title}", ""] if members else []
        for example in members:
            source = example.path.relative_to(ROOT).as_posix()
            said = re.sub(r"([\\`*_\[\]<>])", r"\\\1", example.doc)
            out += [
                f"### [{example.path.stem}](../{source})",
                "",
                f"{said}.",
                "",
                f"![{said}](gallery/{example.picture.name})",
                "",
            ]
    return "\n".join(out)


def picture(example: Example) -> str:
    """The text of an example's svg."""
    return slim(example.drawing.to_text("svg")) + f"{example.stamp}\n"


def stamp_of(file: Path) -> Stamp | None:
    """The stamp of a picture, None where there is no picture or none of ours."""
    found = STAMP.search(file.read_text(encoding="utf-8")) if file.exists() else None
    return Stamp(*found.groups()) if found else None


def stale(found: list[Example]) -> list[str]:
    """What is not current, one line each."""
    out = []
    for example in found:
        there = stamp_of(example.picture)
        if there is None or not there.is_current(example.stamp):
            out.append(f"{example.picture.relative_to(DOCS)} is not current")
    known = {example.picture for example in found}
    out += [f"{file.relative_to(DOCS)} belongs to no example" for file in _pictures() if file not in known]
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(found):
        out.append(f"{PAGE.relative_to(DOCS)} is not current")
    return out


def write(found: list[Example]) -> None:
    """Write all of it, and remove the pictures of examples that are gone."""
    PICTURES.mkdir(exist_ok=True)
    known = {example.picture for example in found}
    for file in _pictures():
        if file not in known:
            file.unlink()
    for example in found:
        example.picture.write_text(picture(example), encoding="utf-8", newline="\n")
    PAGE.write_text(page(found), encoding="utf-8", newline="\n")


def _pictures() -> list[Path]:
    return sorted(PICTURES.glob("*.svg"))


def main(arguments: list[str] | None = None) -> int:
    """The command. 1 where --check finds something, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and say what is not current")
    is_check = parser.parse_args(arguments).check
    found = examples()
    if not is_check:
        write(found)
        print(f"{len(found)} pictures")
        return 0
    missing = stale(found)
    for line in missing:
        print(f"{line}: run `python docs/make_gallery.py`", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
