"""layernorm, rmsnorm, groupnorm and attention against PyTorch, and where it says nothing.

Each case is compiled to numpy and torch and held against torch.nn written out: values, every
gradient, second derivatives along a direction, in float64 to 1e-10.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from running import execute, initial, module_of

from flowgraph.diagram import loads
from flowgraph.errors import FlowError
from flowgraph.passes.simulate import simulate

torch = pytest.importorskip("torch", reason="torch is not installed")
from layer_reference import agree, torch_model  # noqa: E402
from torch.nn import functional as F  # noqa: E402

RNG = np.random.default_rng(5)


def mathematically(*args: Any, **keywords: Any) -> Any:
    """PyTorch's attention by the kernel that has second derivatives."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(*args, **keywords)


# ---------------------------------------------------------------------------------------
# Normalisation


def sizes_text(*sizes: int) -> str:
    return ", ".join(map(str, sizes))


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (1,)])
@pytest.mark.parametrize("sizes", [(5,), (1,), (2, 3)])
@pytest.mark.parametrize(("word", "affine"), [("", True), ("bias=false", True), ("eps=0.3", True)])
def test_layernorm_is_that_of_pytorch(lead, sizes, word, affine):
    axis = f"axis=[{sizes_text(*range(-len(sizes), 0))}]"
    settings = ", ".join(s for s in (axis, word) if s)
    shape = f"[{sizes_text(*lead, *sizes)}]"
    text = f"input s : {shape}\nparam p : {shape} = 1\nh = layernorm(p * s, {settings})\noutput h"

    def reference(v):
        eps = 0.3 if "eps" in word else 1e-5
        return F.layer_norm(v["p"] * v["s"], sizes, v["h.weight"], v.get("h.bias"), eps)

    agree(text, reference, {"s": RNG.normal(size=(3, *lead, *sizes))})


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (3, 1)])
@pytest.mark.parametrize("eps", [2.0**-23, 0.1])
def test_rmsnorm_is_that_of_pytorch(shape, eps):
    said = f"[{sizes_text(*shape)}]"
    setting = f", eps={eps}" if eps == 0.1 else ""
    text = f"input s : {said}\nparam p : {said} = 1\nh = rmsnorm(p * s{setting})\noutput h"

    def reference(v):
        return F.rms_norm(v["p"] * v["s"], shape[-1:], v["h.weight"], eps)

    agree(text, reference, {"s": RNG.normal(size=(2, *shape))})


@pytest.mark.parametrize("shape", [(4,), (4, 3), (6, 2, 3), (4, 1, 1), (2, 2, 1, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_groupnorm_is_that_of_pytorch(shape, groups):
    said = f"[{sizes_text(*shape)}]"
    text = f"input s : {said}\nparam p : {said} = 1\nh = groupnorm(p * s, {groups})\noutput h"

    def reference(v):
        return torch.group_norm(v["p"] * v["s"], groups, v["h.weight"], v["h.bias"])

    agree(text, reference, {"s": RNG.normal(size=(3, *shape))})


def test_groupnorm_of_an_axis_leaves_the_positions_before_it_apart():
    text = "input x : [3, 4]\nh = groupnorm(x, 2, axis=-1)\nk = groupnorm(x[1], 2)\noutput h, k"
    diagram = loads(text)
    h, k = module_of(diagram, "numpy", 1, "float64")["forward"](initial(diagram), RNG.normal(size=(2, 3, 4)))
    np.testing.assert_allclose(h[:, 1], k, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "made"),
    [
        ("layernorm(x)", "nn.LayerNorm(4)"),
        ("layernorm(x, eps=1e-6, bias=false)", "nn.LayerNorm(4, eps=1e-06, bias=False)"),
        ("layernorm(x, axis=[-2, -1])", "nn.LayerNorm((6, 4))"),
        ("rmsnorm(x, eps=1e-6)", "nn.RMSNorm(4, eps=1e-06)"),
        ("groupnorm(x, 3)", "nn.GroupNorm(3, 6)"),
        ("groupnorm(x, 2, eps=0.1)", "nn.GroupNorm(2, 6, eps=0.1)"),
    ],
)
def test_norms_are_modules_in_torch(call, made):
    text = loads(f"input x : [6, 4]\nh = {call}\noutput h").compile("torch")
    assert f"self.h = {made}\n" in text
    assert "return self.h(x)\n" in text


def test_norms_without_weights_are_functions_in_torch():
    text = loads("input x : [6, 4]\nh = layernorm(x, elementwise_affine=false)\noutput h").compile("torch")
    assert "return F.layer_norm(x, x.shape[-1:])\n" in text


def test_the_first_weights_are_one_and_the_first_biases_zero():
    first = initial(loads("input x : [4, 2]\na = layernorm(x)\nb = rmsnorm(a)\nc = groupnorm(b, 2)"))
    assert {n: v.tolist() for n, v in first.items()} == {
        "a.weight": [1, 1],
        "a.bias": [0, 0],
        "b.weight": [1, 1],
        "c.weight": [1] * 4,
        "c.bias": [0] * 4,
    }


def test_layernorm_keeps_its_digits_far_from_zero_in_single_precision():
    forward = execute(loads("input x : [4]\nh = layernorm(x)\noutput h").compile("numpy"))["forward"]
    x = np.array([[0.0, 1.0, 2.0, 3.0]], dtype=np.float32)
    params = {"h.weight": np.ones(4, np.float32), "h.bias": np.zeros(4, np.float32)}
    np.testing.assert_allclose(forward(params, x + 65536), forward(params, x), rtol=1e-6)


def test_the_gradient_of_layernorm_is_the_formula_of_three_terms():
    text = "input x : [4]\nh = layernorm(linear(x, 4))\nloss sum(sin(h))"
    code = loads(text, "c.flow").compile("numpy")
    backward = code[code.index("def loss_and_grad") : code.index("class Trainer")]
    assert "h_standard, h_scale = standardized(" in backward
    assert backward.count("np.mean(") == 2  # of the cotangent, and of its product with the standard
    assert "np.sqrt" not in backward


# ---------------------------------------------------------------------------------------
# Attention


ATTENTION = [
    # q, k, v; settings; mask
    ((3, 4), (3, 4), (3, 4), "", None),
    ((3, 4), (5, 4), (5, 2), "", None),
    ((1, 4), (5, 4), (5, 1), "causal=true", None),
    ((5, 1), (1, 1), (1, 3), "causal=true", None),
    ((2, 3, 4), (2, 3, 4), (2, 3, 4), "causal=true", None),
    ((2, 5, 4), (2, 3, 4), (2, 3, 4), "causal=true, scale=0.7", None),
    ((2, 3, 4), (2, 5, 4), (2, 5, 2), "causal=true", None),
    ((4, 3, 2), (2, 5, 2), (2, 5, 3), "", None),
    ((6, 3, 2), (2, 3, 2), (2, 3, 2), "causal=true", None),
    ((4, 1, 2), (1, 3, 2), (1, 3, 2), "", None),
    ((2, 4, 3, 2), (2, 2, 3, 2), (2, 2, 3, 2), "causal=true", None),
    ((3, 4), (5, 4), (5, 2), "", "bool[3, 5]"),
    ((3, 4), (5, 4), (5, 2), "", "bool[5]"),
    ((2, 3, 4), (2, 3, 4), (2, 3, 4), "causal=true", "bool[3]"),
    ((4, 3, 2), (2, 5, 2), (2, 5, 3), "", "bool[4, 3, 5]"),
    ((4, 3, 2), (2, 3, 2), (2, 3, 3), "causal=true", "bool[1, 3, 3]"),
    ((3, 4), (5, 4), (5, 2), "scale=2", "[3, 5]"),
    ((2, 3, 4), (2, 5, 4), (2, 5, 2), "", "[2, 1, 5]"),
    ((2, 3, 4), (2, 3, 4), (2, 3, 2), "causal=true", "[3, 3]"),
]


@pytest.mark.parametrize(("q", "k", "v", "settings", "mask"), ATTENTION)
def test_attention_is_that_of_pytorch(q, k, v, settings, mask):
    lines = ["input s"]
    lines += [f"param {n} : [{sizes_text(*shape)}] = 1" for n, shape in zip("qkv", (q, k, v), strict=True)]
    lines += [f"input m : {mask}"] if mask else []
    given = ", ".join(part for part in ("q * s, k * (2 - s), v + s", "m" if mask else "", settings) if part)
    inputs = {"s": RNG.normal(size=2)}
    if mask:
        shape = tuple(int(n) for n in mask[mask.index("[") + 1 : -1].split(","))
        numbers = RNG.normal(size=(2, *shape))
        inputs["m"] = numbers > -0.5 if mask.startswith("bool") else numbers

    def reference(values):
        s = values["s"].reshape(-1, *[1] * len(q))
        rows = [values["q"] * s, values["k"] * (2 - s), values["v"] + s]
        keywords: dict[str, Any] = {"enable_gqa": len(q) > 2}
        if "scale" in settings:
            keywords["scale"] = float(settings.rpartition("=")[2])
        hidden = torch.zeros(q[-2], k[-2], dtype=torch.float64)
        if "causal" in settings:
            hidden = torch.full_like(hidden, -torch.inf).triu(1)
        if mask:
            m = values["m"]
            m = m.reshape(2, *[1] * (len(q) + 1 - m.dim()), *m.shape[1:])
            hidden = hidden + (torch.where(m, 0.0, -torch.inf) if m.dtype == torch.bool else m)
        return mathematically(*rows, attn_mask=hidden, **keywords)

    agree("\n".join([*lines, f"a = attention({given})", "output a"]), reference, inputs)


@pytest.mark.parametrize("more", ["", ", causal=true", ", m", ", m, causal=true"])
def test_grouped_heads_need_no_newer_pytorch(more):
    """`enable_gqa` came with PyTorch 2.5."""
    shared = "input q : [6, 3, 4], k : [2, 5, 4], m : [3, 5]\na = attention(q, k, k{})\noutput a\n"
    assert "enable_gqa" not in loads(shared.format(more)).compile("torch")


def test_a_mask_of_numbers_learns():
    """A bias of the scores, by position, has a gradient of its own."""
    text = "input x : [3, 4]\nparam b : [3, 3] = 0\na = attention(x, x, x, b)\noutput a"

    def reference(v):
        return mathematically(v["x"], v["x"], v["x"], attn_mask=v["b"].expand(2, 3, 3))

    agree(text, reference, {"x": RNG.normal(size=(2, 3, 4))})


def test_a_row_that_may_look_at_nothing_is_zero_everywhere():
    text = "input x : [3, 4], m : bool[3, 3], b : [3, 3]\nparam w : [4] = 1\n"
    text += "a = attention(x * w, x, x, m)\nc = attention(x * w, x, x, b, causal=true)\n"
    text += "output a, c\nloss sum(square(a)) + sum(square(c))"
    diagram = loads(text, "case.flow")
    m = np.array([[[1, 0, 1], [0, 0, 0], [1, 1, 1]]], dtype=bool)
    b = np.where(m, 0.5, -np.inf)
    inputs = {"x": RNG.normal(size=(1, 3, 4)), "m": m, "b": b}
    params = {"w": np.ones(4)}
    graph = diagram.batched()
    known = simulate(graph, {**params, **inputs})
    wanted = [known[r.node] for r in graph.results_of("output")]
    assert all((w[0, 1] == 0).all() and np.isfinite(w).all() and w[0, 2].any() for w in wanted)
    for level in (0, 1):
        module = module_of(diagram, "numpy", level, "float64")
        for found, want in zip(module["forward"](params, **inputs), wanted, strict=True):
            np.testing.assert_allclose(found, want, rtol=1e-12)
        gradient = module["loss_and_grad"](params, **inputs)[1]["w"]
        assert np.isfinite(gradient).all() and gradient.any()
    model = torch_model(diagram, params)
    given = {n: torch.tensor(v) for n, v in inputs.items()}
    for found, want in zip(model(**given), wanted, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), want, rtol=1e-12)
    model.loss(**given).backward()
    np.testing.assert_allclose(model.w.grad.numpy(), gradient, rtol=1e-10)


def test_attention_over_a_sequence_of_any_length():
    text = "size T\ninput x : [T, 4]\nq = linear(x, 6)\nh = permute(reshape(q, [T, 3, 2]), [1, 0, 2])\n"
    text += "a = attention(rotary(h), h, h, causal=true)\noutput a\nloss sum(a)"
    diagram = loads(text, "case.flow")
    params = initial(diagram)
    numpy, model = module_of(diagram, "numpy", 1, "float64"), torch_model(diagram, params)
    long = RNG.normal(size=(2, 7, 4))
    whole = numpy["forward"](params, long)
    for length in (1, 2, 7):
        part = long[:, :length]
        found = numpy["forward"](params, part)
        np.testing.assert_allclose(found, whole[:, :, :length], rtol=1e-10)  # no row sees what comes later
        np.testing.assert_allclose(model(torch.tensor(part)).detach().numpy(), found, rtol=1e-10)
        gradient = numpy["loss_and_grad"](params, part)[1]["q.weight"]
        model.zero_grad()
        model.loss(torch.tensor(part)).backward()
        np.testing.assert_allclose(model.q.weight.grad.numpy(), gradient, rtol=1e-9, atol=1e-12)


def test_attention_with_symbolic_sizes_of_rows_and_heads():
    text = "size T, S, D\ninput q : [T, D], k : [S, D], v : [S, 3]\na = attention(q, k, v)\noutput a"
    diagram = loads(text, "case.flow")
    q, k, v = RNG.normal(size=(2, 3, 5)), RNG.normal(size=(2, 4, 5)), RNG.normal(size=(2, 4, 3))
    for level in (0, 1):
        found = module_of(diagram, "numpy", level, "float64")["forward"]({}, q, k, v)
        want = F.scaled_dot_product_attention(*map(torch.tensor, (q, k, v))).numpy()
        np.testing.assert_allclose(found, want, rtol=1e-12)


def test_large_scores_do_not_overflow_in_single_precision():
    text = "input x : [3, 2]\na = attention(x, x, x, causal=true)\noutput a"
    x = np.array([[[1e4, -1e4], [-1e4, 1e4], [3e3, 2e3]]], dtype=np.float32)
    np.testing.assert_array_equal(execute(loads(text).compile("numpy"))["forward"]({}, x)[0, :2], x[0, :2])


def test_the_backward_pass_of_attention_keeps_the_weights():
    text = "input x : [3, 4]\nq = linear(x, 4)\nk = linear(x, 4)\na = attention(q, k, x, causal=true)\n"
    code = loads(text + "loss sum(sin(a))", "c.flow").compile("numpy")
    backward = code[code.index("def loss_and_grad") : code.index("class Trainer")]
    assert "a_weights = attention_weights(" in backward
    assert backward.count("attention_weights(") == 2  # made once, and said once whose gradient follows
    assert "np.exp" not in backward


# ---------------------------------------------------------------------------------------
# A block of a transformer, and mistakes


BLOCK = """
size T, D = 8, H = 4, G = 2
input x : [T, D], keep : bool[T]
target y : class(3)
u = rmsnorm(x)
q = permute(reshape(linear(u, D, bias=false), [T, H, D / H]), [1, 0, 2])
k = permute(reshape(linear(u, D * G / H, bias=false), [T, G, D / H]), [1, 0, 2])
v = permute(reshape(linear(u, D * G / H, bias=false), [T, G, D / H]), [1, 0, 2])
a = attention(rotary(q), rotary(k), v, keep, causal=true)
r = x + linear(reshape(permute(a, [1, 0, 2]), [T, D]), D)
w = layernorm(r)
f = r + linear(silu(linear(w, 16)) * linear(w, 16), D)
z = linear(mean(f, axis=0), 3)
loss cross_entropy(z, y)
"""


def test_a_block_of_a_transformer_is_verified():
    found = loads(BLOCK, "block.flow").verify(dtypes=["float64"])
    assert found.ok, found.table()
    assert {row.quantity for row in found.rows} >= {"outputs", "gradient", "hvp"}


@pytest.mark.slow
def test_a_block_of_a_transformer_compiles_and_exports_in_torch():
    diagram = loads(BLOCK, "block.flow")
    model = module_of(diagram, "torch", 1, "float32")["Block"]()
    x, keep = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    want = model(x, keep)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, keep), want)
    torch.testing.assert_close(torch.export.export(model, (x, keep)).module()(x, keep), want)


MISTAKES = [
    ("h = layernorm(x[0, 0, 0])", "E0310", "`layernorm` needs a vector"),
    ("h = layernorm(x, axis=0)", "E0304", "`axis=-1` is the last"),
    ("h = rmsnorm(x, axis=[0, 2])", "E0304", "`permute` moves others there"),
    ("h = layernorm(n)", "E0308", "cannot depend on the symbolic size T"),
    ("h = groupnorm(x, 3)", "E0310", "4 channels do not divide into 3 groups"),
    ("h = groupnorm(x, 0)", "E0310", "4 channels do not divide into 0 groups"),
    ("h = groupnorm(x)", "E0403", "`groupnorm` needs `num_groups`"),
    ("h = attention(x, x, x[:3])", "E0310", "the same heads"),
    ("h = attention(x, x[:3], x[:3])", "E0310", "4 heads of q do not divide among 3 of k and v"),
    ("h = attention(x[:2], x, x)", "E0310", "2 heads of q do not divide among 4 of k and v"),
    ("h = attention(x, x[:, :, :2], x)", "E0310", "rows of q and k must be of one size"),
    ("h = attention(x, x, x[:, :2])", "E0310", "a row of v belongs to each row of k"),
    ("h = attention(x, x[0], x[0])", "E0310", "the axes in front are heads"),
    ("h = attention(x[0, 0], x[0, 0], x[0, 0])", "E0310", "needs rows"),
    ("h = attention(x, x, x, ids)", "E0303", "`mask != 0`"),
    ("h = attention(x, x, x, x[0, :, :2] > 0)", "E0310", "it must fit [3, 3]"),
    ("h = attention(x, x, x, x > 0)", "E0310", "it must fit [3, 3]"),
    ("h = rotary(x[:, :, :5])", "E0310", "the last size must be even, and it is 5"),
    ("h = rotary(x[0, 0])", "E0310", "needs a row for each position"),
    ("h = rotary(x, base=0)", "E0404", "a positive number"),
    ("h = rotary(n)", "E0310", "the last size must be even, and it is T"),
]


@pytest.mark.parametrize(("line", "code", "said"), MISTAKES)
def test_mistakes_are_told_with_their_cure(line, code, said):
    with pytest.raises(FlowError) as caught:
        loads(f"size T\ninput x : [4, 3, 6], ids : int[3], n : [2, T]\n{line}\noutput h")
    assert [d.code for d in caught.value.diagnostics if d.is_error] == [code]
    assert said in str(caught.value)
