"""The statements of a numpy function, in which a repeat is a loop that calls the function of its round.

Assumes a typed graph over batches and the functions of its rounds (`emit.rounds`). Promises after a loop
variables for what has gone round; what a loop keeps for the loop that goes back is in a list, and the
gradients that this one gathers are in a dict by name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from ..graph import Graph, Node, Result
from ..naming import Namer
from ..ops.control import Loop
from ..types import Dim, TensorType
from . import source
from .body import Body
from .rounds import Inputs, Rounds, loop_path
from .template import call, joined, name


class NumpyBody(Body):
    """A body whose loops call functions of their rounds.

    saved: the variable of what a loop kept. gathered: of the variable of a dict of gradients, the names
    in it, in order.
    """

    rounds: Rounds
    saved: dict[str, str]
    gathered: dict[str, list[str]]
    _counter: str

    def begin(self, rounds: Rounds) -> NumpyBody:
        """The body, ready to write loops."""
        self.rounds, self.saved, self.gathered, self._counter = rounds, {}, {}, ""
        return self

    def round_counter(self) -> str:
        """The variable that loops over rounds count with."""
        self._counter = self._counter or self.namer.variable("i")
        return self._counter

    def of_round(self, graph: Graph, namer: Namer) -> NumpyBody:
        """A body for the function of a round."""
        body = NumpyBody(graph, self.target, self.level, namer, self.helpers, renamed=self.renamed)
        return body.begin(self.rounds)

    def operands_of(self, node: Node) -> tuple[str, ...]:
        """Of a loop what goes round, what rounds share, and the loop that kept what it takes."""
        if not isinstance(node.op, Loop):
            return super().operands_of(node)
        inputs = Inputs.of(self.graph, node)
        others = [key for _, key, _ in inputs.keys] + [item.operands[0] for _, item in inputs.saved[:1]]
        first = node.op.round_trip() + node.op.shared
        return (*node.operands[:first], *others)

    def reads(self, wanted: Iterable[str], known: Iterable[str] = ()) -> set[str]:
        """The nodes on the way to `wanted`, not going behind what is known."""
        seen: set[str] = set()
        stack, known = list(wanted), set(known)
        while stack:
            node = stack.pop()
            if node not in seen and node not in known:
                seen.add(node)
                stack += self.operands_of(self.graph[node])
        return seen

    def _write(self, node: Node, uses: int) -> None:
        if isinstance(node.op, Loop):
            _LoopWriter(self, node).write()
        else:
            super()._write(node, uses)

    def entries(self, gradients: Sequence[Result]) -> ast.expr:
        """The gradients as a dict by name; those that a loop gathered stand in it as a whole."""
        found = self.write([g.node for g in gradients])
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        firsts = {source.text(_entry(w, n[0])): w for w, n in reversed(self.gathered.items()) if n}
        place = 0
        while place < len(gradients):
            gradient = gradients[place]
            value = found[gradient.node]
            whole = firsts.get(source.text(value), "") if firsts else ""
            names = self.gathered.get(whole, [])
            together = list(zip(gradients[place : place + len(names)], names, strict=False))
            if (
                whole
                and all(_is_entry(found[g.node], whole, n) for g, n in together)
                and len(together) == len(names)
            ):
                keys.append(None)
                values.append(name(whole))
                place += len(names)
            else:
                keys.append(ast.Constant(gradient.label))
                values.append(value)
                place += 1
        return values[0] if keys == [None] else ast.Dict(keys, values)


class _LoopWriter:
    """Writes a loop into a body."""

    def __init__(self, body: NumpyBody, node: Node) -> None:
        self.body, self.node = body, node
        self.op: Loop = node.op
        self.inputs = Inputs.of(body.graph, node)
        self.round = body.rounds.of(body, node)
        self.path = loop_path(body.graph, node)
        self.kept = ""
        """The variable of what is kept of all rounds."""

    def write(self) -> None:
        body, op, node = self.body, self.op, self.node
        count = op.round_trip()
        body.lines += body.comments.above(node, body.depth)
        shared = [self._settled(o) for o in node.operands[count : count + op.shared]]
        going = [self._going(place) for place in range(count)]
        counter = body.round_counter()
        given: list[ast.expr] = [name("params"), joined(f"{self.path}.", counter, ".")]
        if self.inputs.saved:
            given.append(call(f"{body.saved[self.inputs.saved[0][1].operands[0]]}.pop"))
        given += [*(name(g) for g in going), *shared]
        given += [_stream(body.take(key), counter, first) for _, key, first in self.inputs.keys]
        given += [body.size(Dim.symbol(size)) for size in self.round.sizes]
        made = call(self.round.title, *given)
        body.lines += self._loop(going, made, counter)
        self._give(going)
        body.comments.statements[node.name] = f"the rounds of {self.path}"
        body.comments.loops[node.name] = self.round.comments

    def _loop(self, going: Sequence[str], made: ast.expr, counter: str) -> list[str]:
        """The statement; it collects what is kept of every round."""
        op, indent = self.op, source.INDENT * self.body.depth
        steps: ast.expr = call("range", ast.Constant(op.count))
        if op.reverse:
            steps = call("reversed", steps)
        one = self._collect(counter) if op.keeps else "_" if self.round.node.op.keeps else ""
        target = ", ".join([*going, *([one] if one else [])])
        lines = [
            f"{indent}for {counter} in {source.text(steps)}:",
            *source.assign(target, made, depth=self.body.depth + 1),
        ]
        if not op.keeps:
            return lines
        if not op.reverse:
            return [f"{indent}{self.kept} = {op.count} * [None]", *lines]
        add = f"{indent}{source.INDENT}{self.kept} = {one} | {self.kept}"  # the first round's come first
        return [f"{indent}{self.kept} = {{}}", *lines, add]

    def _collect(self, counter: str) -> str:
        """Name what is kept of all rounds; returns what is to hold that of one."""
        body, op = self.body, self.op
        if not op.reverse:
            self.kept = body.namer.variable(f"{self.path}_saved")
            body.saved[self.node.name] = self.kept
            return f"{self.kept}[{counter}]"
        self.kept = body.namer.variable(f"{self.path}_grads")
        labels = [r.label for r in op.graph.results[op.round_trip() :]]
        body.gathered[self.kept] = [f"{self.path}.{i}.{label}" for i in range(op.count) for label in labels]
        return body.namer.variable("found")

    def _give(self, going: Sequence[str]) -> None:
        """Say where the results of the loop are."""
        body, first = self.body, self.op.round_trip()
        body.variables[self.node.name] = name(self.kept or going[0])
        for item in body.graph.users(self.node.name):
            index = getattr(item.op, "index", None)
            if index is None:
                continue  # the loop that goes back takes what was kept as a whole
            if index < first:
                body.variables[item.name] = name(going[index])
            elif self.op.reverse:
                body.variables[item.name] = _entry(self.kept, body.gathered[self.kept][index - first])

    def _going(self, place: int) -> str:
        """The variable of something that goes round, with its first value in it."""
        body, operand = self.body, self.node.operands[place]
        known = body.variables.get(operand)
        if isinstance(known, ast.Name) and body.graph.use_count(operand) == 1:
            same = [v for v in body.variables.values() if isinstance(v, ast.Name) and v.id == known.id]
            if len(same) == 1:
                return known.id  # nothing else reads it: it becomes what goes round
        variable = body.namer.variable(self._title(place))
        body.lines += source.assign(variable, body.take_array(operand), depth=body.depth)
        return variable

    def _title(self, place: int) -> str:
        node, inside = self.node, self.op.graph.inputs[place]
        if isinstance(node.type, TensorType):
            return node.hint or self.op.graph[inside].hint or inside
        taken = [
            u.hint for u in self.body.graph.users(node.name) if u.op.name == "item" and u.op.index == place
        ]
        return next(filter(None, taken), None) or self.op.graph[inside].hint or inside

    def _settled(self, operand: str) -> ast.expr:
        """A value that every round is given, computed before the loop."""
        self.body.make_variable(operand)
        return self.body.take(operand)


def _entry(holder: str, label: str) -> ast.expr:
    return ast.Subscript(name(holder), ast.Constant(label), ast.Load())


def _stream(key: ast.expr, counter: str, first: int) -> ast.expr:
    """The key of a round: the call's, with the round's number."""
    number: ast.expr = name(counter)
    if first:
        number = ast.BinOp(number, ast.Add(), ast.Constant(first))
    return ast.Tuple([ast.Starred(key, ast.Load()), number], ast.Load())


def _is_entry(value: ast.expr, holder: str, label: str) -> bool:
    return source.text(value) == source.text(_entry(holder, label))
