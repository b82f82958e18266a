"""matrix_factorisation: Logistic matrix factorisation.

Compiled from matrix_factorisation.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

U = 40
S = 24
D = 3

PARAMS: dict[str, tuple[int, ...]] = {
    "user_bias": (U,),
    "song_bias": (S,),
    "u.weight": (40, 3),
    "s.weight": (24, 3),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "user_bias": np.zeros((U,)),
        "song_bias": np.zeros((S,)),
        "u.weight": rng("u.weight").normal(0.0, 0.1, (40, 3)),
        "s.weight": rng("s.weight").normal(0.0, 0.1, (24, 3)),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, user, song):
    """Return likes, shape (N,), from user (N,) of labels 0..39 and song (N,) of
    labels 0..23.
    """
    user = np.asarray(user, dtype=np.int64)  # (N,)
    song = np.asarray(song, dtype=np.int64)  # (N,)
    user_bias = params["user_bias"]  # (40,)
    song_bias = params["song_bias"]  # (24,)
    u_weight = params["u.weight"]  # (40, 3)
    s_weight = params["s.weight"]  # (24, 3)
    u = u_weight[user]  # (N, 3)
    s = s_weight[song]
    score = np.sum(u * s, axis=-1) + user_bias[user] + song_bias[song]  # (N,)
    return sigmoid(score)


def loss(params, user, song, plays):
    """Return the sum of the losses loss, penalty."""
    user = np.asarray(user, dtype=np.int64)  # (N,)
    song = np.asarray(song, dtype=np.int64)  # (N,)
    plays = np.asarray(plays, dtype=np.float32)  # (N,)
    user_bias = params["user_bias"]  # (40,)
    song_bias = params["song_bias"]  # (24,)
    u_weight = params["u.weight"]  # (40, 3)
    s_weight = params["s.weight"]  # (24, 3)
    u = u_weight[user]  # (N, 3)
    s = s_weight[song]
    score = np.sum(u * s, axis=-1) + user_bias[user] + song_bias[song]  # (N,)
    mul = 0.5 * plays
    penalty = 0.01 * (np.sum(u * u, axis=-1) + np.sum(s * s, axis=-1))
    return float(
        batch_mean((1 + mul) * np.logaddexp(score, 0) - mul * score)
        + batch_mean(penalty)
    )


def loss_and_grad(params, user, song, plays):
    """Return the loss and its gradient with respect to every parameter."""
    user = np.asarray(user, dtype=np.int64)  # (N,)
    song = np.asarray(song, dtype=np.int64)  # (N,)
    plays = np.asarray(plays, dtype=np.float32)  # (N,)
    user_bias = params["user_bias"]  # (40,)
    song_bias = params["song_bias"]  # (24,)
    u_weight = params["u.weight"]  # (40, 3)
    s_weight = params["s.weight"]  # (24, 3)
    N = len(user)

    u = u_weight[user]  # (N, 3)
    s = s_weight[song]
    score = np.sum(u * s, axis=-1) + user_bias[user] + song_bias[song]  # (N,)
    mul = 0.5 * plays
    add_2 = 1 + mul
    penalty = 0.01 * (np.sum(u * u, axis=-1) + np.sum(s * s, axis=-1))
    loss = batch_mean(add_2 * np.logaddexp(score, 0) - mul * score) + batch_mean(
        penalty
    )
    d_score = -(np.float32(1.0) / max(N, 1)) * mul + add_2 / max(N, 1) * sigmoid(score)

    # score = np.sum(u * s, axis=-1) + user_bias[user] + song_bias[song]
    d_song_bias = add_at(d_score, song, size=24)  # (24,)
    d_user_bias = add_at(d_score, user, size=40)  # (40,)
    unsqueeze_3 = d_score[:, None]  # (N, 1)
    d_u = 0.02 * u / max(N, 1) + unsqueeze_3 * s  # (N, 3)
    d_s = 0.02 * s / max(N, 1) + unsqueeze_3 * u

    # s = s_weight[song]
    d_s_weight = add_at(d_s, song, size=24)  # (24, 3)

    # u = u_weight[user]
    d_u_weight = add_at(d_u, user, size=40)  # (40, 3)

    grads = {
        "user_bias": d_user_bias,
        "song_bias": d_song_bias,
        "u.weight": d_u_weight,
        "s.weight": d_s_weight,
    }
    return float(loss), grads


def metrics(params, user, song, plays):
    """Return the mean of each metric."""
    user = np.asarray(user, dtype=np.int64)  # (N,)
    song = np.asarray(song, dtype=np.int64)  # (N,)
    plays = np.asarray(plays, dtype=np.float32)  # (N,)
    user_bias = params["user_bias"]  # (40,)
    song_bias = params["song_bias"]  # (24,)
    u_weight = params["u.weight"]  # (40, 3)
    s_weight = params["s.weight"]  # (24, 3)
    u = u_weight[user]  # (N, 3)
    s = s_weight[song]
    score = np.sum(u * s, axis=-1) + user_bias[user] + song_bias[song]  # (N,)
    right = np.where((score > 0) == (plays > 0), 1, 0)
    return {"right": float(batch_mean(right))}


class Trainer:
    """Trains a copy of params by Adam.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(
        self, params, lr=0.02, betas=(0.9, 0.999), eps=1e-08, batch=48, seed=0
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

    def step(self, user, song, plays, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, user, song, plays)
        self._update(grads)
        return value if loss else None

    def run(self, user, song, plays, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 40 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        user = np.asarray(user, dtype=np.int64)  # (N,)
        song = np.asarray(song, dtype=np.int64)  # (N,)
        plays = np.asarray(plays, dtype=np.float32)  # (N,)
        n = len(user)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (40 if epochs is None else epochs) * per_epoch
        losses = []
        for i in range(steps):
            epoch, k = divmod(self._t, per_epoch)
            if i == 0 or k == 0:
                batches = self._batches(epoch, n)
            rows = batches[k]
            value = self.step(
                user[rows], song[rows], plays[rows], loss=log > 0 and i % log == 0
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


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)


def add_at(values, indices, size):
    """Add rows of values to the rows that indices name; entry by entry is faster."""
    total = np.zeros((size, *values.shape[indices.ndim :]), values.dtype)
    width = values.size // max(indices.size, 1)
    places = np.reshape(indices, (-1, 1)) * width + np.arange(width)
    np.add.at(total.reshape(-1), places.reshape(-1), values.reshape(-1))
    return total
