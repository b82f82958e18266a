"""The same as `torch_eager` with the loss under `torch.compile`; needs a C++ compiler."""

from __future__ import annotations

import torch
from rivals import torch_eager
from rivals.task import NotWritten, Task

from flowgraph.bench import has_compiler
from flowgraph.bench.worker import Contestant


def contestant(task: Task) -> Contestant:
    if not has_compiler():
        raise NotWritten("there is no C++ compiler")
    return torch_eager.contestant(task, torch.compile)
