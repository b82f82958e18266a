"""Names that no attribute of a torch module can have: words of Python, `loss`, methods of containers.

The diagram's names are what is saved and loaded; the attributes are others, and what PyTorch makes
of the attributes (torch.export, torch.compile) runs.
"""

from __future__ import annotations

import copy
import pickle
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest
from running import Engine, execute, initial, same

from flowgraph.diagram import Diagram, loads
from flowgraph.emit.containers import Attributes
from flowgraph.emit.layers import MODULE_DICT
from flowgraph.errors import FlowError
from flowgraph.naming import KEYWORDS
from flowgraph.parse.exprs import RESERVED

torch = pytest.importorskip("torch")

HARD = sorted((KEYWORDS | MODULE_DICT | {"append", "extend", "insert"}) - RESERVED - {"type", "_"})
"""Words that the language takes as names in a block."""


def body(words: list[str]) -> str:
    """A block with a layer, a neighbour and a param of every word."""
    lines = ["block f(x : [d]) -> [d] {", "  param from_w : [d] = normal(0.1)", "  u = x"]
    for word in words:
        lines += [f"  {word} = linear(u, d)", f"  u = u + tanh({word}) + from_w"]
    return "\n".join([*lines, "  return u + linear(u, d)", "}"])


def held(words: list[str]) -> str:
    """A diagram whose block has the words, called alone, in a sum, in a repeat and in a recurrence."""
    return f"""size T
input x : [T, 2]
target y : [2]
{body(words)}
block outer(x : [d]) -> [d] {{
  param in : [d] = normal(0.1)
  class = x + in
  repeat 2 as for {{
    class = f(class)
  }}
  layer while = linear(d)
  return while(while(class)) + f(x)
}}
block cell(x, h) -> [2] {{
  lambda = outer(x)
  return tanh(lambda + linear(h, 2))
}}
h = scan(cell, x, zeros(2))
v = outer(h[0])
output v
loss mean(square(linear(v, 2) - y))
train sgd(lr=0.1), freeze="*.in"
"""


@pytest.fixture(scope="module")
def diagram() -> Diagram:
    return loads(held(["return_", "if", "if_"]), "hard")


def module(diagram: Diagram, *extras: str) -> dict[str, Any]:
    return execute(diagram.compile("torch", extras=extras))


def examples() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 2), torch.randn(3, 2)


def test_a_word_of_python_has_an_underscore_that_no_neighbour_has() -> None:
    names = Attributes(["f.if.weight", "f.if_.weight", "loss.linear.bias", "g.loss", "h.0.in"])
    assert names.path("f.if.weight") == "f.if__2.weight"
    assert names.path("f.if_.weight") == "f.if_.weight"
    assert names.path("loss.linear.bias") == "loss_.linear.bias"
    assert names.path("g.loss") == "g.loss"
    assert names.renamed(["h.0.in", "f.if"]) == {"h.0.in_": "h.0.in", "f.if__2": "f.if"}


@pytest.mark.parametrize("level", [0, 1])
def test_all_hard_words_compute_and_keep_their_names(level: int) -> None:
    diagram = loads("input x : [2]\n" + body(HARD) + "\nv = x + f(x)\noutput v\n", "hard")
    params = initial(diagram)
    x = {"x": np.random.default_rng(0).normal(size=(3, 2))}
    engine = Engine("torch", level)
    expected = Engine("simulator").run(diagram, params, x, {})
    same(engine.run(diagram, params, x, {}), expected, **engine.tolerance)
    assert {f"v.f.{word}.weight" for word in HARD} <= set(params)


def test_saved_and_loaded_names_are_the_diagrams(diagram: Diagram) -> None:
    first, second = (module(diagram)["Hard"]() for _ in range(2))
    saved = first.state_dict()
    assert sorted(saved) == sorted(initial(diagram))
    assert not second.load_state_dict(saved, strict=True).missing_keys
    x, y = examples()
    assert torch.equal(first.loss(x, y), second.loss(x, y))


def test_a_module_in_others_saves_and_loads_by_the_same_names(diagram: Diagram) -> None:
    made = module(diagram)
    nets = torch.nn.ModuleList(made["HardLoss"](made["Hard"]()) for _ in range(2))
    saved = nets.state_dict()
    names = [str(n) for n in initial(diagram)]
    assert sorted(saved) == sorted(f"{i}.model.{n}" for i in range(2) for n in names)
    fresh = torch.nn.ModuleList(made["HardLoss"](made["Hard"]()) for _ in range(2))
    fresh.load_state_dict(saved, strict=True)
    assert all(torch.equal(a, b) for a, b in zip(nets.parameters(), fresh.parameters(), strict=True))


def test_a_copy_of_a_module_keeps_the_names(diagram: Diagram) -> None:
    space = module(diagram)
    model = space["Hard"]()
    assert list(copy.deepcopy(model).state_dict()) == list(model.state_dict())
    place = types.ModuleType(space["__name__"])
    place.__dict__.update(space)
    sys.modules[place.__name__] = place
    try:
        again = pickle.loads(pickle.dumps(model))
    finally:
        del sys.modules[place.__name__]
    again.load_state_dict(model.state_dict(), strict=True)
    assert list(again.state_dict()) == list(model.state_dict())


def test_what_is_missing_or_too_much_is_told(diagram: Diagram) -> None:
    model = module(diagram)["Hard"]()
    state = model.state_dict()
    state["v.in_2"] = state.pop("v.in")
    with pytest.raises(RuntimeError, match=r'Missing key.*"v\.in_"[^$]*Unexpected key.*"v\.in_2"'):
        model.load_state_dict(state)


def test_frozen_parameters_are_found_by_the_diagrams_names(diagram: Diagram) -> None:
    made = module(diagram)
    model = made["Hard"]()
    made["make_optimizer"](model)
    fixed = [n for n, p in model.state_dict(keep_vars=True).items() if not p.requires_grad]
    assert sorted(fixed) == ["h.lambda.in", "v.in"]


@pytest.mark.parametrize("title", ["Hard", "HardLoss"])
def test_it_exports_and_compiles(diagram: Diagram, title: str) -> None:
    made = module(diagram)
    model = made["Hard"]()
    given = examples()[:1] if title == "Hard" else examples()
    net = model if title == "Hard" else made["HardLoss"](model)
    expected = net(*given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, on its own tree specifications
        exported = torch.export.export(net, given)
        torch.testing.assert_close(exported.module()(*given), expected)
        torch.testing.assert_close(torch.export.unflatten(exported)(*given), expected)
        compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(*given), expected)


def test_the_backward_pass_written_out_finds_them(diagram: Diagram) -> None:
    made = module(diagram, "vjp")
    model = made["Hard"]()
    x, y = examples()
    loss = model.loss(x, y)
    loss.backward()
    _, gradient = model.loss_and_grad(x, y)
    for name, param in model.state_dict(keep_vars=True).items():
        torch.testing.assert_close(gradient[name], param.grad)


def test_a_method_of_a_torch_module_is_refused_however_deep() -> None:
    text = "input x : [2]\nblock f(x : [d]) -> [d] {\n  type = linear(x, d)\n  return type\n}\n"
    text += "block g(x : [d]) -> [d] {\n  a = f(x)\n  return a\n}\nrepeat 2 as h {\n  y = g(x)\n}\nv = g(x)\n"
    with pytest.raises(FlowError) as caught:
        loads(text)
    assert "`v.a.type.weight`" in caught.value.diagnostics[-1].message
