"""layers: Five layers xi = W h + b, h = g(xi).

Compiled from layers.flow by flowc 0.1.0 (target numpy, -O1).
"""

import numpy as np

PARAMS: dict[str, tuple[int, ...]] = {
    "W_1": (3, 2),
    "b_1": (3,),
    "W_2": (3, 3),
    "b_2": (3,),
    "W_3": (2, 3),
    "b_3": (2,),
    "W_4": (2, 2),
    "b_4": (2,),
    "W_5": (2, 2),
    "b_5": (2,),
}


def init(seed=0):
    """Return first parameters."""
    values = {
        "W_1": np.array([[1, 1], [1, -1], [-1, 0]]),
        "b_1": np.array([-1.0, 0.0, 0.5]),
        "W_2": np.array([[1, -1, 0], [0, 1, -1], [1, 1, 1]]),
        "b_2": np.array([0.0, 0.0, -1.5]),
        "W_3": np.array([[1, 0, 1], [0, 2, 0]]),
        "b_3": np.array([0, 1]),
        "W_4": np.array([[2, 0], [0, -2]]),
        "b_4": np.array([-1, 1]),
        "W_5": np.array([[1, 1], [1, -1]]),
        "b_5": np.zeros((2,)),
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}


def forward(params, h_0):
    """Return h_5, shape (N, 2), from h_0 (N, 2)."""
    h_0 = np.asarray(h_0, dtype=np.float32)  # (N, 2)
    W_1 = params["W_1"]  # (3, 2)
    b_1 = params["b_1"]  # (3,)
    W_2 = params["W_2"]  # (3, 3)
    b_2 = params["b_2"]  # (3,)
    W_3 = params["W_3"]  # (2, 3)
    b_3 = params["b_3"]  # (2,)
    W_4 = params["W_4"]  # (2, 2)
    b_4 = params["b_4"]  # (2,)
    W_5 = params["W_5"]  # (2, 2)
    b_5 = params["b_5"]  # (2,)
    xi_1 = h_0 @ W_1.T + b_1  # (N, 3)
    h_1 = step(xi_1)
    xi_2 = h_1 @ W_2.T + b_2
    h_2 = np.sign(xi_2)
    xi_3 = h_2 @ W_3.T + b_3  # (N, 2)
    h_3 = sigmoid(xi_3)
    xi_4 = h_3 @ W_4.T + b_4
    h_4 = np.tanh(xi_4)
    xi_5 = h_4 @ W_5.T + b_5
    return np.maximum(xi_5, 0)


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
