"""What the functions of a numpy module are made of: bodies, arguments made arrays, parameters in variables.

Assumes a typed graph over batches. The functions themselves are in `numpy`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..graph import Graph, Node
from ..naming import CODE_NAMES, Namer
from . import source
from .body import Target
from .comments import shape_note
from .first_values import FirstValues
from .modes import Modes, bind_modes
from .module import (
    Header,
    arrays_at_head,
    bind_size_lines,
    doc_lines,
    output_variables,
    reaches_through,
    size_source,
    takes,
)
from .numpy_body import NumpyBody
from .packs import pack, packed_params, unpack
from .rounds import Rounds
from .tables import Tables
from .template import attribute, call, helper_name, name

Finish = Callable[[dict[str, ast.expr]], list[str]]

DTYPES = {"float32": "np.float32", "float64": "np.float64"}


class Functions:
    """What the functions of a module share. derived: the graphs of those with derivatives, by name."""

    def __init__(self, graph: Graph, header: Header, derived: Mapping[str, Graph], named: Graph) -> None:
        self.graph = graph
        self.packed = packed_params(graph)
        self.derived = derived
        self.header = header
        self.real = DTYPES[header.dtype]
        self.helpers: dict[str, Any] = {}
        self.tables = Tables("numpy", self.real, self.helpers, header.renamed)
        wrap = partial(call, self.real)  # which holds no `self`: that would be a cycle
        self.target = Target("numpy", "np", self.real, wrap=wrap, table=self.tables.of)
        self.constants = arrays_at_head(graph, Namer(CODE_NAMES))
        self.reserved = set(CODE_NAMES) | set(self.constants.values()) | set(header.helper_names)
        self.modes = Modes.of([graph, *derived.values()])
        inputs = [str(graph[i].hint) for i in takes(graph, targets=True)]
        self.first = FirstValues(graph, self.real, self.helpers, named, self.tables)
        self.reserved.update(self.first.tables.values())
        graphs = [graph, *derived.values()]
        self.rounds = Rounds(graphs, [*self.reserved, *inputs], self.first.tables, shares=header.level > 0)
        self.reserved.update(self.rounds.titles)

    # -- functions

    def body(self, graph: Graph | None = None, kind: type[NumpyBody] = NumpyBody) -> NumpyBody:
        namer = Namer(self.reserved)
        for argument in takes(self.graph, targets=True):
            namer.reserve(self.graph[argument].hint or argument)
        graph = graph or self.graph
        made = kind(graph, self.target, self.header.level, namer, self.helpers, renamed=self.header.renamed)
        body = made.begin(self.rounds)
        arrays = [node for node in graph if node.op.name == "const" and node.type.shape]
        for constant, variable in self.constants.items():
            held = self.graph[constant]
            same = [node.name for node in arrays if node.op == held.op]  # in another graph, by another name
            body.variables |= dict.fromkeys(same, self.tables.constant(held, variable))
        return body

    def function(
        self, title: str, doc: str, given: list[str], wanted: list[str], finish: Finish, *, cut: bool = False
    ) -> list[str]:
        """A function of params and arrays; `finish` makes the last lines from the values.

        cut: whether it may begin with what forward returns.
        """
        body = self.body()
        for argument in given:
            body.variables[argument] = name(str(self.graph[argument].hint))
        through = cut and reaches_through(self.graph, wanted)
        start = []
        if through:
            passed = call("forward", *(name(n) for n in ("params", *self.hints(self.graph.inputs))))
            passed.keywords = self.modes.passed_on()
            start = source.assign(output_variables(self.graph, body, wanted), passed)
        used = self.used(wanted, body)
        unpack = self.params(body, used)
        unpack += self.given(body, used)
        body.last = wanted[0] if len(wanted) == 1 else ""
        values = body.run(wanted)
        last = finish(values)
        sizes = bind_size_lines(self.graph, body, given, is_checked=through, has_loss=title != "forward")
        if sizes:
            used |= {place[0] for s in body.sizes_used if (place := size_source(self.graph, s, given))}
        names = ["params", *self.hints(given), *self.modes.arguments(train=False)]
        lines = [*source.signature(title, names), *doc_lines(doc)]
        lines += self.convert([i for i in given if i in used])
        return [*lines, *unpack, *sizes, *start, *body.lines, *last]

    def hints(self, nodes: Sequence[str]) -> list[str]:
        return [str(self.graph[n].hint) for n in nodes]

    def params(self, body: NumpyBody, used: set[str]) -> list[str]:
        """Lines that give variables to the parameters that are used, from what a caller gives."""
        lines = self.unpack(body, [p for p in body.graph.params if p in used and p not in self.packed])
        packed = [p for p in self.packed if p in used]
        if not packed:
            return lines
        self.need_packs()
        holder = body.namer.variable("packed")
        lines.append(f"    {holder} = {self.called(pack)}(params)")
        return lines + self.unpack(body, packed, holder)

    def need_packs(self) -> None:
        self.helpers |= {"pack": pack, "unpack": unpack}

    def called(self, function: Any) -> str:
        """What a helper is called in this module."""
        title = helper_name(function)
        return self.header.renamed.get(title, title)

    def given(self, body: NumpyBody, used: set[str]) -> list[str]:
        """Lines that give variables to the buffers that are used, and to the key of the call."""
        buffers = self.unpack(body, [b for b in body.graph.buffers if b in used], "buffers")
        return [*buffers, *bind_modes(body, used)]

    def used(self, wanted: list[str], body: NumpyBody) -> set[str]:
        """What is read on the way to `wanted`, not going behind what is known already."""
        known = {n for n in body.variables if n not in self.graph.inputs and n not in self.graph.targets}
        return body.reads(wanted, known)

    def convert(self, inputs: list[str], depth: int = 1) -> list[str]:
        lines = []
        for argument in inputs:
            node = self.graph[argument]
            dtype = (
                self.real
                if node.type.elem.kind == "real"
                else "bool"
                if node.type.elem.kind == "bool"
                else "np.int64"
            )
            variable = str(node.hint)
            value = call("np.asarray", name(variable), dtype=attribute(dtype))
            lines += source.assign(variable, value, note=shape_note(node.type), depth=depth)
        return lines

    def unpack(self, body: NumpyBody, params: list[str], holder: str = "params") -> list[str]:
        """Lines that give the parameters, or their tangents, variables; on one line where they fit."""
        nodes = [body.graph[p] for p in params]
        variables = [body.namer.variable(str(n.hint)) for n in nodes]
        body.variables.update({p: name(v) for p, v in zip(params, variables, strict=True)})
        if not nodes:
            return []
        values: list[ast.expr] = [
            ast.Subscript(name(holder), ast.Constant(_key(n)), ast.Load()) for n in nodes
        ]
        notes = [shape_note(n.type) if n.type.shape else "" for n in nodes]
        together = ", ".join(variables) + " = " + ", ".join(source.text(v) for v in values)
        note = ", ".join(shape_note(n.type) for n in nodes) if any(notes) else ""
        if len(together) + len(note) + 8 <= source.WIDTH:
            return [f"    {together}  # {note}" if note else f"    {together}"]
        short = f"    {', '.join(variables)} = ({holder}[name] for name in PARAMS)"
        is_all = [_key(n) for n in nodes] == [_key(self.graph[p]) for p in self.graph.params]
        if len(nodes) > 1 and is_all and not any(notes) and len(short) <= source.WIDTH:
            return [short]
        lines = []
        for variable, value, own in zip(variables, values, notes, strict=True):
            lines += source.assign(variable, value, note=own)
        return lines


def _key(node: Node) -> str:
    """The name of a param, or of the param that a tangent is of."""
    return str(node.hint).removesuffix("_dot") if node.op.name == "input" else str(node.hint)
