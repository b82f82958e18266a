"""cubic: a + b x + c x^2 + d x^3 fitted to sin x.

Compiled from cubic.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {"a": (), "b": (), "c": (), "d": ()}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "a": rng("a").normal(0.0, 1.0, ()),
        "b": rng("b").normal(0.0, 1.0, ()),
        "c": rng("c").normal(0.0, 1.0, ()),
        "d": rng("d").normal(0.0, 1.0, ()),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N,), from x (N,)."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    a, b, c, d = params["a"], params["b"], params["c"], params["d"]
    f_mul = b * x  # (N,)
    f_add = a + f_mul
    x2 = x**2
    f_mul_2 = c * x2
    f_add_2 = f_add + f_mul_2
    x3 = x**3
    f_mul_3 = d * x3
    f = f_add_2 + f_mul_3
    return f


def loss(params, x, y):
    """Return the loss, the sum over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N,)
    f = forward(params, x)
    f_minus_y = f - y  # (N,)
    f_minus_y2 = f_minus_y**2
    batch_sum = np.sum(f_minus_y2)
    return float(batch_sum)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    y = np.asarray(y, dtype=np.float32)  # (N,)
    a, b, c, d = params["a"], params["b"], params["c"], params["d"]
    N = len(x)

    f_mul = b * x  # (N,)
    f_add = a + f_mul
    x2 = x**2
    f_mul_2 = c * x2
    f_add_2 = f_add + f_mul_2
    x3 = x**3
    f_mul_3 = d * x3
    f = f_add_2 + f_mul_3
    f_minus_y = f - y
    f_minus_y2 = f_minus_y**2
    batch_sum = np.sum(f_minus_y2)
    loss = batch_sum

    # batch_sum = np.sum(f_minus_y2)
    d_pow_3 = np.broadcast_to(np.float32(1.0), (N,))

    # f_minus_y2 = f_minus_y**2
    mul_4 = 2 * f_minus_y
    d_f = d_pow_3 * mul_4

    # f_mul_3 = d * x3
    mul_6 = d_f * x3
    d_d = np.sum(mul_6)

    # f_mul_2 = c * x2
    mul_8 = d_f * x2
    d_c = np.sum(mul_8)

    # f_add = a + f_mul
    d_a = np.sum(d_f)

    # f_mul = b * x
    mul_10 = d_f * x
    d_b = np.sum(mul_10)

    return float(loss), {"a": d_a, "b": d_b, "c": d_c, "d": d_d}


class Trainer:
    """Trains a copy of params by gradient descent.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(self, params, lr=1e-06, batch="all", seed=0):
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
        x = np.asarray(x, dtype=np.float32)  # (N,)
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
