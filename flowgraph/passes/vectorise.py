"""Circles to matrices: single numbers that are computed alike become the entries of one vector.

Assumes a typed graph of one example. Numbers of the same depth that the same activation makes of sums of
weighted sources, some of which they share, become a layer: one matrix for each vector that sources are
taken from, one vector of biases; where wires are few, a list of them. Promises every value under its name,
to rounding; weights that are numbers become literal arrays, and trainable ones are laid out into an array,
so that each keeps its name and its gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..graph import Builder, Graph, Node, renamed
from ..ops import OPS
from ..ops.base import Value, fn
from ..ops.leaf import Array
from ..types import Dim
from .affine import Form, is_entry
from .base import Pass
from .circle_layers import Layer, find_layers, is_dense


@dataclass(frozen=True)
class Vectorise(Pass):
    """Layers of circles as matrix products."""

    name: ClassVar[str] = "vectorise"

    def run(self, graph: Graph) -> Graph:
        layers, depths = find_layers(graph)
        return _Writer(graph, layers, depths).run() if layers else graph


class _Writer:
    """Writes the graph again, depth by depth: the layers of a depth, then what else lies there."""

    def __init__(self, graph: Graph, layers: Sequence[Layer], depths: Mapping[str, int]) -> None:
        self.graph, self.layers, self.depths = graph, layers, depths
        self.out = graph.like()
        self.builder = Builder(self.out, [n.name for n in graph])
        self.place = {name: (layer, i) for layer in layers for i, name in enumerate(layer.names)}
        self.vectors: dict[int, str] = {}
        """The vector of a layer, by its identity."""
        self.stacked: dict[str, tuple[str, list[str]]] = {}
        """The stack that a single number was put into, and what is in it."""
        self.entries: dict[str, list[str]] = {}
        """The single numbers that vectors of the diagram are taken apart into."""

    def run(self) -> Graph:
        units = [unit for layer in self.layers for unit in layer.units]
        made = {name for unit in units for name in (unit.node.name, unit.excitation)}
        rest: dict[int, list[Node]] = {}
        for node in self.graph:
            if node.name not in made:
                rest.setdefault(self.depths[node.name], []).append(node)
        by_depth: dict[int, list[Layer]] = {}
        for layer in self.layers:
            by_depth.setdefault(layer.depth, []).append(layer)
        for depth in sorted({*rest, *by_depth}):
            for layer in by_depth.get(depth, []):
                self._layer(layer)
            for node in rest.get(depth, []):
                self.out.add(self._whole(node))
        return self.out.close(self.graph.inputs, self.graph.targets, self.graph.params, self.graph.results)

    def _whole(self, node: Node) -> Node:
        """A stack of the circles of a layer is the layer."""
        if node.op.name != "stack" or node.operands[0] not in self.place:
            return node
        layer, _ = self.place[node.operands[0]]
        if list(node.operands) != layer.names or len(layer.names) < 2:
            return node
        return renamed(node, op=OPS["identity"](), operands=(self.vectors[id(layer)],))

    # -- one layer

    def _layer(self, layer: Layer) -> None:
        title = _common([u.node.hint or "" for u in layer.units]) or f"layer_{layer.depth}"
        is_single = len(layer.units) == 1
        total: Value | None = None
        pieces = self._pieces(layer)
        thin = self._thin(layer, pieces)
        for origin, sources in pieces:
            if origin in thin:
                continue
            of = "" if len(pieces) == 1 else f"_{self.out[origin].hint or 'x'}"
            weights = self._weights(layer, sources, f"W_{title}{of}")
            value = Value(self.builder, origin)
            part = fn.matmul(weights, value) if value.shape else weights * value
            total = part if total is None else total + part
        if thin:
            of = "" if len(thin) == len(pieces) else "_thin"
            part = self._wired(layer, [piece for piece in pieces if piece[0] in thin], f"W_{title}{of}")
            total = part if total is None else total + part
        read = {source for _, sources in pieces for source in sources}
        assert total is not None and all(s in read for u in layer.units for s in u.form.sources())
        bias = self._bias(layer, f"b_{title}")
        if bias is not None:
            total = total + bias
        unit = layer.units[0]
        if is_single:
            self._named(total.name, self.graph[unit.excitation])
            if unit.excitation != unit.node.name:
                self.out.add(unit.node)
            return
        activated = total
        if unit.excitation != unit.node.name:
            activated = Value(self.builder, self.builder.apply(unit.node.op, [total.name]))
        self._hint(activated, title)
        self.vectors[id(layer)] = activated.name
        for i, each in enumerate(layer.units):
            if each.excitation != each.node.name:
                self._entry(total, i, self.graph[each.excitation])
            self._entry(activated, i, each.node)

    def _named(self, made: str, node: Node) -> None:
        """Give the value just made the name of a node that it stands for."""
        last = self.out.pop_last()
        assert last.name == made
        self.out.add(renamed(last, name=node.name, hint=node.hint, span=node.span))

    def _hint(self, value: Value, title: str) -> None:
        if title:
            self.out.set_hint(value.name, title)

    def _entry(self, vector: Value, place: int, node: Node) -> None:
        op = OPS["index"](items=(place,))
        self.out.add(Node(node.name, op, (vector.name,), node.type, node.hint, node.span))

    # -- where sources come from

    def _pieces(self, layer: Layer) -> list[tuple[str, list[str]]]:
        """The vectors that a layer reads, each with the source that stands at each of its places."""
        found: dict[str, list[str]] = {}
        taken: dict[str, list[str]] = {}
        loose: list[str] = []
        for source in dict.fromkeys(s for u in layer.units for s in u.form.sources()):
            vector = self._vector_of(source)
            if vector is None:
                loose.append(source)
            else:
                found[vector[0]] = vector[1]
                taken.setdefault(vector[0], []).append(source)
        for vector_name, used in taken.items():
            if len(used) == 1:
                loose += used  # one entry, of several or the only one: it is read by itself
                del found[vector_name]
        pieces = list(found.items())
        if len(loose) > 1:
            stacked = fn.stack(*(Value(self.builder, s) for s in loose), axis=-1)
            self.stacked |= dict.fromkeys(loose, (stacked.name, loose))
            pieces.append((stacked.name, loose))
        return pieces + [(s, [s]) for s in loose[:1] if len(loose) == 1]

    def _vector_of(self, source: str) -> tuple[str, list[str]] | None:
        """The vector that a source is an entry of, and the source at each of its places."""
        if source in self.place:
            layer, _ = self.place[source]
            return (self.vectors[id(layer)], layer.names) if id(layer) in self.vectors else None
        if source in self.stacked:
            return self.stacked[source]
        node = self.graph[source]
        if not is_entry(node):
            return None
        names = self._entries(node.operands[0])
        return (node.operands[0], names) if names else None

    def _entries(self, vector: str) -> list[str]:
        """The single numbers that are the entries of a vector; none where too few of them are read."""
        if vector not in self.entries:
            node = self.graph[vector]
            users = [u for u in self.graph.users(vector) if is_entry(u)]
            size = Dim.of(node.type.shape[0]).value if node.type.rank == 1 else None
            self.entries[vector] = [""] * (size if size is not None and size <= READ * len(users) else 0)
            for user in users if self.entries[vector] else ():
                place = user.op.items[0]
                self.entries[vector][place] = self.entries[vector][place] or user.name
        return self.entries[vector]

    # -- lists of wires

    def _thin(self, layer: Layer, pieces: Sequence[tuple[str, list[str]]]) -> set[str]:
        """The vectors that a layer reads by a list of wires."""
        at = {source: origin for origin, sources in pieces for source in sources if source}
        count = dict.fromkeys((origin for origin, _ in pieces), 0)
        trained: set[str] = set()
        for unit in layer.units:
            for source, param in unit.form.terms:
                if source:
                    count[at[source]] += 1
                    trained.update([at[source]] if param else [])
        return {
            origin
            for origin, sources in pieces
            if not is_dense(count[origin], len(layer.units) * len(sources), is_literal=origin not in trained)
        }

    def _wired(self, layer: Layer, pieces: Sequence[tuple[str, list[str]]], title: str) -> Value:
        """The sums of the wires from these vectors, wire by wire."""
        values = [Value(self.builder, origin) for origin, _ in pieces]
        values = [v if v.shape else fn.reshape(v, shape=(1,)) for v in values]
        whole = values[0] if len(values) == 1 else fn.concat(*values, axis=-1)
        every = [source for _, sources in pieces for source in sources]
        places = {source: i for i, source in enumerate(every) if source}
        found: dict[tuple[int, int], Form] = {}
        for row, unit in enumerate(layer.units):
            for (source, param), number in unit.form.terms.items():
                if source in places:
                    ends = row, places[source]
                    found[ends] = _with(found.get(ends, NOTHING), param, number)
        weights = self._array(list(found.values()), (len(found),), title)
        ends_of = np.array(list(found), dtype=np.int64)
        return fn.wired(
            weights, whole, source=Array(ends_of[:, 1]), target=Array(ends_of[:, 0]), count=len(layer.units)
        )

    # -- weights

    def _weights(self, layer: Layer, sources: Sequence[str], title: str) -> Value:
        """The matrix of the wires from these sources; of a single circle a vector."""
        columns = {s: i for i, s in enumerate(sources) if s}
        entries = [NOTHING] * (len(layer.units) * len(sources))
        for row, unit in enumerate(layer.units):
            for (source, param), number in unit.form.terms.items():
                if source not in columns:
                    continue
                place = row * len(sources) + columns[source]
                entries[place] = _with(entries[place], param, number)
        shape = tuple(n for n in (len(layer.units), len(sources)) if n > 1)
        if not shape:
            return self._number(entries[0])
        return self._array(entries, shape, title)

    def _bias(self, layer: Layer, title: str) -> Value | None:
        forms = []
        for unit in layer.units:
            own = {("", param): n for (source, param), n in unit.form.terms.items() if not source}
            forms.append(Form(unit.form.bias, own))
        if not any(f.bias or f.terms for f in forms):
            return None
        if len(forms) == 1:
            return self._number(forms[0])
        return self._array(forms, (len(forms),), title)

    def _array(self, entries: Sequence[Form], shape: tuple[int, ...], title: str) -> Value:
        """Numbers and params as an array: a literal one where there are no params.

        Where there are both, or one param in several places, the array is gathered from a vector of the
        params, and the numbers.
        """
        numbers = [float(f.bias) for f in entries if not f.terms]
        params = dict.fromkeys(tuple(f.terms) for f in entries if f.terms)
        if not params:
            return self._literal(np.array(_plain(numbers)).reshape(shape), "real", title)
        is_plain = all(not f.terms or (not f.bias and list(f.terms.values()) == [1]) for f in entries)
        if not is_plain or (not numbers and len(params) == len(entries)):
            made = fn.assemble(*(self._number(f) for f in entries), shape=shape)
            self._hint(made, title)
            return made
        return self._gathered(entries, shape, title)

    def _gathered(self, entries: Sequence[Form], shape: tuple[int, ...], title: str) -> Value:
        """An array whose entries are taken from a vector of the params, with the numbers after them."""
        params = list(dict.fromkeys(next(iter(f.terms)) for f in entries if f.terms))
        numbers = list(dict.fromkeys(float(f.bias) for f in entries if not f.terms))
        source = fn.assemble(*(Value(self.builder, param) for _, param in params), shape=(len(params),))
        self._hint(source, f"{title}_wires")
        if numbers:
            literal = self._literal(np.array(_plain(numbers)), "real", f"{title}_numbers")
            source = fn.concat(source, literal, axis=-1)
        at: dict[object, int] = {param: i for i, param in enumerate(params)}
        at |= {number: len(params) + i for i, number in enumerate(numbers)}
        index = [at[next(iter(f.terms)) if f.terms else float(f.bias)] for f in entries]
        made = fn.take(source, self._literal(np.array(index).reshape(shape), "", f"{title}_places"), axis=0)
        self._hint(made, title)
        return made

    def _literal(self, array: np.ndarray, kind: str, title: str) -> Value:
        op = OPS["const"](value=Array(array), kind=kind)
        return Value(self.builder, self.builder.apply(op, (), hint=title))

    def _number(self, form: Form) -> Value:
        """bias + the sum of the params, as a value."""
        total: Value | None = None
        if form.bias or not form.terms:
            total = Value(self.builder, self.builder.apply(OPS["const"](value=form.bias, kind="real"), ()))
        for (_, param), number in form.terms.items():
            term = Value(self.builder, param)
            if number != 1:
                term = number * term
            total = term if total is None else total + term
        assert total is not None
        return total


READ = 4
"""A vector of the diagram is read as one where at least one of so many of its entries is."""

NOTHING = Form()
"""The weight of a wire that is not there."""


def _with(weight: Form, param: str, number: float) -> Form:
    """A weight and one more, of a second wire between the same circles."""
    made = Form(weight.bias, dict(weight.terms))
    made.grow(Form(terms={("", param): 1}) if param else Form(bias=1), number)
    return made


def _plain(numbers: list[float]) -> list[float] | list[int]:
    """The numbers as whole ones, if they all are."""
    is_whole = all(n.is_integer() and abs(n) < 2**53 for n in numbers)
    return [int(n) for n in numbers] if is_whole else numbers


def _common(names: Sequence[str]) -> str:
    """What names begin with, without the numbers at their end: `h` of h1 and h2."""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:same].rstrip("0123456789_")
