"""LeNet-5 by hand in numpy: convolutions as matrix products of windows, momentum.

Inside, images are (N, height, width, channels), so that a product of windows is an image as it stands.
"""

from __future__ import annotations

import numpy as np
from loops import cross_entropy
from numpy.lib.stride_tricks import sliding_window_view


def train(first, x, y, steps, lr=0.05, momentum=0.9):
    """Take steps on images x (N, 1, 28, 28) with labels y (N,); return the parameters and the losses."""
    params = {name: value.copy() for name, value in first.items()}
    moved = {name: np.zeros_like(value) for name, value in params.items()}
    names = iter(params)
    layers = [(next(names), next(names)) for _ in range(5)]
    losses = []
    images = np.pad(x.transpose(0, 2, 3, 1), ((0, 0), (2, 2), (2, 2), (0, 0)))
    windows = windows_of(images)  # of the data alone: they stay the same
    for _ in range(steps):
        loss, grads = loss_and_grad([(params[w], params[b]) for w, b in layers], windows, y)
        losses.append(loss)
        for pair, found in zip(layers, grads, strict=True):
            for name, grad in zip(pair, found, strict=True):
                m = moved[name]
                m *= momentum
                m += grad.reshape(m.shape)
                params[name] -= lr * m
    return params, losses


def loss_and_grad(layers, windows, y):
    """The mean cross-entropy, and the gradients of each layer's weight and bias."""
    (K_1, c_1), (K_2, c_2), (W_3, b_3), (W_4, b_4), (W_5, b_5) = layers
    N = len(y)

    h_1 = np.tanh(windows @ K_1.reshape(6, -1).T + c_1).reshape(N, 28, 28, 6)
    p_1 = pool(h_1)  # (N, 14, 14, 6)
    windows_2 = windows_of(p_1)
    h_2 = np.tanh(windows_2 @ K_2.reshape(16, -1).T + c_2).reshape(N, 10, 10, 16)
    p_2 = pool(h_2)  # (N, 5, 5, 16)
    flat = p_2.transpose(0, 3, 1, 2).reshape(N, 400)  # channels first, as the diagram flattens
    h_3 = np.tanh(flat @ W_3.T + b_3)
    h_4 = np.tanh(h_3 @ W_4.T + b_4)
    loss, d_z = cross_entropy(h_4 @ W_5.T + b_5, y)

    d_4 = d_z @ W_5 * (1 - h_4 * h_4)
    d_3 = d_4 @ W_4 * (1 - h_3 * h_3)
    d_p_2 = (d_3 @ W_3).reshape(N, 16, 5, 5).transpose(0, 2, 3, 1)
    d_2 = (unpool(d_p_2, h_2, p_2) * (1 - h_2 * h_2)).reshape(-1, 16)
    d_p_1 = images_of(d_2 @ K_2.reshape(16, -1), p_1.shape)
    d_1 = (unpool(d_p_1, h_1, p_1) * (1 - h_1 * h_1)).reshape(-1, 6)
    return loss, [
        (d_1.T @ windows, d_1.sum(axis=0)),
        (d_2.T @ windows_2, d_2.sum(axis=0)),
        (d_3.T @ flat, d_3.sum(axis=0)),
        (d_4.T @ h_3, d_4.sum(axis=0)),
        (d_z.T @ h_4, d_z.sum(axis=0)),
    ]


def windows_of(images, size=5):
    """Every window of images (N, H, W, C) as a row (N * places, C * size * size)."""
    windows = sliding_window_view(images, (size, size), axis=(1, 2))  # (N, places, places, C, size, size)
    return windows.reshape(-1, windows.shape[3] * size * size)


def images_of(d_windows, shape, size=5):
    """The transpose of `windows_of`: what the windows say added up where they lie."""
    N, H, W, C = shape
    parts = d_windows.reshape(N, H - size + 1, W - size + 1, C, size, size)
    d_images = np.zeros(shape, d_windows.dtype)
    for i in range(size):
        for j in range(size):
            d_images[:, i : i + H - size + 1, j : j + W - size + 1] += parts[..., i, j]
    return d_images


def pool(h):
    """The largest of every 2×2 entries."""
    return np.maximum(
        np.maximum(h[:, ::2, ::2], h[:, ::2, 1::2]), np.maximum(h[:, 1::2, ::2], h[:, 1::2, 1::2])
    )


def unpool(d_p, h, p):
    """What the largest of every 2×2 entries is to get; tanh of noise has no ties to speak of."""
    d_h = np.empty_like(h)
    for i in range(2):
        for j in range(2):
            d_h[:, i::2, j::2] = d_p * (h[:, i::2, j::2] == p)
    return d_h
