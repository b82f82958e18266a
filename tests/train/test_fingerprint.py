"""What a checkpoint belongs to, and what is said where a run is another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowgraph.diagram import loads
from flowgraph.errors import FlowError
from flowgraph.train.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from flowgraph.train.fingerprint import MAX_SHOWN, check_same, describe, differences, fingerprint

FILE = """\
size D = 4
input x : [D]
target y : class("a", "b", "c")
param W : [3, _] = glorot()
param c : [3] = 0
h = relu(W @ x + 0.5)
u = 2 * h + c
output u
loss cross_entropy(u, y)
train sgd(lr=cosine(0.1, steps=20), momentum=0.9)
"""


def description(*changes: tuple[str, str], data: Any = None, **settings: Any) -> dict[str, Any]:
    """Of FILE with parts of its text replaced, and other settings than the usual."""
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    diagram = loads(text)
    assert diagram.program.training is not None
    usual = {
        "optimiser": diagram.program.training.optimiser, "batch": None, "seed": 0, "clip": None,
        "frozen": (), "dtype": "float32", "target": "numpy", "steps": 100, "epochs": None,
    }  # fmt: skip
    return describe(diagram.graph, usual | settings, data or {"count": 150, "digest": "ab"})


def changed(*changes: tuple[str, str], **others: Any) -> list[str]:
    """What is said to differ."""
    old, new = description(), description(*changes, **others)
    found = differences(old, new)
    assert (fingerprint(old) == fingerprint(new)) == (found == [])
    return found


# -- the description


def test_a_description_is_plain_json() -> None:
    made = description()
    assert json.loads(json.dumps(made)) == made
    assert made["inputs"] == {"x": "real[4]"}
    assert made["targets"] == {"y": "class(a, b, c)"}
    assert made["params"] == {"W": [3, 4], "c": [3]}
    assert made["settings"]["optimiser"]["lr"] == {"name": "cosine", "lr": 0.1, "steps": 20, "final": 0}
    assert "h: real[3] = relu(%add)" in made["graph"]["lines"]


def test_a_description_survives_a_checkpoint(tmp_path: Path) -> None:
    made = description(seed=2**80, clip=0.1 + 0.2)
    back = read_checkpoint(write_checkpoint(tmp_path, 1, Checkpoint({}, {"of": made}))).about["of"]
    assert back == made and fingerprint(back) == fingerprint(made) and differences(back, made) == []


def test_the_fingerprint_does_not_depend_on_the_hash_seed() -> None:
    code = "import test_fingerprint as t; print(t.fingerprint(t.description()))"
    said = set()
    for seed in "12":
        path = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
        env = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(path)}
        command = [sys.executable, "-c", code]
        said.add(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
    assert said == {fingerprint(description()) + "\n"}


def test_the_length_of_a_run_is_no_part_of_it() -> None:
    assert changed(steps=5, epochs=7) == []
    check_same(description(), description(steps=5), "a")


@pytest.mark.parametrize(
    "changes",
    [
        [("size D = 4\n", "# a remark\nsize D = 4\n")],
        [("h = relu(W @ x + 0.5)", "h = (  relu(W @ x\n + 0.5))")],
        [("lr=cosine(0.1, steps=20)", "cosine(lr=0.1, steps=20, final=0.0)")],
        [("size D = 4\n", 'diagram other "another name"\nsize D = 4\n')],
    ],
)
def test_what_changes_no_step_is_no_difference(changes: list[tuple[str, str]]) -> None:
    assert changed(*changes) == []


def test_one_and_one_point_zero_are_one_setting() -> None:
    assert fingerprint(description(clip=1)) == fingerprint(description(clip=1.0))


# -- differences


def test_shapes_and_names_of_params() -> None:
    assert changed(("size D = 4", "size D = 5")) == [
        "the input `x` was real[4], now real[5]",
        "the param `W` was [3, 4], now [3, 5]",
        "the line of sizes was `D = 4`, now `D = 5`",
    ]
    assert changed(("param c : [3] = 0\n", "param c : [3] = 0\nparam d = 1.0\n"), ("2 * h", "d * h"))[0] == (
        "the param `d` is new: []"
    )
    assert changed(("param c : [3] = 0\n", ""), (" + c", "")) == [
        "the param `c` is gone; it was [3]",
        "the equation of `u` was `add(%mul, c)`, now `mul(%const_2_real, h)`",
        "the unnamed value `%mul` is gone",
    ]


def test_equations() -> None:
    assert changed(("relu", "tanh")) == ["the equation of `h` was `relu(%add)`, now `tanh(%add)`"]
    assert changed(("0.5", "0.25")) == [
        "the unnamed value `%const` was `const(value=0.5)`, now `const(value=0.25)`"
    ]
    assert changed(("glorot()", "he()")) == [
        "the equation of `W` was `param(init=glorot())`, now `param(init=he())`"
    ]
    assert changed(("y)", "y) by sum")) == [
        "the loss `loss` was `%cross_entropy`, now `%cross_entropy by sum`"
    ]
    assert changed(("output u", "output u, h")) == ["the output `h` is new: `h`"]
    assert changed(('"c"', '"d"')) == ["the target `y` was class(a, b, c), now class(a, b, d)"]


def test_statements_in_another_order() -> None:
    w, c = "param W : [3, _] = glorot()\n", "param c : [3] = 0\n"
    assert changed((w + c, c + w)) == ["the statements stand in another order"]


def test_settings() -> None:
    assert changed(seed=1, clip=1.0, batch=16, frozen=("c",), dtype="float64") == [
        "`batch` was all, now 16",
        "`seed` was 0, now 1",
        "`clip` was none, now 1",
        '`frozen` was [], now ["c"]',
        "`dtype` was float32, now float64",
    ]
    assert changed(("momentum=0.9", "momentum=0.5, nesterov=true")) == [
        "`optimiser.momentum` was 0.9, now 0.5",
        "`optimiser.nesterov` was false, now true",
    ]
    assert changed(("steps=20", "steps=30")) == ["`optimiser.lr.steps` was 20, now 30"]
    assert changed(("cosine(0.1, steps=20)", "0.1")) == [
        "`optimiser.lr` was cosine(lr=0.1, steps=20, final=0), now 0.1"
    ]
    (said,) = changed(("sgd(lr=cosine(0.1, steps=20), momentum=0.9)", "adam(lr=0.1)"))
    assert said.startswith("`optimiser` was sgd(lr=cosine(lr=0.1") and ", now adam(lr=0.1" in said


def test_data() -> None:
    assert changed(data={"count": 120, "digest": "cd"}) == ["of the data, `count` was 150, now 120"]
    assert changed(data={"count": 150, "digest": "cd"}) == ["the data hold other values"]


def test_a_long_given_value_is_compared_by_its_checksum() -> None:
    def of(last: float) -> dict[str, Any]:
        values = ", ".join(["0.125"] * 99 + [str(last)])
        return describe(loads(f"input x : [100]\nparam w : [100] = [{values}]\nf = w @ x\n").graph, {}, {})

    assert max(len(line) for line in of(1.0)["graph"]["lines"]) < 300
    assert len(differences(of(1.0), of(2.0))) == 1


def test_a_large_graph_is_compared_by_its_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowgraph.train.fingerprint.MAX_LINES", 5)
    assert description()["graph"]["lines"] == []
    assert changed(("relu", "tanh")) == ["the equations differ"]
    assert changed(seed=1) == ["`seed` was 0, now 1"]


def test_a_checkpoint_of_another_diagram_is_refused_with_the_differences() -> None:
    check_same(description(), description(), "run/a.flowckpt")
    with pytest.raises(FlowError) as caught:
        check_same(description(), description(("relu", "tanh"), seed=1), "run/a.flowckpt")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0803" and diagnostic.path == "run/a.flowckpt" and "--out" in diagnostic.help
    assert diagnostic.message.splitlines() == [
        "the checkpoint `run/a.flowckpt` belongs to another diagram or run:",
        "  - `seed` was 0, now 1",
        "  - the equation of `h` was `relu(%add)`, now `tanh(%add)`",
    ]


def test_many_differences_are_counted() -> None:
    old = {"params": {f"w{i}": [i] for i in range(50)}}
    new = {"params": {f"w{i}": [i + 1] for i in range(50)}}
    with pytest.raises(FlowError) as caught:
        check_same(old, new, "a")
    lines = caught.value.diagnostics[0].message.splitlines()
    assert len(lines) == 1 + MAX_SHOWN + 1 and lines[-1] == "  - ... and 38 more differences"


@pytest.mark.parametrize(
    "old",
    [
        None,
        [1],
        {},
        {"inputs": [], "targets": None, "params": 3, "settings": "x", "data": [], "graph": {"lines": {}}},
        {"graph": {"lines": [None, 1, [], "", " ", "%", "=", "a: ", 'output "', "\x1b[31m: real = x()"]}},
        {"params": {"W": {"name": []}}, "settings": {"optimiser": {"name": "sgd"}}, "extra": 1},
    ],
    ids=["nothing", "a list", "empty", "other types", "odd lines", "odd values"],
)
def test_anything_in_the_place_of_a_description_is_a_difference(old: Any) -> None:
    with pytest.raises(FlowError) as caught:
        check_same(old, description(), "a")
    assert caught.value.diagnostics[0].code == "E0803"
    assert "\x1b" not in caught.value.diagnostics[0].message
