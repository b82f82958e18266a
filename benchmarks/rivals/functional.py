"""The workloads' losses as functions of their parameters, for JAX and autograd.

`np` is `jax.numpy` or `autograd.numpy`. Parameters are a list in the order of the diagram's, which is
that of `task.first`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rivals.task import HEADS, NotWritten, Task

Loss = Callable[[Any, Any, Any], Any]


def loss_of(np: Any, task: Task, conv: Callable[[Any, Any, int], Any] | None = None) -> Loss:
    """The loss of (params, inputs, targets). conv: of images [N, C, H, W], kernels and a padding."""
    if task.name == "cubic":
        return lambda params, x, y: cubic(np, params, x, y)
    mlp = task.workload.mlp
    if mlp is not None:
        activation = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "sigmoid": sigmoid(np)}[
            mlp.activation
        ]
        judge = cross_entropy if mlp.loss == "cross_entropy" else mse
        return lambda params, x, y: judge(np, linear_layers(params, x, activation), y)
    if task.name == "gpt2":
        return lambda params, ids, next: gpt2(np, params, ids, next)
    if conv is None:
        raise NotWritten("it has no convolution of batches of images")
    return lambda params, x, y: lenet(np, conv, params, x, y)


def cubic(np: Any, params: Any, x: Any, y: Any) -> Any:
    a, b, c, d = params
    return np.sum((a + b * x + c * x**2 + d * x**3 - y) ** 2)


def linear_layers(params: Any, x: Any, activation: Any) -> Any:
    for i in range(0, len(params) - 2, 2):
        x = activation(x @ params[i].T + params[i + 1])
    return x @ params[-2].T + params[-1]


def sigmoid(np: Any) -> Any:
    return lambda z: 0.5 * (1 + np.tanh(0.5 * z))


def cross_entropy(np: Any, z: Any, y: Any) -> Any:
    z = z - np.max(z, axis=-1, keepdims=True)
    picked = z[np.arange(len(y)), y]
    return np.mean(np.log(np.sum(np.exp(z), axis=-1)) - picked)


def mse(np: Any, z: Any, y: Any) -> Any:
    return np.mean((z - y) ** 2)


def lenet(np: Any, conv: Any, params: Any, x: Any, y: Any) -> Any:
    K_1, c_1, K_2, c_2, *rest = params
    h = pool(np, np.tanh(conv(x, K_1, 2) + c_1[:, None, None]))
    h = pool(np, np.tanh(conv(h, K_2, 0) + c_2[:, None, None]))
    return cross_entropy(np, linear_layers(rest, h.reshape(len(y), -1), np.tanh), y)


def pool(np: Any, h: Any) -> Any:
    N, C, H, W = h.shape
    return np.max(h.reshape(N, C, H // 2, 2, W // 2, 2), axis=(3, 5))


def gpt2(np: Any, params: Any, ids: Any, next: Any) -> Any:
    wte, wpe, *rest = params
    u = wte[ids] + wpe[: ids.shape[1]]
    for i in range(0, len(rest) - 2, 12):
        w_1, b_1, W_a, b_a, W_p, b_p, w_2, b_2, W_f, b_f, W_g, b_g = rest[i : i + 12]
        u = u + attend(np, layernorm(np, u, w_1, b_1) @ W_a.T + b_a) @ W_p.T + b_p
        u = u + gelu(np, layernorm(np, u, w_2, b_2) @ W_f.T + b_f) @ W_g.T + b_g
    z = layernorm(np, u, *rest[-2:]) @ wte.T
    return cross_entropy(np, z.reshape(-1, z.shape[-1]), next.reshape(-1))


def attend(np: Any, qkv: Any) -> Any:
    N, T, width = qkv.shape
    size = width // 3 // HEADS
    parts = np.transpose(qkv.reshape(N, T, 3, HEADS, size), (2, 0, 3, 1, 4))
    q, k, v = parts[0], parts[1], parts[2]
    scores = np.where(np.tri(T) > 0, q @ np.swapaxes(k, -1, -2) / math.sqrt(size), -1e30)
    p = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    p = p / np.sum(p, axis=-1, keepdims=True)
    return np.transpose(p @ v, (0, 2, 1, 3)).reshape(N, T, HEADS * size)


def layernorm(np: Any, x: Any, weight: Any, bias: Any) -> Any:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + 1e-5) * weight + bias


def gelu(np: Any, x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


# ---------------------------------------------------------------------------------------
# Optimisers


def optimiser(np: Any, task: Task) -> tuple[Callable[[Any], Any], Callable[[Any, Any, Any], Any]]:
    """What makes the first state of a list of parameters, and what takes (params, grads, state) further."""
    if task.name == "gpt2":
        from rivals.task import GPT2_DECAY, GPT2_LR

        return adamw(np, GPT2_LR, GPT2_DECAY)
    if task.name == "lenet":
        from rivals.task import LENET_LR, MOMENTUM

        return momentum(np, LENET_LR, MOMENTUM)
    lr = task.workload.mlp.lr if task.workload.mlp else 0.0
    return (lambda params: ()), lambda params, grads, state: (
        [p - lr * g for p, g in zip2(params, grads)],
        (),
    )


def momentum(np: Any, lr: float, share: float) -> Any:
    def update(params: Any, grads: Any, moved: Any) -> Any:
        moved = [share * m + g for m, g in zip2(moved, grads)]
        return [p - lr * m for p, m in zip2(params, moved)], moved

    return (lambda params: [np.zeros_like(p) for p in params]), update


def adamw(np: Any, lr: float, decay: float, beta1: float = 0.9, beta2: float = 0.999) -> Any:
    def start(params: Any) -> Any:
        return 0.0, [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]

    def update(params: Any, grads: Any, state: Any) -> Any:
        t, ms, vs = state
        t = t + 1
        ms = [beta1 * m + (1 - beta1) * g for m, g in zip2(ms, grads)]
        vs = [beta2 * v + (1 - beta2) * g * g for v, g in zip2(vs, grads)]
        rate, root = lr / (1 - beta1**t), np.sqrt(1 - beta2**t)
        params = [
            p * (1 - lr * decay) - rate * m / (np.sqrt(v) / root + 1e-8)
            for p, m, v in zip(params, ms, vs, strict=True)
        ]
        return params, (t, ms, vs)

    return start, update


def zip2(a: Any, b: Any) -> Any:
    return zip(a, b, strict=True)
