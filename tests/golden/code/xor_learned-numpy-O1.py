"""xor_learned: XOR learned by two hidden tanh units.

Compiled from xor_learned.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {
    "b_h": (2,),
    "w_x_h": (2, 2),
    "b_f": (),
    "w_h_f": (2,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "b_h": np.zeros((2,)),
        "w_x_h": fan_uniform(rng("w_x_h"), (2, 2), fan_in=2),
        "b_f": np.zeros(()),
        "w_h_f": fan_uniform(rng("w_h_f"), (2,), fan_in=2),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N,), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    b_h = params["b_h"]  # (2,)
    w_x_h = params["w_x_h"]  # (2, 2)
    b_f = params["b_f"]
    w_h_f = params["w_h_f"]  # (2,)
    xi_h = b_h + x @ w_x_h.T  # (N, 2)
    h = np.tanh(xi_h)
    xi_f = b_f + h @ w_h_f  # (N,)
    return np.tanh(xi_f)


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N,)
    f = forward(params, x)
    return float(batch_mean((f - y) ** 2))


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N,)
    b_h = params["b_h"]  # (2,)
    w_x_h = params["w_x_h"]  # (2, 2)
    b_f = params["b_f"]
    w_h_f = params["w_h_f"]  # (2,)
    N = len(x)

    xi_h = b_h + x @ w_x_h.T  # (N, 2)
    h = np.tanh(xi_h)
    xi_f = b_f + h @ w_h_f  # (N,)
    f = np.tanh(xi_f)
    loss = batch_mean((f - y) ** 2)
    d_f = 2 * (f - y) / max(N, 1)

    # f = np.tanh(xi_f)
    d_xi_f = d_f * (1 - f**2)

    # xi_f = b_f + h @ w_h_f
    d_b_f = np.sum(d_xi_f)
    d_h = np.outer(d_xi_f, w_h_f)  # (N, 2)
    d_w_h_f = d_xi_f @ h  # (2,)

    # h = np.tanh(xi_h)
    d_xi_h = d_h * (1 - h**2)  # (N, 2)

    # xi_h = b_h + x @ w_x_h.T
    d_b_h = np.sum(d_xi_h, axis=-2)  # (2,)
    d_w_x_h = d_xi_h.T @ x  # (2, 2)

    return float(loss), {"b_h": d_b_h, "w_x_h": d_w_x_h, "b_f": d_b_f, "w_h_f": d_w_h_f}


class Trainer:
    """Trains a copy of params by gradient descent.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(self, params, lr=0.3, batch="all", seed=0):
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

    def step(self, x, y, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, x, y)
        self._update(grads)
        return value if loss else None

    def run(self, x, y, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 2000 steps; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N, 2)
        y = np.asarray(y, dtype=np.float32)  # (N,)
        n = len(x)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = 2000 if epochs is None else epochs * per_epoch
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


def fan_uniform(rng, shape, fan_in):
    """Uniform in ±1 / sqrt(fan_in)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(fan_in)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
