"""iris: Iris species by softmax regression.

Compiled from iris.flow by flowc 0.1.0 (target numpy, -O0).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {"W": (3, 4), "b": (3,)}


def init(seed=0):
    """Return first parameters."""
    values = {
        "W": np.array(
            [
                [5.006, 3.428, 1.462, 0.246],
                [5.936, 2.77, 4.26, 1.326],
                [6.588, 2.974, 5.552, 2.026],
            ]
        ),
        "b": np.array([-19.50459, -31.407436, -43.5879]),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, sepal_length, sepal_width, petal_length, petal_width):
    """Return p, shape (N, 3), from sepal_length (N,), sepal_width (N,),
    petal_length (N,) and petal_width (N,).
    """
    sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
    sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
    petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
    petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
    W, b = params["W"], params["b"]  # (3, 4), (3,)
    # (N, 4)
    x = np.stack([sepal_length, sepal_width, petal_length, petal_width], axis=-1)
    z_transpose_last = W.T  # (4, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    p = softmax(z)
    return p


def loss(params, sepal_length, sepal_width, petal_length, petal_width, species):
    """Return the loss, the mean over the batch."""
    sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
    sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
    petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
    petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
    species = np.asarray(species, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 4), (3,)
    # (N, 4)
    x = np.stack([sepal_length, sepal_width, petal_length, petal_width], axis=-1)
    z_transpose_last = W.T  # (4, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    cross_entropy_2 = cross_entropy(z, species)  # (N,)
    batch_mean_2 = batch_mean(cross_entropy_2)
    return float(batch_mean_2)


def loss_and_grad(
    params, sepal_length, sepal_width, petal_length, petal_width, species
):
    """Return the loss and its gradient with respect to every parameter."""
    sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
    sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
    petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
    petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
    species = np.asarray(species, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 4), (3,)
    N = len(sepal_length)

    # (N, 4)
    x = np.stack([sepal_length, sepal_width, petal_length, petal_width], axis=-1)
    z_transpose_last = W.T  # (4, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    cross_entropy_2 = cross_entropy(z, species)  # (N,)
    batch_mean_2 = batch_mean(cross_entropy_2)
    loss = batch_mean_2

    # batch_mean_2 = batch_mean(cross_entropy_2)
    share = np.float32(1.0) / max(N, 1)
    d_cross_entropy = np.broadcast_to(share, (N,))

    # cross_entropy_2 = cross_entropy(z, species)
    unsqueeze = d_cross_entropy[:, None]  # (N, 1)
    softmax_2 = softmax(z)  # (N, 3)
    one_hot = (species[..., None] == np.arange(3)).astype(np.float32)
    softmax_2_minus_one_hot = softmax_2 - one_hot
    d_z = unsqueeze * softmax_2_minus_one_hot

    # z = z_matmul + b
    d_b = np.sum(d_z, axis=-2)  # (3,)

    # z_matmul = x @ z_transpose_last
    transpose_last_3 = x.T  # (4, N)
    d_transpose_last = transpose_last_3 @ d_z  # (4, 3)

    # z_transpose_last = W.T
    d_W = d_transpose_last.T  # (3, 4)

    return float(loss), {"W": d_W, "b": d_b}


def metrics(params, sepal_length, sepal_width, petal_length, petal_width, species):
    """Return the mean of each metric."""
    sepal_length = np.asarray(sepal_length, dtype=np.float32)  # (N,)
    sepal_width = np.asarray(sepal_width, dtype=np.float32)  # (N,)
    petal_length = np.asarray(petal_length, dtype=np.float32)  # (N,)
    petal_width = np.asarray(petal_width, dtype=np.float32)  # (N,)
    species = np.asarray(species, dtype=np.int64)  # (N,)
    W, b = params["W"], params["b"]  # (3, 4), (3,)
    # (N, 4)
    x = np.stack([sepal_length, sepal_width, petal_length, petal_width], axis=-1)
    z_transpose_last = W.T  # (4, 3)
    z_matmul = x @ z_transpose_last  # (N, 3)
    z = z_matmul + b
    accuracy = (np.argmax(z, axis=-1) == species).astype(np.float32)  # (N,)
    batch_mean_2 = batch_mean(accuracy)
    return {"accuracy": float(batch_mean_2)}


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
