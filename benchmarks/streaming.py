"""Memory and speed of training data that stay in their file: peak memory does not grow with the file.

    python benchmarks/streaming.py [GIGABYTES] [--folder DIR]

Writes generated rows (64 float32 numbers and a class each) as npz and as Parquet, at an eighth of
the size and at the whole of it (default 2), and goes through one epoch of batches of 256 in a fresh
process each. Prints a markdown table; peak is the largest resident memory of that process, of which
`none` is what Python, numpy and flowgraph take without any data. Needs pyarrow and the disk space.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

WIDTH = 64
ROW_BYTES = 4 * WIDTH + 8
PART = 2**14
BATCH = 256
DIAGRAM = f"""input x : [{WIDTH}]
target y : class(10)
loss cross_entropy(linear(x, 10), y)
"""


def rows_of(gigabytes: float) -> int:
    return int(gigabytes * 1e9) // ROW_BYTES


def parts(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Generated rows, a few at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, count, PART):
        rows = min(PART, count - start)
        yield rng.standard_normal((rows, WIDTH), dtype=np.float32), rng.integers(0, 10, rows)


def write_npz(path: Path, count: int) -> None:
    """An npz as np.savez writes it, never held in memory."""
    shapes = {"x": ((count, WIDTH), "<f4", 0), "y": ((count,), "<i8", 1)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, (shape, dtype, index) in shapes.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                header = {"descr": dtype, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for part in parts(count):
                    member.write(part[index].tobytes())


def write_parquet(path: Path, count: int) -> None:
    """A Parquet file with row groups of PART rows."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = pa.schema([("x", pa.list_(pa.float32(), WIDTH)), ("y", pa.int64())])
    with ParquetWriter(path, schema, compression="none") as writer:
        for x, y in parts(count):
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), WIDTH)
            writer.write_table(pa.table({"x": vectors, "y": y}, schema=schema))


WRITERS = {"npz": write_npz, "parquet": write_parquet}


def peak_mib() -> float:
    """The largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage may count the memory of the process that started this one
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(path: Path) -> dict[str, float]:
    """One epoch over a file, in this process."""
    from flowgraph.data import open_examples
    from flowgraph.diagram import loads
    from flowgraph.errors import Diagnostics

    program, found = loads(DIAGRAM).program, Diagnostics()
    before = peak_mib()
    start = time.perf_counter()
    opened = open_examples(program, ".", found, path=path, stream=True)
    found.raise_errors()
    assert opened is not None
    checked = time.perf_counter()
    rows = 0
    for step in range(opened.train.per_epoch(BATCH)):
        rows += len(opened.train.batch(step, BATCH, 0)["y"])
    assert rows == opened.train.count, "every row is in an epoch once"
    took = time.perf_counter() - checked
    return {
        "rows": rows,
        "check": checked - start,
        "speed": rows / took,
        "peak": peak_mib(),
        "before": before,
    }


def run(path: Path) -> dict[str, float]:
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--measure", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    options = argparse.ArgumentParser(description="Memory and speed of streamed data.")
    options.add_argument("gigabytes", type=float, nargs="?", default=2.0)
    options.add_argument("--folder", help="where the files are written (default: a temporary folder)")
    options.add_argument("--measure", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.measure is not None:
        print(json.dumps(measure(given.measure)))
        return
    print("| format | file, MB | rows | check, s | epoch, rows/s | peak, MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for name, write in WRITERS.items():
            for gigabytes in (given.gigabytes / 8, given.gigabytes):
                path = Path(folder) / f"rows.{name}"
                write(path, rows_of(gigabytes))
                found = run(path)
                size = path.stat().st_size / 1e6
                print(
                    f"| {name} | {size:.0f} | {found['rows']:.0f} | {found['check']:.1f} "
                    f"| {found['speed']:,.0f} | {found['peak']:.0f} |",
                    flush=True,
                )
                path.unlink()
    print(f"\nWithout data: {found['before']:.0f} MiB.")


if __name__ == "__main__":
    main()
