"""perceptron: Multi-class perceptron.

Compiled from perceptron.flow by flowc 0.1.0 (target numpy, -O1, float64).
"""

import numpy as np

D = 2
K = 3

PARAMS: dict[str, tuple[int, ...]] = {"W": (3, 2), "b": (K,)}


def init(seed=0):
    """Return first parameters."""
    values = {"W": np.array([[1, 0], [0, 1], [-1, -1]]), "b": np.zeros((K,))}
    return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N, 3), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float64)  # (N, 2)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z = x @ W.T + b  # (N, 3)
    return (np.argmax(z, axis=-1)[..., None] == np.arange(3)).astype(np.float64)


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    x = np.asarray(x, dtype=np.float64)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z = x @ W.T + b  # (N, 3)
    return float(batch_mean(perceptron(z, y)))


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float64)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    N = len(x)

    z = x @ W.T + b  # (N, 3)
    loss = batch_mean(perceptron(z, y))
    one_hot = (np.argmax(z, axis=-1)[..., None] == np.arange(3)).astype(np.float64)
    d_z = (one_hot - (y[..., None] == np.arange(3)).astype(np.float64)) / max(N, 1)

    # z = x @ W.T + b
    d_b = np.sum(d_z, axis=-2)  # (3,)
    d_W = d_z.T @ x  # (3, 2)

    return float(loss), {"W": d_W, "b": d_b}


def metrics(params, x, y):
    """Return the mean of each metric."""
    x = np.asarray(x, dtype=np.float64)  # (N, 2)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 2), (3,)
    z = x @ W.T + b  # (N, 3)
    return {
        "accuracy": float(batch_mean((np.argmax(z, axis=-1) == y).astype(np.float64))),
    }


class Trainer:
    """Trains a copy of params by gradient descent.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(self, params, lr=1.0, batch=1, seed=0):
        self._params = {
            name: np.array(params[name], dtype=np.float64) for name in PARAMS
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

    def step(self, x, y, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, x, y)
        self._update(grads)
        return value if loss else None

    def run(self, x, y, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 10 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float64)  # (N, 2)
        y = np.asarray(y, dtype=np.int64)  # (N,)
        n = len(x)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (10 if epochs is None else epochs) * per_epoch
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
        """Move the parameters along their gradients by the rule of gradient descent."""
        self._t += 1
        lr = self._lr
        for name, g in grads.items():
            w = self._params[name]
            w -= lr * g


def perceptron(z, y, axis=()):
    """Largest score minus the label's, classes along the last axis; mean over axis."""
    own = np.take_along_axis(z, y[..., None], axis=-1)[..., 0]
    return np.mean(np.max(z, axis=-1) - own, axis=axis)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
