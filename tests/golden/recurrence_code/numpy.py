"""gru_chars: A language model over letters, of one layer of GRU.

Compiled from gru_chars.flow by flowc 0.1.0 (target numpy, -O1).
"""

import math

import numpy as np

V = 23
D = 64

PARAMS: dict[str, tuple[int, ...]] = {
    "bias": (V,),
    "table.weight": (23, 64),
    "h.weight_ih": (192, 64),
    "h.weight_hh": (192, 64),
    "h.bias_ih": (192,),
    "h.bias_hh": (192,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "bias": np.zeros((V,)),
        "table.weight": rng("table.weight").normal(0.0, 0.3, (23, 64)),
        "h.weight_ih": fan_uniform(rng("h.weight_ih"), (192, 64), fan_in=64),
        "h.weight_hh": fan_uniform(rng("h.weight_hh"), (192, 64), fan_in=64),
        "h.bias_ih": fan_uniform(rng("h.bias_ih"), (192,), fan_in=64),
        "h.bias_hh": fan_uniform(rng("h.bias_hh"), (192,), fan_in=64),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, ids):
    """Return logits, shape (N, T, 23), from ids (N, T) of labels 0..22."""
    ids = np.asarray(ids, dtype=np.int64)  # (N, T)
    bias = params["bias"]  # (23,)
    table_weight = params["table.weight"]  # (23, 64)
    h_weight_ih = params["h.weight_ih"]  # (192, 64)
    h_weight_hh = params["h.weight_hh"]  # (192, 64)
    h_bias_ih = params["h.bias_ih"]  # (192,)
    h_bias_hh = params["h.bias_hh"]  # (192,)
    N = len(ids)
    T = ids.shape[1]
    h_embedding = table_weight[ids]  # (N, T, 64)
    h_2 = np.empty((N, T, 64), dtype=np.float32)
    h = np.zeros((N, 64), dtype=np.float32)
    for t in range(T):
        x = h_embedding[:, t]  # (N, 64)
        h = gru_cell(x, h, h_weight_ih, h_weight_hh, h_bias_ih, h_bias_hh)
        h_2[:, t] = h
    return h_2 @ table_weight.T + bias


def loss(params, ids, next):
    """Return the loss, the mean over the batch."""
    next = np.asarray(next, dtype=np.int64)  # (N, T)
    logits = forward(params, ids)
    return float(batch_mean(cross_entropy(logits, next, axis=-1)))


def loss_and_grad(params, ids, next):
    """Return the loss and its gradient with respect to every parameter."""
    ids = np.asarray(ids, dtype=np.int64)  # (N, T)
    next = np.asarray(next, dtype=np.int64)  # (N, T)
    bias = params["bias"]  # (23,)
    table_weight = params["table.weight"]  # (23, 64)
    h_weight_ih = params["h.weight_ih"]  # (192, 64)
    h_weight_hh = params["h.weight_hh"]  # (192, 64)
    h_bias_ih = params["h.bias_ih"]  # (192,)
    h_bias_hh = params["h.bias_hh"]  # (192,)
    N = len(ids)
    T = ids.shape[1]

    h_embedding = table_weight[ids]  # (N, T, 64)
    h_2 = np.empty((N, T, 64), dtype=np.float32)
    h_before = np.empty((N, T, 64), dtype=np.float32)
    r_all = np.empty((N, T, 64), dtype=np.float32)
    n_all = np.empty((N, T, 64), dtype=np.float32)
    z_all = np.empty((N, T, 64), dtype=np.float32)
    sub_all = np.empty((N, T, 64), dtype=np.float32)
    nh_all = np.empty((N, T, 64), dtype=np.float32)
    h = np.zeros((N, 64), dtype=np.float32)
    for t in range(T):
        h_before[:, t] = h
        rx, zx, nx = np.split(h_embedding[:, t] @ h_weight_ih.T + h_bias_ih, 3, axis=-1)
        rh, zh, nh = np.split(h @ h_weight_hh.T + h_bias_hh, 3, axis=-1)
        r = sigmoid(rx + rh)  # (N, 64)
        z = sigmoid(zx + zh)
        n = np.tanh(nx + r * nh)
        h_minus_n = h - n
        h = n + z * h_minus_n
        r_all[:, t] = r
        n_all[:, t] = n
        z_all[:, t] = z
        sub_all[:, t] = h_minus_n
        nh_all[:, t] = nh
        h_2[:, t] = h
    logits = h_2 @ table_weight.T + bias  # (N, T, 23)
    loss = batch_mean(cross_entropy(logits, next, axis=-1))
    sub = softmax(logits) - (next[..., None] == np.arange(23)).astype(np.float32)
    d_logits = sub / max(N * T, 1)

    # logits = h_2 @ table_weight.T + bias
    d_bias = np.sum(d_logits, axis=(-3, -2))  # (23,)
    d_h = d_logits @ table_weight  # (N, T, 64)
    transpose_last_5 = np.reshape(d_logits, (N * T, 23)).T  # (23, N * T)

    # the loop that makes h
    item = np.empty((N, T, 64), dtype=np.float32)
    d_h_2 = np.zeros((N, 64), dtype=np.float32)
    d_h_weight_ih = np.zeros_like(h_weight_ih)
    d_h_weight_hh = np.zeros_like(h_weight_hh)
    d_h_bias_ih = np.zeros_like(h_bias_ih)
    d_h_bias_hh = np.zeros_like(h_bias_hh)
    for t in reversed(range(T)):
        r_t = r_all[:, t]
        z_t = z_all[:, t]
        add_4 = d_h_2 + d_h[:, t]  # (N, 64)

        # h = n + z * h_minus_n
        d_sub = add_4 * z_t

        # n = np.tanh(nx + r * nh)
        d_add_3 = (add_4 - d_sub) * (1 - n_all[:, t] ** 2)

        # z = sigmoid(zx + zh)
        d_add_2 = add_4 * sub_all[:, t] * (z_t * (1 - z_t))

        # r = sigmoid(rx + rh)
        d_add = d_add_3 * nh_all[:, t] * (r_t * (1 - r_t))

        # rh, zh, nh = np.split(h @ h_weight_hh.T + h_bias_hh, 3, axis=-1)
        # (N, 192)
        d_linear_2 = np.concatenate([d_add, d_add_2, d_add_3 * r_t], axis=-1)

        d_linear = np.concatenate([d_add, d_add_2, d_add_3], axis=-1)

        # rh, zh, nh = np.split(h @ h_weight_hh.T + h_bias_hh, 3, axis=-1)
        d_h_2 = d_sub + d_linear_2 @ h_weight_hh  # (N, 64)

        d_x = d_linear @ h_weight_ih
        d_h_weight_ih += d_linear.T @ h_embedding[:, t]  # (192, 64)
        d_h_weight_hh += d_linear_2.T @ h_before[:, t]
        d_h_bias_ih += np.sum(d_linear, axis=-2)  # (192,)
        d_h_bias_hh += np.sum(d_linear_2, axis=-2)
        item[:, t] = d_x

    # logits = h_2 @ table_weight.T + bias
    transpose_last_4 = transpose_last_5 @ np.reshape(h_2, (N * T, 64))  # (23, 64)

    # h_embedding = table_weight[ids]
    d_table_weight = transpose_last_4 + add_at(item, ids, size=23)

    grads = {
        "bias": d_bias,
        "table.weight": d_table_weight,
        "h.weight_ih": d_h_weight_ih,
        "h.weight_hh": d_h_weight_hh,
        "h.bias_ih": d_h_bias_ih,
        "h.bias_hh": d_h_bias_hh,
    }
    return float(loss), grads


def metrics(params, ids, next):
    """Return the mean of each metric."""
    next = np.asarray(next, dtype=np.int64)  # (N, T)
    logits = forward(params, ids)
    # (N,)
    accuracy_accuracy = np.mean(
        (np.argmax(logits, axis=-1) == next).astype(np.float32), axis=-1
    )
    accuracy = accuracy_accuracy
    return {"accuracy": float(batch_mean(accuracy))}


class Trainer:
    """Trains a copy of params by Adam.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(
        self, params, lr=0.01, betas=(0.9, 0.999), eps=1e-08, batch=32, seed=0
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

    def step(self, ids, next, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, ids, next)
        self._update(grads)
        return value if loss else None

    def run(self, ids, next, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 20 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        ids = np.asarray(ids, dtype=np.int64)  # (N, T)
        next = np.asarray(next, dtype=np.int64)  # (N, T)
        n = len(ids)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (20 if epochs is None else epochs) * per_epoch
        losses = []
        for i in range(steps):
            epoch, k = divmod(self._t, per_epoch)
            if i == 0 or k == 0:
                batches = self._batches(epoch, n)
            rows = batches[k]
            value = self.step(ids[rows], next[rows], loss=log > 0 and i % log == 0)
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
        lr = cosine(self._t, self._lr, steps=180)
        self._t += 1
        beta1, beta2 = self._betas
        eps, t = self._eps, self._t
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


def gru_cell(x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """The next state: of tanh(n_x + r n_h) and the last state, as the gate z says."""
    r_x, z_x, n_x = np.split(affine(x, weight_ih, bias_ih), 3, axis=-1)
    r_h, z_h, n_h = np.split(affine(h, weight_hh, bias_hh), 3, axis=-1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    n = np.tanh(n_x + r * n_h)
    return n + z * (h - n)


def affine(x, weight, bias=None):
    """x Wᵀ, plus the bias if there is one."""
    return x @ weight.T if bias is None else x @ weight.T + bias


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


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


def softmax(x, axis=-1):
    """Exponentials over their sum; the largest entry is taken off first."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def add_at(values, indices, size):
    """Add rows of values to the rows that indices name; entry by entry is faster."""
    total = np.zeros((size, *values.shape[indices.ndim :]), values.dtype)
    width = values.size // max(indices.size, 1)
    places = np.reshape(indices, (-1, 1)) * width + np.arange(width)
    np.add.at(total.reshape(-1), places.reshape(-1), values.reshape(-1))
    return total


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2
