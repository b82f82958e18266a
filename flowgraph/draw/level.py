"""One graph of a picture: the diagram's own, or that of a block which is unfolded.

A level knows which items stand for each of its nodes (`places`), draws its circles and boxes, and begins
another level in a frame for each graph that a node holds, down to the depth that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..graph import Graph, Node
from ..ops.base import Elementwise
from ..ops.control import GIVEN, Holder
from ..ops.scan import Scan
from ..types import TensorType, TupleType, shape_text
from . import names
from .circles import Circles
from .neurons import Found, find
from .picture import Frame, Item, Wire
from .sift import sift
from .terms import is_route, table_parts
from .wording import LONG, SHORT, Wording

KINDS = {"call": "block", "loop": "repeat", "scan": "scan"}
SILENT = ("const", "size_value", "training", "key", "stream")
"""Nodes that no arrow comes from: they stand in the text of what uses them."""


@dataclass
class Sheet:
    """What all levels of a picture draw on."""

    items: list[Item] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    """Where each wire stands, by id."""
    folded: int = 0
    """How many values are not drawn because there are too many (`sift`)."""

    def wire(self, source: str, target: str, **more: Any) -> None:
        """Add a wire. Its id says its ends: a second one between the same two is added to the first."""
        wire = Wire(f"{source}->{target}", source, target, **more)
        if wire.id not in self.places:
            self.places[wire.id] = len(self.wires)
            self.wires.append(wire)
            return
        first = self.wires[self.places[wire.id]]
        sign = "" if wire.label.startswith("-") else "+"
        label = (
            f"{first.label}{sign}{wire.label}" if first.label and wire.label else first.label or wire.label
        )
        known = first.weight is not None and wire.weight is not None
        self.wires[self.places[wire.id]] = replace(
            first,
            label=label,
            weight=first.weight + wire.weight if known else None,  # type: ignore[operator]
            terms=first.terms + wire.terms,
            facts=first.facts + wire.facts,
            count=first.count + 1,
        )


@dataclass(frozen=True)
class Bound:
    """What an input of a block's graph is outside: a parameter, items, or what no arrow comes from."""

    is_param: bool
    places: tuple[str, ...] = ()
    is_silent: bool = False
    is_buffer: bool = False


class Level:
    """Draws one graph.

    path: prefix of its ids. frame: the id of its frame. outside: of its inputs, what they are. depth: levels
    still to be unfolded.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        depth: int,
        scale: str,
        metrics: bool = False,
        out: Sheet | None = None,
        path: str = "",
        frame: str = "",
        outside: dict[str, Bound] | None = None,
        nesting: int = 0,
    ) -> None:
        self.graph, self.depth, self.scale, self.path, self.frame = graph, depth, scale, path, frame
        self.out = out if out is not None else Sheet()
        self.outside, self.nesting = outside, nesting
        self.params = frozenset(self._param_nodes())
        self.silent = frozenset(n for n, bound in (outside or {}).items() if bound.is_silent)
        self.order = {node.name: number for number, node in enumerate(graph)}
        self.ends = {r.node: r for r in graph.results}
        is_top = outside is None
        self.parts = table_parts(graph, self.params)
        drawn = self._drawn(metrics)
        silent = {n.name for n in graph if n.name in self.params or self._is_silent(n)}
        self.sifted = sift(graph, drawn, silent, self.path, frame)
        self.alive = self.sifted.alive
        self.out.folded += self.sifted.count
        folded = self.sifted.places
        self.found: Found = find(graph, self.params, self.alive, scale, is_top=is_top, folded=folded)
        self.wording = Wording(graph, self.parts)
        self.places: dict[str, tuple[str, ...]] = {}
        self.inside: set[str] = set()
        """The nodes that are folded into others."""
        self.results: dict[str, list[tuple[str, ...]]] = {}
        """Of a block that is unfolded, the items of each of its results."""

    def _param_nodes(self) -> Iterable[str]:
        if self.outside is None:
            return (*self.graph.params, *self.graph.buffers)
        return (name for name, bound in self.outside.items() if bound.is_param)

    def _drawn(self, metrics: bool) -> set[str]:
        """The nodes that are drawn: what outputs, losses and named values need."""
        graph = self.graph
        roles = {r.role for r in graph.results}
        wanted = [r.node for r in graph.results if metrics or r.role != "metric" or roles == {"metric"}]
        alive = graph.ancestors(wanted)
        for_metrics = graph.ancestors(r.node for r in graph.results_of("metric"))
        spare = [n.name for n in graph if n.hint is not None and n.operands and n.name not in for_metrics]
        given = [n for n in (*graph.inputs, *graph.targets) if n not in for_metrics or n in alive]
        return alive | graph.ancestors(spare) | set(given)

    # -- the walk

    def draw(self) -> None:
        """Put everything on the sheet."""
        circles = Circles(self)
        for node in self.graph:
            if node.name in self.sifted.places:
                self._folded(node)
            if node.name not in self.alive:
                continue
            if node.name in self.found.absorbed or node.name in self.parts:
                self.inside.add(node.name)
                self.wording.fold(node.name)
            elif node.name in self.params or self._is_silent(node):
                self._silent(node)
            elif node.op.name in GIVEN:
                self._leaf(node, circles)
            elif node.name in self.found.neurons:
                circles.neuron(self.found.neurons[node.name])
                self.wording.stand(node.name)
            elif node.name in self.found.values:
                circles.value(node, self.found.values[node.name])
                self.wording.stand(node.name)
            else:
                self._other(node)
        for source, target in self.sifted.wires:
            for place in self.place(source) or (source,) * (source not in self.graph):
                self.out.wire(place, target)
        circles.ones()

    def _folded(self, node: Node) -> None:
        """A value that a ⋮ stands for, which comes in place of the first."""
        self.wording.stand(node.name)
        self.places[node.name] = (self.sifted.places[node.name],)
        if node.name in self.sifted.mores:
            self.add(self.sifted.mores[node.name])

    def _other(self, node: Node) -> None:
        if isinstance(node.op, Holder):
            self._holder(node)
        elif node.op.name == "item":
            self.places[node.name] = self._item_places(node)
            self.wording.stand(node.name)
        elif is_route(node) and self.found.neurons and self._routes(node):
            self.places[node.name] = tuple(dict.fromkeys(p for o in node.operands for p in self.place(o)))
            self.wording.stand(node.name)
        elif self._folds(node):
            self.inside.add(node.name)
            self.wording.fold(node.name)
        else:
            self._box(node)

    def place(self, name: str) -> tuple[str, ...]:
        """The items that stand for a node."""
        return self.places.get(name, ())

    def _routes(self, node: Node) -> bool:
        """Whether values side by side are all circles, whose own places say where they are."""
        circles = (*self.found.neurons, *self.found.leaves)
        return all(o in circles or self.graph[o].op.name in SILENT or o in self.params for o in node.operands)

    # -- leaves

    def _is_silent(self, node: Node) -> bool:
        return node.op.name in SILENT or node.name in self.silent

    def _silent(self, node: Node) -> None:
        if node.op.name == "const" and node.hint is None:
            self.wording.fold(node.name)
        else:
            self.wording.stand(node.name)

    def _leaf(self, node: Node, circles: Circles) -> None:
        self.wording.stand(node.name)
        bound = (self.outside or {}).get(node.name)
        if node.name in self.found.leaves:
            circles.leaf(node, self.found.leaves[node.name])
        else:
            kind = "target" if node.op.name == "target" else "input"
            self.add(Item(self.id(node.name), kind, **self.common(node)))
            self.places[node.name] = (self.id(node.name),)
        for source in bound.places if bound is not None else ():
            for target in self.place(node.name):
                self.out.wire(source, target)

    # -- boxes

    def _folds(self, node: Node) -> bool:
        """Whether an unnamed value is written inside the boxes that use it."""
        if node.hint is not None or node.name in self.ends or isinstance(node.type, TupleType):
            return False
        if not node.operands:
            return True
        users = [u for u in self.graph.users(node.name) if u.name in self.alive]
        if not users or any(isinstance(u.op, Holder) or u.name in self.found.neurons for u in users):
            return False
        length = self.wording.length(node.name)
        is_layer = any(self.graph[m].op.params for m in self._members(node.name))
        if is_layer and not all(_is_activation(u) for u in users):
            return False
        return length <= (LONG if len(users) == 1 else SHORT)

    def _members(self, name: str) -> list[str]:
        """A node and all that is folded into it."""
        found: dict[str, None] = {}
        stack = [name]
        while stack:
            each = stack.pop()
            if each in found:
                continue
            found[each] = None
            stack += [o for o in self.graph[each].operands if o in self.inside]
        return sorted(found, key=lambda n: self.order[n])

    def _params_in(self, members: Sequence[str]) -> list[Node]:
        """The parameters that what is folded together reads, in that order, without buffers."""
        read = [o for m in members for o in self.graph[m].operands if o in self.params]
        return [self.graph[o] for o in dict.fromkeys(read) if not self._is_buffer(o)]

    def _is_buffer(self, name: str) -> bool:
        bound = (self.outside or {}).get(name)
        return self.graph[name].op.name == "buffer" or (bound is not None and bound.is_buffer)

    def _box(self, node: Node) -> None:
        result = self.ends.get(node.name)
        kind = result.role if result is not None and result.role in ("loss", "metric") else "box"
        members = self._members(node.name)
        said = self.wording.box(node, members)
        common = self.common(node)
        if kind != "box" and node.hint is None and result is not None:
            label = "L" if kind == "loss" and result.label == "loss" else names.name(result.label)
            common |= {"label": label, "name": result.label}
        params = tuple((p.hint or p.name, _shape(p)) for p in self._params_in(members))
        facts = (*common.pop("facts"), ("equation", self.wording.text(node.name)))
        self.add(Item(self.id(node.name), kind, operation=said, params=params, facts=facts, **common))
        self.places[node.name] = (self.id(node.name),)
        for source in self._sources(members):
            self.out.wire(source, self.id(node.name))
        self.wording.stand(node.name)

    def _sources(self, members: Sequence[str]) -> list[str]:
        """The items that what is folded together reads, each once."""
        found: dict[str, None] = {}
        for member in members:
            for operand in self.graph[member].operands:
                if operand not in members:
                    found |= dict.fromkeys(self.place(operand))
        return list(found)

    # -- blocks, repeats, scans

    def _holder(self, node: Node) -> None:
        kind = KINDS.get(node.op.name, "block")
        count = getattr(node.op, "count", 0) if kind == "repeat" else 0
        self.wording.stand(node.name)
        title = node.hint or self._title_of_items(node) or node.op.path or ""
        if self.depth <= 0:
            said = node.op.graph.name if node.op.graph.name != title else ""
            users = [u for u in self.graph.users(node.name) if u.op.name == "item"]
            common = self.common(node)
            common |= {"label": self._label(title), "name": title}
            if users and not common["shape"]:
                common["shape"] = ", ".join(dict.fromkeys(_shape(u) for u in users if _shape(u)))
            operation = names.word(f"{kind} {said}".strip() if kind != "block" else said or kind)
            if kind == "repeat":
                operation = names.word("repeat") + f"\\ {count}\\times"
            self.add(Item(self.id(node.name), "fold", operation=operation, count=count, **common))
            self.places[node.name] = (self.id(node.name),)
            for operand in node.operands:
                if operand not in self.params:
                    for source in self.place(operand):
                        self.out.wire(source, self.id(node.name))
            return
        self._unfold(node, kind, count, title)

    def _unfold(self, node: Node, kind: str, count: int, title: str) -> None:
        frame = self.id(node.name)
        said = node.op.graph.name
        title = said if kind == "repeat" and said else title  # a repeat has a name of its own
        label = self._label(title)
        if kind == "repeat":
            label = f"{label}\\ \\times {count}" if label else f"\\times {count}"
        elif said and said != title:
            label = f"{label}\\ :\\ {names.word(said)}" if label else names.word(said)
        self.out.frames.append(
            Frame(frame, kind, label, title, count, self.frame, self.nesting + 1, (), node.span)
        )
        outside = {}
        for name, slots in zip(node.op.graph.inputs, node.op.feeds(), strict=True):
            operand = node.operands[slots[0]] if slots else None
            outside[name] = Bound(False, is_silent=True) if operand is None else self._bound(operand)
        inner = Level(
            node.op.graph,
            depth=self.depth - 1,
            scale=self.scale,
            out=self.out,
            path=f"{self.id(node.name)}/",
            frame=frame,
            outside=outside,
            nesting=self.nesting + 1,
        )
        inner.draw()
        given = [inner.place(r.node) for r in node.op.graph.results]
        if isinstance(node.op, Scan):
            given = [
                inner.place(name)
                for name in (*node.op.gives(), *(node.op.follows()[i] for i in node.op.last))
            ]
        self.results[node.name] = given
        self.places[node.name] = tuple(dict.fromkeys(p for places in given for p in places))

    def _bound(self, operand: str) -> Bound:
        """What an operand of a block is to the graph inside."""
        node = self.graph[operand]
        is_param = operand in self.params
        silent = self._is_silent(node) or (not is_param and not self.place(operand))
        return Bound(is_param, self.place(operand), silent, is_param and self._is_buffer(operand))

    def _item_places(self, node: Node) -> tuple[str, ...]:
        given = self.results.get(node.operands[0])
        return given[node.op.index] if given is not None else self.place(node.operands[0])

    def _title_of_items(self, node: Node) -> str:
        users = [u.hint for u in self.graph.users(node.name) if u.op.name == "item" and u.hint]
        return ", ".join(dict.fromkeys(users))

    def _label(self, title: str) -> str:
        return ",\\ ".join(names.name(part) for part in title.split(", ")) if title else ""

    # -- the sheet

    def id(self, name: str) -> str:
        return f"{self.path}{name}"

    def add(self, item: Item) -> None:
        self.out.items.append(item)

    def common(self, node: Node) -> dict[str, Any]:
        """The fields of an item that come from its node alone."""
        shape = _shape(node)
        facts = [("shape", shape or "a single number")] if isinstance(node.type, TensorType) else []
        if node.span is not None:
            facts.append(("line", str(node.span.line)))
        name = node.hint or ""
        return {
            "name": name,
            "label": names.name(name) if name else "",
            "shape": shape,
            "frame": self.frame,
            "node": self.id(node.name),
            "span": node.span,
            "facts": tuple(facts),
        }


def _is_activation(node: Node) -> bool:
    """Whether it works on each entry of one value: what is drawn as part of the layer before it."""
    return isinstance(node.op, Elementwise) and len(node.operands) == 1


def _shape(node: Node) -> str:
    """`[3, T]`, with the element type where that is not real; "" of a single real number."""
    if not isinstance(node.type, TensorType):
        return ""
    shape = shape_text(node.type.shape) if node.type.shape else ""
    return shape if node.type.elem.kind == "real" else f"{node.type.elem}{shape}"
