"""What differs between two diagrams: nothing where they mean the same, else each thing once."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from diffs import BLOCKS, LEARNED, MLP, WIRED, XOR, lines, same
from processes import environment
from programs import random_program, random_wiring
from running import EXAMPLES

from flowgraph.diagram import load, loads
from flowgraph.diff.report import focused

# -- what means the same


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_file_does_not_differ_from_itself(name: str) -> None:
    diagram, again = load(EXAMPLES[name]), load(EXAMPLES[name])
    assert not diagram.diff(diagram) and not diagram.diff(again)


def test_wires_and_equations_of_one_network_are_the_same() -> None:
    assert same(XOR, WIRED)
    old, new = (load(EXAMPLES[name]) for name in ("xor", "xor_wires"))
    assert old.diff(new).text() == "no differences\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (XOR, "# a comment\n" + XOR.replace(" - ", "  -  ").replace("0.5", "5e-1")),
        (WIRED, WIRED.replace("x1, x2 -[1]-> h2", "x2 -[1]-> h2\nx1 -[1.0]-> h2")),
        (WIRED, "\n".join([*WIRED.splitlines()[:2], *reversed(WIRED.splitlines()[2:])])),
        (WIRED, WIRED.replace("node h1, h2, f", "node f, h2, h1")),
        (XOR, XOR.replace("input x1, x2", "input x2\ninput x1")),
        (MLP, MLP.replace("linear(x, H)", "linear(x, 6 / 2)")),
        (LEARNED, LEARNED + "train sgd(), epochs=10, batch=all, seed=0\n"),
        (LEARNED + "train sgd(lr=1), steps=5\n", LEARNED + "train sgd(lr=1.0, momentum=0), steps=5\n"),
        ("size T\ninput x : [T]\nf = sum(x)\n", "input x : [T]\nsize T\nf = sum(x)\n"),
        (BLOCKS, BLOCKS.replace("repeat 3", "repeat 1 + 2")),
    ],
)
def test_another_spelling_is_no_difference(old: str, new: str) -> None:
    assert same(old, new)


@pytest.mark.parametrize("seed", range(10))
def test_random_wirings_are_the_same_in_both_spellings(seed: int) -> None:
    assert same(*random_wiring(random.Random(seed)))


# -- nodes and wires


def test_an_activation_a_weight_and_a_wire() -> None:
    new = WIRED.replace("h1, h2, f : step", "h2, f : step\nnode h1 : leaky_relu(0.1)")
    new = new.replace("x1, x2 -[-1]-> h1", "x1 -[-2]-> h1").replace(
        "h1, h2 -[-1]-> f", "h1, h2, x1 -[-1]-> f"
    )
    assert lines(WIRED, new) == [
        "nodes",
        "~ h1 step -> leaky_relu(negative_slope=0.1)",
        "wires",
        "~ x1 -> h1 weight -1 -> -2",
        "- x2 -> h1 weight -1",
        "+ x1 -> f weight -1",
    ]


def test_a_weight_on_the_lectures_xor() -> None:
    assert lines(XOR, XOR.replace("0.5 - x1", "0.5 - 2 * x1")) == [
        "nodes",
        "~ h1 step(0.5 - x1 - x2) -> step(0.5 - 2 * x1 - x2)",
    ]
    assert lines(XOR, WIRED.replace("1 -[-1.5]-> h2", "1 -[-1.6]-> h2")) == [
        "wires",
        "~ 1 -> h2 weight -1.5 -> -1.6",
    ]


def test_a_new_circle_and_one_that_is_gone() -> None:
    new = WIRED.replace("h2", "g").replace("x1, x2 -[1]-> g", "x1 -[3]-> g").replace(": step", ": sign")
    found = lines(WIRED, new)
    assert "- h2 step, 3 wires" in found and "+ g sign, 2 wires" in found
    assert "+ x1 -> g weight 3" in found and "- x2 -> h2 weight 1" in found
    assert "- h2 -> f weight -1" in found and "+ g -> f weight -1" in found


def test_wires_of_single_circles_and_entries() -> None:
    old = "input x : [3]\nnode h[2] : tanh\nx[1] -[0.5]-> h[0]\n1 -[2]-> h[1]\n"
    assert lines(old, old.replace("x[1] -[0.5]", "x[2] -[0.5]").replace("-[2]", "-[3]")) == [
        "wires",
        "~ 1 -> h[1] weight 2 -> 3",
        "- x[1] -> h[0] weight 0.5",
        "+ x[2] -> h[0] weight 0.5",
    ]


def test_settings_and_operands_of_equations() -> None:
    old = "input x : [4], z : [4]\nf = softmax(x)\ng = x[1:3]\n"
    assert lines(old, old.replace("softmax(x)", "leaky_relu(z, 0.2)").replace("x[1:3]", "x[0:2]")) == [
        "nodes",
        "~ f softmax(x) -> leaky_relu(z, negative_slope=0.2)",
        "~ g x[1:3] -> x[0:2]",
    ]


def test_a_setting_that_expressions_do_not_say() -> None:
    text = "input x : [2]\nf = sum(relu(linear(x, 3)))\n"
    assert lines(text, text.replace("3", "4"))[-2:] == ["nodes", "~ f linear out 3 -> 4"]


def test_which_of_several_values_of_one_name() -> None:
    old = "input x\nu = tanh(x)\nv = u + 1\nu = tanh(v)\nf = u * 2\n"
    new = "input x\nu = tanh(x)\nv = u + 1\nf = u * 2\nu = tanh(v)\n"
    assert "~ f takes u (2) -> u" in lines(old, new)


def test_long_expressions_show_what_changed() -> None:
    old = "input x\nf = " + " + ".join(f"{n} * x" for n in range(2, 80)) + "\n"
    (heading, line) = lines(old, old.replace("40 * x", "41 * x", 1))
    assert heading == "nodes" and "40 * x" in line and len(line) < 160


def test_focused_keeps_the_difference() -> None:
    before, now = focused("a" * 100 + " b " + "c" * 100, "a" * 100 + " d " + "c" * 100)
    assert before.startswith("...") and " b " in before and " d " in now and len(before) < 200
    assert focused("short", "shorter") == ("short", "shorter")


# -- renames


def test_a_renamed_node_input_and_param() -> None:
    assert lines(XOR, XOR.replace("h2", "both")) == ["nodes", "> h2 -> both"]
    assert lines(WIRED, re.sub("x1", "a", WIRED)) == ["inputs", "> x1 -> a"]
    assert lines(LEARNED, re.sub(r"\bh\b", "g", LEARNED)) == [
        "params",
        "> b_h -> b_g",
        "> w_x_h -> w_x_g",
        "> w_h_f -> w_g_f",
        "nodes",
        "> h -> g",
    ]


def test_everything_renamed() -> None:
    new = re.sub(r"\b([xhf])(\d?)\b", r"n_\1\2", MLP)
    assert {change.way for change in loads(MLP).diff(loads(new)).changes} == {"renamed"}


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_renamed(seed: int) -> None:
    """Every name with another before it: nothing is added, removed or changed."""
    text = random_program(random.Random(seed))
    old = loads(text)
    names = {unit.name for unit in old.diff(old).levels[0].pairing.old.units if "." not in unit.name}
    names -= {"loss", "output", "metric"}
    found = old.diff(loads(re.sub(r"\b(" + "|".join(sorted(names)) + r")\b(?!\()", r"n_\1", text)))
    assert {change.way for change in found.changes} <= {"renamed"}, found.text()


def test_renamed_and_changed() -> None:
    new = XOR.replace("h1", "neither").replace("0.5 - x1 - x2", "0.6 - x1 - x2")
    assert lines(XOR, new) == ["nodes", "> h1 -> neither step(0.5 - x1 - x2) -> step(0.6 - x1 - x2)"]
    new = MLP.replace("h =", "g =").replace("linear(h", "linear(g").replace("H = 3", "H = 4")
    assert lines(MLP, new) == [
        "sizes",
        "~ H 3 -> 4",
        "params",
        "> h.linear.weight -> g.linear.weight shape [3, 2] -> [4, 2]",
        "> h.linear.bias -> g.linear.bias shape [3] -> [4]",
        "~ f.weight shape [1, 3] -> [1, 4]",
        "nodes",
        "> h -> g shape [3] -> [4]",
    ]


def test_another_operation_is_no_rename() -> None:
    assert lines(XOR, XOR.replace("h1 = step", "n = sign").replace("- h1", "- n")) == [
        "nodes",
        "- h1 step(0.5 - x1 - x2)",
        "+ n sign(0.5 - x1 - x2)",
        "~ f step(0.5 - h1 - h2) -> step(0.5 - n - h2)",
    ]


def test_sizes_and_consts_renamed() -> None:
    old = "size T, D = 2\nconst eps = 0.1\ninput x : [T, D]\nf = sum(x) * eps\n"
    new = old.replace("T", "N").replace("eps", "tiny").replace("D", "W")
    assert lines(old, new) == ["sizes", "> T -> N", "> D -> W", "consts", "> eps -> tiny"]


def test_a_renamed_block_and_repeat() -> None:
    new = BLOCKS.replace("mix", "blend").replace("as h", "as k")
    found = lines(BLOCKS, new)
    assert found[found.index("blocks") :] == ["blocks", "> mix -> blend", "repeats", "> h -> k"]
    assert "> h.{0..2}.z.y.linear.weight -> k.{0..2}.z.y.linear.weight" in found


def test_a_block_that_was_renamed_and_changed() -> None:
    new = BLOCKS.replace("mix", "blend").replace("relu", "tanh")
    found = lines(BLOCKS, new)
    assert found[:2] == ["blocks", "> mix -> blend"]
    assert found[-2:] == ["nodes", "~ y relu(linear(x)) -> tanh(linear(x))"] and "in block blend:" in found


# -- the whole


def test_every_pair_of_examples_differs() -> None:
    found = [load(path) for path in EXAMPLES.values()]
    for number, old in enumerate(found):
        new = found[(number + 1) % len(found)]
        difference = old.diff(new)
        told = difference.text()
        assert difference and told.endswith(f"{difference.summary()}\n")
        assert all(n.before != n.now for c in difference.changes for n in c.notes)


@pytest.mark.parametrize("seed", range(8))
def test_a_changed_number_is_seen(seed: int) -> None:
    """Any number of a random program, changed: either nothing of the graph is, or something is told."""
    rng = random.Random(seed)
    text = random_program(rng)
    old = loads(text)
    places = list(re.finditer(r"(?<![\w.\[])(\d+\.\d+)(?![\w.\]])", text))
    for place in rng.sample(places, min(3, len(places))):
        new = loads(f"{text[: place.start()]}{float(place[1]) + 0.125}{text[place.end() :]}")
        assert old.diff(new)


def test_the_report_is_the_same_whatever_the_hash_seed() -> None:
    code = f"from flowgraph.diagram import loads; print(loads({MLP!r}).diff(loads({BLOCKS!r})).text())"
    found = set()
    for seed in ("0", "1"):
        place = environment(PYTHONHASHSEED=seed)
        done = subprocess.run([sys.executable, "-c", code], env=place, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1 and "difference" in found.pop()


def test_a_large_diagram_is_no_trouble() -> None:
    def chain(name: str, count: int) -> str:
        first = f"input x\n{name}0 = tanh(x)\n"
        return first + "".join(f"{name}{n} = tanh({name}{n - 1}) + x\n" for n in range(1, count))

    found = loads(chain("a", 1500)).diff(loads(chain("b", 1501)))
    assert sum(c.way == "renamed" for c in found.changes) == 1500
    assert [c.name for c in found.changes if c.way == "added"] == ["b1500", "b1500"]


def test_a_drawing_without_a_name_is_not_renamed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.flow").write_text(XOR)
    assert not load(tmp_path / "a.flow").diff(load(tmp_path / "b.flow"))
