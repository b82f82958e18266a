"""digits: Handwritten digits by a network with one hidden layer.

Compiled from digits.flow by flowc 0.1.0 (target numpy, -O2).
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
    h = np.maximum(x / 16 @ h_linear_weight.T + h_linear_bias, 0)  # (N, 64)
    z = h @ z_weight.T + z_bias  # (N, 10)
    return softmax(z)


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    h_linear_weight = params["h.linear.weight"]  # (64, 64)
    h_linear_bias = params["h.linear.bias"]  # (64,)
    z_weight = params["z.weight"]  # (10, 64)
    z_bias = params["z.bias"]  # (10,)
    h = np.maximum(x / 16 @ h_linear_weight.T + h_linear_bias, 0)  # (N, 64)
    z = h @ z_weight.T + z_bias  # (N, 10)
    return float(batch_mean(cross_entropy(z, y)))


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
    loss = batch_mean(cross_entropy(z, y))
    d_z = (softmax(z) - (y[..., None] == np.arange(10)).astype(np.float32)) / max(N, 1)

    # z = h @ z_weight.T + z_bias
    d_z_weight = d_z.T @ h  # (10, 64)
    d_h = d_z @ z_weight  # (N, 64)
    d_z_bias = np.sum(d_z, axis=-2)  # (10,)

    # h = np.maximum(h_linear, 0)
    d_linear = d_h * (0 < h_linear).astype(np.float32)  # (N, 64)

    # h_linear = h_div @ h_linear_weight.T + h_linear_bias
    d_h_linear_weight = d_linear.T @ h_div  # (64, 64)
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
    h = np.maximum(x / 16 @ h_linear_weight.T + h_linear_bias, 0)  # (N, 64)
    z = h @ z_weight.T + z_bias  # (N, 10)
    return {
        "accuracy": float(batch_mean((np.argmax(z, axis=-1) == y).astype(np.float32))),
    }


class Trainer:
    """Trains a copy of params by Adam.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    A step works in arrays that are made once for batches of a size.
    """

    def __init__(
        self, params, lr=0.005, betas=(0.9, 0.999), eps=1e-08, batch=32, seed=0
    ):
        self._w = np.zeros(4810, np.float32)  # all parameters
        self._g = np.zeros_like(self._w)  # their gradients
        self._m = np.zeros_like(self._w)
        self._v = np.zeros_like(self._w)
        self._params = views(self._w)
        for name, view in self._params.items():
            view[...] = params[name]
        self._arrays = {
            "params": self._params,
            "m": views(self._m),
            "v": views(self._v),
        }
        self._scratch = np.empty_like(self._w)
        self._plans = {}  # by the sizes of a batch
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
        x = np.asarray(x, dtype=np.float32)  # (N, 64)
        y = np.asarray(y, dtype=np.int64)  # (N,)
        if np.maximum.reduce(y.view(np.uint64), axis=None, initial=0) >= 10:
            raise IndexError("y holds a label outside 0..9")
        begin, compute = self._plan_for(x, y)
        with np.errstate(over="ignore"):
            begin(x, y)
            value = compute(loss)
        self._update()
        return value

    def run(self, x, y, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 30 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N, 64)
        y = np.asarray(y, dtype=np.int64)  # (N,)
        if np.maximum.reduce(y.view(np.uint64), axis=None, initial=0) >= 10:
            raise IndexError("y holds a label outside 0..9")
        n = len(x)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (30 if epochs is None else epochs) * per_epoch
        losses = []
        whole = per_epoch == 1  # then the order of the rows is no matter
        with np.errstate(over="ignore"):
            for i in range(steps):
                if not whole or i == 0:
                    epoch, k = divmod(self._t, per_epoch)
                    if i == 0 or k == 0:
                        batches = self._batches(epoch, n)
                    rows = ... if whole else batches[k]
                    part = x[rows], y[rows]
                    begin, compute = self._plan_for(*part)
                    begin(*part)
                value = compute(log > 0 and i % log == 0)
                self._update()
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

    def _update(self):
        """Move the parameters along their gradients by the rule of Adam."""
        self._t += 1
        beta1, beta2 = self._betas
        lr, eps, t = self._lr, self._eps, self._t
        w, g, m, v, scratch = self._w, self._g, self._m, self._v, self._scratch
        np.subtract(g, m, out=scratch)
        np.multiply(1 - beta1, scratch, out=scratch)
        np.add(m, scratch, out=m)
        np.multiply(v, beta2, out=v)
        np.multiply(1 - beta2, g, out=scratch)
        np.multiply(scratch, g, out=scratch)
        np.add(v, scratch, out=v)
        np.divide(m, 1 - beta1**t, out=scratch)
        np.divide(v, 1 - beta2**t, out=g)
        np.multiply(lr, scratch, out=scratch)
        np.sqrt(g, out=g)
        np.add(g, eps, out=g)
        np.divide(scratch, g, out=scratch)
        np.subtract(w, scratch, out=w)

    def _plan_for(self, x, y):
        """The functions of a batch like this one, and the arrays that they work in."""
        sizes = (len(x),)
        if sizes not in self._plans:
            # Sizes that come and go must not fill the memory.
            while len(self._plans) >= 4:
                oldest, *_ = self._plans
                del self._plans[oldest]
            self._plans[sizes] = self._plan(*sizes)
        return self._plans[sizes]

    def _plan(self, N):
        """Arrays for batches of such sizes, and what is done in them."""
        w, g = self._w, self._g
        # Each of these writes into its last argument.
        add, divide, dot, exp, less = np.add, np.divide, np.dot, np.exp, np.less
        log, matmul, multiply, subtract = np.log, np.matmul, np.multiply, np.subtract
        h_linear_weight_and_bias = w[0:4160].reshape(64, 65)
        z_weight_and_bias = w[4160:4810].reshape(10, 65)
        z_concat = np.empty((65, N), np.float32)
        h_concat = np.empty((65, N), np.float32)
        mul_2 = np.empty(N, np.int64)
        flat_place = np.empty(N, np.int64)
        add_at_2 = np.empty(10 * N, np.float32)
        h_matmul = cast = np.empty((64, N), np.float32)
        room = np.empty(64 * N, np.float32)
        z = z_minus_max = room[: 10 * N].reshape((10, N))
        d_h = d_linear = room.reshape((64, N))
        room_2 = np.empty(10 * N, np.float32)
        max_ = room_2[:N].reshape((1, N))
        exp_2 = softmax_2 = sub = d_z = room_2.reshape((10, N))
        sum_ = np.empty((1, N), np.float32)
        room_3 = np.empty(max(N, 1), np.float32)
        log_2 = room_3[:N].reshape((1, N))
        matmul_3 = room_3[:1].reshape(())
        matmul_2 = np.empty((), np.float32)
        less_2 = np.empty((64, N), bool)
        d_z_weight_and_bias = g[4160:4810].reshape(10, 65)  # (10, 65)
        d_h_linear_weight_and_bias = g[0:4160].reshape(64, 65)  # (64, 65)
        h_ones = z_concat[64:65]  # (1, N)
        h_mul = h_concat[0:64]  # (64, N)
        h = z_concat[0:64]  # (64, N)
        np.copyto(h_ones, np.ones((1, N), dtype=np.float32))
        ones_3 = np.ones((1, 10), dtype=np.float32)  # (1, 10)
        arange = np.arange(N)  # (N,)
        ones_4 = np.ones((N,), dtype=np.float32)
        share = np.float32(1.0) / max(N, 1)
        share = np.array(share, np.float32)
        c = np.array(0.0625, np.float32)
        h_concat_part = h_concat[64:65]
        np.copyto(h_concat_part, h_ones)
        one_hot = np.reshape(add_at_2, (10, N))
        h_concat_T = h_concat.T
        zero = np.array(0, np.float32)
        inf = np.array(np.inf, np.float32)
        reshape = np.reshape(z_minus_max, (10 * N,))
        reshape_2 = np.reshape(log_2, (N,))
        z_concat_T = z_concat.T
        z_weight_and_bias_of_index_t = z_weight_and_bias[:, 0:64].T

        def begin(x, y):
            """Compute what depends on the batch alone."""
            x_T = x.T  # (64, N)
            multiply(x_T, c, h_mul)
            multiply(y, N, mul_2)
            add(arange, mul_2, flat_place)
            add_at_2.fill(0)
            np.add.at(add_at_2, flat_place, ones_4)

        def compute(loss):
            """Compute the gradient; return the loss if it is wanted."""
            dot(h_linear_weight_and_bias, h_concat, h_matmul)
            h_matmul.clip(zero, inf, out=h)
            dot(z_weight_and_bias, z_concat, z)
            np.maximum.reduce(z, axis=-2, keepdims=True, out=max_)
            subtract(z, max_, z_minus_max)
            exp(z_minus_max, exp_2)
            dot(ones_3, exp_2, sum_)

            value = None
            if loss:
                log(sum_, log_2)
                dot(reshape_2, ones_4, matmul_2)
                dot(reshape, add_at_2, matmul_3)
                value = (float(matmul_2) - float(matmul_3)) * float(share)
            divide(exp_2, sum_, softmax_2)
            subtract(softmax_2, one_hot, sub)
            multiply(sub, share, d_z)
            dot(d_z, z_concat_T, d_z_weight_and_bias)
            matmul(z_weight_and_bias_of_index_t, d_z, d_h)

            # h = np.maximum(h_matmul, 0)
            less(zero, h_matmul, less_2)
            np.copyto(cast, less_2, casting="unsafe")
            multiply(d_h, cast, d_linear)
            dot(d_linear, h_concat_T, d_h_linear_weight_and_bias)
            return value

        return begin, compute


def views(flat):
    """What there is for each parameter, by name: views of one array."""
    h_linear_weight_and_bias = flat[0:4160].reshape(64, 65)
    z_weight_and_bias = flat[4160:4810].reshape(10, 65)
    return {
        "h.linear.weight": h_linear_weight_and_bias[:, :-1],
        "h.linear.bias": h_linear_weight_and_bias[:, -1],
        "z.weight": z_weight_and_bias[:, :-1],
        "z.bias": z_weight_and_bias[:, -1],
    }


class Forward:
    """Returns p, shape (N, 10), from x (N, 64), by a copy of params.

    It works in arrays that are made once for batches of a size.
    """

    def __init__(self, params):
        self._w = np.zeros(4810, np.float32)  # all parameters
        for name, view in views(self._w).items():
            view[...] = params[name]
        self._plans = {}  # by the sizes of a batch

    def __call__(self, x):
        """Compute the outputs; what is returned is the caller's."""
        x = np.asarray(x, dtype=np.float32)  # (N, 64)
        compute = self._plan_for(x)
        with np.errstate(over="ignore"):
            return compute(x)

    def _plan_for(self, x):
        """The functions of a batch like this one, and the arrays that they work in."""
        sizes = (len(x),)
        if sizes not in self._plans:
            # Sizes that come and go must not fill the memory.
            while len(self._plans) >= 4:
                oldest, *_ = self._plans
                del self._plans[oldest]
            self._plans[sizes] = self._plan(*sizes)
        return self._plans[sizes]

    def _plan(self, N):
        """Arrays for batches of such sizes, and what is done in them."""
        w = self._w
        # Each of these writes into its last argument.
        divide, dot, exp, multiply = np.divide, np.dot, np.exp, np.multiply
        subtract = np.subtract
        h_linear_weight_and_bias = w[0:4160].reshape(64, 65)
        z_weight_and_bias = w[4160:4810].reshape(10, 65)
        z_concat = np.empty((65, N), np.float32)
        h_concat = np.empty((65, N), np.float32)
        room = np.empty(64 * N, np.float32)
        h_matmul = room.reshape((64, N))
        z = z_minus_p_max = p_exp = p = room[: 10 * N].reshape((10, N))
        p_max = p_matmul = np.empty((1, N), np.float32)
        h_ones = z_concat[64:65]  # (1, N)
        h_mul = h_concat[0:64]  # (64, N)
        h = z_concat[0:64]  # (64, N)
        np.copyto(h_ones, np.ones((1, N), dtype=np.float32))
        p_ones = np.ones((1, 10), dtype=np.float32)  # (1, 10)
        c = np.array(0.0625, np.float32)
        h_concat_part = h_concat[64:65]
        np.copyto(h_concat_part, h_ones)
        zero = np.array(0, np.float32)
        inf = np.array(np.inf, np.float32)
        p_T = p.T

        def compute(x):
            x_T = x.T  # (64, N)
            multiply(x_T, c, h_mul)
            dot(h_linear_weight_and_bias, h_concat, h_matmul)
            h_matmul.clip(zero, inf, out=h)
            dot(z_weight_and_bias, z_concat, z)
            np.maximum.reduce(z, axis=-2, keepdims=True, out=p_max)
            subtract(z, p_max, z_minus_p_max)
            exp(z_minus_p_max, p_exp)
            dot(p_ones, p_exp, p_matmul)
            divide(p_exp, p_matmul, p)
            return np.array(p_T)

        return compute


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


def add_at(values, indices, size):
    """Add rows of values to the rows that indices name; entry by entry is faster."""
    total = np.zeros((size, *values.shape[indices.ndim :]), values.dtype)
    width = values.size // max(indices.size, 1)
    places = np.reshape(indices, (-1, 1)) * width + np.arange(width)
    np.add.at(total.reshape(-1), places.reshape(-1), values.reshape(-1))
    return total
