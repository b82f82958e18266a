"""What differs in shapes, params, sizes, results, training and data."""

from __future__ import annotations

import re

from diffs import GPT2, LEARNED, MLP, XOR, lines

from flowgraph.diagram import load

# -- shapes, params, sizes


def test_a_layers_width() -> None:
    assert lines(MLP, MLP, H=4) == [
        "sizes",
        "~ H 3 -> 4",
        "params",
        "~ h.linear.weight shape [3, 2] -> [4, 2]",
        "~ h.linear.bias shape [3] -> [4]",
        "~ f.weight shape [1, 3] -> [1, 4]",
        "nodes",
        "~ h shape [3] -> [4]",
    ]


def test_initial_values_and_what_is_frozen() -> None:
    old = "input x : [2]\ntarget y : [3]\nparam W : [3, 2] = glorot()\nf = W @ x\nloss mse(f, y)\n"
    old += "train sgd(), steps=1\n"
    new = old.replace("glorot()", "he()").replace("steps=1", 'steps=1, freeze="W"')
    assert lines(old, new) == [
        "params",
        "~ W initially glorot -> he, learns -> frozen",
        "train",
        '~ freeze none -> "W"',
    ]


def test_types_of_inputs_and_targets() -> None:
    old = 'input x : [2]\ntarget y : class("a", "b")\nf = x\nloss cross_entropy(f, y)\n'
    new = old.replace('"b"', '"c"').replace("x : [2]", "x : [2], s : int").replace("f = x", "f = x + s")
    assert lines(old, new)[:4] == [
        "inputs",
        "+ s int",
        "targets",
        '~ y type class("a", "b") -> class("a", "c")',
    ]


def test_a_model_at_two_sizes() -> None:
    small = load(GPT2, settings={"L": 2, "D": 24, "H": 2, "V": 50, "P": 16})
    large = load(GPT2, settings={"L": 4, "D": 36, "H": 2, "V": 50, "P": 16})
    found = small.diff(large)
    told = re.sub(" +", " ", found.text())
    assert "~ h.{0..1}.attn.c_attn.weight shape [72, 24] -> [108, 36]" in told
    assert "+ h.{2..3}.mlp.c_fc.bias [144] = uniform(a=-0.1667, b=0.1667)" in told
    assert "repeats\n ~ h 2 times -> 4 times" in told
    assert told.count("in block attend:") == 1 and "> " not in told.replace("->", "")
    params = [c for c in found.changes if c.kind == "param"]
    assert len(params) == 28 + 24 and {c.way for c in params} == {"added", "changed"}


def test_a_repeat_of_one_round_is_a_repeat() -> None:
    one = load(GPT2, settings={"L": 1, "D": 24, "H": 2, "V": 50, "P": 16})
    two = load(GPT2, settings={"L": 2, "D": 24, "H": 2, "V": 50, "P": 16})
    told = one.diff(two)
    assert {(c.way, c.kind) for c in told.changes} == {
        ("changed", "size"),
        ("changed", "repeat"),
        ("added", "param"),
    }
    assert "h  1 time -> 2 times" in told.text()


def test_forms_of_a_block_are_told_apart() -> None:
    text = "input x : [2], z : [3]\nblock f(x : [d]) -> [d] {\n  y = tanh(x)\n  return y * 2\n}\n"
    text += "a = f(x)\nb = f(z)\n"
    assert lines(text, text.replace("tanh", "relu")) == [
        "in block f:",
        "nodes",
        "~ y tanh(x) -> relu(x)",
    ]
    found = lines(text, text.replace("x : [2], z : [3]", "x : [4], z : [5]"))
    assert "in block f (a):" in found and "in block f (b):" in found


# -- results, training, data


def test_results() -> None:
    old = "input x\ntarget y\nf = tanh(x)\noutput f, d = 2 * f\nloss mse(f, y)\nmetric mae(f, y)\n"
    new = "input x\ntarget y\nf = tanh(x)\noutput f\nloss huber(f, y) by sum\nloss l1 = mae(f, y)\n"
    assert lines(old, new) == [
        "nodes",
        "- d 2 * f",
        "+ l1 mae(f, y)",
        "outputs",
        "- d",
        "losses",
        "~ loss mse(f, y) -> huber(f, y), over the batch mean -> sum",
        "+ l1",
        "metrics",
        "- mae mae(f, y)",
    ]


def test_the_order_of_outputs() -> None:
    old = "input x\na = tanh(x)\nb = relu(x)\noutput a, b\n"
    assert lines(old, old.replace("output a, b", "output b, a")) == ["outputs", "~ order a, b -> b, a"]


def test_training_and_data() -> None:
    old = LEARNED + 'train sgd(lr=0.3), steps=20, batch=all\ndata "a.csv" split 0.8\n'
    new = LEARNED + 'train sgd(lr=cosine(0.1, steps=9)), epochs=2, batch=4\ndata "b.csv"\n'
    assert lines(old, new) == [
        "train",
        "~ lr 0.3 -> cosine(lr=0.1, steps=9), epochs none -> 2, steps 20 -> none, batch all -> 4",
        "data",
        '~ "a.csv" split 0.8 -> "b.csv"',
    ]
    table = XOR + "data {\n x1 x2\n 0 0\n 0 1\n}\n"
    assert lines(table, table.replace("0 1", "1 1")) == [
        "data",
        "~ values table of 2 rows (x1 x2) -> the same of other values",
    ]
    assert lines(XOR, table) == ["data", "+ table of 2 rows (x1 x2)"]


def test_heads_and_requirements() -> None:
    old = 'diagram a "one"\nsize T\nrequire T > 1, "short"\ninput x : [T]\nf = sum(x)\n'
    new = old.replace("one", "two").replace("T > 1", "T > 2")
    assert lines(old, new) == [
        "diagram",
        '~ title "one" -> "two"',
        "requirements",
        "- T > 1 short",
        "+ T > 2 short",
    ]
