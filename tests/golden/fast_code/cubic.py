"""cubic: a + b x + c x^2 + d x^3 fitted to sin x.

Compiled from cubic.flow by flowc 0.1.0 (target numpy, -O2).
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
    return a + b * x + c * x**2 + d * x**3


def loss(params, x, y):
    """Return the loss, the sum over the batch."""
    y = np.asarray(y, dtype=np.float32)  # (N,)
    f = forward(params, x)
    return float(np.sum((f - y) ** 2))


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    y = np.asarray(y, dtype=np.float32)  # (N,)
    a, b, c, d = params["a"], params["b"], params["c"], params["d"]

    x2 = x**2  # (N,)
    x3 = x**3
    f = a + b * x + c * x2 + d * x3
    f_minus_y = f - y
    loss = np.sum(f_minus_y**2)
    d_f = 2 * f_minus_y

    # f = a + b * x + c * x2 + d * x3
    d_d = np.sum(d_f * x3)
    d_c = np.sum(d_f * x2)
    d_a = np.sum(d_f)
    d_b = np.sum(d_f * x)

    return float(loss), {"a": d_a, "b": d_b, "c": d_c, "d": d_d}


class Trainer:
    """Trains a copy of params by gradient descent.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    A step works in arrays that are made once for batches of a size.
    """

    def __init__(self, params, lr=1e-06, batch="all", seed=0):
        self._w = np.zeros(4, np.float32)  # all parameters
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
        x = np.asarray(x, dtype=np.float32)  # (N,)
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
        x = np.asarray(x, dtype=np.float32)  # (N,)
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
        subtract = np.subtract
        w_f = w[0:4]
        rate = np.array(self._lr, np.float32)
        f_stack = np.empty((4, N), np.float32)
        f = f_minus_y = np.empty(N, np.float32)
        batch_sum = np.empty((), np.float32)
        matmul_unscaled = np.empty(4, np.float32)
        d_w_f = g[0:4]  # (4,)
        f_square = f_stack[2]  # (N,)
        f_mul = f_stack[3]  # (N,)
        f_expand = np.broadcast_to(np.float32(1), (N,))
        mul = 2 * rate
        mul = np.array(mul, np.float32)
        f_stack_part = f_stack[0]
        np.copyto(f_stack_part, f_expand)
        f_stack_part_2 = f_stack[1]
        y = None

        def begin(x, new_y):
            """Compute what depends on the batch alone."""
            nonlocal y
            y = new_y
            square(x, f_square)
            multiply(x, f_square, f_mul)
            copyto(f_stack_part_2, x)

        def compute(loss):
            """Compute the gradient; return the loss if it is wanted."""
            dot(w_f, f_stack, f)
            subtract(f, y, f_minus_y)

            value = None
            if loss:
                dot(f_minus_y, f_minus_y, batch_sum)
                value = float(batch_sum)

            # f = w_f @ f_stack
            dot(f_stack, f_minus_y, matmul_unscaled)
            multiply(mul, matmul_unscaled, d_w_f)
            return value

        return begin, compute


def views(flat):
    """What there is for each parameter, by name: views of one array."""
    part = flat[0:4]
    return {"a": part[0, ...], "b": part[1, ...], "c": part[2, ...], "d": part[3, ...]}


class Forward:
    """Returns f, shape (N,), from x (N,), by a copy of params.

    It works in arrays that are made once for batches of a size.
    """

    def __init__(self, params):
        self._w = np.zeros(4, np.float32)  # all parameters
        for name, view in views(self._w).items():
            view[...] = params[name]
        self._plans = {}  # by the sizes of a batch

    def __call__(self, x):
        """Compute the outputs; what is returned is the caller's."""
        x = np.asarray(x, dtype=np.float32)  # (N,)
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
        copyto, dot, multiply, square = np.copyto, np.dot, np.multiply, np.square
        w_f = w[0:4]
        f_stack = np.empty((4, N), np.float32)
        f = np.empty(N, np.float32)
        f_square = f_stack[2]  # (N,)
        f_mul = f_stack[3]  # (N,)
        f_expand = np.broadcast_to(np.float32(1), (N,))
        f_stack_part = f_stack[0]
        np.copyto(f_stack_part, f_expand)
        f_stack_part_2 = f_stack[1]

        def compute(x):
            square(x, f_square)
            multiply(x, f_square, f_mul)
            copyto(f_stack_part_2, x)
            dot(w_f, f_stack, f)
            return np.array(f)

        return compute
