"""mlp_2_3_2: Linear, sigmoid, linear, mean squared error.

Compiled from mlp_2_3_2.flow by flowc 0.1.0 (target numpy, -O2).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {
    "f.linear.weight": (3, 2),
    "f.linear.bias": (3,),
    "f.linear_2.weight": (2, 3),
    "f.linear_2.bias": (2,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "f.linear.weight": fan_uniform(rng("f.linear.weight"), (3, 2), fan_in=2),
        "f.linear.bias": fan_uniform(rng("f.linear.bias"), (3,), fan_in=2),
        "f.linear_2.weight": fan_uniform(rng("f.linear_2.weight"), (2, 3), fan_in=3),
        "f.linear_2.bias": fan_uniform(rng("f.linear_2.bias"), (2,), fan_in=3),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return f, shape (N, 2), from x (N, 2)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    f_linear_weight = params["f.linear.weight"]  # (3, 2)
    f_linear_bias = params["f.linear.bias"]  # (3,)
    f_linear_2_weight = params["f.linear_2.weight"]  # (2, 3)
    f_linear_2_bias = params["f.linear_2.bias"]  # (2,)
    f_sigmoid = sigmoid(x @ f_linear_weight.T + f_linear_bias)  # (N, 3)
    return f_sigmoid @ f_linear_2_weight.T + f_linear_2_bias


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N, 2)
    f = forward(params, x)
    return float(batch_mean(np.mean((f - y) ** 2, axis=-1)))


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 2)
    y = np.asarray(y, dtype=np.float32)  # (N, 2)
    f_linear_weight = params["f.linear.weight"]  # (3, 2)
    f_linear_bias = params["f.linear.bias"]  # (3,)
    f_linear_2_weight = params["f.linear_2.weight"]  # (2, 3)
    f_linear_2_bias = params["f.linear_2.bias"]  # (2,)
    N = len(x)

    f_sigmoid = sigmoid(x @ f_linear_weight.T + f_linear_bias)  # (N, 3)
    f = f_sigmoid @ f_linear_2_weight.T + f_linear_2_bias  # (N, 2)
    loss = batch_mean(np.mean((f - y) ** 2, axis=-1))
    d_f = 2 * (f - y) / max(2 * N, 1)

    # f = f_sigmoid @ f_linear_2_weight.T + f_linear_2_bias
    d_f_linear_2_weight = d_f.T @ f_sigmoid  # (2, 3)
    d_f_linear_2_bias = np.sum(d_f, axis=-2)  # (2,)

    # f_sigmoid = sigmoid(x @ f_linear_weight.T + f_linear_bias)
    d_linear = d_f @ f_linear_2_weight * (f_sigmoid * (1 - f_sigmoid))  # (N, 3)
    d_f_linear_weight = d_linear.T @ x  # (3, 2)
    d_f_linear_bias = np.sum(d_linear, axis=-2)  # (3,)

    grads = {
        "f.linear.weight": d_f_linear_weight,
        "f.linear.bias": d_f_linear_bias,
        "f.linear_2.weight": d_f_linear_2_weight,
        "f.linear_2.bias": d_f_linear_2_bias,
    }
    return float(loss), grads


class Trainer:
    """Trains a copy of params by gradient descent.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    A step works in arrays that are made once for batches of a size.
    """

    def __init__(self, params, lr=0.1, batch="all", seed=0):
        self._w = np.zeros(17, np.float32)  # all parameters
        self._g = np.zeros_like(self._w)  # their gradients, times lr
        self._params = views(self._w)
        for name, view in self._params.items():
            view[...] = params[name]
        self._arrays = {"params": self._params}
        self._plans = {}  # by the sizes of a batch
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
        x = np.asarray(x, dtype=np.float32)  # (N, 2)
        y = np.asarray(y, dtype=np.float32)  # (N, 2)
        begin, compute = self._plan_for(x, y)
        with np.errstate(over="ignore"):
            begin(x, y)
            value = compute(loss)
        self._update()
        return value

    def run(self, x, y, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 1000 steps; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N, 2)
        y = np.asarray(y, dtype=np.float32)  # (N, 2)
        n = len(x)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = 1000 if epochs is None else epochs * per_epoch
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
        """Move the parameters along their gradients by the rule of gradient descent."""
        self._t += 1
        w, g = self._w, self._g
        np.subtract(w, g, out=w)

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
        add, copyto, divide, dot, exp = np.add, np.copyto, np.divide, np.dot, np.exp
        matmul, multiply, negative = np.matmul, np.multiply, np.negative
        subtract = np.subtract
        f_linear_weight_and_bias = w[0:9].reshape(3, 3)
        f_linear_2_weight_and_bias = w[9:17].reshape(2, 4)
        rate = np.array(self._lr, np.float32)
        f_concat_2 = np.empty((4, N), np.float32)
        f_concat = np.empty((N, 3), np.float32)
        y_t = np.empty((2, N), np.float32)
        room = np.empty(3 * N, np.float32)
        f_matmul = f_neg = f_exp = f_add = sub_2 = mul_6 = room.reshape((3, N))
        f = f_minus_y_t = d_f = room[: 2 * N].reshape((2, N))
        room_2 = np.empty(max(1, 3 * N), np.float32)
        sum_2_unscaled = room_2[:1].reshape(())
        index = d_linear = room_2[: 3 * N].reshape((3, N))
        d_f_linear_2_weight_and_bias = g[9:17].reshape(2, 4)  # (2, 4)
        d_f_linear_weight_and_bias = g[0:9].reshape(3, 3)  # (3, 3)
        f_ones = f_concat_2[3:4]  # (1, N)
        f_reciprocal = f_concat_2[0:3]  # (3, N)
        np.copyto(f_ones, np.ones((1, N), dtype=np.float32))
        f_ones_T = f_ones.T
        share = np.float32(1.0) / max(2 * N, 1)
        share = np.array(share, np.float32)
        mul_5 = share * 2
        mul_5 = np.array(mul_5, np.float32)
        mul = rate * mul_5
        mul = np.array(mul, np.float32)
        f_concat_part = f_concat[:, 0:2]
        f_concat_part_2 = f_concat[:, 2:3]
        np.copyto(f_concat_part_2, f_ones_T)
        f_concat_T = f_concat.T
        one = np.array(1, np.float32)
        reshape = np.reshape(f_minus_y_t, (2 * N,))
        f_concat_2_T = f_concat_2.T
        f_linear_2_weight_and_bias_of_index_t = f_linear_2_weight_and_bias[:, 0:3].T

        def begin(x, y):
            """Compute what depends on the batch alone."""
            copyto(f_concat_part, x)
            copyto(y_t, y.T)

        def compute(loss):
            """Compute the gradient; return the loss if it is wanted."""
            dot(f_linear_weight_and_bias, f_concat_T, f_matmul)
            negative(f_matmul, f_neg)
            exp(f_neg, f_exp)
            add(one, f_exp, f_add)
            divide(one, f_add, f_reciprocal)
            dot(f_linear_2_weight_and_bias, f_concat_2, f)
            subtract(f, y_t, f_minus_y_t)

            value = None
            if loss:
                dot(reshape, reshape, sum_2_unscaled)
                value = float(sum_2_unscaled) * float(share)
            multiply(mul, f_minus_y_t, d_f)
            dot(d_f, f_concat_2_T, d_f_linear_2_weight_and_bias)
            matmul(f_linear_2_weight_and_bias_of_index_t, d_f, index)

            # f_reciprocal = 1 / f_add
            subtract(one, f_reciprocal, sub_2)
            multiply(f_reciprocal, sub_2, mul_6)
            multiply(index, mul_6, d_linear)
            dot(d_linear, f_concat, d_f_linear_weight_and_bias)
            return value

        return begin, compute


def views(flat):
    """What there is for each parameter, by name: views of one array."""
    f_linear_weight_and_bias = flat[0:9].reshape(3, 3)
    f_linear_2_weight_and_bias = flat[9:17].reshape(2, 4)
    return {
        "f.linear.weight": f_linear_weight_and_bias[:, :-1],
        "f.linear.bias": f_linear_weight_and_bias[:, -1],
        "f.linear_2.weight": f_linear_2_weight_and_bias[:, :-1],
        "f.linear_2.bias": f_linear_2_weight_and_bias[:, -1],
    }


class Forward:
    """Returns f, shape (N, 2), from x (N, 2), by a copy of params.

    It works in arrays that are made once for batches of a size.
    """

    def __init__(self, params):
        self._w = np.zeros(17, np.float32)  # all parameters
        for name, view in views(self._w).items():
            view[...] = params[name]
        self._plans = {}  # by the sizes of a batch

    def __call__(self, x):
        """Compute the outputs; what is returned is the caller's."""
        x = np.asarray(x, dtype=np.float32)  # (N, 2)
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
        add, copyto, divide, dot, exp = np.add, np.copyto, np.divide, np.dot, np.exp
        negative = np.negative
        f_linear_weight_and_bias = w[0:9].reshape(3, 3)
        f_linear_2_weight_and_bias = w[9:17].reshape(2, 4)
        f_concat_2 = np.empty((4, N), np.float32)
        f_concat = np.empty((N, 3), np.float32)
        room = np.empty(3 * N, np.float32)
        f_matmul = f_neg = f_exp = f_add = room.reshape((3, N))
        f = room[: 2 * N].reshape((2, N))
        f_ones = f_concat_2[3:4]  # (1, N)
        f_reciprocal = f_concat_2[0:3]  # (3, N)
        np.copyto(f_ones, np.ones((1, N), dtype=np.float32))
        f_ones_T = f_ones.T
        f_concat_part = f_concat[:, 0:2]
        f_concat_part_2 = f_concat[:, 2:3]
        np.copyto(f_concat_part_2, f_ones_T)
        f_concat_T = f_concat.T
        one = np.array(1, np.float32)
        f_T = f.T

        def compute(x):
            copyto(f_concat_part, x)
            dot(f_linear_weight_and_bias, f_concat_T, f_matmul)
            negative(f_matmul, f_neg)
            exp(f_neg, f_exp)
            add(one, f_exp, f_add)
            divide(one, f_add, f_reciprocal)
            dot(f_linear_2_weight_and_bias, f_concat_2, f)
            return np.array(f_T)

        return compute


def fan_uniform(rng, shape, fan_in):
    """Uniform in ±1 / sqrt(fan_in)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(fan_in)


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
