"""Cells of recurrent networks, one step each: rnn_cell, gru_cell, lstm_cell.

Parameters, their order and their first values are those of nn.RNNCell, nn.GRUCell and nn.LSTMCell:
weights [gates H, in] and [gates H, H], two biases [gates H], H being the size of the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..types import REAL, Mismatch, TensorType, TupleType, Type, Unifier, describe
from .activation import sigmoid
from .base import Batching, Composite, Parameter, Sample, Value, called, fn, items_of, need_equal, real
from .layer import around_zero, last_size, no_axis

if TYPE_CHECKING:
    import torch
    from torch.nn import functional as F


def affine(x, weight, bias=None):
    """x Wᵀ, plus the bias if there is one."""
    return x @ weight.T if bias is None else x @ weight.T + bias


class Cell(Composite, abstract=True):
    """Maps an input and a state, of the same axes but for the last, to the next state."""

    group = "layers"
    operands: ClassVar[tuple[str, ...]] = ("x", "h", "weight_ih", "weight_hh", "bias_ih?", "bias_hh?")
    params = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    bias: bool = True
    states: ClassVar[int] = 1
    gates: ClassVar[int] = 1
    module: ClassVar[str] = ""

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        size, state = last_size(self, u, types[0], 0), last_size(self, u, types[1], 1)
        init = around_zero(state)
        rows = state * self.gates
        made = [Parameter("weight_ih", (rows, size), init), Parameter("weight_hh", (rows, state), init)]
        if not self.bias:
            return made
        return [*made, Parameter("bias_ih", (rows,), init), Parameter("bias_hh", (rows,), init)]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        given = 1 + self.states
        said = [(slot, f"is {describe(u.tensor(t))}") for slot, t in enumerate(types)]
        for slot, t in enumerate(types[:given]):
            if t.rank == 0:
                raise no_axis(self, t, slot)
            cure = "x and the states must agree in all axes but the last"
            if t.rank != types[0].rank:
                raise Mismatch("shapes do not agree", blame=[said[0], said[slot]], help=cure)
            for a, b in zip(types[0].shape[:-1], t.shape[:-1], strict=True):
                need_equal(self, u, a, b, blame=[said[0], said[slot]], help=cure)
        x, h, *others = types[:given]
        for slot, other in enumerate(others, 2):
            need_equal(
                self,
                u,
                h.shape[-1],
                other.shape[-1],
                blame=[said[1], said[slot]],
                help="all states must have one size",
            )
        self._need_weights(u, x, h, types[given:], said)
        state = TensorType(REAL, u.shape(h.shape))
        return state if self.states == 1 else TupleType((state,) * self.states)

    def _need_weights(
        self,
        u: Unifier,
        x: TensorType,
        h: TensorType,
        params: Sequence[TensorType],
        said: Sequence[tuple[int, str]],
    ) -> None:
        """Unify the parameters' shapes with those of the input and the state. Raises Mismatch."""
        first = 1 + self.states
        rows = u.known(h.shape[-1]) * self.gates
        wanted = [(rows, x.shape[-1]), (rows, h.shape[-1]), (rows,), (rows,)]
        for slot, (param, shape) in enumerate(zip(params, wanted, strict=False), first):
            of = 0 if slot == first else 1
            cure = f"this `{self.name}` was made for inputs of {params[0].shape[1]} entries and states of "
            cure += f"{params[1].shape[1]}"
            for have, want in zip(param.shape, shape, strict=True):
                need_equal(self, u, have, want, blame=[said[of], said[slot]], help=cure)

    def torch_layer(self, types: Sequence[Any]) -> str:
        x, h = types[:2]
        if x.rank > 2:  # the modules take one vector, or a batch of them
            return ""
        bias = "" if len(types) > 3 + self.states else ", bias=False"
        return f"{self.module}({x.shape[-1]}, {h.shape[-1]}{self.module_settings()}{bias})"

    def module_settings(self) -> str:
        """Further arguments of the module's constructor."""
        return ""

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        given = 1 + self.states
        if any(b.has(v) for v in values[given:]):
            return b.inline(self, values, types)
        spread = [b.spread(v, t) for v, t in zip(values[:given], types[:given], strict=True)]
        return b.apply(self, *spread, *values[given:])

    def sums(self, xs: Sequence[Value]) -> tuple[Value, Value]:
        """What input and state add to the gates: each times its weights, plus its bias."""
        given = 1 + self.states
        weight_ih, weight_hh, *biases = xs[given:]
        rows = weight_ih.shape[0]
        of_x = fn.linear(xs[0], weight_ih, *biases[:1], out=rows, bias=bool(biases))
        of_h = fn.linear(xs[1], weight_hh, *biases[1:], out=rows, bias=bool(biases))
        return of_x, of_h


def cell_weights_torch(cell):
    """The parameters of a cell as PyTorch's functions for whole sequences take them."""
    biases = (cell.bias_ih, cell.bias_hh) if cell.bias else ()
    return (cell.weight_ih, cell.weight_hh, *biases)


def cell_along_torch(cell, x, h):
    """The states of a cell after each row of x (N, T, D), one by one, and the last."""
    steps = []
    for t in range(x.shape[1]):
        h = cell(x[:, t], h)
        steps.append(h)
    return stacked_torch(steps, h), h


def stacked_torch(steps, h):
    """States (N, H) of all steps as one array (N, T, H)."""
    none = h.new_empty(h.shape[0], 0, h.shape[1])
    return torch.stack(steps, dim=1) if steps else none


def samples_of(gates: int, states: int) -> list[Sample]:
    """One vector, rows of them, and one without biases: inputs of 3 entries, states of 2."""
    weights = (real(2 * gates, 3), real(2 * gates, 2))
    biases = (real(2 * gates), real(2 * gates))
    return [
        Sample(real(3), *(real(2) for _ in range(states)), *weights, *biases),
        Sample(real(4, 3), *(real(4, 2) for _ in range(states)), *weights, *biases),
        Sample(real(3), *(real(2) for _ in range(states)), *weights, bias=False),
        Sample(real(2, 4, 3), *(real(2, 4, 2) for _ in range(states)), *weights, *biases),
    ]


def bad_samples_of(gates: int, states: int) -> list[Sample]:
    """Numbers for vectors, rows beside one vector, sizes that the weights do not have."""
    weights = (real(2 * gates, 3), real(2 * gates, 2))
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((), (2,)),
        ((3,), ()),
        ((4, 3), (2,)),
        ((4, 3), (5, 2)),
        ((4,), (2,)),
        ((3,), (3,)),
    ]
    return [Sample(real(*x), *(real(*h) for _ in range(states)), *weights, bias=False) for x, h in shapes]


# ---------------------------------------------------------------------------------------
# One state, no gates


def rnn_cell(x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next state tanh(W x + U h + b)."""
    return np.tanh(affine(x, weight_ih, bias_ih) + affine(h, weight_hh, bias_hh))


def rnn_cell_torch(x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next state tanh(W x + U h + b)."""
    return torch.tanh(F.linear(x, weight_ih, bias_ih) + F.linear(h, weight_hh, bias_hh))


def relu_rnn_cell(x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next state max(W x + U h + b, 0)."""
    z = affine(x, weight_ih, bias_ih) + affine(h, weight_hh, bias_hh)
    return np.maximum(z, 0)


def relu_rnn_cell_torch(x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next state max(W x + U h + b, 0)."""
    return F.relu(F.linear(x, weight_ih, bias_ih) + F.linear(h, weight_hh, bias_hh))


def rnn_along_torch(cell, x, h):
    """The states of an nn.RNNCell after each row of x (N, T, D), and the last."""
    # PyTorch's function takes no empty sequence, and torch.compile not the function.
    if torch.compiler.is_compiling() or 0 in x.shape:
        return cell_along_torch(cell, x, h)
    along = torch.rnn_tanh if cell.nonlinearity == "tanh" else torch.rnn_relu
    weights, settings = cell_weights_torch(cell), (cell.bias, 1, 0.0, cell.training)
    rows, h = along(x, h[None], weights, *settings, False, True)
    return rows, h[0]


class RnnCell(Cell):
    """A step of a plain recurrent network: the next state, from an input and the state.

    `nonlinearity` is "tanh" or "relu". Parameters and first values as in nn.RNNCell; H is the size
    of h.
    """

    nonlinearity: str = "tanh"
    formula = "tanh(W_ih x + b_ih + W_hh h + b_hh)"
    latex = r"\tanh({weight_ih} {x} + {bias_ih} + {weight_hh} {h} + {bias_hh})"
    unsaid = ("bias",)
    module = "nn.RNNCell"
    torch_along = rnn_along_torch
    numpy = rnn_cell
    samples = [
        *samples_of(1, 1),
        Sample(real(3), real(2), real(2, 3), real(2, 2), real(2), real(2), nonlinearity="relu"),
    ]
    bad_samples = [
        *bad_samples_of(1, 1),
        Sample(real(3), real(2), real(2, 3), real(2, 2), bias=False, nonlinearity="sigmoid"),
    ]
    example = "h2 = rnn_cell(x, h)"

    def notation(self, types: Sequence[Any]) -> str:
        return self.latex if self.nonlinearity == "tanh" and len(types) == 6 else self.called

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        if self.nonlinearity not in ("tanh", "relu"):
            raise Mismatch(
                f"`rnn_cell` has no nonlinearity `{self.nonlinearity}`",
                help='it is "tanh" or "relu"',
                code="E0404",
            )
        return super().rule(u, *types)

    def module_settings(self) -> str:
        """Further arguments of the module's constructor."""
        return "" if self.nonlinearity == "tanh" else ', nonlinearity="relu"'

    def form(self, target: str, types: Sequence[Any]) -> Any:
        if self.nonlinearity == "relu":
            return relu_rnn_cell if target == "numpy" else relu_rnn_cell_torch
        return rnn_cell if target == "numpy" else rnn_cell_torch

    def expand(self, *xs: Value) -> Value:
        of_x, of_h = self.sums(xs)
        return fn.tanh(of_x + of_h) if self.nonlinearity == "tanh" else fn.relu(of_x + of_h)


# ---------------------------------------------------------------------------------------
# One state, gates


def gru_cell(x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next state: of tanh(n_x + r n_h) and the last state, as the gate z says."""
    r_x, z_x, n_x = np.split(affine(x, weight_ih, bias_ih), 3, axis=-1)
    r_h, z_h, n_h = np.split(affine(h, weight_hh, bias_hh), 3, axis=-1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    n = np.tanh(n_x + r * n_h)
    return n + z * (h - n)


def gru_cell_torch(x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next state: of tanh(n_x + r n_h) and the last state, as the gate z says."""
    r_x, z_x, n_x = F.linear(x, weight_ih, bias_ih).chunk(3, dim=-1)
    r_h, z_h, n_h = F.linear(h, weight_hh, bias_hh).chunk(3, dim=-1)
    r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
    n = torch.tanh(n_x + r * n_h)
    return n + z * (h - n)


def gru_along_torch(cell, x, h):
    """The states of an nn.GRUCell after each row of x (N, T, D), and the last."""
    # PyTorch's function takes no empty sequence, and torch.compile not the function.
    if torch.compiler.is_compiling() or 0 in x.shape:
        return cell_along_torch(cell, x, h)
    weights, settings = cell_weights_torch(cell), (cell.bias, 1, 0.0, cell.training)
    rows, h = torch.gru(x, h[None], weights, *settings, False, True)
    return rows, h[0]


class GruCell(Cell):
    """A step of a gated recurrent unit (Cho, 2014): the next state, from an input and the state.

    Parameters and first values as in nn.GRUCell, the gates in the order r, z, n; H is the size of h.
    """

    formula = "n + z (h - n), n = tanh(n_x + r n_h), r = σ(r_x + r_h), z = σ(z_x + z_h)"
    unsaid = ("bias",)
    module = "nn.GRUCell"
    torch_along = gru_along_torch
    gates = 3
    numpy = gru_cell
    torch = gru_cell_torch
    samples = samples_of(3, 1)
    bad_samples = bad_samples_of(3, 1)
    example = "h2 = gru_cell(x, h)"

    def expand(self, *xs: Value) -> Value:
        h = xs[1]
        of_x, of_h = self.sums(xs)
        rx, zx, nx = items_of(fn.split(of_x, parts=3, axis=-1), "rx", "zx", "nx")
        rh, zh, nh = items_of(fn.split(of_h, parts=3, axis=-1), "rh", "zh", "nh")
        r = called(fn.sigmoid(rx + rh), "r")
        z = called(fn.sigmoid(zx + zh), "z")
        n = called(fn.tanh(nx + r * nh), "n")
        return n + z * (h - n)


# ---------------------------------------------------------------------------------------
# Two states


def lstm_cell(x, h, c, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next states: c' = f c + i g, h' = o tanh(c')."""
    sums = affine(x, weight_ih, bias_ih) + affine(h, weight_hh, bias_hh)
    i, f, g, o = np.split(sums, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm_cell_torch(x, h, c, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next states: c' = f c + i g, h' = o tanh(c')."""
    sums = F.linear(x, weight_ih, bias_ih) + F.linear(h, weight_hh, bias_hh)
    i, f, g, o = sums.chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def lstm_along_torch(cell, x, h, c):
    """The h of an nn.LSTMCell after each row of x (N, T, D), and the last h and c."""
    # PyTorch's function takes no empty sequence, and torch.compile not the function.
    if torch.compiler.is_compiling() or 0 in x.shape:
        steps = []
        for t in range(x.shape[1]):
            h, c = cell(x[:, t], (h, c))
            steps.append(h)
        return stacked_torch(steps, h), h, c
    weights, settings = cell_weights_torch(cell), (cell.bias, 1, 0.0, cell.training)
    rows, h, c = torch.lstm(x, (h[None], c[None]), weights, *settings, False, True)
    return rows, h[0], c[0]


class LstmCell(Cell):
    """A step of a long short-term memory (Hochreiter, 1997): the next states h and c.

    From an input and both states. Parameters and first values as in nn.LSTMCell, the gates in the
    order i, f, g, o; H is the size of h and c.
    """

    operands = ("x", "h", "c", "weight_ih", "weight_hh", "bias_ih?", "bias_hh?")
    formula = "o tanh(c') and c' = f c + i g, with i, f, o = σ(W x + U h + b), g = tanh(W x + U h + b)"
    unsaid = ("bias",)
    module = "nn.LSTMCell"
    torch_along = lstm_along_torch
    torch_call = "x, (h, c)"
    gates = 4
    states = 2
    numpy = lstm_cell
    torch = lstm_cell_torch
    samples = samples_of(4, 2)
    bad_samples = [
        *bad_samples_of(4, 2),
        Sample(real(3), real(2), real(3), real(8, 3), real(8, 2), bias=False),
    ]
    example = "h2, c2 = lstm_cell(x, h, c)"

    def expand(self, *xs: Value) -> Value:
        c = xs[2]
        of_x, of_h = self.sums(xs)
        sums = fn.split(called(of_x + of_h, "sums"), parts=4, axis=-1)
        zi, zf, zg, zo = items_of(sums, "zi", "zf", "zg", "zo")
        i = called(fn.sigmoid(zi), "i")
        f = called(fn.sigmoid(zf), "f")
        g = called(fn.tanh(zg), "g")
        o = called(fn.sigmoid(zo), "o")
        following = called(f * c + i * g, "c")
        return fn.pack(o * fn.tanh(following), following)
