"""Convolutions, pools and embeddings against PyTorch: values, gradients and second derivatives.

PyTorch's functions and its automatic differentiation are the independent implementation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_cases import Run, backward, draw, forward, real_slots
from running import EMITTED, execute, initial

from flowgraph.diagram import loads
from flowgraph.ops import OPS
from flowgraph.ops.base import Sample, real
from flowgraph.types import Dim

torch = pytest.importorskip("torch", reason="torch is not installed")
F = torch.nn.functional

DOUBLE = [e for e in EMITTED if e.dtype == "float64"]


def two(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    """A whole number for each of two axes, both in [low, high)."""
    return int(rng.integers(low, high)), int(rng.integers(low, high))


def agrees(name: str, sample: Sample, function: Any, seed: int) -> None:
    """Hold an operation over a batch of two against a function of torch's, to second order.

    function: of the operands, of which the first is a batch, and those after it are not.
    """
    run = Run(OPS[name], sample, batched=(0,))
    rng = np.random.default_rng(seed)
    arrays = draw(sample, rng, {0: 2})
    slots = real_slots(sample)
    way = rng.normal(size=np.shape(run.value(arrays)))
    rates = [rng.normal(size=arrays[i].shape) for i in slots]

    cotangent = run.input(run.result.type)
    tangents = {run.inputs[i].name: run.input(run.inputs[i].type) for i in slots}
    back = [c for c in backward(run, cotangent) if c is not None]
    second = forward(run, tangents, [c.name for c in back])
    known = run.values([*arrays, way, *rates])

    given = [torch.tensor(a) for a in arrays]
    assert known[run.result.name] == pytest.approx(function(*given).numpy(), rel=1e-10, abs=1e-10)
    real_ones = [given[i].requires_grad_() for i in slots]

    def weighted(*xs: Any) -> Any:
        return (
            function(*[xs[slots.index(i)] if i in slots else g for i, g in enumerate(given)])
            * torch.tensor(way)
        ).sum()

    gradients = torch.autograd.grad(weighted(*real_ones), real_ones)
    _, curvature = torch.autograd.functional.hvp(
        weighted, tuple(real_ones), tuple(torch.tensor(r) for r in rates)
    )
    for i, (got, want) in enumerate(zip(back, gradients, strict=True)):
        assert known[got.name] == pytest.approx(want.numpy(), rel=1e-10, abs=1e-10)
        got_2 = np.zeros(want.shape) if second[i] is None else known[second[i].name]
        assert got_2 == pytest.approx(curvature[i].numpy(), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("seed", range(30))
def test_conv2d_is_torchs(seed):
    rng = np.random.default_rng([2, seed])
    groups, kernel, dilation = int(rng.integers(1, 4)), two(rng, 1, 5), two(rng, 1, 3)
    channels, out = (groups * int(rng.integers(1, 3)) for _ in range(2))
    stride, padding = two(rng, 1, 4), two(rng, 0, 3)
    sizes = [(k - 1) * d + 1 + int(rng.integers(0, 5)) for k, d in zip(kernel, dilation, strict=True)]
    bias = [real(out)] if seed % 3 else []
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    sample = Sample(
        real(channels, *sizes),
        real(out, channels // groups, *kernel),
        *bias,
        out_channels=Dim.of(out),
        kernel_size=kernel,
        bias=bool(bias),
        **settings,
    )
    agrees("conv2d", sample, lambda x, w, b=None: F.conv2d(x, w, b, **settings), seed)


@pytest.mark.parametrize("seed", range(12))
def test_conv1d_is_torchs(seed):
    rng = np.random.default_rng([1, seed])
    groups, kernel, dilation, stride, padding = (int(n) for n in rng.integers(1, 4, size=5))
    channels, out = (groups * int(rng.integers(1, 3)) for _ in range(2))
    size = (kernel - 1) * dilation + 1 + int(rng.integers(0, 5))
    settings = {"stride": stride, "padding": padding - 1, "dilation": dilation, "groups": groups}
    sample = Sample(
        real(channels, size),
        real(out, channels // groups, kernel),
        real(out),
        out_channels=Dim.of(out),
        kernel_size=kernel,
        **settings,
    )
    agrees("conv1d", sample, lambda x, w, b: F.conv1d(x, w, b, **settings), seed)


@pytest.mark.parametrize("seed", range(12))
def test_conv_transpose2d_is_torchs(seed):
    rng = np.random.default_rng([3, seed])
    groups, kernel, dilation, stride = int(rng.integers(1, 3)), two(rng, 2, 4), two(rng, 1, 3), two(rng, 1, 4)
    channels, out = (groups * int(rng.integers(1, 3)) for _ in range(2))
    more, padding = tuple(int(rng.integers(0, s)) for s in stride), two(rng, 0, 2)
    settings = {
        "stride": stride,
        "padding": padding,
        "output_padding": more,
        "dilation": dilation,
        "groups": groups,
    }
    sample = Sample(
        real(channels, *two(rng, 2, 5)),
        real(channels, out // groups, *kernel),
        real(out),
        out_channels=Dim.of(out),
        kernel_size=kernel,
        **settings,
    )

    def grown(x: Any, w: Any, b: Any) -> Any:
        """Laid out whole and cut: torch has no second derivative with output_padding."""
        whole = F.conv_transpose2d(x, w, None, stride=stride, dilation=dilation, groups=groups)
        whole = F.pad(whole, [0, more[1], 0, more[0]])
        (top, left), (height, width) = padding, whole.shape[-2:]
        cut = whole[..., top : height - top, left : width - left]
        return cut + b[:, None, None]

    arrays = [torch.tensor(a) for a in draw(sample, rng)]
    assert torch.allclose(grown(*arrays), F.conv_transpose2d(*arrays, **settings), rtol=1e-12)
    agrees("conv_transpose2d", sample, grown, seed)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [(1, 2), (3, 4), (4, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_same_puts_the_odd_zero_where_torch_does(kernel, dilation):
    settings = {"padding": "same", "dilation": dilation}
    sample = Sample(
        real(2, 5, 4), real(3, 2, *kernel), real(3), out_channels=Dim.of(3), kernel_size=kernel, **settings
    )
    agrees("conv2d", sample, lambda x, w, b: F.conv2d(x, w, b, **settings), 1)


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("seed", range(8))
def test_pools_are_torchs(name, seed):
    rng = np.random.default_rng([4, seed])
    count = 1 + seed % 2
    kernel, stride = two(rng, 1, 4)[:count], two(rng, 1, 4)[:count]
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    settings: dict[str, Any] = {"stride": stride, "padding": padding}
    if name == "avg_pool":
        settings["count_include_pad"] = seed % 4 < 2
    sizes = [k + int(rng.integers(0, 5)) for k in kernel]
    sample = Sample(real(2, *sizes, distinct=True), kernel_size=kernel, **settings)
    of_torch = getattr(F, f"{name}{count}d")
    agrees(name, sample, lambda x: of_torch(x, kernel, **settings), seed)


def test_windows_of_a_pool_lie_side_by_side_by_default():
    sample = Sample(real(1, 5, 7), kernel_size=2)
    agrees("avg_pool", sample, lambda x: F.avg_pool2d(x, 2), 0)


NET = """
input x : [2, 9, 8]
target y : class(3)
h = x |> conv2d(4, 3, padding=1) |> relu |> max_pool(2)
conv = conv2d(h, 6, [2, 3], stride=[2, 1], groups=2, bias=false)
z = conv |> tanh |> avg_pool(2, stride=1, padding=1) |> flatten |> linear(3)
loss cross_entropy(z, y)
"""


class Net(torch.nn.Module):
    """The same network, written by hand."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.conv = torch.nn.Conv2d(4, 6, (2, 3), stride=(2, 1), groups=2, bias=False)
        self.last = torch.nn.Linear(6 * 3 * 3, 3)
        self.pools = torch.nn.MaxPool2d(2), torch.nn.AvgPool2d(2, stride=1, padding=1)

    def forward(self, x):
        h = self.pools[0](torch.relu(self.first(x)))
        return self.last(self.pools[1](torch.tanh(self.conv(h))).flatten(1))


NAMES = {
    "h.conv2d.weight": "first.weight",
    "h.conv2d.bias": "first.bias",
    "conv.weight": "conv.weight",
    "z.linear.weight": "last.weight",
    "z.linear.bias": "last.bias",
}


@pytest.mark.parametrize("level", [0, 1])
def test_a_network_is_the_one_written_by_hand_in_torch(level):
    diagram = loads(NET, "net.flow")
    ours = execute(diagram.compile("numpy", dtype="float64", level=level))
    emitted = execute(diagram.compile("torch", dtype="float64", level=level))
    params = ours["init"](0)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(5, 2, 9, 8)), rng.integers(0, 3, 5)

    net = Net().double()
    net.load_state_dict({NAMES[n]: torch.tensor(a) for n, a in params.items()})
    want = F.cross_entropy(net(torch.tensor(x)), torch.tensor(y))
    want.backward()
    wanted = {n: dict(net.named_parameters())[NAMES[n]].grad.numpy() for n in params}

    loss, grads = ours["loss_and_grad"](params, x=x, y=y)
    assert loss == pytest.approx(want.item(), rel=1e-12)
    model = emitted["Net"]()
    assert sorted(model.state_dict()) == sorted(NAMES)
    model.load_state_dict({n: torch.tensor(a) for n, a in params.items()})
    of_torch = emitted["NetLoss"](model)(torch.tensor(x), torch.tensor(y))
    of_torch.backward()
    assert of_torch.item() == pytest.approx(want.item(), rel=1e-12)
    for name, parameter in model.named_parameters():
        assert grads[name] == pytest.approx(wanted[name], rel=1e-10, abs=1e-12)
        assert parameter.grad.numpy() == pytest.approx(wanted[name], rel=1e-10, abs=1e-12)


def test_layers_are_those_a_user_of_torch_writes():
    text = loads(NET, "net.flow").compile("torch")
    for layer in (
        "nn.Conv2d(2, 4, kernel_size=3, padding=1)",
        "nn.MaxPool2d(kernel_size=2)",
        "4, 6, kernel_size=(2, 3), stride=(2, 1), groups=2, bias=False",
        "nn.AvgPool2d(kernel_size=2, stride=1, padding=1)",
    ):
        assert layer in text


def test_first_weights_are_spread_as_torchs():
    """Uniform in ±1/√fan_in: for a transposed kernel [in, out, ...] torch counts out * kernel."""
    diagram = loads(
        "input x : [4, 5, 5]\na = conv2d(x, 60, 3, groups=2)\nb = conv_transpose2d(x, 60, 3)\noutput a, b\n",
        "c.flow",
    )
    params = initial(diagram)
    ours = {name: float(np.abs(params[f"{name}.weight"]).max()) for name in ("a", "b")}
    theirs = {
        "a": torch.nn.Conv2d(4, 60, 3, groups=2).weight.abs().max().item(),
        "b": torch.nn.ConvTranspose2d(4, 60, 3).weight.abs().max().item(),
    }
    assert ours == pytest.approx(theirs, rel=0.05)
    assert float(np.abs(params["b.bias"]).max()) <= 1 / np.sqrt(60 * 9)


# ---------------------------------------------------------------------------------------
# Embeddings


def test_the_gradient_of_an_embedding_adds_up_where_an_id_repeats():
    diagram = loads(
        "input ids : int[4]\ntarget t : [4, 2]\nh = embedding(ids, 5, 2)\nloss mse(h, t)\n", "case.flow"
    )
    module = execute(diagram.compile("numpy", dtype="float64"))
    params = module["init"](0)
    ids, t = np.array([[1, 3, 1, 1], [0, 3, 4, 4]]), np.random.default_rng(0).normal(size=(2, 4, 2))
    table = torch.tensor(params["h.weight"], requires_grad=True)
    loss = F.mse_loss(F.embedding(torch.tensor(ids), table), torch.tensor(t))
    loss.backward()
    value, grads = module["loss_and_grad"](params, ids, t)
    assert value == pytest.approx(loss.item(), rel=1e-12)
    assert grads["h.weight"] == pytest.approx(table.grad.numpy(), rel=1e-12, abs=1e-15)
    assert "nn.Embedding(5, 2)" in diagram.compile("torch")


def test_the_table_of_an_embedding_starts_standard_normal():
    params = initial(loads("input k : class(90)\noutput embedding(k, 100, 100)\n", "case.flow"))
    (table,) = params.values()
    assert table.shape == (100, 100)
    assert abs(table.mean()) < 0.03 and abs(table.std() - 1) < 0.03
