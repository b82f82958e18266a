"""What the arrays of an emitted numpy module are: their shapes, and their first values.

Promises PARAMS and `init(seed)`, which draws every parameter from a stream of its own; BUFFERS and
`init_buffers()` for arrays that layers keep up by themselves.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import Graph, Node
from ..naming import CODE_NAMES, Namer
from ..types import TensorType
from . import source
from .module import shape_items
from .rounds import loop_path, loops_of
from .tables import Tables
from .template import call, helper_name, instantiate_form, joined, name


@dataclass(frozen=True)
class _Own:
    """A parameter, and its name, which is without that of the round where every round has one."""

    title: str
    node: Node


@dataclass(frozen=True)
class _Run:
    """Parameters that follow each other: those of no round, or those that each of `count` rounds has."""

    path: str
    count: int
    own: list[_Own]

    def key(self, title: str) -> ast.expr:
        """The name of a parameter."""
        if not self.path:
            return ast.Constant(title)
        return joined(f"{self.path}.", "i", f".{title}")

    def shapes(self, table: str) -> ast.expr:
        """The shapes of all rounds, from those of one."""
        item = ast.Tuple([_target("name"), _target("shape")], ast.Store())
        loops = [(_target("i"), call("range", ast.Constant(self.count))), (item, call(f"{table}.items"))]
        title = joined(f"{self.path}.", "i", ".", "name")
        return ast.DictComp(title, name("shape"), [ast.comprehension(t, v, [], 0) for t, v in loops])


def _target(variable: str) -> ast.expr:
    """A variable of a comprehension's loop."""
    return ast.Name(variable, ast.Store())


def _runs(graph: Graph, loops: Mapping[str, int]) -> list[_Run]:
    """The parameters in order, those of rounds together. loops: how many rounds there are, by their path."""
    params = [graph[p] for p in graph.params]
    found: list[_Run] = []
    place = 0
    while place < len(params):
        title = str(params[place].hint)
        path = next((p for p in loops if title.startswith(f"{p}.0.")), "")
        run = _rounds(params[place:], path, loops[path]) if path else None
        if run is not None:
            found.append(run)
            place += run.count * len(run.own)
            continue
        if not found or found[-1].path:
            found.append(_Run("", 1, []))
        found[-1].own.append(_Own(title, params[place]))
        place += 1
    return found


def _rounds(params: Sequence[Node], path: str, count: int) -> _Run | None:
    """The parameters of all rounds, if they agree in names, shapes and first values."""
    first = [p for p in params if str(p.hint).startswith(f"{path}.0.")]
    own = [_Own(str(p.hint).removeprefix(f"{path}.0."), p) for p in first]
    wanted = [(f"{path}.{i}.{o.title}", o.node.type, o.node.op.init) for i in range(count) for o in own]
    have = [(str(p.hint), p.type, p.op.init) for p in params[: len(wanted)]]
    return _Run(path, count, own) if have == wanted else None


class FirstValues:
    """Writes them. real: the dtype of the module. helpers: collects the functions it must contain. named: a
    graph with the diagram's own params. tables: collects long arrays."""

    def __init__(
        self, graph: Graph, real: str, helpers: dict[str, Any], named: Graph, tables: Tables
    ) -> None:
        self.arrays = tables
        self.graph, self.real, self.helpers = named, real, helpers
        self.runs = _runs(named, {loop_path(graph, node): node.op.count for node in loops_of(graph)})
        namer = Namer([*CODE_NAMES, *(n for n, _ in graph.constants)])
        self.tables = {r.path: namer.variable(f"{r.path}_params".upper()) for r in self.runs if r.path}
        """By the path of a loop, the table of what each of its rounds has."""

    def shapes(self) -> list[list[str]]:
        """PARAMS, and BUFFERS where there are any; before it the shapes of what every round of a loop has."""
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        parts: list[list[str]] = []
        for run in self.runs:
            if run.path:
                table = self.tables[run.path]
                parts.append(source.assign(table, self._shapes(run.own), depth=0))
                keys.append(None)
                values.append(run.shapes(table))
            else:
                entries = self._shapes(run.own)
                keys += entries.keys
                values += entries.values
        shapes = values[0] if keys == [None] else ast.Dict(keys, values)
        parts.append(source.assign("PARAMS: dict[str, tuple[int, ...]]", shapes, depth=0))
        if self.graph.buffers:
            buffers = [_Own(str(self.graph[b].hint), self.graph[b]) for b in self.graph.buffers]
            parts.append(source.assign("BUFFERS: dict[str, tuple[int, ...]]", self._shapes(buffers), depth=0))
        return parts

    def _shapes(self, own: Sequence[_Own]) -> ast.Dict:
        return ast.Dict([ast.Constant(o.title) for o in own], [self._shape(o.node.type) for o in own])

    def _shape(self, type: TensorType) -> ast.expr:
        return ast.Tuple(shape_items(self.graph, type), ast.Load())

    def init(self) -> list[str]:
        """The function that draws the first parameters."""
        params = [self.graph[p] for p in self.graph.params]
        if not params:
            return ["def init(seed=0):", '    """There are no parameters."""', "    return {}"]
        lines = ["def init(seed=0):"]
        if any(self._is_random(p.op.init) for p in params):
            lines += [
                '    """Return first parameters, each drawn from a stream of its own: (seed, name)."""',
                "",
                "    def rng(name):",
                "        return np.random.default_rng([seed, *name.encode()])",
                "",
            ]
        else:
            lines.append('    """Return first parameters."""')
        if self.runs[0].path:
            lines.append("    values = {}")
        for run in self.runs:
            lines += self._values(run, is_first=run is self.runs[0])
        array = "np.asarray(value, dtype=" + self.real + ")"
        lines.append(f"    return {{name: {array} for name, value in values.items()}}")
        return lines

    def _values(self, run: _Run, *, is_first: bool) -> list[str]:
        """The statement that draws some of the parameters, in a loop where every round has them."""
        keys: list[ast.expr | None] = [run.key(o.title) for o in run.own]
        drawn = ast.Dict(keys, [self._drawn(o.node, run.key(o.title)) for o in run.own])
        if run.path:
            return [
                f"    for i in range({run.count}):",
                *source.augment("values", drawn, by="|", depth=2),
            ]
        return source.assign("values", drawn) if is_first else source.augment("values", drawn, by="|")

    def init_buffers(self) -> list[list[str]]:
        """The function that gives the buffers their first values, where there are any."""
        if not self.graph.buffers:
            return []
        nodes = [self.graph[b] for b in self.graph.buffers]
        titles: list[ast.expr | None] = [ast.Constant(n.hint) for n in nodes]
        values = ast.Dict(titles, [self._drawn(n, ast.Constant(n.hint)) for n in nodes])
        lines = ["def init_buffers():", '    """Return the first running statistics."""']
        lines += source.assign("values", values)
        array = "np.asarray(value, dtype=" + self.real + ")"
        return [[*lines, f"    return {{name: {array} for name, value in values.items()}}"]]

    @staticmethod
    def _is_random(init: Any) -> bool:
        form = type(init).numpy
        if isinstance(form, str):
            return "rng" in form
        return "rng" in inspect.signature(form).parameters

    def _drawn(self, param: Node, title: ast.expr) -> ast.expr:
        init = param.op.init
        form = type(init).numpy
        bound = {"rng": call("rng", title), "shape": self._shape(param.type)}
        bound |= self.arrays.of_init(init, str(param.hint))
        if not isinstance(form, str):
            self.helpers.setdefault(helper_name(form), form)
        made = instantiate_form(form, bound, init.values, "np", self.real)
        if not isinstance(form, str) and isinstance(made, ast.Call):
            made.func = name(self.arrays.called(form))
        return made
