"""Where a run computes: a device, and the processes that take its steps together.

Assumes processes started by torchrun, or by anything that sets RANK, WORLD_SIZE, MASTER_ADDR and
MASTER_PORT as it does; without them a process is alone. Promises a group whose members know each
other before anything else is done, that leaves cleanly, and in which one process alone speaks
when something goes wrong. torch is loaded only by those who ask for a device or a group.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..errors import FlowError, fail, shorten

TIMEOUT = 600.0
"""Seconds that a process waits for the others."""
TIMEOUT_NAME = "FLOWC_TIMEOUT"
"""The environment variable that says otherwise."""
PATIENCE = 2.0
"""Seconds that the first process has for saying what went wrong, before another says it."""
SETTLING = 0.1
"""Seconds that PyTorch's own threads have for coming to rest."""
LOST = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "timed out", "process group")
"""What PyTorch's messages have in common when a process cannot be reached any more."""
DEVICES = ("cpu", "cuda", "cuda:N", "mps")


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
    rank, world = _number("RANK", 0), _number("WORLD_SIZE", 1)
    if rank >= world:
        raise fail("E0806", f"RANK is {rank}, and WORLD_SIZE is {world}: ranks count from 0", help=START)
    local = _number("LOCAL_RANK", 0) if "LOCAL_RANK" in os.environ else 0
    return Place(rank, world, local)


START = "start the processes with `torchrun --nproc-per-node 2 -m flowgraph.train FILE ...`"


def _text(name: str) -> str:
    text = os.environ.get(name)
    if not text:
        said = f"the environment says how processes find each other, but {name} is not set"
        raise fail("E0806", said, help=START)
    return text


def _number(name: str, least: int) -> int:
    text = _text(name)
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        said = f"{name} must be a whole number of at least {least}, and it is {shorten(text)!r}"
        raise fail("E0806", said, help=START)
    return int(text)


def refuse_several(target: str) -> None:
    """Raise FlowError (E0806) where several processes were started for a target that is one."""
    world = place().world
    if world > 1:
        said = f"the {target} target trains in one process, and {world} were started"
        with one_voice():
            raise fail("E0806", said, help="train with --target torch, or without torchrun")


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


# ---------------------------------------------------------------------------------------
# The group


@dataclass(frozen=True)
class Group:
    """The processes that train together; one process alone is a group too.

    device: where this process computes. store: what all processes can write on, None where
    nothing was joined.
    """

    place: Place
    device: Any
    store: Any = None

    @property
    def rank(self) -> int:
        return self.place.rank

    @property
    def world(self) -> int:
        return self.place.world

    def share(self, rows: int) -> slice:
        """This process's part of so many rows, contiguous, as np.array_split cuts them."""
        least, more = divmod(rows, self.world)
        start = self.rank * least + min(self.rank, more)
        return slice(start, start + least + (self.rank < more))

    def total(self, values: Sequence[Any]) -> list[float]:
        """The sums over all processes of some numbers, the same everywhere. Raises FlowError (E0806)."""
        if self.world == 1:
            return [float(value) for value in values]
        import torch
        import torch.distributed as dist

        with guarded():
            sums = torch.stack([torch.as_tensor(v, dtype=torch.float64, device=self.device) for v in values])
            dist.all_reduce(sums)
            return [float(value) for value in sums.tolist()]

    def any(self, wanted: bool) -> bool:
        """Whether any process says so; all of them must ask."""
        return self.total([float(wanted)])[0] > 0

    def agree(self, value: bytes, what: str) -> None:
        """Raise FlowError (E0806) unless all processes give the same.

        what: its name for people, a plural.
        """
        if self.world == 1:
            return
        import torch
        import torch.distributed as dist

        own = int.from_bytes(hashlib.sha256(value).digest()[:7], "big")
        with guarded():
            mine = torch.tensor([own], device=self.device)
            found = [torch.empty_like(mine) for _ in range(self.world)]
            dist.all_gather(found, mine)
        odd = [rank for rank, other in enumerate(found) if int(other) != int(found[0])]
        if odd:
            said = f"the processes do not have the same {what}: process {odd[0]} differs from process 0"
            raise fail("E0806", said, help="let every machine have the same files, and start all alike")

    def barrier(self) -> None:
        """Wait for the others."""
        self.total([0.0])


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """What PyTorch raises for a lost process or a full device, as FlowError (E0806)."""
    import torch

    try:
        yield
    except torch.cuda.OutOfMemoryError:
        cure = "use a smaller --batch, or split the model over several GPUs with --fsdp"
        raise fail("E0806", "the device has not enough memory for a step", help=cure) from None
    except RuntimeError as error:
        if "DefaultCPUAllocator" in str(error):
            raise MemoryError from None
        if not _is_loss(error):
            raise
        said = "another process of the run has stopped, or cannot be reached any more"
        cure = "what it printed says why; go on from the last checkpoint with --resume"
        raise fail("E0806", said, help=cure) from None


def _is_loss(error: RuntimeError) -> bool:
    """Whether an error is that of a group whose members have lost each other."""
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_initialized():
        return False
    said = str(error).lower()
    return isinstance(error, dist.DistError) or any(word in said for word in LOST)


def alone(device: Any) -> Group:
    """The group of one process, which joins nothing."""
    return Group(Place(), device)


@contextlib.contextmanager
def processes(device: str | None = None, dtype: str = "float32", *, fsdp: bool = False) -> Iterator[Group]:
    """The group that this process belongs to, joined and left. Raises FlowError (E0605, E0806).

    Whatever is raised inside ends every process; one of them raises it, the first one if it can,
    and the others a FlowError that says nothing.
    """
    at = place()
    if at.world > 1:
        # Whatever goes wrong is raised as well; PyTorch would write it down with addresses of machine code.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    where = find_device(device, dtype, at)
    if at.world == 1 and not fsdp:
        yield alone(where)
        return
    group = _join(at, where)
    try:
        yield group
        group.barrier()  # let everyone come to the end before anyone hangs up
    except BaseException as error:
        _ignore_launcher()
        speaks = _claim(group)
        if where.type == "cpu":  # nccl would wait for those who are gone; the end of the process does as well
            _close()
        if speaks or isinstance(error, KeyboardInterrupt):
            raise
        raise FlowError(()) from None
    _close()


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """For what goes wrong before there is a group: one process of each machine says it.

    The others raise a FlowError that says nothing, and late, so that the launcher does not end the
    speaker before it has spoken.
    """
    try:
        yield
    except FlowError:
        if place().local_rank == 0:
            raise
        time.sleep(PATIENCE)
        raise FlowError(()) from None


def _join(at: Place, device: Any) -> Group:
    import torch.distributed as dist

    if not dist.is_available():
        said = "this build of PyTorch has no torch.distributed"
        raise fail("E0806", said, help="train in one process, or install another build")
    backend = "nccl" if device.type == "cuda" else "gloo"
    seconds = _timeout()
    try:
        store = _store(at, seconds)
        bound = {"device_id": device} if device.type == "cuda" else {}
        wait = timedelta(seconds=seconds)
        dist.init_process_group(
            backend, store=store, rank=at.rank, world_size=at.world, timeout=wait, **bound
        )
    except (RuntimeError, ValueError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        said = f"process {at.rank} of {at.world} cannot join the others by {backend}: {shorten(reason, 200)}"
        cure = (
            "all processes must run, and reach MASTER_ADDR at MASTER_PORT; "
            f"{TIMEOUT_NAME} is how many seconds they wait, now {seconds:g}"
        )
        raise fail("E0806", said, help=cure) from None
    return Group(at, device, store)


def _store(at: Place, seconds: float) -> Any:
    """What the processes write on to find each other."""
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    if at.world == 1:
        return dist.HashStore()
    _text("MASTER_ADDR")
    _number("MASTER_PORT", 1)
    store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=seconds)))
    store.set_timeout(timedelta(seconds=seconds))
    return store


def _timeout() -> float:
    text = os.environ.get(TIMEOUT_NAME)
    if text is None:
        return TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 1e7:
        said = f"{TIMEOUT_NAME} must be a number of seconds, at least 1, and it is {shorten(text)!r}"
        raise fail("E0806", said, help=f"leave it out for {TIMEOUT:g}")
    return seconds


# ---------------------------------------------------------------------------------------
# The end of it


def _claim(group: Group) -> bool:
    """Whether this process is the one to say what went wrong.

    The first process is given a moment to be it; who is not waits a moment too, so that the
    launcher does not end the speaker before it has spoken.
    """
    key = f"flowgraph/failed/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"

    def claimed() -> bool:
        return int(group.store.add(key, 0)) > 0

    try:
        if group.rank and _becomes(claimed, PATIENCE):
            time.sleep(PATIENCE / 4)
            return False
        return int(group.store.add(key, 1)) == 1
    except RuntimeError:  # who kept the store is gone: it was the first process, and it has spoken
        return False


def _ignore_launcher() -> None:
    """Go down in one's own time: the launcher ends all processes once one has failed."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _becomes(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _close() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()
        # gloo's threads let go of the last tensors a little after the operation is done, for which
        # they need the interpreter; if it is on its way out by then, the process is aborted.
        time.sleep(SETTLING)
