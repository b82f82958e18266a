"""The torch target's `make_optimizer` and `train_step`: torch.optim, set as the `train` statement says.

Assumes a module whose loss class holds the model. Promises that the same steps are taken as by
the numpy target's Trainer, and that everything that changes from step to step is in the
optimizer's state_dict, the count of a schedule's steps too.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ..naming import CODE_NAMES, Namer
from . import source
from .module import Header, doc_lines
from .schedule import rate_lines
from .template import attribute, call, literal, name

FUSED = ("Adam", "AdamW")
"""Optimizers that PyTorch can run as one function, on every device that it trains on and under FSDP."""


def write_optimizer(header: Header) -> list[str]:
    """The function `make_optimizer` as lines."""
    assert header.training is not None
    optimiser = header.training.optimiser
    settings = {"lr": optimiser.rate, **optimiser.torch_settings()}
    if header.level > 1 and optimiser.torch in FUSED:
        settings["fused"] = True
    keywords = {n: literal(v, "torch", lambda size: ast.Constant(size.value)) for n, v in settings.items()}
    params = "[p for p in model.parameters() if p.requires_grad]" if header.frozen else "model.parameters()"
    about = f"Return {optimiser.title} on the model's parameters."
    lines = ["def make_optimizer(model):"]
    if header.frozen:
        about = f"Return {optimiser.title}; the frozen parameters stay as they are."
    lines += doc_lines(about)
    if header.frozen:
        frozen = literal(header.frozen, "torch", lambda size: ast.Constant(size.value))
        lines += [
            *source.assign("frozen", frozen),
            "    state = model.state_dict(keep_vars=True)",
            "    for name in frozen:",
            "        state[name].requires_grad_(False)",
        ]
    if header.frozen or optimiser.schedule is not None:
        lines.append(f"    params = {params}")
        params = "params"
    given = ast.parse(params, mode="eval").body
    if optimiser.schedule is not None:
        lines.append("    # t counts the steps taken, for the learning rate")
        given = ast.parse('[{"params": params, "t": 0}]', mode="eval").body
    return [*lines, *source.returns(call(f"torch.optim.{optimiser.torch}", given, **keywords))]


def write_step(header: Header, inputs: Sequence[str]) -> list[str]:
    """The function `train_step` as lines; inputs: what the loss module takes, by name."""
    assert header.training is not None
    lines = [
        *source.signature("train_step", ["loss_module", "optimizer", *inputs]),
        '    """Take one step; return the loss before it."""',
    ]
    if header.training.optimiser.schedule is not None:
        rate = repr(header.training.optimiser.rate)
        group = Namer([*CODE_NAMES, *inputs]).unique("group")
        lines.append(f"    for {group} in optimizer.param_groups:")
        lines += rate_lines(header.training, header.renamed, f'{group}["lr"]', f'{group}["t"]', rate, 2)
        lines.append(f'        {group}["t"] += 1')
    lines.append("    optimizer.zero_grad()")
    lines += source.assign("loss", call("loss_module", *(name(i) for i in inputs)))
    lines.append("    loss.backward()")
    if header.training.clip is not None:
        clip = call(
            "nn.utils.clip_grad_norm_",
            ast.Call(attribute("loss_module.parameters"), [], []),
            ast.Constant(header.training.clip),
        )
        lines += source.expression(clip)
    return [*lines, "    optimizer.step()", "    return loss.detach()"]
