"""The pictures of a page as its blocks fold and unfold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flowgraph
from flowgraph.draw.compose import compose
from flowgraph.draw.drawing import Drawing
from flowgraph.draw.picture import Picture
from flowgraph.draw.scene import faults
from flowgraph.draw.states import MOST_STATES, fold_to, is_cut, states

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("autoencoder", "bert", "gpt2", "llama", "lstm_chars", "residual", "resnet18", "unet", "vae", "vgg")

pytest.importorskip("pygraphviz", reason="Graphviz comes with the extra `draw`")


def drawn(name: str, **how: Any) -> Drawing:
    return flowgraph.load(ROOT / "examples" / "models" / f"{name}.flow").draw(**how)


def levels(drawing: Drawing) -> list[Picture]:
    """The pictures of each depth, to the one without folds."""
    found = [drawing.unfolded(0).picture]
    while any(item.kind == "fold" for item in found[-1].items):
        found.append(drawing.unfolded(len(found)).picture)
    return found


def opened(picture: Picture) -> frozenset[str]:
    return frozenset(frame.id for frame in picture.frames)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("grad", [False, True])
def test_folding_the_deepest_picture_gives_that_of_each_depth(name: str, grad: bool) -> None:
    found = levels(drawn(name, grad=grad))
    for picture in found:
        assert fold_to(found, opened(picture)) == picture


@pytest.mark.parametrize("name", MODELS)
def test_every_block_is_folded_in_one_state_and_unfolded_in_another(name: str) -> None:
    drawing = drawn(name)
    found = states(drawing)
    assert found[0] == drawing.picture
    sets = [opened(picture) for picture in found]
    assert len(set(sets)) == len(sets) <= MOST_STATES + len(levels(drawing))
    for frame in levels(drawing)[-1].frames:
        assert any(frame.id in each for each in sets) and any(frame.id not in each for each in sets)
    for picture in found:
        for frame in picture.frames:
            assert not frame.parent or frame.parent in opened(picture)


def test_where_there_are_few_blocks_each_folds_by_itself() -> None:
    sets = {opened(picture) for picture in states(drawn("gpt2"))}
    blocks = sorted(frame.id for frame in levels(drawn("gpt2"))[-1].frames)
    outer, attn, mlp = blocks
    assert sets == {
        frozenset(), frozenset([outer]), frozenset([outer, attn]), frozenset([outer, mlp]), frozenset(blocks)
    }  # fmt: skip


def test_where_there_are_many_each_unfolds_with_what_is_around_it() -> None:
    drawing = drawn("resnet18")
    deepest = levels(drawing)[-1]
    sets = {opened(picture) for picture in states(drawing)}
    assert len(sets) < 40
    for frame in deepest.frames:
        around, at = {frame.id}, frame.parent
        while at:
            around.add(at)
            at = deepest.frame_by_id[at].parent
        assert frozenset(around) in sets


@pytest.mark.parametrize("name", ["bert", "llama", "unet"])
def test_no_state_has_a_fault(name: str) -> None:
    for picture in states(drawn(name)):
        assert faults(compose(picture)) == []


def test_a_picture_of_another_depth_comes_first() -> None:
    drawing = drawn("gpt2", depth=0)
    assert states(drawing)[0] == drawing.picture
    assert {opened(p) for p in states(drawing)} == {opened(p) for p in states(drawn("gpt2"))}


def test_a_picture_whose_middle_is_folded_is_a_state_of_its_own(tmp_path: Path) -> None:
    names = [f"h{i}" for i in range(1500)]
    many = tmp_path / "many.flow"
    many.write_text(f"input x\nnode {', '.join(names)} : tanh\nx -[1]-> {', '.join(names)}\n")
    (only,) = states(flowgraph.load(many).draw())
    assert is_cut(only)
