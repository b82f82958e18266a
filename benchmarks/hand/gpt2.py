"""GPT-2 by hand in numpy: forward and backward on paper, AdamW.

Rows of T tokens are laid one after another, (N * T, D), so that every layer is one matrix product; only
attention takes them apart. Names are the diagram's.
"""

from __future__ import annotations

import numpy as np

EPS = 1e-5  # of layernorm


def train(first, ids, next, steps, heads=4, lr=1e-3):
    """Take steps of AdamW on tokens ids and next, both (N, T); return the parameters and the losses."""
    params = {name: value.copy() for name, value in first.items()}
    ms = {name: np.zeros_like(value) for name, value in params.items()}
    vs = {name: np.zeros_like(value) for name, value in params.items()}
    losses = []
    for t in range(1, steps + 1):
        loss, grads = loss_and_grad(params, ids, next, heads)
        losses.append(loss)
        for name, w in params.items():
            adamw(w, grads[name], ms[name], vs[name], t, lr)
    return params, losses


def adamw(w, g, m, v, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.01):
    """Move a parameter and its moments in place."""
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    w *= 1 - lr * decay
    step = np.sqrt(v)
    step /= np.sqrt(1 - beta2**t)
    step += eps
    np.divide(m, step, out=step)
    step *= lr / (1 - beta1**t)
    w -= step


def loss_and_grad(params, ids, next, heads):
    """The mean cross-entropy of the tokens that come next, and its gradient by name."""
    N, T = ids.shape
    rounds = 1 + max(int(name.split(".")[1]) for name in params if name.startswith("h."))
    wte, wpe = params["wte.weight"], params["wpe.weight"]
    D = wte.shape[1]
    grads = {}

    u = (wte[ids] + wpe[:T]).reshape(N * T, D)
    kept = []
    for i in range(rounds):
        u, saved = forward_round(params, f"h.{i}.", u, N, heads)
        kept.append(saved)
    h, saved_ln = layernorm(u, params["ln_f.weight"], params["ln_f.bias"])
    logits = h @ wte.T  # (N * T, V)
    logits -= logits.max(axis=1, keepdims=True)
    rows, labels = np.arange(N * T), next.ravel()
    picked = logits[rows, labels]
    p = np.exp(logits, out=logits)
    total = p.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - picked))

    p /= total
    p[rows, labels] -= 1
    p /= N * T
    d_wte = p.T @ h
    d_u, grads["ln_f.weight"], grads["ln_f.bias"] = d_layernorm(p @ wte, params["ln_f.weight"], saved_ln)
    for i in reversed(range(rounds)):
        d_u = backward_round(params, f"h.{i}.", d_u, kept[i], N, heads, grads)
    np.add.at(d_wte, ids.ravel(), d_u)
    d_wpe = np.zeros_like(wpe)
    d_wpe[:T] = d_u.reshape(N, T, D).sum(axis=0)
    return loss, grads | {"wte.weight": d_wte, "wpe.weight": d_wpe}


def forward_round(params, at, u, N, heads):
    """u + attention of it, then + the small network of that; and what the way back needs."""
    a, saved_1 = layernorm(u, params[f"{at}ln_1.weight"], params[f"{at}ln_1.bias"])
    qkv = a @ params[f"{at}attn.c_attn.weight"].T + params[f"{at}attn.c_attn.bias"]
    y, saved_y = attention(qkv, N, heads)
    u = u + y @ params[f"{at}attn.c_proj.weight"].T + params[f"{at}attn.c_proj.bias"]
    b, saved_2 = layernorm(u, params[f"{at}ln_2.weight"], params[f"{at}ln_2.bias"])
    f = b @ params[f"{at}mlp.c_fc.weight"].T + params[f"{at}mlp.c_fc.bias"]
    g, slope = gelu(f)
    u = u + g @ params[f"{at}mlp.c_proj.weight"].T + params[f"{at}mlp.c_proj.bias"]
    return u, (a, saved_1, y, saved_y, b, saved_2, g, slope)


def backward_round(params, at, d_u, saved, N, heads, grads):
    """The gradient before a round from that behind it; those of its parameters go into grads."""
    a, saved_1, y, saved_y, b, saved_2, g, slope = saved
    d_g = d_linear(params, f"{at}mlp.c_proj", d_u, g, grads)
    d_g *= slope
    d_b = d_linear(params, f"{at}mlp.c_fc", d_g, b, grads)
    d_v, grads[f"{at}ln_2.weight"], grads[f"{at}ln_2.bias"] = d_layernorm(
        d_b, params[f"{at}ln_2.weight"], saved_2
    )
    d_u = d_u + d_v
    d_y = d_linear(params, f"{at}attn.c_proj", d_u, y, grads)
    d_qkv = d_attention(d_y, saved_y, N, heads)
    d_a = d_linear(params, f"{at}attn.c_attn", d_qkv, a, grads)
    d_v, grads[f"{at}ln_1.weight"], grads[f"{at}ln_1.bias"] = d_layernorm(
        d_a, params[f"{at}ln_1.weight"], saved_1
    )
    return d_u + d_v


def d_linear(params, name, d_out, x, grads):
    """The gradient of a linear layer's input; those of its parameters go into grads."""
    grads[f"{name}.weight"] = d_out.T @ x
    grads[f"{name}.bias"] = d_out.sum(axis=0)
    return d_out @ params[f"{name}.weight"]


def layernorm(x, weight, bias):
    """Rows with mean 0 and variance 1, scaled and shifted."""
    centred = x - x.mean(axis=1, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + np.float32(EPS))
    normal = centred * scale
    return normal * weight + bias, (normal, scale)


def d_layernorm(d_out, weight, saved):
    """The gradients of input, weight and bias."""
    normal, scale = saved
    d_normal = d_out * weight
    along = np.mean(d_normal * normal, axis=1, keepdims=True)
    d_x = (d_normal - d_normal.mean(axis=1, keepdims=True) - normal * along) * scale
    return d_x, np.sum(d_out * normal, axis=0), d_out.sum(axis=0)


def gelu(x):
    """x times the normal distribution's function, by tanh; and its derivative."""
    inner = np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x))
    slope = np.float32(np.sqrt(2 / np.pi)) * (1 + np.float32(3 * 0.044715) * x * x)
    return 0.5 * x * (1 + inner), 0.5 * (1 + inner) + 0.5 * x * (1 - inner * inner) * slope


def attention(qkv, N, heads):
    """What every token gathers from those up to it: (N * T, 3 D) to (N * T, D)."""
    T, D = len(qkv) // N, qkv.shape[1] // 3
    q, k, v = qkv.reshape(N, T, 3, heads, D // heads).transpose(2, 0, 3, 1, 4)  # each (N, heads, T, d)
    scores = q @ k.swapaxes(-1, -2)
    scores *= np.float32((D // heads) ** -0.5)
    scores[..., np.triu(np.ones((T, T), dtype=bool), 1)] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    p = np.exp(scores, out=scores)
    p /= p.sum(axis=-1, keepdims=True)
    return (p @ v).swapaxes(1, 2).reshape(N * T, D), (q, k, v, p)


def d_attention(d_y, saved, N, heads):
    """The gradient of q, k and v as they lie in one array (N * T, 3 D)."""
    q, k, v, p = saved
    T, D = len(d_y) // N, d_y.shape[1]
    d_out = d_y.reshape(N, T, heads, D // heads).swapaxes(1, 2)
    d_p = d_out @ v.swapaxes(-1, -2)
    d_s = p * (d_p - np.sum(d_p * p, axis=-1, keepdims=True))
    d_s *= np.float32((D // heads) ** -0.5)
    d_qkv = np.stack([d_s @ k, d_s.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ d_out])
    return d_qkv.transpose(1, 3, 0, 2, 4).reshape(N * T, 3 * D)
