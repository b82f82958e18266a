"""What the tests of formats draw: the examples, and a picture of names that would break what is written."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import flowgraph
from flowgraph.draw import names
from flowgraph.draw.drawing import Drawing
from flowgraph.draw.picture import Frame, Item, Picture, Wire

WORDS = (
    'say "no"', "a\\", "</font><b>bold", "&amp; &", "\\N \\G \\n", "end", "graph", "subgraph", "style",
    "%% {init}", "#35; #quot;", "`code` *star* _low_ ~~", "1. item", "- item", "$x$ $$y$$", "a_b_{c}^d~",
    "[x] (y) {z} |", "semi; colon: -->", "line\nbreak\ttab", "é ñ ß ł", "中文 ξ₁ × ∂", "−1 ≤ x² ⋮",
    "100% #1 \\input{secret}", "~^~", "",
)  # fmt: skip
"""Of names, documentation and facts. The names of a diagram are ASCII words, so few of these get so far."""

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(FOLDER.rglob("*.flow"))
ONE_LAYER = "diagram one_layer\ninput x : [2]\nh = sigmoid(linear(x, 3))\n"


@cache
def drawn(path: Path) -> Drawing:
    """An example as it is drawn without options; laid out once, however many tests look at it."""
    return flowgraph.load(path).draw()


def hostile_picture() -> Picture:
    """Circles and boxes in two frames, all named by WORDS, in a ring's worth of wires."""
    frames = (
        Frame('f"1', "block", names.word(WORDS[0])),
        Frame("f\\2", "repeat", names.word(WORDS[2]), count=3, parent='f"1', depth=2),
    )
    items = tuple(
        Item(
            f"{number}{word}",
            "neuron" if number % 2 else "box",
            is_circle=bool(number % 2),
            name=word,
            label=names.word(word),
            operation=names.word(word),
            shape=word,
            params=(("W_1", f"[{word}]"),) if not number % 2 else (),
            facts=(("activation", "tanh"), ("said", word)),
            frame=("", frames[0].id, frames[1].id)[number % 3],
        )
        for number, word in enumerate(WORDS)
    )
    wires = tuple(
        Wire(f"{a.id}->{b.id}", a.id, b.id, label=names.word(a.name), facts=(("said", a.name),))
        for a, b in itertools.pairwise(items)
    )
    return Picture(WORDS[0], "\n".join(WORDS), items, wires, frames, remarks=WORDS)
