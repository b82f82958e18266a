"""one_hot_error: The error f - y of the perceptron and of regression.

Compiled from one_hot_error.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

D = 2
K = 3

PARAMS: dict[str, tuple[int, ...]] = {"W_p": (3, 2), "W_r": (3, 2)}


def init(seed=0):
    """Return first parameters."""
    values = {
        "W_p": np.array([[1, 0], [0, 1], [-1, -1]]),
        "W_r": np.array([[1, 0], [0, 1], [-1, -1]]),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f_p (N, 3) and f_r (N, 3) from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    W_p, W_r = params["W_p"], params["W_r"]  # (3, 2), (3, 2)
    z_p_transpose_last = W_p.T  # (2, 3)
    z_p = x @ z_p_transpose_last  # (N, 3)
    f_p_argmax = np.argmax(z_p, axis=-1)  # (N,)
    f_p = (f_p_argmax[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    z_r_transpose_last = W_r.T  # (2, 3)
    z_r = x @ z_r_transpose_last  # (N, 3)
    f_r = z_r
    return f_p, f_r


def loss(params, x, y):
    """Return the sum of the losses L_p, L_r."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N, 3)
    W_p, W_r = params["W_p"], params["W_r"]  # (3, 2), (3, 2)
    z_p_transpose_last = W_p.T  # (2, 3)
    z_p = x @ z_p_transpose_last  # (N, 3)
    f_p_argmax = np.argmax(z_p, axis=-1)  # (N,)
    f_p = (f_p_argmax[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    epsilon_p = f_p - y
    z_r_transpose_last = W_r.T  # (2, 3)
    z_r = x @ z_r_transpose_last  # (N, 3)
    f_r = z_r
    epsilon_r = f_r - y
    L_p_mul = epsilon_p * z_p
    L_p = np.sum(L_p_mul, axis=-1)  # (N,)
    L_r_mul = epsilon_r * epsilon_r  # (N, 3)
    L_r_sum = np.sum(L_r_mul, axis=-1)  # (N,)
    L_r = L_r_sum / 2
    batch_mean_2 = batch_mean(L_p)
    batch_mean_2_2 = batch_mean(L_r)
    return float(batch_mean_2 + batch_mean_2_2)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N, 3)
    W_p, W_r = params["W_p"], params["W_r"]  # (3, 2), (3, 2)
    N = len(x)

    z_p_transpose_last = W_p.T  # (2, 3)
    z_p = x @ z_p_transpose_last  # (N, 3)
    f_p_argmax = np.argmax(z_p, axis=-1)  # (N,)
    f_p = (f_p_argmax[..., None] == np.arange(3)).astype(np.float32)  # (N, 3)
    epsilon_p = f_p - y
    z_r_transpose_last = W_r.T  # (2, 3)
    z_r = x @ z_r_transpose_last  # (N, 3)
    f_r = z_r
    epsilon_r = f_r - y
    L_p_mul = epsilon_p * z_p
    L_p = np.sum(L_p_mul, axis=-1)  # (N,)
    L_r_mul = epsilon_r * epsilon_r  # (N, 3)
    L_r_sum = np.sum(L_r_mul, axis=-1)  # (N,)
    L_r = L_r_sum / 2
    batch_mean_2 = batch_mean(L_p)
    batch_mean_2_2 = batch_mean(L_r)
    loss = batch_mean_2 + batch_mean_2_2

    # batch_mean_2_2 = batch_mean(L_r)
    share = np.float32(1.0) / max(N, 1)
    d_L_r = np.broadcast_to(share, (N,))

    # batch_mean_2 = batch_mean(L_p)
    share_2 = np.float32(1.0) / max(N, 1)
    d_L_p = np.broadcast_to(share_2, (N,))

    # L_r = L_r_sum / 2
    div = np.float32(1.0) / 2
    mul_3 = d_L_r * div

    # L_r_sum = np.sum(L_r_mul, axis=-1)
    unsqueeze = mul_3[:, None]  # (N, 1)
    d_mul_2 = np.broadcast_to(unsqueeze, (N, 3))  # (N, 3)

    # L_r_mul = epsilon_r * epsilon_r
    mul_5 = d_mul_2 * epsilon_r
    mul_6 = d_mul_2 * epsilon_r
    d_epsilon_r = mul_5 + mul_6

    # L_p = np.sum(L_p_mul, axis=-1)
    unsqueeze_2 = d_L_p[:, None]  # (N, 1)
    d_mul = np.broadcast_to(unsqueeze_2, (N, 3))  # (N, 3)

    # L_p_mul = epsilon_p * z_p
    d_z_p = d_mul * epsilon_p

    # z_r = x @ z_r_transpose_last
    transpose_last_4 = x.T  # (2, N)
    d_transpose_last_2 = transpose_last_4 @ d_epsilon_r  # (2, 3)

    # z_r_transpose_last = W_r.T
    d_W_r = d_transpose_last_2.T  # (3, 2)

    # z_p = x @ z_p_transpose_last
    transpose_last_7 = x.T  # (2, N)
    d_transpose_last = transpose_last_7 @ d_z_p  # (2, 3)

    # z_p_transpose_last = W_p.T
    d_W_p = d_transpose_last.T  # (3, 2)

    return float(loss), {"W_p": d_W_p, "W_r": d_W_r}


class Trainer:
    """Trains a copy of params by gradient descent.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(self, params, lr=0.1, batch=1, seed=0):
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

        Without steps or epochs, 10 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N, 2)
        y = np.asarray(y, dtype=np.float32)  # (N, 3)
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


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
