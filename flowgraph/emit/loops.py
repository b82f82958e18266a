"""A scan as a `for` loop over the steps of a sequence.

Assumes a body that has written what comes before. Promises the states in variables of their own,
which every step gives their next values, and the sequences of results: in numpy arrays filled entry
by entry, in torch lists that are stacked after the loop, which autograd goes back through.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..graph import Node
from ..ops.scan import Scan
from ..types import KEY, Dim, TensorType
from . import source
from .comments import suggestion
from .template import attribute, call, name

if TYPE_CHECKING:
    from .body import Body

FRESH = ("zeros", "zeros_like")
"""What makes an array that is nobody else's."""

DTYPES = {"int": "int64", "class": "int64", "bool": "bool"}


def wanted_results(body: Body, node: Node) -> dict[int, list[Node]]:
    """The nodes that take each result of a scan which is needed, by its place."""
    if isinstance(node.type, TensorType):
        return {0: [node]}
    items = [u for u in body.graph.users(node.name) if body.is_needed(u.name)]
    return {i: [u for u in items if u.op.index == i] for i in sorted({u.op.index for u in items})}


def title_of(body: Body, taker: Node) -> str:
    """A name for a result that the diagram does not name: that of its node, where it says something."""
    given = taker.name.rstrip("0123456789").rstrip("_")
    if given not in ("item", "scan"):
        return taker.name
    return suggestion(body.graph, taker, body.variables)


def write_scan(body: Body, node: Node) -> None:
    """Write the loop of a scan; the variables of its results are known to the body afterwards."""
    _Loop(body, node).write()


class _Loop:
    def __init__(self, body: Body, node: Node) -> None:
        self.body, self.node = body, node
        self.op: Scan = node.op
        self.fills = body.target.fills
        self.inner = body.inside(node)
        if node.of is not None:
            self.inner.comments.of = body.comments.loops.get(node.of)
        self.wanted = wanted_results(body, node)
        self.outputs: dict[int, ast.Name] = {}
        self.states: list[str] = []

    # -- the loop

    def write(self) -> None:
        body, op, graph = self.body, self.op, self.op.graph
        firsts, sequences, shared = op.parts(self.node.operands)
        for operand in (*sequences, *shared):
            body.make_variable(operand)
        names = op.parts(graph.inputs)
        gives, follows = op.gives(), op.follows()
        self._name_states(names[0])
        counter = body.counter()
        body.lines += body.comments.above(self.node, body.depth)
        self._name_outputs(gives)
        for variable, first in zip(self.states, firsts, strict=True):
            body.lines += source.assign(variable, body.take(first), depth=body.depth)
        length = body.size(op.length([body.graph[o].type for o in self.node.operands]))
        steps: ast.expr = call("range", length)
        if op.reverse:
            steps = call("reversed", steps)
        body.lines.append(f"{source.INDENT * body.depth}for {counter} in {source.text(steps)}:")
        inner = self.inner
        start = len(inner.lines)
        for given, outside in zip(names[2], shared, strict=True):
            is_key = graph[given].type.elem == KEY
            inner.variables[given] = body.key_of(outside, counter) if is_key else body.take(outside)
        for given, variable in zip(names[0], self.states, strict=True):
            inner.variables[given] = name(variable)
        for place in self.outputs:
            if gives[place] in names[0]:  # a state as it is before the step
                self._store(place, inner.variables[gives[place]], counter)
        asked = [*follows, *(gives[p] for p in self.outputs)]
        inner.plan(asked)
        for given, outside in zip(names[1], sequences, strict=True):
            inner.give_entry(given, _entry(body.take(outside), op.axis, counter))
        if body.level > 0:
            inner.chosen = self._chosen(names[0], follows)
            inner.growing = self._growing(inner.chosen)
        found = inner.write(asked)
        self._step_on(found, counter, names[0])
        lines = inner.lines[start:]
        body.lines += lines[1:] if lines[0] == "" else lines
        self._finish()
        body.comments.loops[self.node.name] = inner.comments
        body.comments.statements[self.node.name] = f"the loop that makes {self._titles()}"

    def _name_states(self, inputs: Sequence[str]) -> None:
        """Variables for the states; one whose end is asked for has the name of that result."""
        count = len(self.op.gives())
        ends = {slot: self.wanted.get(count + i, []) for i, slot in enumerate(self.op.last)}
        for slot, given in enumerate(inputs):
            made = self.op.graph[given]
            title = next((n.hint for n in ends.get(slot, []) if n.hint is not None), made.hint or given)
            self.states.append(self.body.namer.variable(title))
            for item in ends.get(slot, []):
                self.body.variables[item.name] = name(self.states[-1])

    def _name_outputs(self, gives: Sequence[str]) -> None:
        """Make what the results are collected in."""
        body = self.body
        for place in range(len(gives)):
            takers = self.wanted.get(place, [])
            if not takers:
                continue
            title = next((n.hint for n in takers if n.hint is not None), title_of(body, takers[0]))
            variable = name(body.namer.variable(title))
            self.outputs[place] = variable
            for taker in takers:
                body.variables[taker.name] = variable
            value = self._empty(place) if self.fills else ast.List([], ast.Load())
            body.lines += source.assign(variable.id, value, depth=body.depth)

    def _type(self, place: int) -> TensorType:
        """The type of a sequence of results."""
        type = self.node.type
        return type if isinstance(type, TensorType) else type.items[place]

    def _empty(self, place: int) -> ast.expr:
        """An array for a result, whatever it holds; in torch on the device of the sequence."""
        type, target = self._type(place), self.body.target
        kind, module = type.elem.kind, target.module
        shape = ast.Tuple([self.body.size(d) for d in type.shape if isinstance(d, Dim)], ast.Load())
        dtype = attribute(target.real if kind == "real" else f"{module}.{DTYPES[kind]}")
        if target.key == "numpy":
            return call("np.empty", shape, dtype=dtype)
        sequence = self.op.parts(self.node.operands)[1][0]
        is_same = self.body.graph[sequence].type.elem.kind == kind
        maker = ast.Attribute(self.body.take(sequence), "new_empty", ast.Load())
        return ast.Call(maker, [shape], [] if is_same else [ast.keyword("dtype", dtype)])

    # -- one step

    def _chosen(self, states: Sequence[str], follows: Sequence[str]) -> dict[str, str]:
        """Next states that can take the variable of the state at once: nothing after them reads it."""
        graph, inner = self.op.graph, self.inner
        found: dict[str, str] = {}
        for slot, (state, made) in enumerate(zip(states, follows, strict=True)):
            if made in graph.inputs or made in found:
                continue
            others = [f for i, f in enumerate(follows) if i != slot]
            before = graph.ancestors([made])
            readers = [u for u in graph.users(state) if inner.is_needed(u.name)]
            late = [u for u in readers if u.name not in before or u.op.is_view]
            if not late and state not in others:
                found[made] = self.states[slot]
        return found

    def _step_on(self, found: Mapping[str, ast.expr], counter: str, inputs: Sequence[str]) -> None:
        """Keep what the step gives out, and give the states their next values."""
        op = self.op
        gives, follows = op.gives(), op.follows()
        later = {n: self.states[i] for i, n in reversed(list(enumerate(follows)))}
        for place in self.outputs:
            if gives[place] not in inputs and gives[place] not in later:
                self._store(place, found[gives[place]], counter)
        pairs = [(v, found[n]) for v, n in zip(self.states, follows, strict=True)]
        self._assign([(v, e) for v, e in pairs if not (isinstance(e, ast.Name) and e.id == v)])
        for place in self.outputs:
            if gives[place] not in inputs and gives[place] in later:
                self._store(place, name(later[gives[place]]), counter)

    def _assign(self, pairs: Sequence[tuple[str, ast.expr]]) -> None:
        """Statements for the next states, none of which reads one that has moved on already."""
        left = list(pairs)
        while left:
            read = [{n.id for n in ast.walk(e) if isinstance(n, ast.Name)} for _, e in left]
            free = next(
                (i for i, (v, _) in enumerate(left) if not any(v in r for j, r in enumerate(read) if j != i)),
                None,
            )
            if free is None:
                values = ast.Tuple([e for _, e in left], ast.Load())
                target = ", ".join(v for v, _ in left)
                self.inner.lines += source.assign(target, values, depth=self.inner.depth)
                return
            variable, value = left.pop(free)
            self.inner.lines += source.assign(variable, value, depth=self.inner.depth)

    def _growing(self, chosen: Mapping[str, str]) -> set[str]:
        """Next states that are sums which begin with zeros of their own: these grow in place."""
        graph, body = self.op.graph, self.body
        if not self.fills:
            return set()
        found = set()
        for slot, made in enumerate(self.op.follows()):
            state, node = graph.inputs[slot], graph[made]
            first = body.graph[self.node.operands[slot]]
            is_own = first.op.name in FRESH and body.graph.use_count(first.name) == 1
            is_sum = node.op.name == "add" and node.operands[0] == state and graph.use_count(state) == 1
            if made in chosen and is_own and is_sum and graph.use_count(made) == 1:
                found.add(made)
        return found

    def _store(self, place: int, value: ast.expr, counter: str) -> None:
        variable = self.outputs[place]
        if not self.fills:
            made = call(f"{variable.id}.append", value)
            self.inner.lines += source.expression(made, depth=self.inner.depth)
            return
        target = source.text(_entry(variable, self.op.axis, counter))
        self.inner.lines += source.assign(target, value, depth=self.inner.depth)

    # -- after it

    def _finish(self) -> None:
        """Stack the lists, in torch; of no steps there is nothing to stack."""
        if self.fills:
            return
        body = self.body
        length = self.op.length([body.graph[o].type for o in self.node.operands])
        for place, variable in self.outputs.items():
            if self.op.reverse:
                body.lines += source.expression(call(f"{variable.id}.reverse"), depth=body.depth)
            made: ast.expr = call("torch.stack", variable, dim=ast.Constant(self.op.axis))
            if length.value is None:
                made = ast.IfExp(variable, made, self._empty(place))
            body.lines += source.assign(variable.id, made, depth=body.depth)

    def _titles(self) -> str:
        named = [n.hint for takers in self.wanted.values() for n in takers if n.hint is not None]
        return ", ".join(dict.fromkeys(named)) or ", ".join(v.id for v in self.outputs.values())


def _entry(sequence: ast.expr, axis: int, counter: str) -> ast.expr:
    """`x[:, t]`."""
    whole: list[ast.expr] = [ast.Slice() for _ in range(axis)]
    index: Any = name(counter) if not whole else ast.Tuple([*whole, name(counter)], ast.Load())
    return ast.Subscript(sequence, index, ast.Load())
