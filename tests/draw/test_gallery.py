"""The gallery in docs is that of the examples as they are."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from flowgraph.draw.theme import DARK

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 120_000
"""Bytes of a picture: a page of them should load at once."""

pytest.importorskip("pygraphviz", reason="Graphviz comes with the extra `draw`")


@pytest.fixture(scope="module")
def gallery() -> Iterator[ModuleType]:
    """The script docs/make_gallery.py as a module."""
    spec = importlib.util.spec_from_file_location("make_gallery", ROOT / "docs" / "make_gallery.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def found(gallery: ModuleType) -> list[object]:
    return gallery.examples()


@pytest.fixture
def copy(gallery: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the script takes for docs."""
    monkeypatch.setattr(gallery, "PAGE", tmp_path / "gallery.md")
    monkeypatch.setattr(gallery, "PICTURES", tmp_path / "gallery")
    monkeypatch.setattr(gallery, "DOCS", tmp_path)
    return tmp_path


def test_the_gallery_is_current(gallery: ModuleType, found: list[object]) -> None:
    assert gallery.stale(found) == [], "run `python docs/make_gallery.py` and look at the pictures"


def test_every_example_has_a_small_picture_and_is_on_the_page(gallery: ModuleType) -> None:
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    for path in (ROOT / "examples").rglob("*.flow"):
        picture = gallery.PICTURES / f"{path.stem}.svg"
        assert f"(../{path.relative_to(ROOT).as_posix()})" in page
        assert f"](gallery/{picture.name})" in page
        assert picture.stat().st_size < LARGEST
        ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    linked = re.findall(r"\]\(([^)]+)\)", page)
    assert [name for name in linked if not (ROOT / "docs" / name).exists()] == []


def test_what_is_written_is_current_and_written_alike_again(
    gallery: ModuleType, found: list[object], copy: Path
) -> None:
    few = [example for example in found if example.path.stem in ("xor", "residual")]
    assert len(gallery.stale(few)) == 3
    gallery.write(few)
    assert gallery.stale(few) == []
    before = {file: file.read_bytes() for file in copy.rglob("*.*")}
    gallery.write(few)
    assert {file: file.read_bytes() for file in copy.rglob("*.*")} == before


def test_the_picture_of_an_example_that_is_gone_is_stale_and_removed(
    gallery: ModuleType, found: list[object], copy: Path
) -> None:
    few = [example for example in found if example.path.stem in ("xor", "or")]
    gallery.write(few)
    assert [line for line in gallery.stale(few[:1]) if "belongs to no example" in line] != []
    gallery.write(few[:1])
    assert len(list(copy.rglob("*.svg"))) == 1


def test_another_version_of_what_lays_out_makes_no_picture_stale(gallery: ModuleType) -> None:
    now = gallery.Stamp("a", "b", "matplotlib 1")
    assert gallery.Stamp("a", "b", "matplotlib 1").is_current(now)
    assert gallery.Stamp("a", "x", "matplotlib 2").is_current(now)
    assert not gallery.Stamp("a", "x", "matplotlib 1").is_current(now)
    assert not gallery.Stamp("x", "b", "matplotlib 2").is_current(now)


def test_a_stamp_follows_names_weights_colours_and_places(gallery: ModuleType, found: list[object]) -> None:
    example = next(e for e in found if e.path.stem == "xor")
    drawing = example.drawing
    stamp = example.stamp

    def stamped(**changes: object) -> object:
        scene = replace(drawing.scene, **changes)
        other = replace(drawing)
        other.__dict__["scene"] = scene
        return replace(example, drawing=other).stamp

    texts = drawing.scene.texts
    assert stamped() == stamp
    moved = stamped(texts=(replace(texts[0], x=texts[0].x + 1), *texts[1:]))
    assert moved.shows == stamp.shows and moved.page != stamp.page
    nudged = stamped(texts=(replace(texts[0], x=texts[0].x + 1e-9), *texts[1:]))
    assert nudged == stamp
    named = stamped(texts=(replace(texts[0], tex="y"), *texts[1:]))
    assert named.shows != stamp.shows and named.page != stamp.page
    dark = replace(example, drawing=replace(drawing, theme=DARK))
    assert dark.stamp.shows != stamp.shows
