"""A plan as text: what shares memory, from when to when, and how much memory that is.

Assumes the plan of a Trainer's step, or of Forward's. Promises the bytes of all arrays that it keeps, and of
those that a step makes anew; not what calls of numpy use inside while they run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...graph import Graph, Node
from ...lower.program import Training
from ...naming import Namer
from ...ops.shape import product
from ...types import TensorType, TupleType
from .phases import Phase
from .plan import Fresh, Home, Plan
from .rooms import FOREVER, Room
from .storage import Storage
from .updates import scratch_of

BYTES = {"float32": 4, "float64": 8}
WHOLE = {"int": 8, "class": 8, "bool": 1}


@dataclass(frozen=True)
class Memory:
    """In bytes. params: of parameters, their gradients and what the optimiser keeps. rooms: arrays in which
    values live by turns. once: arrays made for good with the plan. anew: arrays that each step makes."""

    params: int
    rooms: int
    once: int
    anew: int

    @property
    def peak(self) -> int:
        """The most that there is at once."""
        return self.params + self.rooms + self.once + self.anew


def memory(plan: Plan, dtype: str, sizes: Mapping[str, int], training: Training | None, block: int) -> Memory:
    """The memory of a plan. sizes: the symbolic ones. training: None for Forward's. block: of an update."""
    real = BYTES[dtype]
    storage = Storage(plan.graph, ())
    held = storage.total
    if training is not None:
        optimiser = training.optimiser
        own = Storage(plan.graph, (), last=frozenset(plan.applied.values())).first
        held += own + len(optimiser.slots()) * storage.total
        held += 0 if training.is_plain else scratch_of(optimiser, storage.total, block)
    rooms = sum(_room(room, real, sizes) for room in plan.rooms)
    fresh = [n for n in plan.order if isinstance(plan.homes[n.name], Fresh)]
    kept = [n for n in fresh if plan.phase[n.name] <= Phase.BEGIN]
    anew = [n for n in fresh if plan.phase[n.name] > Phase.BEGIN]
    once, new = (sum(_bytes(n, real, sizes) for n in nodes) for nodes in (kept, anew))
    return Memory(held * real, rooms, once, new)


def _room(room: Room, real: int, sizes: Mapping[str, int]) -> int:
    return room.nominal(sizes) * WHOLE.get(room.kind, real)


def _bytes(node: Node, real: int, sizes: Mapping[str, int]) -> int:
    types = node.type.items if isinstance(node.type, TupleType) else [node.type]
    total = 0
    for type in types:
        if isinstance(type, TensorType) and type.elem.kind != "key":
            total += product(type.shape).at(sizes) * WHOLE.get(type.elem.kind, real)
    return total


def plan_text(
    plan: Plan, title: str, dtype: str, sizes: Mapping[str, int], training: Training | None, block: int
) -> str:
    """The plan. title: whose it is."""
    found = memory(plan, dtype, sizes, training, block)
    at = ", ".join(f"{n} = {v}" for n, v in sizes.items())
    lines = [f"plan of {title}" + (f" at {at}" if at else "") + f", {dtype}"]
    titles = _titles(plan.graph)
    for phase, what in (
        (Phase.SETUP, "once, with the plan"),
        (Phase.BEGIN, "once for every batch"),
        (Phase.STEP, "in every step"),
        (Phase.LOSS, "in steps whose loss is wanted"),
    ):
        names = [titles[n.name] for n in plan.order if plan.phase[n.name] == phase and _is_computed(plan, n)]
        if names:
            lines += [f"  {what}:", *_wrapped(names, "    ")]
    real = BYTES[dtype]
    if plan.rooms:
        lines.append("  arrays, and the values that live in them by turns:")
    for room in plan.rooms:
        tenants = ", ".join(f"{titles[t.name]} [{_span(t.first, t.last)}]" for t in room.tenants)
        lines += _wrapped(tenants.split(", "), "             ", f"    {_room(room, real, sizes):>8,} ")
    fresh = [titles[n.name] for n in plan.order if isinstance(plan.homes[n.name], Fresh)]
    if fresh:
        lines += ["  without a form for given memory:", *_wrapped(fresh, "    ")]
    kinds = ("parameters", "arrays", "constants", "anew")
    parts = list(zip(kinds, (found.params, found.rooms, found.once, found.anew), strict=True))
    lines.append("  bytes: " + " + ".join(f"{v:,} {n}" for n, v in parts if v))
    return "\n".join([*lines, f"  peak memory: {found.peak:,} bytes"]) + "\n"


def _titles(graph: Graph) -> dict[str, str]:
    namer = Namer([])
    return {n.name: namer.unique(n.hint) if n.hint else n.name for n in graph}


def _is_computed(plan: Plan, node: Node) -> bool:
    return isinstance(plan.homes[node.name], (Home, Fresh))


def _span(first: int, last: int) -> str:
    """The places in the order between which a value is needed."""
    return f"{first}-" if last >= FOREVER else f"{first}-{last}"


def _wrapped(items: Sequence[str], indent: str, first: str = "") -> list[str]:
    lines = [first or indent]
    for i, item in enumerate(items):
        text = item + ("," if i + 1 < len(items) else "")
        if len(lines[-1]) + len(text) > 100 and lines[-1].strip():
            lines.append(indent)
        lines[-1] += text if not lines[-1].strip() or lines[-1].endswith(" ") else f" {text}"
    return lines
