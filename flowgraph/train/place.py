"""Where a process computes: its place among those of the run, and its device.

Assumes that processes are started by torchrun, or by anything that sets RANK, WORLD_SIZE, LOCAL_RANK,
MASTER_ADDR and MASTER_PORT as it does; without them a process is alone. Promises a place and a device
that are there, or what is there instead. torch is loaded by who asks for a device.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Any

from ..errors import fail, shorten

DEVICES = ("cpu", "cuda", "cuda:N", "mps")
START = "start the processes with `torchrun --nproc-per-node 2 -m flowgraph.train FILE ...`"


@dataclass(frozen=True)
class Place:
    """Which of how many processes this is. local_rank: among those of its machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0


def place() -> Place:
    """This process's place, from the environment that torchrun makes. Raises FlowError (E0806)."""
    if "RANK" not in os.environ and "WORLD_SIZE" not in os.environ:
        return Place()
    rank, world = required_number("RANK", 0), required_number("WORLD_SIZE", 1)
    if rank >= world:
        raise fail("E0806", f"RANK is {rank}, and WORLD_SIZE is {world}: ranks count from 0", help=START)
    local = required_number("LOCAL_RANK", 0) if "LOCAL_RANK" in os.environ else 0
    return Place(rank, world, local)


def required(name: str) -> str:
    """A variable of the environment. Raises FlowError (E0806) where it is not set."""
    text = os.environ.get(name)
    if not text:
        said = f"the environment says how processes find each other, but {name} is not set"
        raise fail("E0806", said, help=START)
    return text


def required_number(name: str, least: int) -> int:
    """A variable of the environment as a whole number. Raises FlowError (E0806)."""
    text = required(name)
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        said = f"{name} must be a whole number of at least {least}, and it is {shorten(text)!r}"
        raise fail("E0806", said, help=START)
    return int(text)


# ---------------------------------------------------------------------------------------
# Devices


def need_torch() -> None:
    """Raise FlowError (E0605) where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise fail("E0605", "PyTorch is not installed", help="pip install 'flowgraph[torch]'")


def find_device(name: str | None = None, dtype: str = "float32", at: Place | None = None) -> Any:
    """The torch.device of a name. Raises FlowError (E0605, E0806).

    name: of DEVICES; None is the GPU where there is one, else the CPU. Of several processes on a
    machine each has the GPU of its local rank.
    """
    need_torch()
    import torch

    at = at or Place()
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    there = ["cpu", *(f"cuda:{i}" for i in range(count)), *(["mps"] if has_mps else [])]
    cure = f"there is {', '.join(there)}" if len(there) == 1 else f"there are {', '.join(there)}"
    wanted = name or ("cuda" if count else "cpu")
    if wanted == "cpu":
        return torch.device("cpu")
    if wanted == "mps" and has_mps:
        if dtype == "float64":
            raise fail("E0806", "the device `mps` has no float64", help="train with --dtype float32")
        if at.world > 1:
            raise fail("E0806", "the device `mps` trains in one process", help="train without torchrun")
        return torch.device("mps")
    kind, _, index = wanted.partition(":")
    if kind == "cuda" and count and (wanted == "cuda" or (index.isascii() and index.isdecimal())):
        return _cuda(wanted, count, at, cure)
    if wanted not in ("cuda", "mps") and not (kind == "cuda" and (index.isascii() and index.isdecimal())):
        cure = f"devices are {', '.join(DEVICES)}; {cure}"
    raise fail("E0806", f"there is no device `{shorten(wanted)}` here", help=cure)


def _cuda(wanted: str, count: int, at: Place, cure: str) -> Any:
    import torch

    index = wanted.partition(":")[2]
    if index and at.world > 1:
        said = f"`{shorten(wanted)}` is one GPU, and {at.world} processes are to train"
        raise fail("E0806", said, help="say --device cuda: each process takes the GPU of its local rank")
    number = int(index) if index else at.local_rank
    if number >= count:
        said = f"there is no device `cuda:{number}` here"
        if not index:
            said += f": process {at.rank} is number {number} on its machine"
            cure += "; start no more processes on a machine than it has GPUs"
        raise fail("E0806", said, help=cure)
    return torch.device("cuda", number)
