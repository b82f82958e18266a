"""burgers: Burgers' equation solved by a network.

Compiled from burgers.flow by flowc 0.1.0 (target numpy, -O1).
"""

import math

import numpy as np

INSIDE = 800
START = 100
SIDES = 100
POINTS = 1000

PARAMS: dict[str, tuple[int, ...]] = {
    "u.linear.weight": (20, 2),
    "u.linear.bias": (20,),
    "u.linear_2.weight": (20, 20),
    "u.linear_2.bias": (20,),
    "u.linear_3.weight": (1, 20),
    "u.linear_3.bias": (1,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "u.linear.weight": fan_uniform(rng("u.linear.weight"), (20, 2), fan_in=2),
        "u.linear.bias": fan_uniform(rng("u.linear.bias"), (20,), fan_in=2),
        "u.linear_2.weight": fan_uniform(rng("u.linear_2.weight"), (20, 20), fan_in=20),
        "u.linear_2.bias": fan_uniform(rng("u.linear_2.bias"), (20,), fan_in=20),
        "u.linear_3.weight": fan_uniform(rng("u.linear_3.weight"), (1, 20), fan_in=20),
        "u.linear_3.bias": fan_uniform(rng("u.linear_3.bias"), (1,), fan_in=20),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x, t):
    """Return u, shape (N,), from x (N,) and t (N,)."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    t = np.asarray(t, dtype=np.float32)  # (N,)
    u_linear_weight = params["u.linear.weight"]  # (20, 2)
    u_linear_bias = params["u.linear.bias"]  # (20,)
    u_linear_2_weight = params["u.linear_2.weight"]  # (20, 20)
    u_linear_2_bias = params["u.linear_2.bias"]  # (20,)
    u_linear_3_weight = params["u.linear_3.weight"]  # (1, 20)
    u_linear_3_bias = params["u.linear_3.bias"]  # (1,)
    # (N, 20)
    u_tanh = np.tanh(np.stack([x, t], axis=-1) @ u_linear_weight.T + u_linear_bias)
    u_tanh_2 = np.tanh(u_tanh @ u_linear_2_weight.T + u_linear_2_bias)
    return np.sum(u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias, axis=-1)


def loss(params, x, t, known, in_equation, in_known):
    """Return the sum of the losses equation, edge."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    t = np.asarray(t, dtype=np.float32)  # (N,)
    known = np.asarray(known, dtype=np.float32)  # (N,)
    in_equation = np.asarray(in_equation, dtype=np.float32)  # (N,)
    in_known = np.asarray(in_known, dtype=np.float32)  # (N,)
    u_linear_weight = params["u.linear.weight"]  # (20, 2)
    u_linear_bias = params["u.linear.bias"]  # (20,)
    u_linear_2_weight = params["u.linear_2.weight"]  # (20, 20)
    u_linear_2_bias = params["u.linear_2.bias"]  # (20,)
    u_linear_3_weight = params["u.linear_3.weight"]  # (1, 20)
    u_linear_3_bias = params["u.linear_3.bias"]  # (1,)
    # (N, 20)
    u_tanh = np.tanh(np.stack([x, t], axis=-1) @ u_linear_weight.T + u_linear_bias)
    u_tanh_2 = np.tanh(u_tanh @ u_linear_2_weight.T + u_linear_2_bias)
    u = np.sum(u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias, axis=-1)  # (N,)
    u_t_index = u_linear_3_weight[0]  # (20,)
    u_t_sub = 1 - u_tanh_2**2  # (N, 20)
    u_t_matmul = u_t_index * u_t_sub @ u_linear_2_weight
    u_t_sub_2 = 1 - u_tanh**2
    u_t_matmul_2 = u_t_matmul * u_t_sub_2 @ u_linear_weight  # (N, 2)
    u_t = u_t_matmul_2[:, 1]  # (N,)
    u_x = u_t_matmul_2[:, 0]
    u_xx_index = u_linear_weight[:, 0]  # (20,)
    # (N, 20)
    u_xx_mul = u_xx_index * u_t_sub_2 @ u_linear_2_weight.T * u_t_index * (2 * u_tanh_2)
    u_xx_neg = -(u_xx_index * u_t_matmul * (2 * u_tanh))
    u_xx_mul_2 = (u_xx_neg - u_xx_mul * u_t_sub @ u_linear_2_weight) * u_t_sub_2
    u_xx = (u_xx_mul_2 @ u_linear_weight)[:, 0]  # (N,)
    residual = u_t + u * u_x - 0.1 * u_xx
    equation = in_equation * residual**2
    edge = in_known * (u - known) ** 2
    return float(batch_mean(equation) + batch_mean(edge))


def loss_and_grad(params, x, t, known, in_equation, in_known):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N,)
    t = np.asarray(t, dtype=np.float32)  # (N,)
    known = np.asarray(known, dtype=np.float32)  # (N,)
    in_equation = np.asarray(in_equation, dtype=np.float32)  # (N,)
    in_known = np.asarray(in_known, dtype=np.float32)  # (N,)
    u_linear_weight = params["u.linear.weight"]  # (20, 2)
    u_linear_bias = params["u.linear.bias"]  # (20,)
    u_linear_2_weight = params["u.linear_2.weight"]  # (20, 20)
    u_linear_2_bias = params["u.linear_2.bias"]  # (20,)
    u_linear_3_weight = params["u.linear_3.weight"]  # (1, 20)
    u_linear_3_bias = params["u.linear_3.bias"]  # (1,)
    N = len(x)

    u_stack = np.stack([x, t], axis=-1)  # (N, 2)
    u_tanh = np.tanh(u_stack @ u_linear_weight.T + u_linear_bias)  # (N, 20)
    u_tanh_2 = np.tanh(u_tanh @ u_linear_2_weight.T + u_linear_2_bias)
    u = np.sum(u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias, axis=-1)  # (N,)
    u_t_index = u_linear_3_weight[0]  # (20,)
    u_t_sub = 1 - u_tanh_2**2  # (N, 20)
    u_t_mul = u_t_index * u_t_sub
    u_t_matmul = u_t_mul @ u_linear_2_weight
    u_t_sub_2 = 1 - u_tanh**2
    u_t_mul_2 = u_t_matmul * u_t_sub_2
    u_t_matmul_2 = u_t_mul_2 @ u_linear_weight  # (N, 2)
    u_t = u_t_matmul_2[:, 1]  # (N,)
    u_x = u_t_matmul_2[:, 0]
    u_xx_index = u_linear_weight[:, 0]  # (20,)
    u_xx_mul = u_xx_index * u_t_sub_2  # (N, 20)
    u_xx_mul_2 = u_xx_index * u_t_matmul
    u_xx_mul_3 = 2 * u_tanh
    u_xx_matmul = u_xx_mul @ u_linear_2_weight.T
    u_xx_mul_4 = u_xx_matmul * u_t_index
    u_xx_mul_5 = 2 * u_tanh_2
    u_xx_mul_6 = u_xx_mul_4 * u_xx_mul_5
    u_xx_mul_7 = u_xx_mul_6 * u_t_sub
    u_xx_sub = -(u_xx_mul_2 * u_xx_mul_3) - u_xx_mul_7 @ u_linear_2_weight
    u_xx_mul_8 = u_xx_sub * u_t_sub_2
    u_xx = (u_xx_mul_8 @ u_linear_weight)[:, 0]  # (N,)
    residual = u_t + u * u_x - 0.1 * u_xx
    equation = in_equation * residual**2
    u_minus_known = u - known
    edge = in_known * u_minus_known**2
    loss = batch_mean(equation) + batch_mean(edge)

    # equation = in_equation * residual**2
    d_residual = in_equation / max(N, 1) * (2 * residual)

    # residual = u_t + u * u_x - 0.1 * u_xx
    d_u_xx = -(d_residual * 0.1)
    d_u_x = d_residual * u
    d_u = in_known / max(N, 1) * (2 * u_minus_known) + d_residual * u_x

    # u_xx = (u_xx_mul_8 @ u_linear_weight)[:, 0]
    d_du_x_dstack = np.pad(d_u_xx[:, None], ((0, 0), (0, 1)))  # (N, 2)
    matmul_3 = d_du_x_dstack @ u_linear_weight.T  # (N, 20)

    # u_xx_sub = -(u_xx_mul_2 * u_xx_mul_3) - u_xx_mul_7 @ u_linear_2_weight
    d_matmul_4 = -(matmul_3 * u_t_sub_2)
    matmul_6 = d_matmul_4 @ u_linear_2_weight.T

    # u_xx_mul_7 = u_xx_mul_6 * u_t_sub
    mul_23 = matmul_6 * u_t_sub

    # u_xx_mul_6 = u_xx_mul_4 * u_xx_mul_5
    mul_25 = mul_23 * u_xx_mul_5

    # u_xx_mul_4 = u_xx_matmul * u_t_index
    mul_29 = mul_25 * u_t_index

    # u_xx_matmul = u_xx_mul @ u_linear_2_weight.T
    matmul_8 = mul_29 @ u_linear_2_weight

    # u_xx_sub = -(u_xx_mul_2 * u_xx_mul_3) - u_xx_mul_7 @ u_linear_2_weight
    mul_31 = d_matmul_4 * u_xx_mul_3

    # u_xx_mul = u_xx_index * u_t_sub_2
    sum_3 = np.sum(matmul_8 * u_t_sub_2, axis=-2)  # (20,)

    # u_xx_index = u_linear_weight[:, 0]
    unsqueeze_2 = (np.sum(mul_31 * u_t_matmul, axis=-2) + sum_3)[:, None]  # (20, 1)

    # u_t = u_t_matmul_2[:, 1]
    d_du_dstack_2 = np.stack([d_u_x, d_residual], axis=-1)  # (N, 2)

    # u_t_matmul_2 = u_t_mul_2 @ u_linear_weight
    matmul_10 = d_du_dstack_2 @ u_linear_weight.T  # (N, 20)

    # u_xx_index = u_linear_weight[:, 0]
    # (20, 2)
    add_6 = u_xx_mul_8.T @ d_du_x_dstack + np.pad(unsqueeze_2, ((0, 0), (0, 1)))

    # u_t_mul_2 = u_t_matmul * u_t_sub_2
    d_du_dtanh = mul_31 * u_xx_index + matmul_10 * u_t_sub_2  # (N, 20)
    d_sub_3_3 = matmul_3 * u_xx_sub + matmul_8 * u_xx_index + matmul_10 * u_t_matmul

    # u_t_matmul = u_t_mul @ u_linear_2_weight
    matmul_12 = d_du_dtanh @ u_linear_2_weight.T
    # (20, 20)
    add_12 = u_xx_mul_7.T @ d_matmul_4 + mul_29.T @ u_xx_mul + u_t_mul.T @ d_du_dtanh

    # u_xx_mul_4 = u_xx_matmul * u_t_index
    d_du_dtanh_2 = np.sum(mul_25 * u_xx_matmul, axis=-2)  # (20,)

    # u_t_sub = 1 - u_tanh_2**2
    mul_12 = (matmul_6 * u_xx_mul_6 + matmul_12 * u_t_index) * u_xx_mul_5  # (N, 20)

    # u = np.sum(u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias, axis=-1)
    unsqueeze_6 = d_u[:, None]  # (N, 1)

    # u_t_index = u_linear_3_weight[0]
    unsqueeze_5 = (d_du_dtanh_2 + np.sum(matmul_12 * u_t_sub, axis=-2))[None]  # (1, 20)

    # u = np.sum(u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias, axis=-1)
    d_u_linear_3_weight = unsqueeze_5 + unsqueeze_6.T @ u_tanh_2
    d_u_linear_3_bias = np.sum(unsqueeze_6, axis=-2)  # (1,)
    # (N, 20)
    d_tanh_2_3 = mul_23 * u_xx_mul_4 * 2 - mul_12 + unsqueeze_6 @ u_linear_3_weight

    # u_tanh_2 = np.tanh(u_tanh @ u_linear_2_weight.T + u_linear_2_bias)
    d_linear_2 = d_tanh_2_3 * u_t_sub

    # u_t_sub_2 = 1 - u_tanh**2
    d_tanh_3 = d_matmul_4 * u_xx_mul_2 * 2 - d_sub_3_3 * u_xx_mul_3

    # u_tanh_2 = np.tanh(u_tanh @ u_linear_2_weight.T + u_linear_2_bias)
    d_u_linear_2_weight = add_12 + d_linear_2.T @ u_tanh  # (20, 20)
    d_u_linear_2_bias = np.sum(d_linear_2, axis=-2)  # (20,)

    # u_tanh = np.tanh(u_stack @ u_linear_weight.T + u_linear_bias)
    d_linear = (d_tanh_3 + d_linear_2 @ u_linear_2_weight) * u_t_sub_2  # (N, 20)
    # (20, 2)
    d_u_linear_weight = add_6 + u_t_mul_2.T @ d_du_dstack_2 + d_linear.T @ u_stack
    d_u_linear_bias = np.sum(d_linear, axis=-2)  # (20,)

    grads = {
        "u.linear.weight": d_u_linear_weight,
        "u.linear.bias": d_u_linear_bias,
        "u.linear_2.weight": d_u_linear_2_weight,
        "u.linear_2.bias": d_u_linear_2_bias,
        "u.linear_3.weight": d_u_linear_3_weight,
        "u.linear_3.bias": d_u_linear_3_bias,
    }
    return float(loss), grads


class Trainer:
    """Trains a copy of params by Adam.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(
        self, params, lr=0.01, betas=(0.9, 0.999), eps=1e-08, batch="all", seed=0
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

    def step(self, x, t, known, in_equation, in_known, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, x, t, known, in_equation, in_known)
        self._update(grads)
        return value if loss else None

    def run(self, x, t, known, in_equation, in_known, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 2000 steps; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N,)
        t = np.asarray(t, dtype=np.float32)  # (N,)
        known = np.asarray(known, dtype=np.float32)  # (N,)
        in_equation = np.asarray(in_equation, dtype=np.float32)  # (N,)
        in_known = np.asarray(in_known, dtype=np.float32)  # (N,)
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
            value = self.step(
                x[rows],
                t[rows],
                known[rows],
                in_equation[rows],
                in_known[rows],
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
        """Move the parameters along their gradients by the rule of Adam."""
        lr = cosine(self._t, self._lr, steps=2000)
        self._t += 1
        beta1, beta2 = self._betas
        eps, t = self._eps, self._t
        for name, g in grads.items():
            w, m, v = self._params[name], self._m[name], self._v[name]
            m += (1 - beta1) * (g - m)
            v *= beta2
            v += (1 - beta2) * g * g
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            w -= lr * m_hat / (np.sqrt(v_hat) + eps)


def fan_uniform(rng, shape, fan_in):
    """Uniform in ±1 / sqrt(fan_in)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(fan_in)


def batch_mean(values):
    """Mean over the batch, 0 for an empty one."""
    return np.sum(values) / max(len(values), 1)


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2
