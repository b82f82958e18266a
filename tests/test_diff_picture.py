"""Two diagrams in one picture: everything of both once, what differs marked in colours and in words."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from diffs import BLOCKS, GPT2, LEARNED, MLP, WIRED, XOR
from running import EXAMPLES

from flowgraph.cli.main import main
from flowgraph.diagram import load, loads
from flowgraph.draw.formats import WRITERS
from flowgraph.draw.names import plain
from flowgraph.draw.picture import Picture
from flowgraph.draw.theme import ROLES

needs_layout = pytest.mark.skipif(
    importlib.util.find_spec("pygraphviz") is None, reason="pygraphviz is not installed"
)


def picture(old: str, new: str, settings: Mapping[str, Any] | None = None, **looks: Any) -> Picture:
    return loads(old).diff(loads(new, settings=settings)).draw(**looks).picture


def tones(drawn: Picture) -> dict[str, str]:
    """What differs, by id."""
    return {each.id: each.tone for each in (*drawn.items, *drawn.wires) if each.tone}


def test_a_picture_of_no_differences_is_that_of_the_diagram() -> None:
    drawn = picture(XOR, WIRED)
    assert not tones(drawn)
    assert [item.id for item in drawn.items] == [item.id for item in loads(WIRED).draw().picture.items]


def test_nodes_and_wires_of_every_tone() -> None:
    new = WIRED.replace("h2", "both").replace("x1, x2 -[-1]-> h1", "x1 -[-2]-> h1")
    new = new.replace("h1, both, f : step", "both, f : step\nnode h1, g : tanh\nx1 -[1]-> g")
    drawn = picture(WIRED, new)
    assert tones(drawn) == {
        "both": "renamed",
        "h1": "changed",
        "g": "added",
        "x1->h1": "changed",
        "@old/x2->h1": "removed",
        "x1->g": "added",
    }
    notes = {item.id: [plain(note) for note in item.notes] for item in drawn.items if item.notes}
    assert notes == {"both": ["was h₂"], "h1": ["step → tanh"], "g": ["new"]}
    labels = {wire.id: plain(wire.label) for wire in drawn.wires}
    assert labels["x1->h1"].replace(" ", "") == "−1→−2" and labels["@old/x2->h1"] == "−1"


def test_what_is_gone_keeps_its_place_and_its_wires() -> None:
    new = "input x1\nnode f : step\n1 -[0.5]-> f\nx1 -[-1]-> f\n"
    drawn = picture(WIRED, new)
    gone = {name for name, tone in tones(drawn).items() if tone == "removed"}
    assert {"@old/x2", "@old/h1", "@old/h2"} <= gone
    wires = {(wire.source, wire.target): wire.tone for wire in drawn.wires}
    assert wires["x1", "@old/h1"] == wires["@old/h1", "f"] == "removed" and wires["x1", "f"] == "added"
    assert any(source.startswith("@old/1") and target == "@old/h1" for source, target in wires)


def test_a_wider_layer_of_circles() -> None:
    drawn = picture(LEARNED, LEARNED.replace("h[2]", "h[3]"))
    found = tones(drawn)
    assert found["h[2]"] == "added" and "h[0]" not in found and found["x[0]->h[2]"] == "added"
    assert all(wire.tone in ("", "added") for wire in drawn.wires)


def test_boxes_tell_shapes_of_values_and_params() -> None:
    drawn = picture(MLP, MLP, {"H": 4}, scale="layers")
    (box,) = [item for item in drawn.items if item.name == "h"]
    assert box.tone == "changed" and plain(box.notes[0]).split() == ["shape", "[3]", "→", "[4]"]
    assert box.params[0][1] == "[3, 2] -> [4, 2]" and ("change", "shape [3] -> [4]") in box.facts


def test_a_circle_that_became_a_box_is_a_box_in_both() -> None:
    new = "input x1, x2\nh1 = step(0.5 - x1 - x2)\nh2 = step(-1.5 + x1 * x2)\nf = step(0.5 - h1 - h2)\n"
    drawn = picture(XOR, new)
    assert tones(drawn)["h2"] == "changed"
    assert {item.id for item in drawn.items} >= {"h1", "h2", "f"}
    assert not any(item.id.startswith("@old/") for item in drawn.items)


def test_blocks_folded_and_unfolded() -> None:
    new = BLOCKS.replace("relu", "gelu").replace("repeat 3", "repeat 5")
    folded = picture(BLOCKS, new, depth=0)
    (fold,) = [item for item in folded.items if item.kind == "fold"]
    assert fold.tone == "changed" and [plain(note) for note in fold.notes] == [
        "3 → 5 times",
        "changed inside",
    ]
    unfolded = picture(BLOCKS, new, depth=2)
    (frame,) = [frame for frame in unfolded.frames if frame.kind == "repeat"]
    assert "3→5" in plain(frame.title).replace(" ", "")
    changed = [item for item in unfolded.items if item.tone]
    assert [(item.name, plain(item.notes[0])) for item in changed] == [("y", "relu → gelu")]


def test_a_block_that_is_gone_keeps_its_frame() -> None:
    drawn = picture(BLOCKS, "input x : [4]\nf = sum(x)\n", depth=2)
    frames = {frame.id for frame in drawn.frames}
    assert frames and all(frame.startswith("@old/") for frame in frames)
    assert {item.frame for item in drawn.items} - {""} <= frames


@pytest.mark.parametrize(("old", "new"), [("xor", "xor_learned"), ("iris", "softmax"), ("lenet", "digits")])
def test_pictures_are_whole(old: str, new: str) -> None:
    """Ids are unique, ends and frames are there, roles are of the theme."""
    for depth in (None, 0, 2):
        drawn = load(EXAMPLES[old]).diff(load(EXAMPLES[new])).draw(depth=depth).picture
        ids = [each.id for each in (*drawn.items, *drawn.wires)]
        assert len(ids) == len(set(ids)) and drawn.items
        assert all(wire.source in drawn.by_id and wire.target in drawn.by_id for wire in drawn.wires)
        assert {item.frame for item in drawn.items} <= {"", *(frame.id for frame in drawn.frames)}
        assert {each.tone for each in (*drawn.items, *drawn.wires)} - {""} <= set(ROLES)


def test_a_model_at_two_sizes_is_drawn_once() -> None:
    small, large = (
        load(GPT2, settings={"V": 50, "P": 16, "H": 2, "D": size, "L": size // 12}) for size in (24, 36)
    )
    drawn = small.diff(large).draw().picture
    assert not any(item.id.startswith("@old/") for item in drawn.items)
    assert {item.tone for item in drawn.items} == {"", "changed"}


@needs_layout
def test_every_format_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = str(EXAMPLES["xor"]), str(EXAMPLES["xor_learned"])
    for format in WRITERS:
        out = tmp_path / f"out.{format}"
        assert main(["diff", old, new, "-o", str(out)]) == 0
        assert out.stat().st_size > 500
        assert capsys.readouterr().out.endswith("changed\n")


@needs_layout
@pytest.mark.parametrize("seed", range(3))
def test_no_label_lies_on_another(seed: int) -> None:
    from flowgraph.draw.scene import faults

    weights = [f"{0.5 + 0.25 * (seed + n)}" for n in range(3)]
    new = WIRED.replace("0.5", weights[0], 1).replace("-1.5", weights[1]).replace("h2", "g")
    assert not faults(loads(WIRED).diff(loads(new)).draw().scene)


def test_the_picture_is_not_written_over_a_file_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.svg"
    path.write_text(XOR)
    assert main(["diff", str(EXAMPLES["xor"]), str(path), "-o", str(path)]) == 1
    assert "would be overwritten" in capsys.readouterr().err and path.read_text() == XOR


def test_a_format_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.flow", "b.flow", "-o", "out.gif"]) == 2
    assert "`.gif` is none" in capsys.readouterr().err


def test_looks_that_are_not_known() -> None:
    found = loads(XOR).diff(loads(WIRED))
    with pytest.raises(ValueError, match="no scale"):
        found.draw(scale="large")
    with pytest.raises(ValueError, match="no theme"):
        found.draw(theme="blue")
