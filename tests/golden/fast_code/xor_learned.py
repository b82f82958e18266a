"""xor_learned: XOR learned by two hidden tanh units.

Compiled from xor_learned.flow by flowc 0.1.0 (target numpy, -O2).
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
    A step works in arrays that are made once for batches of a size.
    """

    def __init__(self, params, lr=0.3, batch="all", seed=0):
        self._w = np.zeros(9, np.float32)  # all parameters
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
        y = np.asarray(y, dtype=np.float32)  # (N,)
        begin, compute = self._plan_for(x, y)
        begin(x, y)
        value = compute(loss)
        self._update()
        return value

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
        whole = per_epoch == 1  # then the order of the rows is no matter
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
        copyto, dot, multiply, square = np.copyto, np.dot, np.multiply, np.square
        subtract, tanh = np.subtract, np.tanh
        w_x_h_and_b_h = w[0:6].reshape(2, 3)
        w_h_f_and_b_f = w[6:9]
        rate = np.array(self._lr, np.float32)
        xi_f_concat = np.empty((3, N), np.float32)
        xi_h_concat = np.empty((N, 3), np.float32)
        room = np.empty(2 * N, np.float32)
        xi_h = d_h = d_xi_h = room.reshape((2, N))
        xi_f = f = pow__2 = sub_2 = room[:N]
        room_2 = np.empty(2 * N, np.float32)
        f_minus_y = d_f = d_xi_f = room_2[:N]
        pow_2 = sub_3 = room_2.reshape((2, N))
        sum_ = np.empty((), np.float32)
        d_w_h_f_and_b_f = g[6:9]  # (3,)
        d_w_x_h_and_b_h = g[0:6].reshape(2, 3)  # (2, 3)
        xi_h_ones = xi_f_concat[2:3]  # (1, N)
        h = xi_f_concat[0:2]  # (2, N)
        np.copyto(xi_h_ones, np.ones((1, N), dtype=np.float32))
        xi_h_ones_T = xi_h_ones.T
        share = np.float32(1.0) / max(N, 1)
        share = np.array(share, np.float32)
        mul_5 = share * 2
        mul_5 = np.array(mul_5, np.float32)
        mul = rate * mul_5
        mul = np.array(mul, np.float32)
        xi_h_concat_part = xi_h_concat[:, 0:2]
        xi_h_concat_part_2 = xi_h_concat[:, 2:3]
        np.copyto(xi_h_concat_part_2, xi_h_ones_T)
        xi_h_concat_T = xi_h_concat.T
        one = np.array(1, np.float32)
        unsqueeze_2 = d_xi_f[None]
        unsqueeze_3 = w_h_f_and_b_f[0:2][:, None]
        y = None

        def begin(x, new_y):
            """Compute what depends on the batch alone."""
            nonlocal y
            y = new_y
            copyto(xi_h_concat_part, x)

        def compute(loss):
            """Compute the gradient; return the loss if it is wanted."""
            dot(w_x_h_and_b_h, xi_h_concat_T, xi_h)
            tanh(xi_h, h)
            dot(w_h_f_and_b_f, xi_f_concat, xi_f)
            tanh(xi_f, f)
            subtract(f, y, f_minus_y)

            value = None
            if loss:
                dot(f_minus_y, f_minus_y, sum_)
                value = float(sum_) * float(share)
            multiply(mul, f_minus_y, d_f)

            # f = np.tanh(xi_f)
            square(f, pow__2)
            subtract(one, pow__2, sub_2)
            multiply(d_f, sub_2, d_xi_f)

            # xi_f = w_h_f_and_b_f @ xi_f_concat
            dot(xi_f_concat, d_xi_f, d_w_h_f_and_b_f)
            multiply(unsqueeze_3, unsqueeze_2, d_h)

            # h = np.tanh(xi_h)
            square(h, pow_2)
            subtract(one, pow_2, sub_3)
            multiply(d_h, sub_3, d_xi_h)
            dot(d_xi_h, xi_h_concat, d_w_x_h_and_b_h)
            return value

        return begin, compute


def views(flat):
    """What there is for each parameter, by name: views of one array."""
    w_x_h_and_b_h = flat[0:6].reshape(2, 3)
    w_h_f_and_b_f = flat[6:9]
    found = {
        "w_x_h": w_x_h_and_b_h[:, :-1],
        "b_h": w_x_h_and_b_h[:, -1],
        "w_h_f": w_h_f_and_b_f[:-1],
        "b_f": w_h_f_and_b_f[-1, ...],
    }
    return {name: found[name] for name in PARAMS}


class Forward:
    """Returns f, shape (N,), from x (N, 2), by a copy of params.

    It works in arrays that are made once for batches of a size.
    """

    def __init__(self, params):
        self._w = np.zeros(9, np.float32)  # all parameters
        for name, view in views(self._w).items():
            view[...] = params[name]
        self._plans = {}  # by the sizes of a batch

    def __call__(self, x):
        """Compute the outputs; what is returned is the caller's."""
        x = np.asarray(x, dtype=np.float32)  # (N, 2)
        compute = self._plan_for(x)
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
        copyto, dot, tanh = np.copyto, np.dot, np.tanh
        w_x_h_and_b_h = w[0:6].reshape(2, 3)
        w_h_f_and_b_f = w[6:9]
        xi_f_concat = np.empty((3, N), np.float32)
        xi_h_concat = np.empty((N, 3), np.float32)
        room = np.empty(2 * N, np.float32)
        xi_h = room.reshape((2, N))
        xi_f = f = room[:N]
        xi_h_ones = xi_f_concat[2:3]  # (1, N)
        h = xi_f_concat[0:2]  # (2, N)
        np.copyto(xi_h_ones, np.ones((1, N), dtype=np.float32))
        xi_h_ones_T = xi_h_ones.T
        xi_h_concat_part = xi_h_concat[:, 0:2]
        xi_h_concat_part_2 = xi_h_concat[:, 2:3]
        np.copyto(xi_h_concat_part_2, xi_h_ones_T)
        xi_h_concat_T = xi_h_concat.T

        def compute(x):
            copyto(xi_h_concat_part, x)
            dot(w_x_h_and_b_h, xi_h_concat_T, xi_h)
            tanh(xi_h, h)
            dot(w_h_f_and_b_f, xi_f_concat, xi_f)
            tanh(xi_f, f)
            return np.array(f)

        return compute


def fan_uniform(rng, shape, fan_in):
    """Uniform in ±1 / sqrt(fan_in)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(fan_in)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)
