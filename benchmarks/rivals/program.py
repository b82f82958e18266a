"""`python benchmarks/rivals/program.py PEER WORKLOAD FOLDER THREADS`: the process of one contestant."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
if sys.path[1] == str(Path(__file__).resolve().parent):
    del sys.path[1]  # else `hand` would be the contestant and not the folder

from rivals.task import read

from flowgraph.bench.worker import serve

if __name__ == "__main__":
    peer, workload, folder, threads = sys.argv[1:]

    def make():  # type: ignore[no-untyped-def]
        task = read(Path(folder), workload, int(threads))
        return importlib.import_module(f"rivals.{peer}").contestant(task)

    serve(make)
