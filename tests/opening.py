"""What the tests of training data share: opening data, and small files of every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from flowgraph.data import Opened, open_examples
from flowgraph.diagram import loads
from flowgraph.errors import Diagnostic, Diagnostics

SMALL = """input x : [2], i : int
target y : class(3), b : bool
z = sum(x) + i
loss (z - y)^2
"""
"""A diagram with a vector, a whole number, a class and a truth value."""

FORMATS = ("npz", "npy", "safetensors", "parquet")
"""What can be read by parts; an npy of records."""


def opened(text: str, path: Path | None = None, folder: Path | str = ".", **options: Any) -> Opened:
    """The data of a diagram, which must fit."""
    found = Diagnostics()
    data = open_examples(loads(text).program, folder, found, path=path, **options)
    found.raise_errors()
    assert data is not None
    return data


def refused(
    text: str, path: Path | None = None, folder: Path | str = ".", **options: Any
) -> list[Diagnostic]:
    """The errors of opening data, which must not fit."""
    found = Diagnostics()
    assert open_examples(loads(text).program, folder, found, path=path, **options) is None
    assert found.has_errors
    return found.sorted()


def columns(count: int) -> dict[str, np.ndarray]:
    """Rows for SMALL; `i` numbers them."""
    rng = np.random.default_rng(1)
    return {
        "x": rng.normal(size=(count, 2)),
        "i": np.arange(count),
        "y": rng.integers(0, 3, count),
        "b": rng.random(count) < 0.5,
    }


def write(path: Path, arrays: dict[str, np.ndarray], **options: Any) -> Path:
    """A file of the format that its name says; options are the writer's."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".npy":
        fields = [(n, a.dtype, a.shape[1:]) for n, a in arrays.items()]
        records = np.empty(len(next(iter(arrays.values()))), dtype=fields)
        for name, array in arrays.items():
            records[name] = array
        np.save(path, records)
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, path)
    else:
        write_parquet(path, arrays, **options)
    return path


def write_parquet(path: Path, arrays: dict[str, Any], **options: Any) -> Path:
    """A Parquet file; arrays with two axes become columns `x0`, `x1`, ..."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    flat: dict[str, Any] = {}
    for name, array in arrays.items():
        if isinstance(array, np.ndarray) and array.ndim == 2:
            flat |= {f"{name}{i}": array[:, i] for i in range(array.shape[1])}
        else:
            flat[name] = array
    write_table(pa.table(flat), path, **options)
    return path


def epoch_of(data: Any, epoch: int, size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """All batches of an epoch, one after the other."""
    per_epoch = data.per_epoch(size)
    batches = [data.batch(epoch * per_epoch + k, size, seed) for k in range(per_epoch)]
    return {name: np.concatenate([b[name] for b in batches]) for name in data.names}
