"""lenet: LeNet-5 on handwritten digits.

Compiled from lenet.flow by flowc 0.1.0 (target numpy, -O0).
"""

import math

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (16, 6, 3, 3),
    "conv2.bias": (16,),
    "fc1.weight": (120, 64),
    "fc1.bias": (120,),
    "fc2.weight": (84, 120),
    "fc2.bias": (84,),
    "fc3.weight": (10, 84),
    "fc3.bias": (10,),
}


def init(seed=0):
    """Return first parameters, each drawn from a stream of its own: (seed, name)."""

    def rng(name):
        return np.random.default_rng([seed, *name.encode()])

    values = {
        "conv1.weight": fan_uniform(rng("conv1.weight"), (6, 1, 5, 5), fan_in=25),
        "conv1.bias": fan_uniform(rng("conv1.bias"), (6,), fan_in=25),
        "conv2.weight": fan_uniform(rng("conv2.weight"), (16, 6, 3, 3), fan_in=54),
        "conv2.bias": fan_uniform(rng("conv2.bias"), (16,), fan_in=54),
        "fc1.weight": fan_uniform(rng("fc1.weight"), (120, 64), fan_in=64),
        "fc1.bias": fan_uniform(rng("fc1.bias"), (120,), fan_in=64),
        "fc2.weight": fan_uniform(rng("fc2.weight"), (84, 120), fan_in=120),
        "fc2.bias": fan_uniform(rng("fc2.bias"), (84,), fan_in=120),
        "fc3.weight": fan_uniform(rng("fc3.weight"), (10, 84), fan_in=84),
        "fc3.bias": fan_uniform(rng("fc3.bias"), (10,), fan_in=84),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, x):
    """Return p, shape (N, 10), from x (N, 64)."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    conv1_weight = params["conv1.weight"]  # (6, 1, 5, 5)
    conv1_bias = params["conv1.bias"]  # (6,)
    conv2_weight = params["conv2.weight"]  # (16, 6, 3, 3)
    conv2_bias = params["conv2.bias"]  # (16,)
    fc1_weight = params["fc1.weight"]  # (120, 64)
    fc1_bias = params["fc1.bias"]  # (120,)
    fc2_weight = params["fc2.weight"]  # (84, 120)
    fc2_bias = params["fc2.bias"]  # (84,)
    fc3_weight = params["fc3.weight"]  # (10, 84)
    fc3_bias = params["fc3.bias"]  # (10,)
    N = len(x)
    image_div = x / 16  # (N, 64)
    image = np.reshape(image_div, (N, 1, 8, 8))  # (N, 1, 8, 8)
    conv1 = conv(image, conv1_weight, conv1_bias, padding=2)  # (N, 6, 8, 8)
    pool1_tanh = np.tanh(conv1)
    pool1 = max_pool(pool1_tanh, kernel_size=(2, 2))  # (N, 6, 4, 4)
    conv2 = conv(pool1, conv2_weight, conv2_bias, padding=1)  # (N, 16, 4, 4)
    pool2_tanh = np.tanh(conv2)
    pool2 = max_pool(pool2_tanh, kernel_size=(2, 2))  # (N, 16, 2, 2)
    fc1_reshape = np.reshape(pool2, (N, 64))  # (N, 64)
    fc1 = fc1_reshape @ fc1_weight.T + fc1_bias  # (N, 120)
    fc2_tanh = np.tanh(fc1)
    fc2 = fc2_tanh @ fc2_weight.T + fc2_bias  # (N, 84)
    fc3_tanh = np.tanh(fc2)
    fc3 = fc3_tanh @ fc3_weight.T + fc3_bias  # (N, 10)
    p = softmax(fc3)
    return p


def loss(params, x, y):
    """Return the loss, the mean over the batch."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    conv1_weight = params["conv1.weight"]  # (6, 1, 5, 5)
    conv1_bias = params["conv1.bias"]  # (6,)
    conv2_weight = params["conv2.weight"]  # (16, 6, 3, 3)
    conv2_bias = params["conv2.bias"]  # (16,)
    fc1_weight = params["fc1.weight"]  # (120, 64)
    fc1_bias = params["fc1.bias"]  # (120,)
    fc2_weight = params["fc2.weight"]  # (84, 120)
    fc2_bias = params["fc2.bias"]  # (84,)
    fc3_weight = params["fc3.weight"]  # (10, 84)
    fc3_bias = params["fc3.bias"]  # (10,)
    N = len(x)
    image_div = x / 16  # (N, 64)
    image = np.reshape(image_div, (N, 1, 8, 8))  # (N, 1, 8, 8)
    conv1 = conv(image, conv1_weight, conv1_bias, padding=2)  # (N, 6, 8, 8)
    pool1_tanh = np.tanh(conv1)
    pool1 = max_pool(pool1_tanh, kernel_size=(2, 2))  # (N, 6, 4, 4)
    conv2 = conv(pool1, conv2_weight, conv2_bias, padding=1)  # (N, 16, 4, 4)
    pool2_tanh = np.tanh(conv2)
    pool2 = max_pool(pool2_tanh, kernel_size=(2, 2))  # (N, 16, 2, 2)
    fc1_reshape = np.reshape(pool2, (N, 64))  # (N, 64)
    fc1 = fc1_reshape @ fc1_weight.T + fc1_bias  # (N, 120)
    fc2_tanh = np.tanh(fc1)
    fc2 = fc2_tanh @ fc2_weight.T + fc2_bias  # (N, 84)
    fc3_tanh = np.tanh(fc2)
    fc3 = fc3_tanh @ fc3_weight.T + fc3_bias  # (N, 10)
    cross_entropy_2 = cross_entropy(fc3, y)  # (N,)
    batch_mean_2 = batch_mean(cross_entropy_2)
    return float(batch_mean_2)


def loss_and_grad(params, x, y):
    """Return the loss and its gradient with respect to every parameter."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    conv1_weight = params["conv1.weight"]  # (6, 1, 5, 5)
    conv1_bias = params["conv1.bias"]  # (6,)
    conv2_weight = params["conv2.weight"]  # (16, 6, 3, 3)
    conv2_bias = params["conv2.bias"]  # (16,)
    fc1_weight = params["fc1.weight"]  # (120, 64)
    fc1_bias = params["fc1.bias"]  # (120,)
    fc2_weight = params["fc2.weight"]  # (84, 120)
    fc2_bias = params["fc2.bias"]  # (84,)
    fc3_weight = params["fc3.weight"]  # (10, 84)
    fc3_bias = params["fc3.bias"]  # (10,)
    N = len(x)

    image_div = x / 16  # (N, 64)
    image = np.reshape(image_div, (N, 1, 8, 8))  # (N, 1, 8, 8)
    conv1 = conv(image, conv1_weight, conv1_bias, padding=2)  # (N, 6, 8, 8)
    pool1_tanh = np.tanh(conv1)
    pool1 = max_pool(pool1_tanh, kernel_size=(2, 2))  # (N, 6, 4, 4)
    conv2 = conv(pool1, conv2_weight, conv2_bias, padding=1)  # (N, 16, 4, 4)
    pool2_tanh = np.tanh(conv2)
    pool2 = max_pool(pool2_tanh, kernel_size=(2, 2))  # (N, 16, 2, 2)
    fc1_reshape = np.reshape(pool2, (N, 64))  # (N, 64)
    fc1 = fc1_reshape @ fc1_weight.T + fc1_bias  # (N, 120)
    fc2_tanh = np.tanh(fc1)
    fc2 = fc2_tanh @ fc2_weight.T + fc2_bias  # (N, 84)
    fc3_tanh = np.tanh(fc2)
    fc3 = fc3_tanh @ fc3_weight.T + fc3_bias  # (N, 10)
    cross_entropy_2 = cross_entropy(fc3, y)  # (N,)
    batch_mean_2 = batch_mean(cross_entropy_2)
    loss = batch_mean_2

    # batch_mean_2 = batch_mean(cross_entropy_2)
    share = np.float32(1.0) / max(N, 1)
    d_cross_entropy = np.broadcast_to(share, (N,))

    # cross_entropy_2 = cross_entropy(fc3, y)
    unsqueeze = d_cross_entropy[:, None]  # (N, 1)
    softmax_2 = softmax(fc3)  # (N, 10)
    one_hot = (y[..., None] == np.arange(10)).astype(np.float32)
    softmax_2_minus_one_hot = softmax_2 - one_hot
    d_fc3 = unsqueeze * softmax_2_minus_one_hot

    # fc3 = fc3_tanh @ fc3_weight.T + fc3_bias
    transpose_last = d_fc3.T  # (10, N)
    d_fc3_weight = transpose_last @ fc3_tanh  # (10, 84)
    d_tanh_4 = d_fc3 @ fc3_weight  # (N, 84)
    d_fc3_bias = np.sum(d_fc3, axis=-2)  # (10,)

    # fc3_tanh = np.tanh(fc2)
    fc3_tanh2 = fc3_tanh**2  # (N, 84)
    sub_2 = 1 - fc3_tanh2
    d_fc2 = d_tanh_4 * sub_2

    # fc2 = fc2_tanh @ fc2_weight.T + fc2_bias
    transpose_last_2 = d_fc2.T  # (84, N)
    d_fc2_weight = transpose_last_2 @ fc2_tanh  # (84, 120)
    d_tanh_3 = d_fc2 @ fc2_weight  # (N, 120)
    d_fc2_bias = np.sum(d_fc2, axis=-2)  # (84,)

    # fc2_tanh = np.tanh(fc1)
    fc2_tanh2 = fc2_tanh**2  # (N, 120)
    sub_3 = 1 - fc2_tanh2
    d_fc1 = d_tanh_3 * sub_3

    # fc1 = fc1_reshape @ fc1_weight.T + fc1_bias
    transpose_last_3 = d_fc1.T  # (120, N)
    d_fc1_weight = transpose_last_3 @ fc1_reshape  # (120, 64)
    d_flatten = d_fc1 @ fc1_weight  # (N, 64)
    d_fc1_bias = np.sum(d_fc1, axis=-2)  # (120,)

    # fc1_reshape = np.reshape(pool2, (N, 64))
    d_pool2 = np.reshape(d_flatten, (N, 16, 2, 2))  # (N, 16, 2, 2)

    # pool2 = max_pool(pool2_tanh, kernel_size=(2, 2))
    d_tanh_2 = max_pool_put(d_pool2, pool2_tanh, pool2, kernel=(2, 2))  # (N, 16, 4, 4)

    # pool2_tanh = np.tanh(conv2)
    pool2_tanh2 = pool2_tanh**2
    sub_4 = 1 - pool2_tanh2
    d_conv2 = d_tanh_2 * sub_4

    # conv2 = conv(pool1, conv2_weight, conv2_bias, padding=1)
    d_pool1 = conv_input(d_conv2, conv2_weight, sizes=(4, 4), padding=1)  # (N, 6, 4, 4)
    # (16, 6, 3, 3)
    d_conv2_weight = conv_weight(pool1, d_conv2, kernel=(3, 3), padding=1)
    d_conv2_bias = np.sum(d_conv2, axis=(-4, -2, -1))  # (16,)

    # pool1 = max_pool(pool1_tanh, kernel_size=(2, 2))
    d_tanh = max_pool_put(d_pool1, pool1_tanh, pool1, kernel=(2, 2))  # (N, 6, 8, 8)

    # pool1_tanh = np.tanh(conv1)
    pool1_tanh2 = pool1_tanh**2
    sub_5 = 1 - pool1_tanh2
    d_conv1 = d_tanh * sub_5

    # conv1 = conv(image, conv1_weight, conv1_bias, padding=2)
    # (6, 1, 5, 5)
    d_conv1_weight = conv_weight(image, d_conv1, kernel=(5, 5), padding=2)
    d_conv1_bias = np.sum(d_conv1, axis=(-4, -2, -1))  # (6,)

    grads = {
        "conv1.weight": d_conv1_weight,
        "conv1.bias": d_conv1_bias,
        "conv2.weight": d_conv2_weight,
        "conv2.bias": d_conv2_bias,
        "fc1.weight": d_fc1_weight,
        "fc1.bias": d_fc1_bias,
        "fc2.weight": d_fc2_weight,
        "fc2.bias": d_fc2_bias,
        "fc3.weight": d_fc3_weight,
        "fc3.bias": d_fc3_bias,
    }
    return float(loss), grads


def metrics(params, x, y):
    """Return the mean of each metric."""
    x = np.asarray(x, dtype=np.float32)  # (N, 64)
    y = np.asarray(y, dtype=np.int64)  # (N,)
    conv1_weight = params["conv1.weight"]  # (6, 1, 5, 5)
    conv1_bias = params["conv1.bias"]  # (6,)
    conv2_weight = params["conv2.weight"]  # (16, 6, 3, 3)
    conv2_bias = params["conv2.bias"]  # (16,)
    fc1_weight = params["fc1.weight"]  # (120, 64)
    fc1_bias = params["fc1.bias"]  # (120,)
    fc2_weight = params["fc2.weight"]  # (84, 120)
    fc2_bias = params["fc2.bias"]  # (84,)
    fc3_weight = params["fc3.weight"]  # (10, 84)
    fc3_bias = params["fc3.bias"]  # (10,)
    N = len(x)
    image_div = x / 16  # (N, 64)
    image = np.reshape(image_div, (N, 1, 8, 8))  # (N, 1, 8, 8)
    conv1 = conv(image, conv1_weight, conv1_bias, padding=2)  # (N, 6, 8, 8)
    pool1_tanh = np.tanh(conv1)
    pool1 = max_pool(pool1_tanh, kernel_size=(2, 2))  # (N, 6, 4, 4)
    conv2 = conv(pool1, conv2_weight, conv2_bias, padding=1)  # (N, 16, 4, 4)
    pool2_tanh = np.tanh(conv2)
    pool2 = max_pool(pool2_tanh, kernel_size=(2, 2))  # (N, 16, 2, 2)
    fc1_reshape = np.reshape(pool2, (N, 64))  # (N, 64)
    fc1 = fc1_reshape @ fc1_weight.T + fc1_bias  # (N, 120)
    fc2_tanh = np.tanh(fc1)
    fc2 = fc2_tanh @ fc2_weight.T + fc2_bias  # (N, 84)
    fc3_tanh = np.tanh(fc2)
    fc3 = fc3_tanh @ fc3_weight.T + fc3_bias  # (N, 10)
    accuracy = (np.argmax(fc3, axis=-1) == y).astype(np.float32)  # (N,)
    batch_mean_2 = batch_mean(accuracy)
    return {"accuracy": float(batch_mean_2)}


class Trainer:
    """Trains a copy of params by AdamW.

    batch: examples in a step, or "all" in their order. seed: of the shuffles.
    """

    def __init__(
        self,
        params,
        lr=0.01,
        betas=(0.9, 0.999),
        eps=1e-08,
        weight_decay=0.5,
        batch=32,
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

    def step(self, x, y, loss=True):
        """Take one step; return the loss before it, or None with loss=False."""
        value, grads = loss_and_grad(self._params, x, y)
        self._update(grads)
        return value if loss else None

    def run(self, x, y, steps=None, epochs=None, log=1):
        """Train on the whole data; return the losses before every log-th step.

        Without steps or epochs, 20 epochs; with log=0 no losses.
        """
        assert steps is None or epochs is None, "give steps or epochs, not both"
        x = np.asarray(x, dtype=np.float32)  # (N, 64)
        y = np.asarray(y, dtype=np.int64)  # (N,)
        n = len(x)
        per_epoch = 1 if self._batch == "all" else -(-n // self._batch)
        if steps is None:
            steps = (20 if epochs is None else epochs) * per_epoch
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
        """Move the parameters along their gradients by the rule of AdamW."""
        lr = cosine(self._t, self._lr, steps=900)
        self._t += 1
        beta1, beta2 = self._betas
        eps, weight_decay, t = self._eps, self._weight_decay, self._t
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


def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution of x [..., C, *sizes] with weight [out, C / groups, *kernel]."""
    kernel = weight.shape[2:]
    view = columns(x, kernel, stride, padding, dilation)
    out, rest = view.shape[len(kernel) + 1 :], [slice(None)] * len(kernel)
    flat = weight.reshape(groups, len(weight) // groups, math.prod(weight.shape[1:]))
    y = np.empty((*flat.shape[:2], *out), x.dtype)
    for rows in blocks(out[0], view.size):
        part = y[..., rows, *rest]
        width = math.prod(part.shape[2:])
        cols = view[..., rows, *rest].reshape(groups, flat.shape[2], width)
        part[...] = (flat @ cols).reshape(part.shape)
    y = y.reshape(len(weight), *out)
    if bias is not None:
        y += bias.reshape(-1, *(1 for _ in out))
    return examples_first(y, x.shape[: -len(out)])


def columns(x, kernel, stride=1, padding=0, dilation=1):
    """All windows [C, *kernel, *out, N] of examples [..., C, *sizes], a view."""
    count = len(kernel)
    x = examples_last(x, count)
    sizes, inside = padded_sizes(x.shape[1:-1], padding)
    # With the examples last, what is copied lies in long runs.
    padded = np.zeros((len(x), *sizes, x.shape[-1]), x.dtype)
    padded[:, *inside] = x
    steps, gaps = each(stride, count), each(dilation, count)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, gaps, strict=True)]
    axes = tuple(range(1, count + 1))
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, axes)
    starts = [slice(None, None, s) for s in steps]
    entries = [slice(None, None, d) for d in gaps]
    return np.moveaxis(view[:, *starts, :, *entries], range(-count, 0), axes)


def examples_last(x, count):
    """Examples [..., C, *sizes] with this number of sizes as [C, *sizes, N], a view."""
    lead = x.shape[: -count - 1]
    return np.moveaxis(x.reshape(math.prod(lead), *x.shape[len(lead) :]), 0, -1)


def padded_sizes(sizes, padding):
    """The sizes with the padding, and where what is padded lies within them."""
    around = list(zip(sizes, sides(padding, len(sizes)), strict=True))
    inside = tuple(slice(a, a + n) for n, (a, _) in around)
    return [n + a + b for n, (a, b) in around], inside


def sides(padding, count):
    """How much is put before and after each axis."""
    return [(p, p) if isinstance(p, int) else p for p in each(padding, count)]


def each(value, count):
    """A setting for each axis, one number standing for all."""
    return (value,) * count if isinstance(value, int) else value


def blocks(rows, size):
    """Slices of so many rows of an array of this size, one by one: about 4 MB each."""
    step = max(1, 2**20 * rows // max(size, 1))
    return [slice(start, start + step) for start in range(0, rows, step)]


def examples_first(x, lead):
    """An array [..., N] as [*lead, ...], the examples in front again."""
    return np.moveaxis(x, -1, 0).reshape(*lead, *x.shape[:-1])


def max_pool(x, kernel_size, stride=None, padding=0):
    """Largest entry of each window over the last axes."""
    x = surrounded(x, padding, len(kernel_size), -np.inf)
    steps = each(stride or kernel_size, len(kernel_size))
    return joined_windows(x, kernel_size, steps, np.maximum)


def surrounded(x, padding, count, value):
    """An array with this value put around it, along so many of its last axes."""
    if padding == 0:
        return x
    sizes, inside = padded_sizes(x.shape[-count:], padding)
    wide = np.full_like(x, value, shape=(*x.shape[:-count], *sizes))
    wide[..., *inside] = x
    return wide


def joined_windows(x, kernel, stride, join):
    """Entries of each window over the last axes joined by a ufunc, axis by axis."""
    for axis, k, s in zip(range(-len(kernel), 0), kernel, stride, strict=True):
        x = np.moveaxis(x, axis, 0)
        count = (len(x) - k) // s + 1
        parts = [x[i : i + (count - 1) * s + 1 : s] for i in range(k)]
        x = join(parts[0], parts[1]) if k > 1 else parts[0]
        for part in parts[2:]:
            join(x, part, out=x)
        x = np.moveaxis(x, 0, axis)
    return x


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


def max_pool_put(d, x, y, kernel, stride=None, padding=0):
    """Entries of d added at the places where the windows of x have their maxima y."""
    count = len(kernel)
    sizes, inside = padded_sizes(x.shape[-count:], padding)
    total = np.zeros_like(x, shape=(*x.shape[:-count], *sizes))
    for at, is_here in maxima(x, y, kernel, stride, padding):
        total[at] += d * is_here
    return total[..., *inside]


def maxima(x, y, kernel, stride, padding):
    """For each entry of a window: where it lies, and which windows have y there."""
    count = len(kernel)
    x = surrounded(x, padding, count, -np.inf)
    is_free = np.ones_like(y, bool)
    for index in np.ndindex(*kernel):
        at = (..., *places(index, y.shape[-count:], stride or kernel))
        is_here = is_free & (x[at] == y)
        is_free ^= is_here
        yield at, is_here


def places(index, out, stride=1, dilation=1):
    """Where the entry with this index in its window lies, for all windows."""
    steps, gaps = each(stride, len(out)), each(dilation, len(out))
    along = zip(index, gaps, out, steps, strict=True)
    return tuple(slice(i * d, i * d + (n - 1) * s + 1, s) for i, d, n, s in along)


def conv_input(y, weight, sizes, stride=1, padding=0, dilation=1, groups=1):
    """Transpose of conv: for y [..., out, *out_sizes] its input [..., C, *sizes]."""
    y_last = examples_last(y, len(sizes))
    shape = (weight.shape[1] * groups, *weight.shape[2:])
    flat = weight.reshape(groups, len(weight) // groups, math.prod(weight.shape[1:]))
    wide, inside = padded_sizes(sizes, padding)
    total = np.zeros((shape[0], *wide, y_last.shape[-1]), y.dtype)
    step = each(stride, len(sizes))[0]
    for rows in blocks(y_last.shape[1], math.prod(shape) * y_last[0].size):
        part = y_last[:, rows]
        part_flat = part.reshape(groups, flat.shape[1], math.prod(part.shape[1:]))
        cols = (flat.swapaxes(1, 2) @ part_flat).reshape(*shape, *part.shape[1:])
        add_columns(total[:, rows.start * step :], cols, stride, dilation)
    return examples_first(total[:, *inside], y.shape[: -len(sizes) - 1])


def add_columns(total, cols, stride=1, dilation=1):
    """Add windows [C, *kernel, *out, N] to total [C, *sizes, N] where they lie."""
    count = total.ndim - 2
    kernel, out = cols.shape[1 : count + 1], cols.shape[count + 1 : -1]
    for index in np.ndindex(*kernel):
        total[:, *places(index, out, stride, dilation)] += cols[:, *index]


def conv_weight(x, y, kernel, stride=1, padding=0, dilation=1, groups=1):
    """Transpose of conv: from y [..., out, *out_sizes] to weight, over all examples."""
    view = columns(x, kernel, stride, padding, dilation)
    y = examples_last(y, len(kernel))
    rest = [slice(None)] * len(kernel)
    group = len(view) // groups
    cells = group * math.prod(kernel)
    total = np.zeros((groups, len(y) // groups, cells), x.dtype)
    for rows in blocks(y.shape[1], view.size):
        part = y[:, rows]
        width = math.prod(part.shape[1:])
        cols = view[..., rows, *rest].reshape(groups, cells, width)
        total += part.reshape(*total.shape[:2], width) @ cols.swapaxes(1, 2)
    return total.reshape(len(y), group, *kernel)


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2
