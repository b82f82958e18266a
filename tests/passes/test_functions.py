"""What the torch target calls PyTorch's functions for: the same values at all levels, in fewer operations."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from running import HAS_TORCH

from flowgraph.diagram import loads
from flowgraph.naming import class_name

pytestmark = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 5)
SHARES = RNG.dirichlet(np.ones(3), 5)
ROWS = RNG.normal(size=(5, 4))
TRUTHS = RNG.integers(0, 2, (5, 3)).astype(np.float64)
SEQUENCES = RNG.normal(size=(5, 6, 4))

LOSSES = {
    "mse(z, y)": ("y : [3]", RNG.normal(size=(5, 3)), "F.mse_loss"),
    "mae(z, y)": ("y : [3]", RNG.normal(size=(5, 3)), "F.l1_loss"),
    "huber(z, y, delta=0.3)": ("y : [3]", RNG.normal(size=(5, 3)), "F.huber_loss"),
    "cross_entropy(z, y)": ("y : class(3)", LABELS, "F.cross_entropy"),
    "cross_entropy(z, y) ": ("y : [3]", SHARES, "F.cross_entropy"),
    "nll(log_softmax(z), y)": ("y : class(3)", LABELS, "F.nll_loss"),
    "bce(sigmoid(z), y)": ("y : [3]", TRUTHS, "F.binary_cross_entropy"),
    "bce_with_logits(z, y)": ("y : [3]", TRUTHS, "torch.lerp"),
    "mse(sum(z), y)": ("y", RNG.normal(size=5), "F.mse_loss"),
    "hinge(z, y)": ("y : [3]", 2 * TRUTHS - 1, "torch.relu"),
}
"""Of linear z [3]: the target, its values, and what PyTorch computes it by."""


def module(text: str, level: int, dtype: str = "float64", **options: Any) -> tuple[str, dict[str, Any], Any]:
    """The text of the emitted module, its namespace, and a model that has its parameters from `init`."""
    import torch

    diagram = loads(text)
    code = diagram.compile("torch", level=level, dtype=dtype, **options)
    space: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(code, "emitted", "exec"), space)
    model = space[class_name(diagram.graph.name)]()
    first = diagram.params(seed=1, dtype=dtype)
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in first.items()})
    return code, space, model


def outcome(text: str, level: int, *arrays: np.ndarray, call: str = "loss") -> list[np.ndarray]:
    """The values of a method, and the gradients of their sum."""
    import torch

    _, _, model = module(text, level)
    given = [torch.tensor(a) for a in arrays]
    values = getattr(model, call)(*given)
    several = list(values) if isinstance(values, tuple) else [values]
    sum(v.sum() for v in several).backward()
    grads = [p.grad for p in model.state_dict(keep_vars=True).values() if p.grad is not None]
    assert grads
    return [v.detach().numpy() for v in (*several, *grads)]


def assert_levels_agree(text: str, *arrays: np.ndarray, call: str = "loss") -> None:
    plain = outcome(text, 0, *arrays, call=call)
    for level in (1, 2):
        for found, want in zip(outcome(text, level, *arrays, call=call), plain, strict=True):
            np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------------
# Losses


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_the_same_at_all_levels(loss: str) -> None:
    target, y, function = LOSSES[loss]
    text = f"input x : [4]\ntarget {target}\nz = linear(x, 3)\nloss {loss}\n"
    assert_levels_agree(text, ROWS, y)
    assert function in module(text, 1)[0]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("level", [1, 2])
def test_the_loss_of_an_empty_batch_is_zero_and_teaches_nothing(loss: str, level: int) -> None:
    target, y, _ = LOSSES[loss]
    text = f"input x : [4]\ntarget {target}\nz = linear(x, 3)\nloss {loss}\n"
    found = outcome(text, level, ROWS[:0], y[:0])
    assert all(np.array_equal(v, np.zeros_like(v)) for v in found)


@pytest.mark.parametrize("kind", ["class(3)[T]", "[T, 3]"])
def test_a_loss_over_positions_is_one_call(kind: str) -> None:
    y = LABELS[:, None] + np.zeros(6, int) if "class" in kind else np.repeat(SHARES[:, None], 6, axis=1)
    text = f"size T\ninput x : [T, 4]\ntarget y : {kind}\nz = linear(x, 3)\nloss mean(cross_entropy(z, y))\n"
    assert_levels_agree(text, SEQUENCES, y)
    code = module(text, 1)[0]
    assert "torch.mean" not in code and "movedim" not in code and "batch_mean" not in code


def test_a_loss_over_some_positions_agrees() -> None:
    y = LABELS[:, None] + np.zeros(6, int)
    text = (
        "input x : [6, 4]\ntarget y : class(3)[6]\nz = linear(x, 3)\n"
        "e = cross_entropy(z, y, axis=[])\nloss mean(e[2:])\n"
    )
    assert_levels_agree(text, SEQUENCES, y)


def test_terms_share_one_mean_over_the_batch() -> None:
    text = (
        "input x : [4]\ntarget y : [3]\nz = linear(x, 3)\n"
        "loss a = 2 * mse(z, y)\nloss b = sum(exp(z))\nloss c = 0.1 * norm(z.weight)\n"
    )
    assert_levels_agree(text, ROWS, TRUTHS)
    assert module(text, 1)[0].count("batch_mean(") == 2  # its definition, and one call


def test_a_loss_that_two_results_use_stays() -> None:
    text = (
        "input x : [4]\ntarget y : [3]\nz = linear(x, 3)\ne = mse(z, y)\nloss e\nmetric worst = e\noutput z\n"
    )
    assert_levels_agree(text, ROWS, TRUTHS)


def test_tails_of_the_logistic_loss_are_kept_at_level_1() -> None:
    """At level 2 PyTorch's own function is called, which rounds them away."""
    import torch

    text = "input x\ntarget y\nz = 1 * x\nparam w = 1\noutput z\nloss bce_with_logits(w * x, y)\n"
    for level, want in ((1, 2.0611536e-9), (2, 0.0)):
        _, _, model = module(text, level, "float32")
        with torch.no_grad():
            found = float(model.loss(torch.tensor([-20.0]), torch.tensor([0.0])))
        assert found == pytest.approx(want, rel=1e-5)


# ---------------------------------------------------------------------------------------
# Other functions


def test_a_product_plus_a_vector_is_linear() -> None:
    text = (
        "input x : [4]\ntarget y : [3]\nparam W : [3, 4] = normal(1)\n"
        "param b : [3] = normal(1)\nparam V : [3, 3] = normal(1)\n"
        "h = tanh(b + x @ W.T)\nz = h @ V.T + 1\nr = h @ V + b\noutput z, r\nloss mse(z, y)\n"
    )
    code = module(text, 1)[0]
    assert "F.linear(x, self.W, self.b)" in code
    assert "h @ self.V.T + 1" in code and "h @ self.V + self.b" in code
    assert_levels_agree(text, ROWS, TRUTHS)


def test_entries_taken_one_by_one_are_unbound_where_all_are() -> None:
    text = (
        "input x : [4]\nu = reshape(linear(x, 12), [3, 2, 2])\n{}\noutput o = a * b\n"
        "target y : [2, 2]\nloss mse(o, y)\n"
    )
    every = text.format("a = u[0] + u[1]\nb = u[2]")
    some = text.format("a = u[0]\nb = u[2]")
    assert ".unbind(1)" in module(every, 1)[0]
    assert ".unbind(" not in module(some, 1)[0]
    for each in (every, some):
        assert_levels_agree(each, ROWS, call="forward")


def test_a_choice_of_one_and_zero_is_a_cast() -> None:
    text = "input x : [4]\nt = where(x > 0, 1, 0)\nz = linear(t, 3)\ncount = sum(t)\noutput z, count\n"
    code = module(text, 1)[0]
    assert "torch.where" not in code
    assert_levels_agree(text, ROWS, call="forward")


# ---------------------------------------------------------------------------------------
# Rotations


def attending(more: str = "") -> str:
    return (
        "size T\ninput x : [T, 8]\n"
        f"block turn(u : [t, d]) -> [t, d] {{\n    q = rotary(linear(u, d){more})\n"
        f"    k = rotary(linear(u, d){more})\n"
        "    return attention(q, k, u)\n}\n"
        "repeat 3 as h {\n    x2 = turn(u)\n    u = u + x2\n}\n"
    ).replace("repeat 3", "u = x\nrepeat 3")


@pytest.mark.parametrize("more", ["", ", base=50", ", offset=3", ", inverse=true", ", interleaved=true"])
def test_rotations_share_their_angles(more: str) -> None:
    sequences = RNG.normal(size=(2, 5, 8))
    text = attending(more)
    assert_levels_agree(text, sequences, call="forward")
    code = module(text, 1)[0]
    assert len(re.findall(r"= rotary_cos\(", code)) == ("interleaved" not in more)


def test_rotations_of_several_lengths_and_bases_have_their_own_angles() -> None:
    text = (
        "size T\ninput x : [T, 8]\na = rotary(linear(x, 8))\nb = rotary(linear(x[1:], 8))\n"
        "c = rotary(a, base=7)\noutput c, b\n"
    )
    assert_levels_agree(text, RNG.normal(size=(2, 5, 8)), call="forward")
    assert len(re.findall(r"= rotary_cos\(", module(text, 1)[0])) == 3


def test_a_module_with_rotations_can_be_in_half_precision() -> None:
    import torch

    _, _, model = module(attending(), 1, "float32")
    found = model.bfloat16()(torch.ones(1, 5, 8, dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16


# ---------------------------------------------------------------------------------------
# Level 2


TRAINED = "input x : [4]\ntarget y : [3]\nz = linear(x, 3)\nloss mse(z, y)\ntrain {}\n"


@pytest.mark.parametrize(
    "optimiser", ["sgd(lr=0.1)", "sgd(lr=0.1, momentum=0.9, nesterov=true)", "adam", "adamw"]
)
def test_the_optimizer_of_level_2_takes_the_same_steps(optimiser: str) -> None:
    import torch

    given = torch.tensor(ROWS), torch.tensor(TRUTHS)
    losses = []
    for level in (1, 2):
        code, space, model = module(TRAINED.format(optimiser), level)
        loss_module, made = space["DiagramLoss"](model), space["make_optimizer"](model)
        losses.append([float(space["train_step"](loss_module, made, *given)) for _ in range(5)])
        assert ("fused=True" in code) == (level == 2 and "adam" in optimiser)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-12)


def test_an_optimizer_that_has_no_fused_form_is_as_it_is() -> None:
    assert "fused" not in module(TRAINED.format("rmsprop"), 2)[0]


@pytest.mark.parametrize("more", ["", ", causal=true", ", m", ", m, causal=true"])
def test_grouped_heads_are_not_copied_at_level_2(more: str) -> None:
    shared = (
        "input q : [6, 3, 4], k : [2, 3, 4], m : [3, 3]\nparam w : [4] = 1\n"
        f"a = attention(w * q, k, k{more})\noutput a\n"
    )
    code = module(shared, 2)[0]
    assert "enable_gqa" in code and "repeat_interleave" not in code
    given = [RNG.normal(size=(2, *shape)) for shape in ((6, 3, 4), (2, 3, 4), (3, 3))]
    assert_levels_agree(shared, *given, call="forward")
