"""A repeat in numpy: the functions of its rounds.

Assumes a typed graph over batches, in whose loops the rounds differ in their parameters, and in what
they draw, alone (`passes.rounds`). Promises for every such loop a function that takes `params` and what
the names of the round's parameters begin with. Where the graph is a gradient, it returns what its
backward pass needs, too, and beside it is one that goes back and returns the gradients of the round's
parameters by name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..graph import Graph, Node
from ..naming import Namer
from ..ops.control import Loop
from ..passes.rounds import first_stream, path_of
from ..types import Dim
from . import source
from .comments import Comments, shape_note
from .module import doc_lines, listed
from .template import joined, name

if TYPE_CHECKING:
    from .numpy_body import NumpyBody

AMBIENT = {"(train)": "train", "(key)": "key"}
"""What a call gives besides values, by the name of a round's input for it."""


@dataclass
class Round:
    """The function of a round. graph, node: the loop that it is of. sizes: symbolic sizes that it must be
    given. kept: what it returns to go back with, by the variable, or empty where that is in none."""

    title: str
    graph: Graph
    node: Node
    lines: list[str] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    comments: Comments = field(default_factory=Comments)
    is_placed: bool = False


class Rounds:
    """The functions of the rounds of a module's graphs.

    reserved: names that the module uses already. tables: by the path of a loop, the module's table of
    what each of its rounds has. shares: whether a function that returns what its backward pass needs
    serves where that is not needed, too.
    """

    def __init__(
        self, graphs: Iterable[Graph], reserved: Iterable[str], tables: Mapping[str, str], *, shares: bool
    ) -> None:
        self.reserved, self.tables = [*reserved], tables
        self.rounds: list[Round] = []
        namer = Namer(self.reserved)
        self._of: dict[tuple[Graph, str], Round] = {}
        for graph in graphs:
            for node in loops_of(graph):
                what = "backward" if node.op.reverse else "forward" if node.op.keeps else "round"
                made = Round(namer.variable(f"{loop_path(graph, node)}_{what}"), graph, node)
                self.rounds.append(made)
                self._of[graph, node.name] = made
        if shares:
            self._share()

    def _share(self) -> None:
        able = {
            loop_path(r.graph, r.node): r for r in self.rounds if r.node.op.keeps and not r.node.op.reverse
        }
        for key, made in list(self._of.items()):
            op = made.node.op
            other = able.get(loop_path(made.graph, made.node))
            if other is not None and not op.keeps and not op.reverse:
                self._of[key] = other
                self.rounds.remove(made)

    @property
    def titles(self) -> list[str]:
        """The names of all functions."""
        return [r.title for r in self.rounds]

    def of(self, body: NumpyBody, node: Node) -> Round:
        """The function that a loop of a body calls; it is written when it is first asked for."""
        made = self._of[body.graph, node.name]
        if not made.lines:
            _Writer(body, made).write()
        return made

    def before(self, function: list[str]) -> list[list[str]]:
        """A function of the module, by its lines, after those of rounds that it is the first to call."""
        fresh = [r for r in self.rounds if r.lines and not r.is_placed]
        for each in fresh:
            each.is_placed = True
        return [*(r.lines for r in fresh), function]

    def forward_of(self, back: Round) -> Round:
        """The function of the loop whose gradient a loop computes."""
        return self._of[back.graph, str(back.node.of)]


def loops_of(graph: Graph) -> list[Node]:
    """The loops of a graph."""
    return [node for node in graph if isinstance(node.op, Loop)]


def loop_path(graph: Graph, node: Node) -> str:
    """What the names of the parameters of a loop's rounds begin with."""
    return next(path for p in range(node.op.each()) if (path := path_of(graph, node, p)))


@dataclass
class Inputs:
    """The inputs of a round's graph by what they are."""

    going: list[str]
    shared: list[str]
    params: dict[str, str] = field(default_factory=dict)
    """With the name of each, within the round."""
    saved: list[tuple[str, Node]] = field(default_factory=list)
    """With the item of the forward loop that the first round takes."""
    keys: list[tuple[str, str, int]] = field(default_factory=list)
    """With the key that all rounds draw from, and the number of the first round's stream."""

    @staticmethod
    def of(graph: Graph, node: Node) -> Inputs:
        op: Loop = node.op
        inputs, first = op.graph.inputs, op.round_trip() + op.shared
        found = Inputs(list(inputs[: op.round_trip()]), list(inputs[op.round_trip() : first]))
        for place, inside in enumerate(inputs[first:]):
            operand = graph[node.operands[op.own_slots(0)[place]]]
            stream = first_stream(graph, node, place)
            if stream is not None:
                found.keys.append((inside, *stream))
            elif operand.op.name == "item":
                kept = graph[operand.operands[0]].op.kept_place(0, len(found.saved))
                assert operand.op.index == kept, "what a loop kept is taken in order"
                found.saved.append((inside, operand))
            else:
                found.params[inside] = str(op.graph[inside].hint or inside)
        return found


class _Writer:
    """Writes the function of a round. outer: a body that calls it."""

    def __init__(self, outer: NumpyBody, made: Round) -> None:
        self.rounds, self.round = outer.rounds, made
        self.op: Loop = made.node.op
        self.path = loop_path(made.graph, made.node)
        self.inputs = Inputs.of(made.graph, made.node)
        self.namer = Namer([*self.rounds.reserved, *self.rounds.titles, "params", "at", "saved"])
        self.body = outer.of_round(self.op.graph, self.namer)
        self.arguments: dict[str, str] = {}
        self.unpacked: dict[str, str] = {}

    def write(self) -> None:
        """Fill in the lines of the function and what else is to be known of it."""
        made, body, graph = self.round, self.body, self.op.graph
        if self.inputs.saved:
            body.comments.of = self.rounds.forward_of(made).comments
        results = [r.node for r in graph.results]
        head = self._take_arguments(body.reads(results))
        body.last = results[0] if len(results) == 1 else ""
        found = body.run(results)
        values = [found[r] for r in results]
        made.kept = [v.id if isinstance(v, ast.Name) else "" for v in values[self.op.round_trip() :]]
        sizes = self._bind_sizes()
        saved = ["saved"] if self.inputs.saved else []
        given = ["params", "at", *saved, *self.arguments.values(), *made.sizes]
        last = self._returns(values)
        made.lines += [
            *source.signature(made.title, given), *doc_lines(self._doc()), *head, *sizes, *body.lines, *last
        ]  # fmt: skip
        made.comments = body.comments

    def _take_arguments(self, used: set[str]) -> list[str]:
        """Give variables to the inputs of the graph; the lines that take apart what comes together."""
        inputs, graph, namer = self.inputs, self.op.graph, self.namer
        for each in (*inputs.going, *inputs.shared, *(k for k, _, _ in inputs.keys)):
            title = str(graph[each].hint or each)
            is_mode = title in AMBIENT  # which no other argument has the name of
            self.arguments[each] = AMBIENT[title] if is_mode else namer.variable(title)
        self.body.variables.update({n: name(v) for n, v in self.arguments.items()})
        lines = []
        if inputs.saved:
            kept = self.rounds.forward_of(self.round).kept
            titles = [title or graph[n].hint or n for (n, _), title in zip(inputs.saved, kept, strict=True)]
            names = [n for n, _ in inputs.saved]
            self.unpacked = {n: namer.variable(t) for n, t in zip(names, titles, strict=True) if n in used}
            self.body.variables.update({n: name(v) for n, v in self.unpacked.items()})
            lines += _take_apart([self.unpacked.get(n, "_") for n in names], "saved")
        params = {n: title for n, title in inputs.params.items() if n in used}
        if params:
            own = namer.variable("p")
            table = self.rounds.tables.get(self.path) or source.text(
                ast.Tuple([ast.Constant(title) for title in params.values()], ast.Load())
            )
            lines.append(f"    {own} = {{name: params[at + name] for name in {table}}}")
            entries = {n: ast.Subscript(name(own), ast.Constant(t), ast.Load()) for n, t in params.items()}
            self.body.variables.update(entries)
        return lines

    def _doc(self) -> str:
        op, graph = self.op, self.op.graph
        outer = graph.results[: op.round_trip()]
        if op.reverse:
            about = listed([self.arguments[n].removeprefix("d_") for n in self.inputs.going])
            gradients = ", and its parameters' gradients" if op.keeps else ""
            return f"Return the cotangents of {about} before a round of {self.path}{gradients}."
        results = listed([f"{r.label} {shape_note(graph[r.node].type)}" for r in outer])
        if op.keeps:
            return f"Return {results} after a round of {self.path}, and what {self.path} needs to go back."
        return f"Return {results} after a round of {self.path}; `at` begins its parameters' names."

    def _returns(self, values: Sequence[ast.expr]) -> list[str]:
        """The last statement; of what is kept, a tuple, or the gradients by name."""
        count, graph = self.op.round_trip(), self.op.graph
        out: list[ast.expr] = list(values[:count])
        kept = list(values[count:])
        if self.op.reverse and kept:
            keys: list[ast.expr | None] = [joined("", "at", r.label) for r in graph.results[count:]]
            lines = source.assign("grads", ast.Dict(keys, kept))
            return [*lines, *source.returns(ast.Tuple([*out, name("grads")], ast.Load()))]
        if kept:
            out.append(ast.Tuple(kept, ast.Load()))
        return source.returns(out[0] if len(out) == 1 else ast.Tuple(out, ast.Load()))

    def _bind_sizes(self) -> list[str]:
        """Lines that read symbolic sizes off the arguments; what none has becomes an argument."""
        lines = []
        for symbol in self.body.sizes_used:
            place = self._size_place(symbol)
            if place is None:
                self.round.sizes.append(self.body.size_names[symbol])
                continue
            variable, axis = place
            text = f"{variable}.shape[{axis}]" if axis else f"len({variable})"
            lines.append(f"    {self.body.size_names[symbol]} = {text}")
        return lines

    def _size_place(self, symbol: str) -> tuple[str, int] | None:
        wanted = Dim.symbol(symbol)
        for node, variable in (self.arguments | self.unpacked).items():
            for axis, size in enumerate(self.op.graph[node].type.shape):
                if size == wanted:
                    return variable, axis
        return None


def _take_apart(variables: Sequence[str], holder: str) -> list[str]:
    """`a, b = saved`, broken where it is long."""
    target = ", ".join(variables) if len(variables) > 1 else f"({variables[0]},)"
    line = f"    {target} = {holder}"
    if len(line) <= source.WIDTH:
        return [line]
    return ["    (", *(f"        {v}," for v in variables), f"    ) = {holder}"]
