"""contractive: A contractive autoencoder.

Compiled from contractive.flow by flowc 0.1.0 (target numpy, -O1).
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
    h = sigmoid(x @ W.T + b)  # (N, 6)
    r = h @ W + c  # (N, 4)
    return h, r


def loss(params, x, v):
    """Return the sum of the losses reconstruction, contraction."""
    x = np.asarray(x, dtype=np.float32)  # (N, 4)
    v = np.asarray(v, dtype=np.float32)  # (N, 4)
    W, b, c = params["W"], params["b"], params["c"]  # (6, 4), (6,), (4,)
    h = sigmoid(x @ W.T + b)  # (N, 6)
    r = h @ W + c  # (N, 4)
    reconstruction = np.sum((r - x) ** 2, axis=-1)  # (N,)
    h_dot = v @ W.T * (h * (1 - h))  # (N, 6)
    contraction = 0.5 * np.sum(h_dot**2, axis=-1)  # (N,)
    return float(batch_mean(reconstruction) + batch_mean(contraction))


def loss_and_grad(params, x, v):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 4)
    v = np.asarray(v, dtype=np.float32)  # (N, 4)
    W, b, c = params["W"], params["b"], params["c"]  # (6, 4), (6,), (4,)
    N = len(x)

    h = sigmoid(x @ W.T + b)  # (N, 6)
    r = h @ W + c  # (N, 4)
    r_minus_x = r - x
    reconstruction = np.sum(r_minus_x**2, axis=-1)  # (N,)
    h_dot_matmul = v @ W.T  # (N, 6)
    h_dot_sub = 1 - h
    h_dot_mul = h * h_dot_sub
    h_dot = h_dot_matmul * h_dot_mul
    contraction = 0.5 * np.sum(h_dot**2, axis=-1)  # (N,)
    loss = batch_mean(reconstruction) + batch_mean(contraction)

    # contraction = 0.5 * np.sum(h_dot**2, axis=-1)
    d_h_dot = h_dot / max(N, 1)  # (N, 6)

    # h_dot = h_dot_matmul * h_dot_mul
    d_mul = d_h_dot * h_dot_matmul

    # reconstruction = np.sum(r_minus_x**2, axis=-1)
    d_r = 2 * r_minus_x / max(N, 1)  # (N, 4)

    # r = h @ W + c
    d_c = np.sum(d_r, axis=-2)  # (4,)
    d_h = d_mul * h_dot_sub - d_mul * h + d_r @ W.T  # (N, 6)

    # h = sigmoid(x @ W.T + b)
    d_add = d_h * h_dot_mul
    d_b = np.sum(d_add, axis=-2)  # (6,)
    d_W = h.T @ d_r + ((d_h_dot * h_dot_mul).T @ v + d_add.T @ x)  # (6, 4)

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
