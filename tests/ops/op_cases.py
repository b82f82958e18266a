"""What the tests of operations share: every sample as a graph, and ways to run and check it."""

from __future__ import annotations

import inspect
import math
import types as python_types
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from flowgraph.emit.helpers import with_callees
from flowgraph.graph import Builder, Graph
from flowgraph.ops import OPS
from flowgraph.ops.base import Arg, Batching, Composite, Op, Sample, Value, apply, bind_operands, concrete
from flowgraph.ops.shape import summed_to
from flowgraph.types import Dim, TensorType, TupleType

N = Dim.symbol("N")
BATCH_ONLY = ("batch_mean", "batch_sum", "batch_standardize", "batchnorm_over_batch")
"""Operations on the batch axis itself."""


def cases(kind: str = "samples") -> list[tuple[type[Op], Sample, str]]:
    """Every operation with every sample, and a name for it."""
    return [
        (cls, sample, f"{cls.name}-{i}")
        for cls in OPS.values()
        for i, sample in enumerate(getattr(cls, kind))
    ]


def rng(name: str) -> np.random.Generator:
    """A generator of its own for each test."""
    return np.random.default_rng(list(name.encode()))


class Run:
    """An operation applied to inputs, as a graph: for one example, or with some inputs batched."""

    def __init__(self, cls: type[Op], sample: Sample, batched: Sequence[int] = ()) -> None:
        self.cls, self.sample = cls, sample
        self.graph = Graph("case", sizes=("N",))
        self.builder = Builder(self.graph)
        self.inputs = [self.input(arg.type, slot in batched) for slot, arg in enumerate(sample.args)]
        op = cls(**sample.attrs)
        one = [arg.type for arg in sample.args]
        if not batched:
            self.result = self.applied(op, self.inputs)
            return
        scratch = Run(cls, sample)
        wanted = op.wants(one)
        op = scratch.graph[scratch.result.name].op
        carries = {self.inputs[slot].name for slot in batched}
        for slot, elem in enumerate(wanted):
            if elem is not None and one[slot].elem.kind != elem.kind:
                had = self.inputs[slot].name in carries
                self.inputs[slot] = apply(OPS["cast"](kind=elem.kind), self.inputs[slot])
                carries |= {self.inputs[slot].name} if had else set()
                one[slot] = TensorType(elem, one[slot].shape)
        self.result = op.batch(Batching(N, lambda name: name in carries), self.inputs, one)

    def input(self, type: Any, batched: bool = False) -> Value:
        if batched:
            type = TensorType(type.elem, (N, *type.shape))
        return Value(self.builder, self.builder.apply(OPS["input"](type=type), ()))

    def applied(self, op: Op, operands: Sequence[Value]) -> Value:
        if operands:
            return apply(op, *operands)
        return Value(self.builder, self.builder.apply(op.canonical([]), ()))

    @property
    def op(self) -> Op:
        return self.graph[self.result.name].op

    def values(self, arrays: Sequence[Any], target: str = "numpy", dtype: Any = np.float64) -> dict[str, Any]:
        """Every node's value; arrays are those of the input nodes, in order."""
        leaves = [n.name for n in self.graph if n.op.name == "input"]
        known: dict[str, Any] = dict(zip(leaves, arrays, strict=True))
        sizes = self.sizes(arrays)
        for node in self.graph:
            if node.name not in known:
                types = [self.graph[o].type for o in node.operands]
                known[node.name] = evaluate(
                    node.op, [known[o] for o in node.operands], types, sizes, target, dtype
                )
        return known

    def sizes(self, arrays: Sequence[Any]) -> dict[str, int]:
        leaves = [n for n in self.graph if n.op.name == "input"]
        for node, array in zip(leaves, arrays, strict=True):
            if node.type.shape and node.type.shape[0] == N:
                return {"N": len(array)}
        return {}

    def value(self, arrays: Sequence[Any], target: str = "numpy", dtype: Any = np.float64) -> Any:
        return self.values(arrays, target, dtype)[self.result.name]


def evaluate(
    op: Op,
    arrays: Sequence[Any],
    types: Sequence[Any],
    sizes: Mapping[str, int],
    target: str = "numpy",
    dtype: Any = np.float64,
) -> Any:
    """The value by one of the forms, in a floating dtype."""
    if target == "numpy" and dtype is np.float64:
        return op.evaluate(arrays, types, sizes)
    if op.name == "const":
        value = op.evaluate((), (), sizes)
        value = value.astype(dtype if value.dtype == np.float64 else value.dtype)
        return as_torch(value) if target == "torch" else value
    form = op.form(target, types)
    known = {name: concrete(value, sizes) for name, value in op.bindings().items()}
    tables = {name: table.value for name, table in op.tables(target, types).items()}
    known |= {name: as_torch(value) for name, value in tables.items()} if target == "torch" else tables
    known |= bind_operands(op, arrays)
    if "train" in op.ambient:
        known["train"] = bool(known["train"])
    scope = form_scope(op, target, dtype)
    if isinstance(form, str):
        return eval(form, scope | known)
    run = relocated(form, scope)
    return run(**{n: known[n] for n in inspect.signature(form).parameters if n in known})


def form_scope(op: Op, target: str, dtype: Any) -> dict[str, Any]:
    if target == "numpy":
        return {**vars(inspect.getmodule(type(op))), "np": np, "real": dtype}
    import torch
    from torch.nn import functional as F

    real = torch.float64 if dtype is np.float64 else torch.float32
    return {**vars(inspect.getmodule(type(op))), "torch": torch, "F": F, "real": real}


def relocated(form: Callable[..., Any], scope: Mapping[str, Any]) -> Callable[..., Any]:
    """A function, and those that it calls, with other globals: as when pasted into a module."""
    inner = {
        **form.__globals__,
        "math": math,
        "np": np,
        **{k: scope[k] for k in ("torch", "F", "np") if k in scope},
    }
    for other in with_callees([form]):
        name = other.__name__
        inner[name] = python_types.FunctionType(other.__code__, inner, name, other.__defaults__)
    return python_types.FunctionType(form.__code__, inner, form.__name__, form.__defaults__)


def as_torch(value: Any) -> Any:
    import torch

    return torch.from_numpy(np.array(value))


def draw(sample: Sample, generator: np.random.Generator, lead: Mapping[int, int] | None = None) -> list[Any]:
    """Arrays for the sample's operands; lead gives those with a batch axis its size."""
    return [
        np.asarray(arg.draw(generator, () if lead is None or i not in lead else (lead[i],)))
        for i, arg in enumerate(sample.args)
    ]


def batchable(cls: type[Op], sample: Sample) -> list[tuple[int, ...]]:
    """Which operands carry the batch, of those that may: no mode, key or buffer does."""
    free = [i for i, arg in enumerate(sample.args) if arg in sample.passed]
    free = free[:1] if cls.couples else free
    return [tuple(free[i] for i in chosen) for chosen in subsets(len(free))]


def subsets(count: int, most: int = 3) -> list[tuple[int, ...]]:
    """Which operands carry the batch: every choice of a few, all and each alone of many."""
    if count > most:
        return [tuple(range(count)), *((i,) for i in range(count))]
    return [tuple(i for i in range(count) if c[i]) for c in product((1, 0), repeat=count) if any(c)]


def close(got: Any, want: Any, tolerance: float = 1e-12) -> bool:
    """Equal to rounding, shape and all; sequences entry by entry."""
    if isinstance(want, (list, tuple)):
        return len(got) == len(want) and all(close(g, w, tolerance) for g, w in zip(got, want, strict=True))
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return False
    return bool(np.allclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True))


# ---------------------------------------------------------------------------------------
# Derivatives


def expanded(run: Run) -> Run:
    """The same case with a composite replaced by its expansion."""
    if not isinstance(run.op, Composite) or type(run.op).vjp is not Op.vjp:
        return run
    out = Run.__new__(Run)
    out.cls, out.sample = run.cls, run.sample
    out.graph = Graph("expanded", sizes=("N",))
    out.builder = Builder(out.graph)
    out.inputs = [out.input(arg.type) for arg in run.sample.args]
    wanted = run.op.wants([arg.type for arg in run.sample.args])
    operands = [
        v if e is None or v.type.elem.kind == e.kind else apply(OPS["cast"](kind=e.kind), v)
        for v, e in zip(out.inputs, wanted, strict=True)
    ]
    out.result = run.op.expand(*operands)
    return out


def forward(run: Run, tangents: Mapping[str, Value], last: Sequence[str]) -> list[Any]:
    """Tangents of nodes, by every node's own jvp. Tangents of results of several come as lists."""
    known: dict[str, Any] = dict(tangents)
    for node in list(run.graph):
        if node.name in known or not node.operands:
            continue
        given = [known.get(o) for o in node.operands]
        if all(t is None for t in given):
            continue
        xs = [Value(run.builder, o) for o in node.operands]
        known[node.name] = node.op.jvp(given, Value(run.builder, node.name), *xs)
    return [known.get(name) for name in last]


def backward(run: Run, cotangent: Any) -> list[Value | None]:
    """Cotangents of the inputs of a graph, by every node's own vjp."""
    total: dict[str, Any] = {run.result.name: cotangent}
    for node in reversed(list(run.graph)):
        if node.name not in total or not node.operands or total[node.name] is None:
            continue
        xs = [Value(run.builder, o) for o in node.operands]
        found = node.op.vjp(total[node.name], Value(run.builder, node.name), *xs)
        assert len(found) == len(xs), node.op.name
        for x, c in zip(xs, found, strict=True):
            if isinstance(c, list):
                known = total.get(x.name, [None] * len(c))
                total[x.name] = [a + b if a and b else a or b for a, b in zip(known, c, strict=True)]
            elif c is not None:
                c = summed_to(c, x.shape) if c.shape != x.shape else c
                total[x.name] = total[x.name] + c if x.name in total else c
    return [total.get(v.name) for v in run.inputs]


def real_slots(sample: Sample) -> list[int]:
    return [i for i, arg in enumerate(sample.args) if arg.kind == "real"]


def items(type: Any) -> list[TensorType]:
    return list(type.items) if isinstance(type, TupleType) else [type]


__all__ = [name for name in globals() if not name.startswith("_")] + [Arg.__name__]
