"""JAX: a jitted step in a Python loop, its arrays donated; the cubic all in one `fori_loop`.

Losses stay on the device until the run is over, as JAX's users are told to.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from rivals.functional import loss_of, optimiser
from rivals.task import CUBIC_LR, Task

from flowgraph.bench.worker import Contestant


def contestant(task: Task) -> Contestant:
    many = "true" if task.threads > 1 else "false"
    os.environ["XLA_FLAGS"] = (
        f"--xla_cpu_multi_thread_eigen={many} intra_op_parallelism_threads={task.threads}"
    )
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", task.workload.dtype == "float64")
    made = cubic(task) if task.name == "cubic" else network(task)
    made.said["jax"] = jax.__version__
    return made


def cubic(task: Task) -> Contestant:
    import jax
    import jax.numpy as jnp

    x, y = (jnp.asarray(a) for a in task.batch.values())
    log, loss = task.workload.log, loss_of(jnp, task)

    def some(params: Any, steps: Any) -> Any:
        return jax.lax.fori_loop(0, steps, lambda _, p: p - CUBIC_LR * jax.grad(loss)(p, x, y), params)

    @jax.jit
    def train_all(params: Any, blocks: Any, rest: Any) -> Any:
        """Blocks of `log` steps, and so many more; a loss before each block."""

        def block(i: Any, carry: Any) -> Any:
            params, losses = carry
            return some(params, log), losses.at[i].set(loss(params, x, y))

        params, losses = jax.lax.fori_loop(0, blocks, block, (params, jnp.zeros(1000)))
        return some(params, rest), losses.at[blocks].set(loss(params, x, y))

    first = jnp.stack([jnp.asarray(v) for v in task.first.values()])
    last: list[Any] = []

    def train(steps: int) -> Any:
        blocks, rest = divmod(steps, log)

        def run() -> np.ndarray:
            params, losses = train_all(first, blocks, rest)
            last[:] = [params]
            return np.asarray(losses)[: -(-steps // log)]

        return run

    return Contestant(train, lambda: task.named(np.asarray(last[0])))


def network(task: Task) -> Contestant:
    import jax
    import jax.numpy as jnp

    def conv(x: Any, K: Any, padding: int) -> Any:
        return jax.lax.conv_general_dilated(x, K, (1, 1), [(padding, padding)] * 2)

    batch = [jnp.asarray(a) for a in task.batch.values()]
    loss = loss_of(jnp, task, conv)
    start, update = optimiser(jnp, task)

    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, x, y)
        return *update(params, grads, state), value

    jitted = jax.jit(step, donate_argnums=(0, 1))
    last: list[Any] = []

    def train(steps: int) -> Any:
        params = [jnp.array(v) for v in task.first.values()]
        state = start(params)
        jax.block_until_ready((params, state))

        def run() -> list[float]:
            now, held, losses = params, state, []
            for _ in range(steps):
                now, held, value = jitted(now, held, *batch)
                losses.append(value)
            last[:] = jax.block_until_ready(now)
            return losses

        return run

    return Contestant(train, lambda: task.named(last))
