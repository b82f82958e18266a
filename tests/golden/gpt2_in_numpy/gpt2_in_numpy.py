"""gpt2: GPT-2.

Compiled from gpt2.flow by flowc 0.1.0 (target numpy, -O1).
"""

import math

import numpy as np

V = 50257
P = 1024
L = 12
H = 12
D = 768

H_PARAMS = {
    "ln_1.weight": (768,),
    "ln_1.bias": (768,),
    "attn.c_attn.weight": (2304, 768),
    "attn.c_attn.bias": (2304,),
    "attn.c_proj.weight": (768, 768),
    "attn.c_proj.bias": (768,),
    "ln_2.weight": (768,),
    "ln_2.bias": (768,),
    "mlp.c_fc.weight": (3072, 768),
    "mlp.c_fc.bias": (3072,),
    "mlp.c_proj.weight": (768, 3072),
    "mlp.c_proj.bias": (768,),
}

PARAMS: dict[str, tuple[int, ...]] = {
    "wte.weight": (50257, 768),
    "wpe.weight": (1024, 768),
    **{f"h.{i}.{name}": shape for i in range(12) for name, shape in H_PARAMS.items()},
    "ln_f.weight": (768,),
    "ln_f.bias": (768,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "wte.weight": rng("wte.weight").normal(0.0, 0.02, (50257, 768)),
        "wpe.weight": rng("wpe.weight").normal(0.0, 0.02, (1024, 768)),
    }
    for i in range(12):
        values |= {
            f"h.{i}.ln_1.weight": np.ones((768,)),
            f"h.{i}.ln_1.bias": np.zeros((768,)),
            f"h.{i}.attn.c_attn.weight": fan_uniform(
                rng(f"h.{i}.attn.c_attn.weight"), (2304, 768), fan_in=768
            ),
            f"h.{i}.attn.c_attn.bias": fan_uniform(
                rng(f"h.{i}.attn.c_attn.bias"), (2304,), fan_in=768
            ),
            f"h.{i}.attn.c_proj.weight": fan_uniform(
                rng(f"h.{i}.attn.c_proj.weight"), (768, 768), fan_in=768
            ),
            f"h.{i}.attn.c_proj.bias": fan_uniform(
                rng(f"h.{i}.attn.c_proj.bias"), (768,), fan_in=768
            ),
            f"h.{i}.ln_2.weight": np.ones((768,)),
            f"h.{i}.ln_2.bias": np.zeros((768,)),
            f"h.{i}.mlp.c_fc.weight": fan_uniform(
                rng(f"h.{i}.mlp.c_fc.weight"), (3072, 768), fan_in=768
            ),
            f"h.{i}.mlp.c_fc.bias": fan_uniform(
                rng(f"h.{i}.mlp.c_fc.bias"), (3072,), fan_in=768
            ),
            f"h.{i}.mlp.c_proj.weight": fan_uniform(
                rng(f"h.{i}.mlp.c_proj.weight"), (768, 3072), fan_in=3072
            ),
            f"h.{i}.mlp.c_proj.bias": fan_uniform(
                rng(f"h.{i}.mlp.c_proj.bias"), (768,), fan_in=3072
            ),
        }
    values |= {"ln_f.weight": np.ones((768,)), "ln_f.bias": np.zeros((768,))}
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def h_forward(params, at, u):
    """Return u (N, T, 768) after a round of h, and what h needs to go back."""
    p = {name: params[at + name] for name in H_PARAMS}
    N = len(u)
    T = u.shape[1]
    ln_1_standard, ln_1_scale = standardized(u)
    ln_1 = ln_1_standard * p["ln_1.weight"] + p["ln_1.bias"]  # (N, T, 768)
    # (N, T, 2304)
    attn_linear = ln_1 @ p["attn.c_attn.weight"].T + p["attn.c_attn.bias"]
    # (N, 3, 12, T, 64)
    attn_permute = np.transpose(
        np.reshape(attn_linear, (N, T, 3, 12, 64)), (0, 2, 3, 1, 4)
    )
    attn_index = attn_permute[:, 1]  # (N, 12, T, 64)
    attn_index_2 = attn_permute[:, 2]
    attn_mul = attn_permute[:, 0] * 0.125
    # (N, 12, T, T)
    attn_weights = attention_weights(
        attn_mul @ np.swapaxes(attn_index, -2, -1), causal=True
    )
    # (N, T, 12, 64)
    attn_permute_2 = np.transpose(attn_weights @ attn_index_2, (0, 2, 1, 3))
    attn_reshape = np.reshape(attn_permute_2, (N, T, 768))  # (N, T, 768)
    attn = attn_reshape @ p["attn.c_proj.weight"].T + p["attn.c_proj.bias"]
    u_2 = u + attn
    ln_2_standard, ln_2_scale = standardized(u_2)
    ln_2 = ln_2_standard * p["ln_2.weight"] + p["ln_2.bias"]
    mlp_linear = ln_2 @ p["mlp.c_fc.weight"].T + p["mlp.c_fc.bias"]  # (N, T, 3072)
    mlp_gelu = gelu_tanh(mlp_linear)
    mlp = mlp_gelu @ p["mlp.c_proj.weight"].T + p["mlp.c_proj.bias"]  # (N, T, 768)
    u_3 = u_2 + mlp
    return (
        u_3,
        (
            ln_1_standard,
            ln_2_standard,
            mlp_linear,
            ln_2_scale,
            attn_weights,
            attn_mul,
            attn_index_2,
            attn_index,
            ln_1_scale,
            ln_1,
            attn_reshape,
            ln_2,
            mlp_gelu,
        ),
    )


def forward(params, ids):
    """Return logits, shape (N, T, 50257), from ids (N, T) of labels 0..50256."""
    ids = np.asarray(ids, dtype=np.int64)  # (N, T)
    wte_weight = params["wte.weight"]  # (50257, 768)
    wpe_weight = params["wpe.weight"]  # (1024, 768)
    ln_f_weight = params["ln_f.weight"]  # (768,)
    ln_f_bias = params["ln_f.bias"]  # (768,)
    T = ids.shape[1]
    assert T <= 1024, "no place is left: the row has more than P tokens"
    u = wte_weight[ids] + wpe_weight[np.arange(T)]  # (N, T, 768)
    for i in range(12):
        u, _ = h_forward(params, f"h.{i}.", u)
    ln_f = layernorm(u, ln_f_weight, ln_f_bias)
    return ln_f @ wte_weight.T


def loss(params, ids, next):
    """Return the loss, the mean over the batch."""
    next = np.asarray(next, dtype=np.int64)  # (N, T)
    logits = forward(params, ids)
    return float(batch_mean(cross_entropy(logits, next, axis=-1)))


def h_backward(params, at, saved, d_u):
    """Return the cotangents of u before a round of h, and its parameters' gradients."""
    (
        ln_1_standard,
        ln_2_standard,
        mlp_linear,
        ln_2_scale,
        attn_weights,
        attn_mul,
        attn_index_2,
        attn_index,
        ln_1_scale,
        ln_1,
        attn_reshape,
        ln_2,
        mlp_gelu,
    ) = saved
    p = {name: params[at + name] for name in H_PARAMS}
    N = len(d_u)
    T = d_u.shape[1]

    # mlp = mlp_gelu @ p["mlp.c_proj.weight"].T + p["mlp.c_proj.bias"]
    reshape = np.reshape(mlp_gelu, (N * T, 3072))  # (N * T, 3072)

    # mlp_gelu = gelu_tanh(mlp_linear)
    mul_4 = 0.044715 * np.square(mlp_linear)  # (N, T, 3072)
    sigmoid_2 = sigmoid(1.5957691216057308 * mlp_linear * (1 + mul_4))
    mul_8 = mlp_linear * sigmoid_2 * (1 - sigmoid_2)
    add_3 = sigmoid_2 + mul_8 * (1.5957691216057308 * (1 + 3 * mul_4))
    d_mlp_c_fc = d_u @ p["mlp.c_proj.weight"] * add_3

    # mlp_linear = ln_2 @ p["mlp.c_fc.weight"].T + p["mlp.c_fc.bias"]
    transpose_last_3 = np.reshape(d_mlp_c_fc, (N * T, 3072)).T  # (3072, N * T)
    d_ln_2 = d_mlp_c_fc @ p["mlp.c_fc.weight"]  # (N, T, 768)

    # ln_2 = ln_2_standard * p["ln_2.weight"] + p["ln_2.bias"]
    mul_13 = d_ln_2 * p["ln_2.weight"]

    # ln_2_standard, ln_2_scale = standardized(u_2)
    mul_16 = ln_2_standard * np.mean(mul_13 * ln_2_standard, axis=-1, keepdims=True)
    mul_17 = ln_2_scale * (mul_13 - np.mean(mul_13, axis=-1, keepdims=True) - mul_16)
    d_u_2 = d_u + mul_17

    # attn = attn_reshape @ p["attn.c_proj.weight"].T + p["attn.c_proj.bias"]
    reshape_5 = np.reshape(attn_reshape, (N * T, 768))  # (N * T, 768)

    # attn_reshape = np.reshape(attn_permute_2, (N, T, 768))
    # (N, T, 12, 64)
    d_attn_permute = np.reshape(d_u_2 @ p["attn.c_proj.weight"], (N, T, 12, 64))

    # attn_permute_2 = np.transpose(attn_weights @ attn_index_2, (0, 2, 1, 3))
    d_attn_y = np.transpose(d_attn_permute, (0, 2, 1, 3))  # (N, 12, T, 64)
    matmul_7 = d_attn_y @ np.swapaxes(attn_index_2, -2, -1)  # (N, 12, T, T)

    sub_4 = matmul_7 - np.sum(attn_weights * matmul_7, axis=-1, keepdims=True)
    d_scores = attn_weights * sub_4

    # attn_permute_2 = np.transpose(attn_weights @ attn_index_2, (0, 2, 1, 3))
    d_attn_v = np.swapaxes(attn_weights, -2, -1) @ d_attn_y  # (N, 12, T, 64)

    d_attn_k = np.swapaxes(d_scores, -2, -1) @ attn_mul

    # attn_mul = attn_permute[:, 0] * 0.125
    mul_20 = d_scores @ attn_index * 0.125
    d_attn_qkv_3 = np.stack([mul_20, d_attn_k, d_attn_v], axis=-4)  # (N, 3, 12, T, 64)

    d_attn_reshape = np.transpose(d_attn_qkv_3, (0, 3, 1, 2, 4))  # (N, T, 3, 12, 64)
    d_attn_c_attn = np.reshape(d_attn_reshape, (N, T, 2304))  # (N, T, 2304)

    # attn_linear = ln_1 @ p["attn.c_attn.weight"].T + p["attn.c_attn.bias"]
    transpose_last_10 = np.reshape(d_attn_c_attn, (N * T, 2304)).T  # (2304, N * T)
    d_ln_1 = d_attn_c_attn @ p["attn.c_attn.weight"]  # (N, T, 768)

    # ln_1 = ln_1_standard * p["ln_1.weight"] + p["ln_1.bias"]
    mul_22 = d_ln_1 * p["ln_1.weight"]

    # ln_1_standard, ln_1_scale = standardized(u)
    mul_25 = ln_1_standard * np.mean(mul_22 * ln_1_standard, axis=-1, keepdims=True)
    mul_26 = ln_1_scale * (mul_22 - np.mean(mul_22, axis=-1, keepdims=True) - mul_25)
    d_u_3 = d_u_2 + mul_26
    grads = {
        f"{at}ln_1.weight": np.sum(d_ln_1 * ln_1_standard, axis=(-3, -2)),
        f"{at}ln_1.bias": np.sum(d_ln_1, axis=(-3, -2)),
        f"{at}attn.c_attn.weight": transpose_last_10 @ np.reshape(ln_1, (N * T, 768)),
        f"{at}attn.c_attn.bias": np.sum(d_attn_c_attn, axis=(-3, -2)),
        f"{at}attn.c_proj.weight": np.reshape(d_u_2, (N * T, 768)).T @ reshape_5,
        f"{at}attn.c_proj.bias": np.sum(d_u_2, axis=(-3, -2)),
        f"{at}ln_2.weight": np.sum(d_ln_2 * ln_2_standard, axis=(-3, -2)),
        f"{at}ln_2.bias": np.sum(d_ln_2, axis=(-3, -2)),
        f"{at}mlp.c_fc.weight": transpose_last_3 @ np.reshape(ln_2, (N * T, 768)),
        f"{at}mlp.c_fc.bias": np.sum(d_mlp_c_fc, axis=(-3, -2)),
        f"{at}mlp.c_proj.weight": np.reshape(d_u, (N * T, 768)).T @ reshape,
        f"{at}mlp.c_proj.bias": np.sum(d_u, axis=(-3, -2)),
    }
    return d_u_3, grads


def loss_and_grad(params, ids, next):
    """Return the loss and its gradient with respect to every parameter."""
    ids = np.asarray(ids, dtype=np.int64)  # (N, T)
    next = np.asarray(next, dtype=np.int64)  # (N, T)
    wte_weight = params["wte.weight"]  # (50257, 768)
    wpe_weight = params["wpe.weight"]  # (1024, 768)
    ln_f_weight = params["ln_f.weight"]  # (768,)
    ln_f_bias = params["ln_f.bias"]  # (768,)
    T = ids.shape[1]
    N = len(ids)
    assert T <= 1024, "no place is left: the row has more than P tokens"

    u_arange = np.arange(T)  # (T,)
    u = wte_weight[ids] + wpe_weight[u_arange]  # (N, T, 768)
    h_saved = 12 * [None]
    for i in range(12):
        u, h_saved[i] = h_forward(params, f"h.{i}.", u)
    ln_f_standard, ln_f_scale = standardized(u)
    ln_f = ln_f_standard * ln_f_weight + ln_f_bias
    logits = ln_f @ wte_weight.T  # (N, T, 50257)
    loss = batch_mean(cross_entropy(logits, next, axis=-1))
    sub = softmax(logits) - (next[..., None] == np.arange(50257)).astype(np.float32)
    d_logits = sub / max(N * T, 1)

    # logits = ln_f @ wte_weight.T
    d_ln_f = d_logits @ wte_weight  # (N, T, 768)
    transpose_last_5 = np.reshape(d_logits, (N * T, 50257)).T  # (50257, N * T)

    # ln_f = ln_f_standard * ln_f_weight + ln_f_bias
    d_ln_f_bias = np.sum(d_ln_f, axis=(-3, -2))  # (768,)
    mul_3 = d_ln_f * ln_f_weight  # (N, T, 768)
    d_ln_f_weight = np.sum(d_ln_f * ln_f_standard, axis=(-3, -2))  # (768,)

    # ln_f_standard, ln_f_scale = standardized(u)
    # (N, T, 768)
    mul_6 = ln_f_standard * np.mean(mul_3 * ln_f_standard, axis=-1, keepdims=True)
    d_u = ln_f_scale * (mul_3 - np.mean(mul_3, axis=-1, keepdims=True) - mul_6)

    # the rounds of h
    h_grads = {}
    for i in reversed(range(12)):
        d_u, found = h_backward(params, f"h.{i}.", h_saved.pop(), d_u)
        h_grads = found | h_grads

    # u = wte_weight[ids] + wpe_weight[u_arange]
    d_wpe_weight = add_at(np.sum(d_u, axis=-3), u_arange, size=1024)  # (1024, 768)

    # logits = ln_f @ wte_weight.T
    transpose_last_4 = transpose_last_5 @ np.reshape(ln_f, (N * T, 768))  # (50257, 768)

    # u = wte_weight[ids] + wpe_weight[u_arange]
    d_wte_weight = transpose_last_4 + add_at(d_u, ids, size=50257)

    grads = {
        "wte.weight": d_wte_weight,
        "wpe.weight": d_wpe_weight,
        **h_grads,
        "ln_f.weight": d_ln_f_weight,
        "ln_f.bias": d_ln_f_bias,
    }
    return float(loss), grads


class Trainer:
    """Trains a copy of params by AdamW.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(
        self,
        params,
        lr=0.001,
        betas=(0.9, 0.999),
        eps=1e-08,
        weight_decay=0.01,
        batch=8,
        seed=0,
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
        self._weight_decay = weight_decay
        self._batch = batch
        self._seed = seed

    @property
    def params(self):
        """The parameters by name, as views that cannot be written to."""
        views = {name: w.view() for name, w in self._params.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    def step(self, ids, next, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, ids, next)
        self._update(grads)
        return value if loss else None

    def run(self, ids, next, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 300 steps; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        ids = np.asarray(ids, dtype=np.int64)  # (N, T)
        next = np.asarray(next, dtype=np.int64)  # (N, T)
        n = len(ids)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = 300 if epochs is None else epochs * per_epoch
        losses = []
        for i in range(steps):
            epoch, k = divmod(self._t, per_epoch)
            if i == 0 or k == 0:
                batches = self._batches(epoch, n)
            rows = batches[k]
            value = self.step(ids[rows], next[rows], loss=log > 0 and i % log == 0)
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
        """Move the parameters along their gradients by the rule of AdamW."""
        self._t += 1
        beta1, beta2 = self._betas
        lr, eps, weight_decay, t = self._lr, self._eps, self._weight_decay, self._t
        for name, g in grads.items():
            w, m, v = self._params[name], self._m[name], self._v[name]
            m += (1 - beta1) * (g - m)
            v *= beta2
            v += (1 - beta2) * g * g
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            w -= lr * (m_hat / (np.sqrt(v_hat) + eps) + weight_decay * w)


def fan_uniform(rng, shape, fan_in):
    """Uniform in ±1 / sqrt(fan_in)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(fan_in)


def standardized(x, axis=-1, eps=1e-5):
    """x less its mean, over its standard deviation along axis, and that factor."""
    centered = x - np.mean(x, axis=axis, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centered**2, axis=axis, keepdims=True) + eps)
    return centered * scale, scale


def attention_weights(scores, mask=None, causal=False):
    """Softmax over what mask and, if causal, order let each row look at; else 0."""
    if mask is not None:
        is_bool = mask.dtype == bool
        scores = np.where(mask, scores, -np.inf) if is_bool else scores + mask
    if causal:
        seen = np.tri(*scores.shape[-2:], dtype=np.bool_)
        scores = np.where(seen, scores, -np.inf)
    top = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(top == -np.inf, 0, top))
    # The largest term is 1: the sum is less only where there is nothing to look at.
    return e / np.maximum(np.sum(e, axis=-1, keepdims=True), 1)


def gelu_tanh(x):
    """The approximation of gelu by tanh; 0.5 (1 + tanh(u)) is the sigmoid of 2 u."""
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x**2))


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def layernorm(x, weight=None, bias=None, axis=-1, eps=1e-5):
    """x with mean 0 and variance 1 along axis, times the weight, plus the bias."""
    y = standardized(x, axis, eps)[0]
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


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


def softmax(x, axis=-1):
    """Exponentials over their sum; the largest entry is taken off first."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def add_at(values, indices, size):
    """Add rows of values to the rows that indices name; entry by entry is faster."""
    total = np.zeros((size, *values.shape[indices.ndim :]), values.dtype)
    width = values.size // max(indices.size, 1)
    places = np.reshape(indices, (-1, 1)) * width + np.arange(width)
    np.add.at(total.reshape(-1), places.reshape(-1), values.reshape(-1))
    return total
