"""Which operation is to blame: each one alone, on the values it had, against its own declaration.

Looked into only after engines have disagreed, to say where. An operation is taken out of the
graph, emitted for both targets and run; and its derivative is compared with differences of its
values beside the operands it had, where kinks are left behind.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import FlowError
from ..execute import execute
from ..graph import Builder, Graph, Node, Result
from ..naming import class_name
from ..ops import OPS
from ..passes.autodiff import Jvp
from ..passes.keep import Keep
from ..passes.simulate import simulate
from ..types import KEY, TupleType
from .engines import described
from .modules import as_list
from .slopes import slope

Emit = Callable[[Graph, str], str]
"""The text of a graph for a target."""

MOST = 2000
"""Operations looked at, the first ones of a larger graph."""


def culprits(graph: Graph, known: Mapping[str, Any], emit: Emit) -> list[str]:
    """What is wrong with which operation, and where it stands; empty if each is right alone.

    graph: over a batch. known: the value of its nodes.
    """
    seen: set[Any] = set()
    found = []
    for node in list(graph)[:MOST]:
        types = tuple(graph[o].type for o in node.operands)
        if not node.operands or node.name not in known or node.op.subgraphs() or (node.op, types) in seen:
            continue
        if any(isinstance(t, TupleType) or t.elem == KEY for t in types) or node.op.ambient:
            continue
        if not _sizes(node.type) <= {s for t in types for s in _sizes(t)}:
            continue  # alone, it would not know how large its result is
        seen.add((node.op, types))
        alone, names = _alone(graph, node)
        values = dict(zip(names, (known[o] for o in node.operands), strict=True))
        said = _wrong_forms(alone, values, emit) + _wrong_derivative(alone, values)
        found += [f"{described(node)}: {what}" for what in said]
    return found


def _sizes(type: Any) -> set[str]:
    """The symbolic sizes in a type."""
    tensors = type.items if isinstance(type, TupleType) else (type,)
    return {s for t in tensors for size in t.shape for s in getattr(size, "symbols", ())}


def _alone(graph: Graph, node: Node) -> tuple[Graph, list[str]]:
    """The graph of one operation, its operands the inputs."""
    out = graph.like(name="alone")
    builder = Builder(out)
    names = []
    for i, operand in enumerate(node.operands):
        type = graph[operand].type
        names.append(builder.keep(Node(f"x{i}", OPS["input"](type=type), (), type, f"x{i}")))
    builder.keep(Node("y", node.op, tuple(names), node.type, "y"))
    ends = ["y"]
    if isinstance(node.type, TupleType):
        count = len(node.type.items)
        ends = [builder.apply(OPS["item"](index=i, count=count), ["y"], hint=f"y{i}") for i in range(count)]
    return out.close(names, [], [], [Result("output", end, end) for end in ends]), names


def _wrong_forms(alone: Graph, values: Mapping[str, Any], emit: Emit) -> list[str]:
    want = [np.asarray(simulate(alone, values)[r.node], dtype=np.float64) for r in alone.results]
    found = []
    for target in ("numpy", "torch"):
        if target == "torch" and importlib.util.find_spec("torch") is None:
            continue
        try:
            got = _run(alone, emit(alone, target), target, values)
        except FlowError:
            continue  # the target cannot compile it alone
        except Exception as error:
            found.append(f"its {target} form raises {type(error).__name__}: {error}")
            continue
        if not all(_close(g, w) for g, w in zip(got, want, strict=True)):
            found.append(f"its {target} form does not give the simulator's value")
    return found


def _run(alone: Graph, text: str, target: str, values: Mapping[str, Any]) -> list[np.ndarray]:
    module = execute(text, "alone")
    if target == "numpy":
        with np.errstate(all="ignore"):
            return [np.asarray(v, dtype=np.float64) for v in as_list(module["forward"]({}, **values))]
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = module[class_name(alone.name)]()
        made = as_list(model(**{n: torch.tensor(np.asarray(v)) for n, v in values.items()}))
        return [np.asarray(v.numpy(force=True), dtype=np.float64) for v in made]


def _close(got: np.ndarray, want: np.ndarray) -> bool:
    if got.shape != want.shape:
        return False
    scale = float(np.max(np.abs(want), initial=1e-9, where=np.isfinite(want)))
    return bool(np.allclose(got, want, rtol=0, atol=1e-9 * scale, equal_nan=True))


def _wrong_derivative(alone: Graph, values: Mapping[str, Any]) -> list[str]:
    """Its jvp against differences, beside the operands it had."""
    real = tuple(n for n in alone.inputs if alone[n].type.elem.kind == "real")
    if not real or not alone["y"].op.differentiable:
        return []
    rng = np.random.default_rng(0)
    pushed = Keep(("output_dot",)).run(Jvp(real).run(alone))
    tangents = pushed.inputs[len(alone.inputs) :]
    wrong = 0
    for _ in range(3):
        beside = dict(values)
        way = {}
        for name in real:
            array = np.asarray(values[name], dtype=np.float64)
            beside[name] = array * (1 + 0.01 * rng.normal(size=array.shape)) + 1e-3 * rng.normal(
                size=array.shape
            )
            way[name] = rng.uniform(-1, 1, array.shape)

        def at(t: float, beside: dict[str, Any] = beside, way: dict[str, Any] = way) -> np.ndarray:
            known = simulate(alone, {**beside, **{n: beside[n] + t * d for n, d in way.items()}})
            return _flat([known[r.node] for r in alone.results])

        want = slope(at)
        known = simulate(pushed, {**beside, **dict(zip(tangents, way.values(), strict=True))})
        got = _flat([known[r.node] for r in pushed.results])
        scale = float(np.max(np.abs(want.value), initial=1e-6))
        trusted = np.isfinite(want.error) and want.error < 1e-3 * scale
        wrong += bool(trusted and np.max(np.abs(got - want.value), initial=0.0) > 1e-5 * scale + want.error)
    return ["its derivative is not the slope of its values"] if wrong == 3 else []


def _flat(values: list[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(v, dtype=np.float64)) for v in values])
