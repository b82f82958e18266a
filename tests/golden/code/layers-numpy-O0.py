"""layers: Five layers xi = W h + b, h = g(xi).

Compiled from layers.flow by flowc 0.1.0 (target numpy, -O0).
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
    xi_1_transpose_last = W_1.T  # (2, 3)
    xi_1_matmul = h_0 @ xi_1_transpose_last  # (N, 3)
    xi_1 = xi_1_matmul + b_1
    h_1 = step(xi_1)
    xi_2_transpose_last = W_2.T  # (3, 3)
    xi_2_matmul = h_1 @ xi_2_transpose_last  # (N, 3)
    xi_2 = xi_2_matmul + b_2
    h_2 = np.sign(xi_2)
    xi_3_transpose_last = W_3.T  # (3, 2)
    xi_3_matmul = h_2 @ xi_3_transpose_last  # (N, 2)
    xi_3 = xi_3_matmul + b_3
    h_3 = sigmoid(xi_3)
    xi_4_transpose_last = W_4.T  # (2, 2)
    xi_4_matmul = h_3 @ xi_4_transpose_last  # (N, 2)
    xi_4 = xi_4_matmul + b_4
    h_4 = np.tanh(xi_4)
    xi_5_transpose_last = W_5.T  # (2, 2)
    xi_5_matmul = h_4 @ xi_5_transpose_last  # (N, 2)
    xi_5 = xi_5_matmul + b_5
    h_5 = np.maximum(xi_5, 0)
    return h_5


def step(x):
    """Unit step: 1 where x >= 0, else 0."""
    return (x >= 0).astype(x.dtype)


def sigmoid(x):
    """Logistic function 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
