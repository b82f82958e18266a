"""The processes that take the steps of a run together.

Assumes processes that know their places. Promises a group whose members know each other before anything
else is done, that is left cleanly, and in which one process alone speaks when something goes wrong.
torch is loaded by who asks for a group.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..errors import FlowError, fail, shorten
from .place import Place, find_device, place, required, required_number

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
FAILED = "failed"
"""Where processes that fail count themselves."""


def refuse_several(target: str) -> None:
    """Raise FlowError (E0806) where several processes were started for a target that is one."""
    world = place().world
    if world > 1:
        said = f"the {target} target trains in one process, and {world} were started"
        with one_voice():
            raise fail("E0806", said, help="train with --target torch, or without torchrun")


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
    except RuntimeError as error:
        if "DefaultCPUAllocator" in str(error):
            raise MemoryError from None
        if isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error):
            cure = "use a smaller --batch, or split the model over several GPUs with --fsdp"
            raise fail("E0806", "the device has not enough memory for a step", help=cure) from None
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
        if at.world > 1:
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
    required("MASTER_ADDR")
    required_number("MASTER_PORT", 1)
    end = time.monotonic() + seconds
    store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=seconds)))
    store.set_timeout(timedelta(seconds=seconds))
    return dist.PrefixStore(_meeting(store, at, end), store)


def _meeting(store: Any, at: Place, end: float) -> str:
    """A name that the processes alive now agree on. Raises TimeoutError.

    A launcher that starts processes again may let them meet where the dead ones left their
    addresses, and nothing in the environment tells the two apart on every machine. So the first process
    makes up a name, each other one answers under it with a word of its own, and goes by the name
    once it hears that word again: from the dead it does not.
    """
    word = secrets.token_hex(8)
    if at.rank == 0:
        store.set("flowgraph", word)
        for rank in range(1, at.world):
            key = f"{word}/{rank}"
            if not _becomes(functools.partial(store.check, [key]), end - time.monotonic()):
                raise TimeoutError(f"process {rank} did not come")
            store.set(f"{key}/heard", store.get(key))
        return word
    while time.monotonic() < end:
        if not _becomes(functools.partial(store.check, ["flowgraph"]), end - time.monotonic()):
            break
        name = store.get("flowgraph").decode()
        store.set(f"{name}/{at.rank}", word)
        if _becomes(functools.partial(_hears, store, f"{name}/{at.rank}/heard", word), 0.25):
            return name
    raise TimeoutError("process 0 did not come")


def _hears(store: Any, key: str, word: str) -> bool:
    return store.check([key]) and store.get(key).decode() == word


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

    def claimed() -> bool:
        return int(group.store.add(FAILED, 0)) > 0

    try:
        if group.rank and _becomes(claimed, PATIENCE):
            time.sleep(PATIENCE / 4)
            return False
        return int(group.store.add(FAILED, 1)) == 1
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
