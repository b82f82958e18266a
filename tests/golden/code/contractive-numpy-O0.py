"""contractive: A contractive autoencoder.

Compiled from contractive.flow by flowc 0.1.0 (target numpy, -O0).
"""

import math

import numpy as np

D = 4
H = 6

PARAMS: dict[str, tuple[int, ...]] = {"W": (H, D), "b": (H,), "c": (D,)}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {"W": glorot(rng("W"), (H, D)), "b": np.zeros((H,)), "c": np.zeros((D,))}
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return h (N, 6) and r (N, 4) from x (N, 4)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 4)
    W, b, c = params["W"], params["b"], params["c"]  # (6, 4), (6,), (4,)
    h_transpose_last = W.T  # (4, 6)
    h_matmul = x @ h_transpose_last  # (N, 6)
    h_add = h_matmul + b
    h = sigmoid(h_add)
    r_transpose_last = W.T  # (4, 6)
    r_transpose_last_2 = r_transpose_last.T  # (6, 4)
    r_matmul = h @ r_transpose_last_2  # (N, 4)
    r = r_matmul + c
    return h, r


def loss(params, x, v):
    """Return the sum of the losses reconstruction, contraction."""
    x = np.asarray(x, dtype=np.float32)  # (N, 4)
    v = np.asarray(v, dtype=np.float32)  # (N, 4)
    W = params["W"]  # (6, 4)
    h, r = forward(params, x)
    r_minus_x = r - x  # (N, 4)
    r_minus_x2 = r_minus_x**2
    reconstruction = np.sum(r_minus_x2, axis=-1)  # (N,)
    h_dot_transpose_last = W.T  # (4, 6)
    h_dot_matmul = v @ h_dot_transpose_last  # (N, 6)
    h_dot_sub = 1 - h
    h_dot_mul = h * h_dot_sub
    h_dot = h_dot_matmul * h_dot_mul
    h_dot2 = h_dot**2
    contraction_sum = np.sum(h_dot2, axis=-1)  # (N,)
    contraction = 0.5 * contraction_sum
    batch_mean_2 = batch_mean(reconstruction)
    batch_mean_2_2 = batch_mean(contraction)
    return float(batch_mean_2 + batch_mean_2_2)


def loss_and_grad(params, x, v):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 4)
    v = np.asarray(v, dtype=np.float32)  # (N, 4)
    W, b, c = params["W"], params["b"], params["c"]  # (6, 4), (6,), (4,)
    N = len(x)

    h_transpose_last = W.T  # (4, 6)
    h_matmul = x @ h_transpose_last  # (N, 6)
    h_add = h_matmul + b
    h = sigmoid(h_add)
    r_transpose_last = W.T  # (4, 6)
    r_transpose_last_2 = r_transpose_last.T  # (6, 4)
    r_matmul = h @ r_transpose_last_2  # (N, 4)
    r = r_matmul + c
    r_minus_x = r - x
    r_minus_x2 = r_minus_x**2
    reconstruction = np.sum(r_minus_x2, axis=-1)  # (N,)
    h_dot_transpose_last = W.T  # (4, 6)
    h_dot_matmul = v @ h_dot_transpose_last  # (N, 6)
    h_dot_sub = 1 - h
    h_dot_mul = h * h_dot_sub
    h_dot = h_dot_matmul * h_dot_mul
    h_dot2 = h_dot**2
    contraction_sum = np.sum(h_dot2, axis=-1)  # (N,)
    contraction = 0.5 * contraction_sum
    batch_mean_2 = batch_mean(reconstruction)
    batch_mean_2_2 = batch_mean(contraction)
    loss = batch_mean_2 + batch_mean_2_2

    # batch_mean_2_2 = batch_mean(contraction)
    share = np.float32(1.0) / max(N, 1)
    d_contraction = np.broadcast_to(share, (N,))

    # batch_mean_2 = batch_mean(reconstruction)
    share_2 = np.float32(1.0) / max(N, 1)
    d_reconstruction = np.broadcast_to(share_2, (N,))

    # contraction = 0.5 * contraction_sum
    d_sum = d_contraction * 0.5

    # contraction_sum = np.sum(h_dot2, axis=-1)
    unsqueeze = d_sum[:, None]  # (N, 1)
    d_pow_2 = np.broadcast_to(unsqueeze, (N, 6))  # (N, 6)

    # h_dot2 = h_dot**2
    mul_4 = 2 * h_dot
    d_h_dot = d_pow_2 * mul_4

    # h_dot = h_dot_matmul * h_dot_mul
    mul_6 = d_h_dot * h_dot_mul
    d_mul = d_h_dot * h_dot_matmul

    # h_dot_mul = h * h_dot_sub
    mul_8 = d_mul * h_dot_sub
    d_sub_3 = d_mul * h

    # h_dot_sub = 1 - h
    neg = -d_sub_3
    add_2 = mul_8 + neg

    # h_dot_matmul = v @ h_dot_transpose_last
    transpose_last_6 = v.T  # (4, N)
    d_transpose_last_4 = transpose_last_6 @ mul_6  # (4, 6)

    # h_dot_transpose_last = W.T
    transpose_last_7 = d_transpose_last_4.T  # (6, 4)

    # reconstruction = np.sum(r_minus_x2, axis=-1)
    unsqueeze_2 = d_reconstruction[:, None]  # (N, 1)
    d_pow = np.broadcast_to(unsqueeze_2, (N, 4))  # (N, 4)

    # r_minus_x2 = r_minus_x**2
    mul_10 = 2 * r_minus_x
    d_r = d_pow * mul_10

    # r = r_matmul + c
    d_c = np.sum(d_r, axis=-2)  # (4,)

    # r_matmul = h @ r_transpose_last_2
    transpose_last_8 = r_transpose_last_2.T  # (4, 6)
    matmul_5 = d_r @ transpose_last_8  # (N, 6)
    transpose_last_9 = h.T  # (6, N)
    matmul_6 = transpose_last_9 @ d_r  # (6, 4)
    d_h = add_2 + matmul_5  # (N, 6)

    # r_transpose_last_2 = r_transpose_last.T
    d_transpose_last = matmul_6.T  # (4, 6)

    # r_transpose_last = W.T
    transpose_last_11 = d_transpose_last.T  # (6, 4)
    add_4 = transpose_last_7 + transpose_last_11

    # h = sigmoid(h_add)
    sub_2 = 1 - h  # (N, 6)
    mul_12 = h * sub_2
    d_add = d_h * mul_12

    # h_add = h_matmul + b
    d_b = np.sum(d_add, axis=-2)  # (6,)

    # h_matmul = x @ h_transpose_last
    transpose_last_13 = x.T  # (4, N)
    d_transpose_last_2 = transpose_last_13 @ d_add  # (4, 6)

    # h_transpose_last = W.T
    transpose_last_14 = d_transpose_last_2.T  # (6, 4)
    d_W = add_4 + transpose_last_14

    return float(loss), {"W": d_W, "b": d_b, "c": d_c}


class Trainer:
    """Trains a copy of params by Adam.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(
        self, params, lr=0.01, betas=(0.9, 0.999), eps=1e-08, batch="all", seed=0
    ):
        self._params = {
            name: np.array(params[name], dtype=np.float32) for name in PARAMS
        }
        self._m = {name: np.zeros_like(w) for name, w in self._params.items()}
        self._v = {name: np.zeros_like(w) for name, w in self._params.items()}
        self._arrays = {"params": self._params, "m": self._m, "v": self._v}
        self._t = 0  # steps taken
        self._lr = lr
        self._betas = betas
        self._eps = eps
        self._batch = batch
        self._seed = seed

    @property
    def params(self):
        """The parameters by name, as views that cannot be written to."""
        views = {name: w.view() for name, w in self._params.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    def step(self, x, v, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, x, v)
        self._update(grads)
        return value if loss else None

    def run(self, x, v, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 600 steps; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N, 4)
        v = np.asarray(v, dtype=np.float32)  # (N, 4)
        n = len(x)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = 600 if epochs is None else epochs * per_epoch
        losses = []
        for i in range(steps):
            epoch, k = divmod(self._t, per_epoch)
            if i == 0 or k == 0:
                batches = self._batches(epoch, n)
            rows = batches[k]
            value = self.step(x[rows], v[rows], loss=log > 0 and i % log == 0)
            if value is not None:
                losses.append(value)
        return np.array(losses)

    def _batches(self, epoch, n):
        """The rows of each batch of an epoch: shuffled, unless one has them all."""
        if self._batch == "all":
            return [slice(None)]
        order = np.random.default_rng([self._seed, epoch]).permutation(n)
        return [order[i : i + self._batch] for i in range(0, n, self._batch)]

    def state(self):
        """Copies of all that a later run needs to go on from here, by name."""
        found = {"step": np.array(self._t)}
        for kind, arrays in self._arrays.items():
            found |= {f"{kind}/{name}": a.copy() for name, a in arrays.items()}
        return found

    def load_state(self, state):
        """Go on from where `state` was taken."""
        self._t = int(state["step"])
        for kind, arrays in self._arrays.items():
            for name, array in arrays.items():
                array[...] = state[f"{kind}/{name}"]

    def _update(self, grads):
        """Move the parameters along their gradients by the rule of Adam."""
        self._t += 1
        beta1, beta2 = self._betas
        lr, eps, t = self._lr, self._eps, self._t
        for name, g in grads.items():
            w, m, v = self._params[name], self._m[name], self._v[name]
            m += (1 - beta1) * (g - m)
            v *= beta2
            v += (1 - beta2) * g * g
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            w -= lr * m_hat / (np.sqrt(v_hat) + eps)


def glorot(rng, shape):
    """Uniform in ±sqrt(6 / (fan_in + fan_out))."""
    bound = math.sqrt(6 / max(sum(fans(shape)), 1))
    return rng.uniform(-bound, bound, shape)


def fans(shape):
    """Fan in and fan out of a weight [out, in, *kernel]."""
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
