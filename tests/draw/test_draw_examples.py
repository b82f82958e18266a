"""Every example as a picture: nothing overlaps, nothing is loose."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowgraph
from flowgraph.draw.scene import faults

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.flow"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
@pytest.mark.parametrize("depth", [None, 0, 2])
def test_no_example_has_a_fault(path: Path, depth: int | None) -> None:
    scene = flowgraph.load(path).draw(depth=depth).scene
    assert faults(scene) == []
