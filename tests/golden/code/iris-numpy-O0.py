"""iris: Iris species by softmax regression.

Compiled from iris.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {"W": (3, 4), "b": (3,)}


def init(seed=0):
    """Return first parameters."""
    values = {
        "W": np.array(
            [
                [5.006, 3.428, 1.462, 0.246],
                [5.936, 2.77, 4.26, 1.326],
                [6.588, 2.974, 5.552, 2.026],
            ]
        ),
        "b": np.array([-19.50459, -31.407436, -43.5879]),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, sepal_length, sepal_width, petal_length, petal_width):
    """Return p, shape (N, 3), from sepal_length (N,), sepal_width (N,),
    petal_length (N,) and petal_width (N,).
    """
    sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
    sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
    petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
    petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
    W, b = params["W"], params["b"]  # (3, 4), (3,)
    # (N, 4)
    x = np.stack([sepal_length, sepal_width, petal_length, petal_width], axis=-1)
    z_transpose_last = W.T  # (4, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    p = softmax(z)
    return p


def loss(params, sepal_length, sepal_width, petal_length, petal_width, species):
    """Return the loss, the mean over the batch."""
    sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
    sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
    petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
    petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
    species = np.asarray(species, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 4), (3,)
    # (N, 4)
    x = np.stack([sepal_length, sepal_width, petal_length, petal_width], axis=-1)
    z_transpose_last = W.T  # (4, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    cross_entropy_2 = cross_entropy(z, species)  # (N,)
    batch_mean_2 = batch_mean(cross_entropy_2)
    return float(batch_mean_2)


def loss_and_grad(
    params, sepal_length, sepal_width, petal_length, petal_width, species
):
    """Return the loss and its gradient with respect to every parameter."""
    sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
    sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
    petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
    petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
    species = np.asarray(species, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 4), (3,)
    N = len(sepal_length)

    # (N, 4)
    x = np.stack([sepal_length, sepal_width, petal_length, petal_width], axis=-1)
    z_transpose_last = W.T  # (4, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    cross_entropy_2 = cross_entropy(z, species)  # (N,)
    batch_mean_2 = batch_mean(cross_entropy_2)
    loss = batch_mean_2

    # batch_mean_2 = batch_mean(cross_entropy_2)
    share = np.float32(1.0) / max(N, 1)
    d_cross_entropy = np.broadcast_to(share, (N,))

    # cross_entropy_2 = cross_entropy(z, species)
    unsqueeze = d_cross_entropy[:, None]  # (N, 1)
    softmax_2 = softmax(z)  # (N, 3)
    one_hot = (species[..., None] == np.arange(3)).astype(np.float32)
    softmax_2_minus_one_hot = softmax_2 - one_hot
    d_z = unsqueeze * softmax_2_minus_one_hot

    # z = z_matmul + b
    d_b = np.sum(d_z, axis=-2)  # (3,)

    # z_matmul = x @ z_transpose_last
    transpose_last_3 = x.T  # (4, N)
    d_transpose_last = transpose_last_3 @ d_z  # (4, 3)

    # z_transpose_last = W.T
    d_W = d_transpose_last.T  # (3, 4)

    return float(loss), {"W": d_W, "b": d_b}


def metrics(params, sepal_length, sepal_width, petal_length, petal_width, species):
    """Return the mean of each metric."""
    sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
    sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
    petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
    petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
    species = np.asarray(species, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 4), (3,)
    # (N, 4)
    x = np.stack([sepal_length, sepal_width, petal_length, petal_width], axis=-1)
    z_transpose_last = W.T  # (4, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    accuracy = (np.argmax(z, axis=-1) == species).astype(np.float32)  # (N,)
    batch_mean_2 = batch_mean(accuracy)
    return {"accuracy": float(batch_mean_2)}


class Trainer:
    """Trains a copy of params by gradient descent.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(self, params, lr=0.05, batch=30, seed=0):
        self._params = {
            name: np.array(params[name], dtype=np.float32) for name in PARAMS
        }
        self._arrays = {"params": self._params}
        self._t = 0  # steps taken
        self._lr = lr
        self._batch = batch
        self._seed = seed

    @property
    def params(self):
        """The parameters by name, as views that cannot be written to."""
        views = {name: w.view() for name, w in self._params.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    def step(
        self, sepal_length, sepal_width, petal_length, petal_width, species, loss=True
    ):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(
            self._params, sepal_length, sepal_width, petal_length, petal_width, species
        )
        self._update(grads)
        return value if loss else None

    def run(
        self,
        sepal_length,
        sepal_width,
        petal_length,
        petal_width,
        species,
        steps=None,
        epochs=None,
        log=1,
    ):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 200 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
        sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
        petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
        petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
        species = np.asarray(species, dtype=np.int64)  # (N,)
        n = len(sepal_length)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (200 if epochs is None else epochs) * per_epoch
        losses = []
        for i in range(steps):
            epoch, k = divmod(self._t, per_epoch)
            if i == 0 or k == 0:
                batches = self._batches(epoch, n)
            rows = batches[k]
            value = self.step(
                sepal_length[rows],
                sepal_width[rows],
                petal_length[rows],
                petal_width[rows],
                species[rows],
                loss=log > 0 and i % log == 0,
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
        """Move the parameters along their gradients by the rule of gradient descent."""
        self._t += 1
        lr = self._lr
        for name, g in grads.items():
            w = self._params[name]
            w -= lr * g


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
