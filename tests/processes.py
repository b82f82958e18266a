"""Starting processes that train together, on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(**more: str) -> dict[str, str]:
    """An environment of one thread, in which nothing of an outer launcher is left."""
    kept = {n: v for n, v in os.environ.items() if n not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    tests = Path(__file__).parent
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"} | more


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it printed."""

    code: int
    out: str
    err: str


def together(*lines: list[str], **more: str) -> list[Ended]:
    """How processes end, one for each command line, told their places as torchrun would tell them."""
    port = str(free_port())
    started = []
    for rank, line in enumerate(lines):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(len(lines))}
        there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        env = environment(**(place | there | more))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([sys.executable, *line], env=env, text=True, **pipes))
    try:
        outputs = [process.communicate(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return [Ended(p.returncode, *said) for p, said in zip(started, outputs, strict=True)]


def torchrun(*arguments: str | Path) -> Ended:
    """How the launcher ends that starts two processes."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    line = [*launcher, "--master-port", str(free_port()), *map(str, arguments)]
    done = subprocess.run([sys.executable, *line], env=environment(), capture_output=True, text=True)
    return Ended(done.returncode, done.stdout, done.stderr)


def children(parent: int) -> list[int]:
    """The processes that a process has started, on Linux."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(word) for word in listed.split()]
