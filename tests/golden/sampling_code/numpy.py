"""vae: A variational autoencoder of handwritten digits.

Compiled from vae.flow by flowc 0.1.0 (target numpy, -O1).
"""

import math

import numpy as np

H = 128
Z = 8

PARAMS: dict[str, tuple[int, ...]] = {
    "encoder.wide.weight": (128, 64),
    "encoder.wide.bias": (128,),
    "encoder.mu.weight": (8, 128),
    "encoder.mu.bias": (8,),
    "encoder.logvar.weight": (8, 128),
    "encoder.logvar.bias": (8,),
    "decoder.wide.weight": (128, Z),
    "decoder.wide.bias": (128,),
    "decoder.pixels.weight": (64, 128),
    "decoder.pixels.bias": (64,),
    "reader.weight": (10, 8),
    "reader.bias": (10,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "encoder.wide.weight": fan_uniform(
            rng("encoder.wide.weight"), (128, 64), fan_in=64
        ),
        "encoder.wide.bias": fan_uniform(rng("encoder.wide.bias"), (128,), fan_in=64),
        "encoder.mu.weight": fan_uniform(
            rng("encoder.mu.weight"), (8, 128), fan_in=128
        ),
        "encoder.mu.bias": fan_uniform(rng("encoder.mu.bias"), (8,), fan_in=128),
        "encoder.logvar.weight": fan_uniform(
            rng("encoder.logvar.weight"), (8, 128), fan_in=128
        ),
        "encoder.logvar.bias": fan_uniform(
            rng("encoder.logvar.bias"), (8,), fan_in=128
        ),
        "decoder.wide.weight": fan_uniform(
            rng("decoder.wide.weight"), (128, Z), fan_in=8
        ),
        "decoder.wide.bias": fan_uniform(rng("decoder.wide.bias"), (128,), fan_in=8),
        "decoder.pixels.weight": fan_uniform(
            rng("decoder.pixels.weight"), (64, 128), fan_in=128
        ),
        "decoder.pixels.bias": fan_uniform(
            rng("decoder.pixels.bias"), (64,), fan_in=128
        ),
        "reader.weight": fan_uniform(rng("reader.weight"), (10, 8), fan_in=8),
        "reader.bias": fan_uniform(rng("reader.bias"), (10,), fan_in=8),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x, *, train=False, rng=None):
    """Return mu (N, 8), logvar (N, 8), z (N, 8), remade (N, 64) and
    invented (N, 64) from x (N, 64).
    """
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    encoder_wide_weight = params["encoder.wide.weight"]  # (128, 64)
    encoder_wide_bias = params["encoder.wide.bias"]  # (128,)
    encoder_mu_weight = params["encoder.mu.weight"]  # (8, 128)
    encoder_mu_bias = params["encoder.mu.bias"]  # (8,)
    encoder_logvar_weight = params["encoder.logvar.weight"]  # (8, 128)
    encoder_logvar_bias = params["encoder.logvar.bias"]  # (8,)
    decoder_wide_weight = params["decoder.wide.weight"]  # (128, 8)
    decoder_wide_bias = params["decoder.wide.bias"]  # (128,)
    decoder_pixels_weight = params["decoder.pixels.weight"]  # (64, 128)
    decoder_pixels_bias = params["decoder.pixels.bias"]  # (64,)
    key = draw_key(rng, "normal")
    N = len(x)
    image = np.where(x > 7.5, 1, 0)  # (N, 64)
    # (N, 128)
    mu_linear = image.astype(np.float32) @ encoder_wide_weight.T + encoder_wide_bias
    mu_relu = np.maximum(mu_linear, 0)
    mu = mu_relu @ encoder_mu_weight.T + encoder_mu_bias  # (N, 8)
    logvar = mu_relu @ encoder_logvar_weight.T + encoder_logvar_bias
    z_stream = (*key, 1)
    z_normal = np.asarray(
        np.random.default_rng(z_stream).normal(0, 1.0, (N, 8)), dtype=np.float32
    )
    z = mu + np.exp(logvar / 2) * z_normal
    # (N, 128)
    pixels_relu = np.maximum(z @ decoder_wide_weight.T + decoder_wide_bias, 0)
    pixels = pixels_relu @ decoder_pixels_weight.T + decoder_pixels_bias  # (N, 64)
    remade = sigmoid(pixels)
    invented_stream = (*key, 2)
    # (N, 8)
    invented_normal = np.asarray(
        np.random.default_rng(invented_stream).normal(0, 1.0, (N, 8)), dtype=np.float32
    )
    # (N, 128)
    invented_linear = invented_normal @ decoder_wide_weight.T + decoder_wide_bias
    invented_relu = np.maximum(invented_linear, 0)
    # (N, 64)
    invented = sigmoid(invented_relu @ decoder_pixels_weight.T + decoder_pixels_bias)
    return mu, logvar, z, remade, invented


def loss(params, x, y, *, train=False, rng=None):
    """Return the sum of the losses reconstruction, divergence, reading."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    encoder_wide_weight = params["encoder.wide.weight"]  # (128, 64)
    encoder_wide_bias = params["encoder.wide.bias"]  # (128,)
    encoder_mu_weight = params["encoder.mu.weight"]  # (8, 128)
    encoder_mu_bias = params["encoder.mu.bias"]  # (8,)
    encoder_logvar_weight = params["encoder.logvar.weight"]  # (8, 128)
    encoder_logvar_bias = params["encoder.logvar.bias"]  # (8,)
    decoder_wide_weight = params["decoder.wide.weight"]  # (128, 8)
    decoder_wide_bias = params["decoder.wide.bias"]  # (128,)
    decoder_pixels_weight = params["decoder.pixels.weight"]  # (64, 128)
    decoder_pixels_bias = params["decoder.pixels.bias"]  # (64,)
    reader_weight = params["reader.weight"]  # (10, 8)
    reader_bias = params["reader.bias"]  # (10,)
    key = draw_key(rng, "normal")
    N = len(x)
    image = np.where(x > 7.5, 1, 0)  # (N, 64)
    mu_cast = image.astype(np.float32)
    # (N, 128)
    mu_relu = np.maximum(mu_cast @ encoder_wide_weight.T + encoder_wide_bias, 0)
    mu = mu_relu @ encoder_mu_weight.T + encoder_mu_bias  # (N, 8)
    logvar = mu_relu @ encoder_logvar_weight.T + encoder_logvar_bias
    z_stream = (*key, 1)
    z_normal = np.asarray(
        np.random.default_rng(z_stream).normal(0, 1.0, (N, 8)), dtype=np.float32
    )
    z = mu + np.exp(logvar / 2) * z_normal
    # (N, 128)
    pixels_relu = np.maximum(z @ decoder_wide_weight.T + decoder_wide_bias, 0)
    pixels = pixels_relu @ decoder_pixels_weight.T + decoder_pixels_bias  # (N, 64)
    # (N,)
    cost_bce_with_logits = np.mean(
        mu_cast * np.logaddexp(0, -pixels) + (1 - mu_cast) * np.logaddexp(0, pixels),
        axis=-1,
    )
    cost = 64 * cost_bce_with_logits
    distance = 0.5 * np.sum(np.exp(logvar) + mu**2 - 1 - logvar, axis=-1)
    reader = mu @ reader_weight.T + reader_bias  # (N, 10)
    reconstruction = cost  # (N,)
    divergence = distance
    reading = cross_entropy(reader, y)
    return float(
        batch_mean(reconstruction) + batch_mean(divergence) + batch_mean(reading)
    )


def loss_and_grad(params, x, y, *, train=True, rng=None):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    encoder_wide_weight = params["encoder.wide.weight"]  # (128, 64)
    encoder_wide_bias = params["encoder.wide.bias"]  # (128,)
    encoder_mu_weight = params["encoder.mu.weight"]  # (8, 128)
    encoder_mu_bias = params["encoder.mu.bias"]  # (8,)
    encoder_logvar_weight = params["encoder.logvar.weight"]  # (8, 128)
    encoder_logvar_bias = params["encoder.logvar.bias"]  # (8,)
    decoder_wide_weight = params["decoder.wide.weight"]  # (128, 8)
    decoder_wide_bias = params["decoder.wide.bias"]  # (128,)
    decoder_pixels_weight = params["decoder.pixels.weight"]  # (64, 128)
    decoder_pixels_bias = params["decoder.pixels.bias"]  # (64,)
    reader_weight = params["reader.weight"]  # (10, 8)
    reader_bias = params["reader.bias"]  # (10,)
    key = draw_key(rng, "normal")
    N = len(x)

    image = np.where(x > 7.5, 1, 0)  # (N, 64)
    mu_cast = image.astype(np.float32)
    mu_linear = mu_cast @ encoder_wide_weight.T + encoder_wide_bias  # (N, 128)
    mu_relu = np.maximum(mu_linear, 0)
    mu = mu_relu @ encoder_mu_weight.T + encoder_mu_bias  # (N, 8)
    logvar = mu_relu @ encoder_logvar_weight.T + encoder_logvar_bias
    z_exp = np.exp(logvar / 2)
    z_stream = (*key, 1)
    z_normal = np.asarray(
        np.random.default_rng(z_stream).normal(0, 1.0, (N, 8)), dtype=np.float32
    )
    z = mu + z_exp * z_normal
    pixels_linear = z @ decoder_wide_weight.T + decoder_wide_bias  # (N, 128)
    pixels_relu = np.maximum(pixels_linear, 0)
    pixels = pixels_relu @ decoder_pixels_weight.T + decoder_pixels_bias  # (N, 64)
    # (N,)
    cost_bce_with_logits = np.mean(
        mu_cast * np.logaddexp(0, -pixels) + (1 - mu_cast) * np.logaddexp(0, pixels),
        axis=-1,
    )
    cost = 64 * cost_bce_with_logits
    distance_exp = np.exp(logvar)  # (N, 8)
    distance = 0.5 * np.sum(distance_exp + mu**2 - 1 - logvar, axis=-1)  # (N,)
    reader_stop_gradient = mu  # (N, 8)
    reader = reader_stop_gradient @ reader_weight.T + reader_bias  # (N, 10)
    reconstruction = cost  # (N,)
    divergence = distance
    reading = cross_entropy(reader, y)
    loss = batch_mean(reconstruction) + batch_mean(divergence) + batch_mean(reading)

    # reading = cross_entropy(reader, y)
    # (N, 10)
    sub_3 = softmax(reader) - (y[..., None] == np.arange(10)).astype(np.float32)
    d_reader = sub_3 / max(N, 1)

    # reader = reader_stop_gradient @ reader_weight.T + reader_bias
    d_reader_weight = d_reader.T @ reader_stop_gradient  # (10, 8)
    d_reader_bias = np.sum(d_reader, axis=-2)  # (10,)

    # (N, 64)
    mul_13 = 64 * ((1 - mu_cast) * sigmoid(pixels) - mu_cast * sigmoid(-pixels))
    d_pixels = mul_13 / max(64 * N, 1)

    # pixels = pixels_relu @ decoder_pixels_weight.T + decoder_pixels_bias
    d_decoder_pixels_weight = d_pixels.T @ pixels_relu  # (64, 128)
    d_decoder_pixels_bias = np.sum(d_pixels, axis=-2)  # (64,)

    # pixels_relu = np.maximum(pixels_linear, 0)
    cast_2 = (0 < pixels_linear).astype(np.float32)  # (N, 128)
    d_decoder_wide = d_pixels @ decoder_pixels_weight * cast_2

    # pixels_linear = z @ decoder_wide_weight.T + decoder_wide_bias
    d_decoder_wide_weight = d_decoder_wide.T @ z  # (128, 8)
    d_z = d_decoder_wide @ decoder_wide_weight  # (N, 8)
    d_decoder_wide_bias = np.sum(d_decoder_wide, axis=-2)  # (128,)

    # z = mu + z_exp * z_normal
    d_mu = mu / max(N, 1) + d_z  # (N, 8)

    # distance_exp = np.exp(logvar)
    add_3 = 0.5 * distance_exp / max(N, 1) - np.float32(0.5) / max(N, 1)

    # z_exp = np.exp(logvar / 2)
    d_logvar = add_3 + d_z * z_normal * z_exp * 0.5

    # logvar = mu_relu @ encoder_logvar_weight.T + encoder_logvar_bias
    d_encoder_logvar_weight = d_logvar.T @ mu_relu  # (8, 128)
    d_encoder_logvar_bias = np.sum(d_logvar, axis=-2)  # (8,)

    # mu = mu_relu @ encoder_mu_weight.T + encoder_mu_bias
    d_encoder_mu_weight = d_mu.T @ mu_relu  # (8, 128)
    d_encoder_mu_bias = np.sum(d_mu, axis=-2)  # (8,)
    # (N, 128)
    d_encoder_relu_2 = d_logvar @ encoder_logvar_weight + d_mu @ encoder_mu_weight

    # mu_relu = np.maximum(mu_linear, 0)
    d_encoder_wide = d_encoder_relu_2 * (0 < mu_linear).astype(np.float32)

    # mu_linear = mu_cast @ encoder_wide_weight.T + encoder_wide_bias
    d_encoder_wide_weight = d_encoder_wide.T @ mu_cast  # (128, 64)
    d_encoder_wide_bias = np.sum(d_encoder_wide, axis=-2)  # (128,)

    grads = {
        "encoder.wide.weight": d_encoder_wide_weight,
        "encoder.wide.bias": d_encoder_wide_bias,
        "encoder.mu.weight": d_encoder_mu_weight,
        "encoder.mu.bias": d_encoder_mu_bias,
        "encoder.logvar.weight": d_encoder_logvar_weight,
        "encoder.logvar.bias": d_encoder_logvar_bias,
        "decoder.wide.weight": d_decoder_wide_weight,
        "decoder.wide.bias": d_decoder_wide_bias,
        "decoder.pixels.weight": d_decoder_pixels_weight,
        "decoder.pixels.bias": d_decoder_pixels_bias,
        "reader.weight": d_reader_weight,
        "reader.bias": d_reader_bias,
    }
    return float(loss), grads


def metrics(params, x, y, *, train=False, rng=None):
    """Return the mean of each metric."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    encoder_wide_weight = params["encoder.wide.weight"]  # (128, 64)
    encoder_wide_bias = params["encoder.wide.bias"]  # (128,)
    encoder_mu_weight = params["encoder.mu.weight"]  # (8, 128)
    encoder_mu_bias = params["encoder.mu.bias"]  # (8,)
    encoder_logvar_weight = params["encoder.logvar.weight"]  # (8, 128)
    encoder_logvar_bias = params["encoder.logvar.bias"]  # (8,)
    decoder_wide_weight = params["decoder.wide.weight"]  # (128, 8)
    decoder_wide_bias = params["decoder.wide.bias"]  # (128,)
    decoder_pixels_weight = params["decoder.pixels.weight"]  # (64, 128)
    decoder_pixels_bias = params["decoder.pixels.bias"]  # (64,)
    reader_weight = params["reader.weight"]  # (10, 8)
    reader_bias = params["reader.bias"]  # (10,)
    key = draw_key(rng, "normal")
    N = len(x)
    image = np.where(x > 7.5, 1, 0)  # (N, 64)
    mu_cast = image.astype(np.float32)
    # (N, 128)
    mu_relu = np.maximum(mu_cast @ encoder_wide_weight.T + encoder_wide_bias, 0)
    mu = mu_relu @ encoder_mu_weight.T + encoder_mu_bias  # (N, 8)
    logvar = mu_relu @ encoder_logvar_weight.T + encoder_logvar_bias
    z_stream = (*key, 1)
    z_normal = np.asarray(
        np.random.default_rng(z_stream).normal(0, 1.0, (N, 8)), dtype=np.float32
    )
    z = mu + np.exp(logvar / 2) * z_normal
    # (N, 128)
    pixels_relu = np.maximum(z @ decoder_wide_weight.T + decoder_wide_bias, 0)
    pixels = pixels_relu @ decoder_pixels_weight.T + decoder_pixels_bias  # (N, 64)
    # (N,)
    cost_bce_with_logits = np.mean(
        mu_cast * np.logaddexp(0, -pixels) + (1 - mu_cast) * np.logaddexp(0, pixels),
        axis=-1,
    )
    cost = 64 * cost_bce_with_logits
    distance = 0.5 * np.sum(np.exp(logvar) + mu**2 - 1 - logvar, axis=-1)
    reader = mu @ reader_weight.T + reader_bias  # (N, 10)
    bound = -(cost + distance)  # (N,)
    return {
        "bound": float(batch_mean(bound)),
        "accuracy": float(
            batch_mean((np.argmax(reader, axis=-1) == y).astype(np.float32))
        ),
    }


class Trainer:
    """Trains a copy of params by Adam.

    batch: examples in a step, or "all" in their order. seed: of the shuffles and draws.
    train: whether steps are taken in training mode.
    """

    def __init__(
        self,
        params,
        lr=0.003,
        betas=(0.9, 0.999),
        eps=1e-08,
        batch=32,
        seed=0,
        train=True,
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
        self._train = train

    @property
    def params(self):
        """The parameters by name, as views that cannot be written to."""
        views = {name: w.view() for name, w in self._params.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    def step(self, x, y, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        rng = np.random.default_rng([self._seed, self._t, 1])
        value, grads = loss_and_grad(self._params, x, y, train=self._train, rng=rng)
        self._update(grads)
        return value if loss else None

    def run(self, x, y, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 30 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N, 64)
        y = np.asarray(y, dtype=np.int64)  # (N,)
        n = len(x)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (30 if epochs is None else epochs) * per_epoch
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
        """Move the parameters along their gradients by the rule of Adam."""
        lr = cosine(self._t, self._lr, steps=1350)
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


def draw_key(rng, who):
    """The key of one call's draws; who: the operations that draw."""
    if rng is None:
        raise ValueError(f"rng is needed, a numpy.random.Generator: {who}")
    return (int(rng.integers(2**63)),)


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


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


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2
