"""burgers: Burgers' equation solved by a network.

Compiled from burgers.flow by flowc 0.1.0 (target numpy, -O0).
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
    u_stack = np.stack([x, t], axis=-1)  # (N, 2)
    u_linear = u_stack @ u_linear_weight.T + u_linear_bias  # (N, 20)
    u_tanh = np.tanh(u_linear)
    u_linear_2 = u_tanh @ u_linear_2_weight.T + u_linear_2_bias
    u_tanh_2 = np.tanh(u_linear_2)
    u_linear_3 = u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias  # (N, 1)
    u = np.sum(u_linear_3, axis=-1)  # (N,)
    return u


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
    u_stack = np.stack([x, t], axis=-1)  # (N, 2)
    u_linear = u_stack @ u_linear_weight.T + u_linear_bias  # (N, 20)
    u_tanh = np.tanh(u_linear)
    u_linear_2 = u_tanh @ u_linear_2_weight.T + u_linear_2_bias
    u_tanh_2 = np.tanh(u_linear_2)
    u_linear_3 = u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias  # (N, 1)
    u = np.sum(u_linear_3, axis=-1)  # (N,)
    u_t_unsqueeze = np.float32(1.0)[None]  # (1,)
    u_t_expand = np.broadcast_to(u_t_unsqueeze, (1,))
    u_t_matmul = u_t_expand @ u_linear_3_weight  # (20,)
    u_tanh_2_2 = u_tanh_2**2  # (N, 20)
    u_t_sub = 1 - u_tanh_2_2
    u_t_mul = u_t_matmul * u_t_sub
    u_t_matmul_2 = u_t_mul @ u_linear_2_weight
    u_tanh2 = u_tanh**2
    u_t_sub_2 = 1 - u_tanh2
    u_t_mul_2 = u_t_matmul_2 * u_t_sub_2
    u_t_matmul_3 = u_t_mul_2 @ u_linear_weight  # (N, 2)
    u_t = u_t_matmul_3[:, 1]  # (N,)
    u_x_unsqueeze = np.float32(1.0)[None]  # (1,)
    u_x_expand = np.broadcast_to(u_x_unsqueeze, (1,))
    u_x_matmul = u_x_expand @ u_linear_3_weight  # (20,)
    u_tanh_2_2_2 = u_tanh_2**2  # (N, 20)
    u_x_sub = 1 - u_tanh_2_2_2
    u_x_mul = u_x_matmul * u_x_sub
    u_x_matmul_2 = u_x_mul @ u_linear_2_weight
    u_tanh2_2 = u_tanh**2
    u_x_sub_2 = 1 - u_tanh2_2
    u_x_mul_2 = u_x_matmul_2 * u_x_sub_2
    u_x_matmul_3 = u_x_mul_2 @ u_linear_weight  # (N, 2)
    u_x = u_x_matmul_3[:, 0]  # (N,)
    u_xx_unsqueeze = np.float32(1.0)[None]  # (1,)
    u_xx_pad = np.pad(u_xx_unsqueeze, (0, 1))  # (2,)
    u_xx_matmul = u_linear_weight @ u_xx_pad  # (20,)
    u_xx_mul = u_xx_matmul * u_x_sub_2  # (N, 20)
    u_xx_mul_2 = u_xx_matmul * u_x_matmul_2
    u_xx_neg = -u_xx_mul_2
    u_xx_mul_3 = 2 * u_tanh
    u_xx_mul_4 = u_xx_neg * u_xx_mul_3
    u_xx_transpose_last = u_linear_2_weight.T  # (20, 20)
    u_xx_matmul_2 = u_xx_mul @ u_xx_transpose_last  # (N, 20)
    u_xx_mul_5 = u_xx_matmul_2 * u_x_matmul
    u_xx_neg_2 = -u_xx_mul_5
    u_xx_mul_6 = 2 * u_tanh_2
    u_xx_mul_7 = u_xx_neg_2 * u_xx_mul_6
    u_tanh_2_2_3 = u_tanh_2**2
    u_xx_sub = 1 - u_tanh_2_2_3
    u_xx_mul_8 = u_xx_mul_7 * u_xx_sub
    u_xx_matmul_3 = u_xx_mul_8 @ u_linear_2_weight
    u_xx_add = u_xx_mul_4 + u_xx_matmul_3
    u_tanh2_3 = u_tanh**2
    u_xx_sub_2 = 1 - u_tanh2_3
    u_xx_mul_9 = u_xx_add * u_xx_sub_2
    u_xx_matmul_4 = u_xx_mul_9 @ u_linear_weight  # (N, 2)
    u_xx = u_xx_matmul_4[:, 0]  # (N,)
    residual_mul = u * u_x
    residual_add = u_t + residual_mul
    residual_mul_2 = 0.1 * u_xx
    residual = residual_add - residual_mul_2
    residual2 = residual**2
    equation = in_equation * residual2
    u_minus_known = u - known
    u_minus_known2 = u_minus_known**2
    edge = in_known * u_minus_known2
    batch_mean_2 = batch_mean(equation)
    batch_mean_2_2 = batch_mean(edge)
    return float(batch_mean_2 + batch_mean_2_2)


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
    u_linear = u_stack @ u_linear_weight.T + u_linear_bias  # (N, 20)
    u_tanh = np.tanh(u_linear)
    u_linear_2 = u_tanh @ u_linear_2_weight.T + u_linear_2_bias
    u_tanh_2 = np.tanh(u_linear_2)
    u_linear_3 = u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias  # (N, 1)
    u = np.sum(u_linear_3, axis=-1)  # (N,)
    u_t_unsqueeze = np.float32(1.0)[None]  # (1,)
    u_t_expand = np.broadcast_to(u_t_unsqueeze, (1,))
    u_t_matmul = u_t_expand @ u_linear_3_weight  # (20,)
    u_tanh_2_2 = u_tanh_2**2  # (N, 20)
    u_t_sub = 1 - u_tanh_2_2
    u_t_mul = u_t_matmul * u_t_sub
    u_t_matmul_2 = u_t_mul @ u_linear_2_weight
    u_tanh2 = u_tanh**2
    u_t_sub_2 = 1 - u_tanh2
    u_t_mul_2 = u_t_matmul_2 * u_t_sub_2
    u_t_matmul_3 = u_t_mul_2 @ u_linear_weight  # (N, 2)
    u_t = u_t_matmul_3[:, 1]  # (N,)
    u_x_unsqueeze = np.float32(1.0)[None]  # (1,)
    u_x_expand = np.broadcast_to(u_x_unsqueeze, (1,))
    u_x_matmul = u_x_expand @ u_linear_3_weight  # (20,)
    u_tanh_2_2_2 = u_tanh_2**2  # (N, 20)
    u_x_sub = 1 - u_tanh_2_2_2
    u_x_mul = u_x_matmul * u_x_sub
    u_x_matmul_2 = u_x_mul @ u_linear_2_weight
    u_tanh2_2 = u_tanh**2
    u_x_sub_2 = 1 - u_tanh2_2
    u_x_mul_2 = u_x_matmul_2 * u_x_sub_2
    u_x_matmul_3 = u_x_mul_2 @ u_linear_weight  # (N, 2)
    u_x = u_x_matmul_3[:, 0]  # (N,)
    u_xx_unsqueeze = np.float32(1.0)[None]  # (1,)
    u_xx_pad = np.pad(u_xx_unsqueeze, (0, 1))  # (2,)
    u_xx_matmul = u_linear_weight @ u_xx_pad  # (20,)
    u_xx_mul = u_xx_matmul * u_x_sub_2  # (N, 20)
    u_xx_mul_2 = u_xx_matmul * u_x_matmul_2
    u_xx_neg = -u_xx_mul_2
    u_xx_mul_3 = 2 * u_tanh
    u_xx_mul_4 = u_xx_neg * u_xx_mul_3
    u_xx_transpose_last = u_linear_2_weight.T  # (20, 20)
    u_xx_matmul_2 = u_xx_mul @ u_xx_transpose_last  # (N, 20)
    u_xx_mul_5 = u_xx_matmul_2 * u_x_matmul
    u_xx_neg_2 = -u_xx_mul_5
    u_xx_mul_6 = 2 * u_tanh_2
    u_xx_mul_7 = u_xx_neg_2 * u_xx_mul_6
    u_tanh_2_2_3 = u_tanh_2**2
    u_xx_sub = 1 - u_tanh_2_2_3
    u_xx_mul_8 = u_xx_mul_7 * u_xx_sub
    u_xx_matmul_3 = u_xx_mul_8 @ u_linear_2_weight
    u_xx_add = u_xx_mul_4 + u_xx_matmul_3
    u_tanh2_3 = u_tanh**2
    u_xx_sub_2 = 1 - u_tanh2_3
    u_xx_mul_9 = u_xx_add * u_xx_sub_2
    u_xx_matmul_4 = u_xx_mul_9 @ u_linear_weight  # (N, 2)
    u_xx = u_xx_matmul_4[:, 0]  # (N,)
    residual_mul = u * u_x
    residual_add = u_t + residual_mul
    residual_mul_2 = 0.1 * u_xx
    residual = residual_add - residual_mul_2
    residual2 = residual**2
    equation = in_equation * residual2
    u_minus_known = u - known
    u_minus_known2 = u_minus_known**2
    edge = in_known * u_minus_known2
    batch_mean_2 = batch_mean(equation)
    batch_mean_2_2 = batch_mean(edge)
    loss = batch_mean_2 + batch_mean_2_2

    # batch_mean_2_2 = batch_mean(edge)
    share = np.float32(1.0) / max(N, 1)
    d_edge = np.broadcast_to(share, (N,))

    # batch_mean_2 = batch_mean(equation)
    share_2 = np.float32(1.0) / max(N, 1)
    d_equation = np.broadcast_to(share_2, (N,))

    # edge = in_known * u_minus_known2
    d_pow_2 = d_edge * in_known

    # u_minus_known2 = u_minus_known**2
    mul_7 = 2 * u_minus_known
    d_sub = d_pow_2 * mul_7

    # equation = in_equation * residual2
    d_pow = d_equation * in_equation

    # residual2 = residual**2
    mul_12 = 2 * residual
    d_residual = d_pow * mul_12

    # residual = residual_add - residual_mul_2
    d_mul_2 = -d_residual

    # residual_mul_2 = 0.1 * u_xx
    d_u_xx = d_mul_2 * 0.1

    # residual_mul = u * u_x
    mul_16 = d_residual * u_x
    d_u_x = d_residual * u
    d_u = d_sub + mul_16

    # u_xx = u_xx_matmul_4[:, 0]
    unsqueeze_4 = d_u_xx[:, None]  # (N, 1)
    d_du_x_dstack = np.pad(unsqueeze_4, ((0, 0), (0, 1)))  # (N, 2)

    # u_xx_matmul_4 = u_xx_mul_9 @ u_linear_weight
    transpose_last_2 = u_linear_weight.T  # (2, 20)
    matmul_4 = d_du_x_dstack @ transpose_last_2  # (N, 20)
    transpose_last_3 = u_xx_mul_9.T  # (20, N)
    matmul_5 = transpose_last_3 @ d_du_x_dstack  # (20, 2)

    # u_xx_mul_9 = u_xx_add * u_xx_sub_2
    mul_18 = matmul_4 * u_xx_sub_2  # (N, 20)
    d_sub_7 = matmul_4 * u_xx_add

    # u_xx_sub_2 = 1 - u_tanh2_3
    d_pow_8 = -d_sub_7

    # u_tanh2_3 = u_tanh**2
    mul_20 = 2 * u_tanh
    d_tanh = d_pow_8 * mul_20

    # u_xx_matmul_3 = u_xx_mul_8 @ u_linear_2_weight
    transpose_last_4 = u_linear_2_weight.T  # (20, 20)
    matmul_6 = mul_18 @ transpose_last_4  # (N, 20)
    transpose_last_5 = u_xx_mul_8.T  # (20, N)
    matmul_7 = transpose_last_5 @ mul_18  # (20, 20)

    # u_xx_mul_8 = u_xx_mul_7 * u_xx_sub
    mul_22 = matmul_6 * u_xx_sub  # (N, 20)
    d_sub_6 = matmul_6 * u_xx_mul_7

    # u_xx_sub = 1 - u_tanh_2_2_3
    d_pow_7 = -d_sub_6

    # u_tanh_2_2_3 = u_tanh_2**2
    mul_24 = 2 * u_tanh_2
    d_tanh_2 = d_pow_7 * mul_24

    # u_xx_mul_7 = u_xx_neg_2 * u_xx_mul_6
    mul_26 = mul_22 * u_xx_mul_6
    d_mul_9 = mul_22 * u_xx_neg_2

    # u_xx_mul_6 = 2 * u_tanh_2
    mul_29 = d_mul_9 * 2
    d_tanh_2_2 = d_tanh_2 + mul_29

    # u_xx_neg_2 = -u_xx_mul_5
    d_du_x_dsub_4 = -mul_26

    # u_xx_mul_5 = u_xx_matmul_2 * u_x_matmul
    mul_30 = d_du_x_dsub_4 * u_x_matmul
    mul_31 = d_du_x_dsub_4 * u_xx_matmul_2
    d_du_dtanh_2_2 = np.sum(mul_31, axis=-2)  # (20,)

    # u_xx_matmul_2 = u_xx_mul @ u_xx_transpose_last
    transpose_last_6 = u_xx_transpose_last.T  # (20, 20)
    matmul_8 = mul_30 @ transpose_last_6  # (N, 20)
    transpose_last_7 = u_xx_mul.T  # (20, N)
    d_transpose_last = transpose_last_7 @ mul_30  # (20, 20)

    # u_xx_transpose_last = u_linear_2_weight.T
    transpose_last_8 = d_transpose_last.T
    add_4 = matmul_7 + transpose_last_8

    # u_xx_mul_4 = u_xx_neg * u_xx_mul_3
    mul_32 = mul_18 * u_xx_mul_3  # (N, 20)
    d_mul_5 = mul_18 * u_xx_neg

    # u_xx_mul_3 = 2 * u_tanh
    mul_35 = d_mul_5 * 2
    d_tanh_3 = d_tanh + mul_35

    # u_xx_neg = -u_xx_mul_2
    d_du_x_dsub_5 = -mul_32

    # u_xx_mul_2 = u_xx_matmul * u_x_matmul_2
    mul_36 = d_du_x_dsub_5 * u_x_matmul_2
    mul_37 = d_du_x_dsub_5 * u_xx_matmul
    d_matmul = np.sum(mul_36, axis=-2)  # (20,)

    # u_xx_mul = u_xx_matmul * u_x_sub_2
    mul_38 = matmul_8 * u_x_sub_2  # (N, 20)
    mul_39 = matmul_8 * u_xx_matmul
    sum_3 = np.sum(mul_38, axis=-2)  # (20,)
    d_matmul_2 = d_matmul + sum_3

    # u_xx_matmul = u_linear_weight @ u_xx_pad
    outer = np.outer(d_matmul_2, u_xx_pad)  # (20, 2)
    add_7 = matmul_5 + outer

    # u_x = u_x_matmul_3[:, 0]
    unsqueeze_5 = d_u_x[:, None]  # (N, 1)
    d_du_dstack_2 = np.pad(unsqueeze_5, ((0, 0), (0, 1)))  # (N, 2)

    # u_x_matmul_3 = u_x_mul_2 @ u_linear_weight
    transpose_last_9 = u_linear_weight.T  # (2, 20)
    matmul_11 = d_du_dstack_2 @ transpose_last_9  # (N, 20)
    transpose_last_10 = u_x_mul_2.T  # (20, N)
    matmul_12 = transpose_last_10 @ d_du_dstack_2  # (20, 2)
    add_8 = add_7 + matmul_12

    # u_x_mul_2 = u_x_matmul_2 * u_x_sub_2
    mul_40 = matmul_11 * u_x_sub_2  # (N, 20)
    mul_41 = matmul_11 * u_x_matmul_2
    d_du_dtanh_3 = mul_37 + mul_40
    d_sub_5 = mul_39 + mul_41

    # u_x_sub_2 = 1 - u_tanh2_2
    d_pow_6 = -d_sub_5

    # u_tanh2_2 = u_tanh**2
    mul_42 = 2 * u_tanh
    mul_43 = d_pow_6 * mul_42
    d_tanh_4 = d_tanh_3 + mul_43

    # u_x_matmul_2 = u_x_mul @ u_linear_2_weight
    transpose_last_11 = u_linear_2_weight.T  # (20, 20)
    matmul_13 = d_du_dtanh_3 @ transpose_last_11  # (N, 20)
    transpose_last_12 = u_x_mul.T  # (20, N)
    matmul_14 = transpose_last_12 @ d_du_dtanh_3  # (20, 20)
    add_12 = add_4 + matmul_14

    # u_x_mul = u_x_matmul * u_x_sub
    mul_44 = matmul_13 * u_x_sub  # (N, 20)
    mul_45 = matmul_13 * u_x_matmul
    sum_4 = np.sum(mul_44, axis=-2)  # (20,)
    d_du_dtanh_2_2_2 = d_du_dtanh_2_2 + sum_4

    # u_x_sub = 1 - u_tanh_2_2_2
    d_pow_5 = -mul_45  # (N, 20)

    # u_tanh_2_2_2 = u_tanh_2**2
    mul_46 = 2 * u_tanh_2
    mul_47 = d_pow_5 * mul_46
    d_tanh_2_3 = d_tanh_2_2 + mul_47

    # u_x_matmul = u_x_expand @ u_linear_3_weight
    outer_2 = np.outer(u_x_expand, d_du_dtanh_2_2_2)  # (1, 20)

    # u_t = u_t_matmul_3[:, 1]
    unsqueeze_6 = d_residual[:, None]  # (N, 1)
    d_du_dstack = np.pad(unsqueeze_6, ((0, 0), (1, 0)))  # (N, 2)

    # u_t_matmul_3 = u_t_mul_2 @ u_linear_weight
    transpose_last_13 = u_linear_weight.T  # (2, 20)
    matmul_16 = d_du_dstack @ transpose_last_13  # (N, 20)
    transpose_last_14 = u_t_mul_2.T  # (20, N)
    matmul_17 = transpose_last_14 @ d_du_dstack  # (20, 2)
    add_15 = add_8 + matmul_17

    # u_t_mul_2 = u_t_matmul_2 * u_t_sub_2
    mul_48 = matmul_16 * u_t_sub_2  # (N, 20)
    d_sub_3 = matmul_16 * u_t_matmul_2

    # u_t_sub_2 = 1 - u_tanh2
    d_pow_4 = -d_sub_3

    # u_tanh2 = u_tanh**2
    mul_50 = 2 * u_tanh
    mul_51 = d_pow_4 * mul_50
    d_tanh_5 = d_tanh_4 + mul_51

    # u_t_matmul_2 = u_t_mul @ u_linear_2_weight
    transpose_last_15 = u_linear_2_weight.T  # (20, 20)
    matmul_18 = mul_48 @ transpose_last_15  # (N, 20)
    transpose_last_16 = u_t_mul.T  # (20, N)
    matmul_19 = transpose_last_16 @ mul_48  # (20, 20)
    add_17 = add_12 + matmul_19

    # u_t_mul = u_t_matmul * u_t_sub
    mul_52 = matmul_18 * u_t_sub  # (N, 20)
    mul_53 = matmul_18 * u_t_matmul
    d_du_dtanh_2 = np.sum(mul_52, axis=-2)  # (20,)

    # u_t_sub = 1 - u_tanh_2_2
    d_pow_3 = -mul_53  # (N, 20)

    # u_tanh_2_2 = u_tanh_2**2
    mul_54 = 2 * u_tanh_2
    mul_55 = d_pow_3 * mul_54
    d_tanh_2_4 = d_tanh_2_3 + mul_55

    # u_t_matmul = u_t_expand @ u_linear_3_weight
    outer_3 = np.outer(u_t_expand, d_du_dtanh_2)  # (1, 20)
    add_19 = outer_2 + outer_3

    # u = np.sum(u_linear_3, axis=-1)
    unsqueeze_7 = d_u[:, None]  # (N, 1)
    d_linear_3 = np.broadcast_to(unsqueeze_7, (N, 1))

    # u_linear_3 = u_tanh_2 @ u_linear_3_weight.T + u_linear_3_bias
    transpose_last_17 = d_linear_3.T  # (1, N)
    matmul_21 = transpose_last_17 @ u_tanh_2  # (1, 20)
    matmul_22 = d_linear_3 @ u_linear_3_weight  # (N, 20)
    d_tanh_2_5 = d_tanh_2_4 + matmul_22
    d_u_linear_3_weight = add_19 + matmul_21  # (1, 20)
    d_u_linear_3_bias = np.sum(d_linear_3, axis=-2)  # (1,)

    # u_tanh_2 = np.tanh(u_linear_2)
    u_tanh_2_2_4 = u_tanh_2**2  # (N, 20)
    sub_8 = 1 - u_tanh_2_2_4
    d_linear_2 = d_tanh_2_5 * sub_8

    # u_linear_2 = u_tanh @ u_linear_2_weight.T + u_linear_2_bias
    transpose_last_18 = d_linear_2.T  # (20, N)
    matmul_23 = transpose_last_18 @ u_tanh  # (20, 20)
    matmul_24 = d_linear_2 @ u_linear_2_weight  # (N, 20)
    d_tanh_6 = d_tanh_5 + matmul_24
    d_u_linear_2_weight = add_17 + matmul_23  # (20, 20)
    d_u_linear_2_bias = np.sum(d_linear_2, axis=-2)  # (20,)

    # u_tanh = np.tanh(u_linear)
    u_tanh2_4 = u_tanh**2  # (N, 20)
    sub_9 = 1 - u_tanh2_4
    d_linear = d_tanh_6 * sub_9

    # u_linear = u_stack @ u_linear_weight.T + u_linear_bias
    transpose_last_19 = d_linear.T  # (20, N)
    matmul_25 = transpose_last_19 @ u_stack  # (20, 2)
    d_u_linear_weight = add_15 + matmul_25
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
