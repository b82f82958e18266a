"""The forms that write into an array that is there: the same values, in that very array."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from op_cases import Run, cases, draw, evaluate, form_scope, rng

from flowgraph.ops import OPS
from flowgraph.ops.base import Op, bind_operands, concrete
from flowgraph.ops.sample import Arg, klass, real
from flowgraph.types import Dim, TensorType


def written(op: Op, arrays: list[Any], types: list[TensorType], out: np.ndarray, dtype: Any) -> None:
    """Run the calls of an operation's `into_form`."""
    known = {name: concrete(value, {}) for name, value in op.bindings().items()}
    known |= bind_operands(op, arrays)
    for text in op.into_form(types):
        eval(text, form_scope(op, "numpy", dtype) | known | {"out": out})


def with_types(run: Run) -> tuple[Op, list[TensorType]]:
    node = run.graph[run.result.name]
    return node.op, [run.graph[o].type for o in node.operands]


WRITERS = [
    pytest.param(cls, sample, name, id=name)
    for cls, sample, name in cases()
    if with_types(Run(cls, sample))[0].into_form(with_types(Run(cls, sample))[1])
]


def test_there_are_such_forms():
    names = {p.values[0].name for p in WRITERS}
    assert {"where", "take", "concat", "one_hot", "subtract_one_hot", "add_at", "pad", "step"} <= names


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("cls", "sample", "name"), WRITERS)
def test_the_array_given_gets_the_value_of_the_numpy_form(cls, sample, name, dtype):
    run = Run(cls, sample)
    op, types = with_types(run)
    arrays = [a.astype(dtype) if a.dtype == np.float64 else a for a in draw(sample, rng(name))]
    known = run.values(arrays, dtype=dtype)
    operands = [known[o] for o in run.graph[run.result.name].operands]
    want = np.asarray(known[run.result.name])
    out = np.full(want.shape, 7, want.dtype)
    written(op, operands, types, out, dtype)
    assert np.array_equal(out, want, equal_nan=True)


MANY = 300
LARGE = [
    ("where", {}, [Arg((MANY, MANY), kind="bool"), real(MANY, MANY), real()]),
    ("take", {}, [real(50, MANY), klass(50, MANY)]),
    ("concat", {}, [real(MANY, MANY), real(MANY, MANY)]),
    ("stack", {}, [real(MANY, MANY), real(MANY, MANY)]),
    ("cumsum", {}, [real(MANY, MANY)]),
    ("pad", {"widths": (1, 1, 2, 0)}, [real(MANY, MANY)]),
    ("cast", {"kind": "real"}, [Arg((MANY, MANY), kind="bool")]),
    ("subtract_one_hot", {}, [real(MANY, MANY), klass(MANY, MANY)]),
    ("argmax", {}, [real(MANY**2, 2)]),
    ("add_at", {"size": Dim.of(MANY**2)}, [real(MANY), klass(MANY**2, MANY)]),
]


@pytest.mark.parametrize(("title", "attrs", "args"), LARGE, ids=[name for name, *_ in LARGE])
def test_no_array_of_the_size_of_the_result_is_made(title, attrs, args):
    arrays = [np.asarray(arg.draw(rng(title))) for arg in args]
    types = [arg.type for arg in args]
    op = OPS[title](**attrs).canonical(types)
    out = np.empty_like(evaluate(op, arrays, types, {}))
    written(op, arrays, types, out, np.float64)
    tracemalloc.start()
    written(op, arrays, types, out, np.float64)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < out.nbytes / 10


def test_labels_are_taken_without_a_check_and_other_numbers_with_one():
    table = np.arange(6.0).reshape(3, 2)
    types = [real(3, 2).type, Arg((2,), kind="int").type]
    op = OPS["take"]().canonical(types)
    with pytest.raises(IndexError):
        written(op, [table, np.array([0, 5])], types, np.empty((2, 2)), np.float64)
