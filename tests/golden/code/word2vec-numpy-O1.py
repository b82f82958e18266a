"""word2vec: Word vectors by skip-gram with negative sampling.

Compiled from word2vec.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

V = 28
D = 8
K = 5

PARAMS: dict[str, tuple[int, ...]] = {
    "vector.weight": (28, 8),
    "around.weight": (28, 8),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "vector.weight": rng("vector.weight").normal(0.0, 1.0, (28, 8)),
        "around.weight": rng("around.weight").normal(0.0, 1.0, (28, 8)),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, word):
    """Return vector, shape (N, 8), from word (N,) of labels 0..27."""
    word = np.asarray(word, dtype=np.int64)  # (N,)
    vector_weight = params["vector.weight"]  # (28, 8)
    return vector_weight[word]


def loss(params, word, context, noise):
    """Return the sum of the losses pair, drawn."""
    context = np.asarray(context, dtype=np.int64)  # (N,)
    noise = np.asarray(noise, dtype=np.int64)  # (N, 5)
    around_weight = params["around.weight"]  # (28, 8)
    vector_ = forward(params, word)
    pair = np.logaddexp(-np.sum(around_weight[context] * vector_, axis=-1), 0)  # (N,)
    # (N, 5)
    drawn_squeeze = np.squeeze(around_weight[noise] @ vector_[..., None], axis=-1)
    drawn = np.sum(np.logaddexp(drawn_squeeze, 0), axis=-1)  # (N,)
    return float(batch_mean(pair) + batch_mean(drawn))


def loss_and_grad(params, word, context, noise):
    """Return the loss and its gradient with respect to every parameter."""
    word = np.asarray(word, dtype=np.int64)  # (N,)
    context = np.asarray(context, dtype=np.int64)  # (N,)
    noise = np.asarray(noise, dtype=np.int64)  # (N, 5)
    vector_weight = params["vector.weight"]  # (28, 8)
    around_weight = params["around.weight"]  # (28, 8)
    N = len(word)

    vector_ = vector_weight[word]  # (N, 8)
    pair_embedding = around_weight[context]
    pair_neg = -np.sum(pair_embedding * vector_, axis=-1)  # (N,)
    pair = np.logaddexp(pair_neg, 0)
    drawn_embedding = around_weight[noise]  # (N, 5, 8)
    drawn_unsqueeze = vector_[..., None]  # (N, 8, 1)
    drawn_squeeze = np.squeeze(drawn_embedding @ drawn_unsqueeze, axis=-1)  # (N, 5)
    drawn = np.sum(np.logaddexp(drawn_squeeze, 0), axis=-1)  # (N,)
    loss = batch_mean(pair) + batch_mean(drawn)

    # drawn_squeeze = np.squeeze(drawn_embedding @ drawn_unsqueeze, axis=-1)
    d_matmul_3 = np.reshape(sigmoid(drawn_squeeze) / max(N, 1), (N, 5, 1))  # (N, 5, 1)

    # drawn_embedding = around_weight[noise]
    # (28, 8)
    add_at_2 = add_at(d_matmul_3 @ np.swapaxes(drawn_unsqueeze, -2, -1), noise, size=28)

    # pair_neg = -np.sum(pair_embedding * vector_, axis=-1)
    unsqueeze_4 = (sigmoid(pair_neg) / max(N, 1))[:, None]  # (N, 1)

    # drawn_unsqueeze = vector_[..., None]
    # (N, 8)
    squeeze = np.squeeze(np.swapaxes(drawn_embedding, -2, -1) @ d_matmul_3, axis=-1)

    # pair_neg = -np.sum(pair_embedding * vector_, axis=-1)
    d_vector = squeeze - unsqueeze_4 * pair_embedding

    # pair_embedding = around_weight[context]
    # (28, 8)
    d_around_weight = add_at_2 + add_at(-(unsqueeze_4 * vector_), context, size=28)

    # vector_ = vector_weight[word]
    d_vector_weight = add_at(d_vector, word, size=28)

    grads = {"vector.weight": d_vector_weight, "around.weight": d_around_weight}
    return float(loss), grads


class Trainer:
    """Trains a copy of params by Adam.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(
        self, params, lr=0.02, betas=(0.9, 0.999), eps=1e-08, batch=64, seed=0
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

    def step(self, word, context, noise, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, word, context, noise)
        self._update(grads)
        return value if loss else None

    def run(self, word, context, noise, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 60 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        word = np.asarray(word, dtype=np.int64)  # (N,)
        context = np.asarray(context, dtype=np.int64)  # (N,)
        noise = np.asarray(noise, dtype=np.int64)  # (N, 5)
        n = len(word)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (60 if epochs is None else epochs) * per_epoch
        losses = []
        for i in range(steps):
            epoch, k = divmod(self._t, per_epoch)
            if i == 0 or k == 0:
                batches = self._batches(epoch, n)
            rows = batches[k]
            value = self.step(
                word[rows], context[rows], noise[rows], loss=log > 0 and i % log == 0
            )
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


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def add_at(values, indices, size):
    """Add rows of values to the rows that indices name; entry by entry is faster."""
    total = np.zeros((size, *values.shape[indices.ndim :]), values.dtype)
    width = values.size // max(indices.size, 1)
    places = np.reshape(indices, (-1, 1)) * width + np.arange(width)
    np.add.at(total.reshape(-1), places.reshape(-1), values.reshape(-1))
    return total
