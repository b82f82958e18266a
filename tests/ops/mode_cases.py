"""Diagrams with dropout, random creators and batchnorm, and what their tests share."""

from __future__ import annotations

from typing import Any

import numpy as np

from flowgraph.diagram import loads
from flowgraph.execute import execute

DROPOUT = """
input x : [4]
target y : [2]
h = x |> linear(6) |> tanh |> dropout(0.4)
z = h |> linear(2)
output z
loss mse(z, y)
metric mae(z, y)
"""

BATCHNORM = """
input x : [3, 2]
target y : [2]
h = batchnorm(x, momentum=0.3, eps=0.01)
z = tanh(h) |> flatten |> linear(2)
output z
loss mse(z, y)
train sgd(lr=0.2)
"""

SAMPLING = """
input x : [4]
mu, logvar = split(x |> linear(4), 2)
z = mu + exp(logvar / 2) * normal([2])
r = z |> linear(4)
output r, z
loss mse(r, x)
loss 0.01 * sum(mu ^ 2 + exp(logvar) - logvar)
"""

BLOCKS = """
block residual(x : [c, l], p = 0.25) -> [c, l] {
  h = x |> batchnorm |> relu |> dropout(p)
  return x + 0.5 * h
}
input x : [3, 4]
target y : [2]
u = x
repeat 2 as b { u = residual(u) }
v = residual(u, 0.5)
layer bn = batchnorm(eps=0.001)
w = bn(bn(v))
z = w |> flatten |> linear(2)
k = z + uniform([2], -1, 1)
output k
loss mse(k, y)
"""

RECURRENT = """
size T
block cell(x : [d], h) {
  u = tanh(linear(concat([x, h]), 3))
  return dropout(u, 0.5)
}
input x : [T, 2]
target y
h = scan(cell, x, zeros([3]))
p = sum(linear(h[-1], 1))
output p
loss mse(p, y)
"""


def module(text: str, level: int = 1, dtype: str = "float64", extras: tuple[str, ...] = ()) -> dict[str, Any]:
    return execute(loads(text).compile("numpy", level=level, dtype=dtype, extras=extras))


def rng(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


def data(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *shape))
