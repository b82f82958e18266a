"""digits: Handwritten digits by a network with one hidden layer.

Compiled from digits.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {
    "h.linear.weight": (64, 64),
    "h.linear.bias": (64,),
    "z.weight": (10, 64),
    "z.bias": (10,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "h.linear.weight": fan_uniform(rng("h.linear.weight"), (64, 64), fan_in=64),
        "h.linear.bias": fan_uniform(rng("h.linear.bias"), (64,), fan_in=64),
        "z.weight": fan_uniform(rng("z.weight"), (10, 64), fan_in=64),
        "z.bias": fan_uniform(rng("z.bias"), (10,), fan_in=64),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return p, shape (N, 10), from x (N, 64)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    h_linear_weight = params["h.linear.weight"]  # (64, 64)
    h_linear_bias = params["h.linear.bias"]  # (64,)
    z_weight = params["z.weight"]  # (10, 64)
    z_bias = params["z.bias"]  # (10,)
    h_div = x / 16  # (N, 64)
    h_linear = h_div @ h_linear_weight.T + h_linear_bias
    h = np.maximum(h_linear, 0)
    z = h @ z_weight.T + z_bias  # (N, 10)
    p = softmax(z)
    return p


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    h_linear_weight = params["h.linear.weight"]  # (64, 64)
    h_linear_bias = params["h.linear.bias"]  # (64,)
    z_weight = params["z.weight"]  # (10, 64)
    z_bias = params["z.bias"]  # (10,)
    h_div = x / 16  # (N, 64)
    h_linear = h_div @ h_linear_weight.T + h_linear_bias
    h = np.maximum(h_linear, 0)
    z = h @ z_weight.T + z_bias  # (N, 10)
    cross_entropy_2 = cross_entropy(z, y)  # (N,)
    batch_mean_2 = batch_mean(cross_entropy_2)
    return float(batch_mean_2)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    h_linear_weight = params["h.linear.weight"]  # (64, 64)
    h_linear_bias = params["h.linear.bias"]  # (64,)
    z_weight = params["z.weight"]  # (10, 64)
    z_bias = params["z.bias"]  # (10,)
    N = len(x)

    h_div = x / 16  # (N, 64)
    h_linear = h_div @ h_linear_weight.T + h_linear_bias
    h = np.maximum(h_linear, 0)
    z = h @ z_weight.T + z_bias  # (N, 10)
    cross_entropy_2 = cross_entropy(z, y)  # (N,)
    batch_mean_2 = batch_mean(cross_entropy_2)
    loss = batch_mean_2

    # batch_mean_2 = batch_mean(cross_entropy_2)
    share = np.float32(1.0) / max(N, 1)
    d_cross_entropy = np.broadcast_to(share, (N,))

    # cross_entropy_2 = cross_entropy(z, y)
    unsqueeze = d_cross_entropy[:, None]  # (N, 1)
    softmax_2 = softmax(z)  # (N, 10)
    one_hot = (y[..., None] == np.arange(10)).astype(np.float32)
    softmax_2_minus_one_hot = softmax_2 - one_hot
    d_z = unsqueeze * softmax_2_minus_one_hot

    # z = h @ z_weight.T + z_bias
    transpose_last = d_z.T  # (10, N)
    d_z_weight = transpose_last @ h  # (10, 64)
    d_h = d_z @ z_weight  # (N, 64)
    d_z_bias = np.sum(d_z, axis=-2)  # (10,)

    # h = np.maximum(h_linear, 0)
    less = 0 < h_linear  # (N, 64)
    cast = less.astype(np.float32)
    d_linear = d_h * cast

    # h_linear = h_div @ h_linear_weight.T + h_linear_bias
    transpose_last_2 = d_linear.T  # (64, N)
    d_h_linear_weight = transpose_last_2 @ h_div  # (64, 64)
    d_h_linear_bias = np.sum(d_linear, axis=-2)  # (64,)

    grads = {
        "h.linear.weight": d_h_linear_weight,
        "h.linear.bias": d_h_linear_bias,
        "z.weight": d_z_weight,
        "z.bias": d_z_bias,
    }
    return float(loss), grads


def metrics(params, x, y):
    """Return the mean of each metric."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    h_linear_weight = params["h.linear.weight"]  # (64, 64)
    h_linear_bias = params["h.linear.bias"]  # (64,)
    z_weight = params["z.weight"]  # (10, 64)
    z_bias = params["z.bias"]  # (10,)
    h_div = x / 16  # (N, 64)
    h_linear = h_div @ h_linear_weight.T + h_linear_bias
    h = np.maximum(h_linear, 0)
    z = h @ z_weight.T + z_bias  # (N, 10)
    accuracy = (np.argmax(z, axis=-1) == y).astype(np.float32)  # (N,)
    batch_mean_2 = batch_mean(accuracy)
    return {"accuracy": float(batch_mean_2)}


class Trainer:
    """Trains a copy of params by Adam.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(
        self, params, lr=0.005, betas=(0.9, 0.999), eps=1e-08, batch=32, seed=0
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

    def step(self, x, y, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, x, y)
        self._update(grads)
        return value if loss else None

    def run(self, x, y, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 30 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N, 64)
        y = np.asarray(y, dtype=np.int64)  # (N,)
        n = len(x)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (30 if epochs is None else epochs) * per_epoch
        losses = []
        for i in range(steps):
            epoch, k = divmod(self._t, per_epoch)
            if i == 0 or k == 0:
                batches = self._batches(epoch, n)
            rows = batches[k]
            value = self.step(x[rows], y[rows], loss=log > 0 and i % log == 0)
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


def fan_uniform(rng, shape, fan_in):
    """Uniform in ±1 / sqrt(fan_in)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(fan_in)


def softmax(x, axis=-1):
    """Exponentials over their sum; the largest entry is taken off first."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def cross_entropy(z, y, axis=()):
    """-log softmax(z) at the label y, classes along the last axis; mean over axis."""
    log_p = np.take_along_axis(log_softmax(z), y[..., None], axis=-1)[..., 0]
    return -np.mean(log_p, axis=axis)


def log_softmax(x, axis=-1):
    """Logarithm of softmax, accurate where softmax is all but 0 or all but 1."""
    top = np.argmax(x, axis=axis, keepdims=True)
    shifted = x - np.take_along_axis(x, top, axis=axis)
    # The largest term is 1: log1p of the others keeps what 1 + others would round away.
    others = np.exp(shifted)
    np.put_along_axis(others, top, 0, axis=axis)
    return shifted - np.log1p(np.sum(others, axis=axis, keepdims=True))


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
