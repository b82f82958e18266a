"""One class of an emitted torch module: `__init__` and `forward`, from a graph with its own parameters.

Assumes a typed graph over batches whose calls and loops hold their own parameters
(`emit.modules`). Promises a class whose state_dict has the graph's names.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..graph import Graph, Node
from ..naming import CODE_NAMES, Namer
from ..ops.base import Op
from ..ops.table import Table
from ..types import TensorType
from . import source
from .body import Body, Target, declared_form
from .containers import NAME_KEEPERS, Attributes, Containers, access, keep_names, module_lines
from .layers import Layers, below, find_layers
from .module import (
    Header,
    arguments,
    arrays_at_head,
    bind_size_lines,
    doc_lines,
    output_variables,
    reaches_through,
    shape_items,
    size_source,
    takes,
)
from .modules import HOLDERS, CannotHold, Modules
from .packs import PACK_KEEPERS, keep_packed, packed_params
from .tables import kept, tables_in
from .template import attribute, call, helper_name, instantiate, instantiate_form, name
from .torch_body import TorchBody

DTYPES = {"float32": "torch.float32", "float64": "torch.float64"}


class ClassWriter:
    """Writes a class. helpers: collects the functions that the module must contain."""

    def __init__(
        self,
        graph: Graph,
        header: Header,
        title: str,
        modules: Modules,
        helpers: dict[str, Any],
        named: Graph | None = None,
    ) -> None:
        self.graph = graph
        self.inits = {str(named[p].hint): named[p].op.init for p in named.params} if named else {}
        """How the diagram's own parameters begin, where those of the graph are packed."""
        self.header = header
        self.real = DTYPES[header.dtype]
        self.modules = modules
        self.helpers = helpers
        own = [] if header.dtype == "float32" else [ast.keyword("dtype", attribute(self.real))]
        self.dtype: list[ast.keyword] = own
        """What makes an array of the module's dtype, where that is not PyTorch's default."""
        self.layers: Layers = find_layers(graph, sequences=header.level > 0, dtype=self.dtype)
        self.attributes = Attributes(str(graph[p].hint) for p in (*graph.params, *graph.buffers))
        self.below, self.order = below(graph), {p: i for i, p in enumerate(graph.params)}
        self._add_submodules()
        called = partial(self._call, self.layers)
        self.target = Target(
            "torch", "torch", self.real, call=called, wrap=self._number, fills=False, table=self._table
        )
        heads = (self.attributes.path(str(graph[p].hint)).partition(".")[0] for p in graph.params)
        self.names = Namer([*CODE_NAMES, *heads])
        self.constants = arrays_at_head(graph, self.names)
        self.tables = modules.tables
        self.places = tables_in(graph, self.names, HOLDERS)
        self.class_name = title
        self.reserved = {*CODE_NAMES, *header.helper_names, *modules.graphs, title}

    def _add_submodules(self) -> None:
        """Make calls and loops calls of modules, which hold the parameters under their paths."""
        for node in self.graph:
            if node.op.name not in HOLDERS:
                continue
            made: ast.expr = call(self.modules.class_of(node))
            if node.op.name == "loop":
                made = ast.parse(
                    f"nn.ModuleList({source.text(made)} for _ in range({node.op.count}))", mode="eval"
                ).body
            else:
                self.layers.calls[node.name] = node.op.path
            self.layers.modules[node.op.path] = made
            self.layers.covered.update(self.below.get(node.op.path, ()))

    def lines(self) -> list[str]:
        """The class."""
        made = self._init()
        body = [*made, "", *self._forward()] if len(made) > 2 else self._forward()
        about = arguments(self.graph, self.graph.results_of("output")) or "No outputs"
        return [f"class {self.class_name}(nn.Module):", *doc_lines(f"{about}."), "", *body]

    def _table(self, table: Table, hint: str) -> ast.expr:
        """The attribute that holds a table."""
        if table not in self.places:
            self.places[table] = self.names.variable(hint)
        return attribute(f"self.{self.places[table]}")

    def _number(self, value: ast.expr) -> ast.expr:
        """A number as a tensor, with the dtype and device of an input or a parameter."""
        for argument in self.graph.inputs:
            if self.graph[argument].type.elem.kind == "real":
                return call(f"{self.graph[argument].hint}.new_tensor", value)
        for param in self.graph.params:
            made = ast.Attribute(self._access(str(self.graph[param].hint)), "new_tensor", ast.Load())
            return ast.Call(made, [value], [])
        return call("torch.tensor", value, dtype=attribute(self.real))

    # -- construction

    def _init(self) -> list[str]:
        lines = ["    def __init__(self):", "        super().__init__()"]
        apart = {self.attributes.path(str(self.graph[p].hint)): self.graph[p] for p in self._apart()}
        modules = sorted(self.layers.modules.items(), key=lambda m: (m[0].count("."), self._place(m[0])))
        made_at = {self.attributes.path(path): made for path, made in modules}
        containers = Containers([*made_at, *apart])
        for path, made in made_at.items():
            lines += [*containers.lines(path), *module_lines(path, made)]
        for path, param in apart.items():
            lines += [*containers.lines(path), *self._parameter(param)]
        for started in self.layers.started:
            lines += self._start(self.graph[started])
        for node, variable in self.constants.items():
            lines += self.tables.kept_constant(self.graph[node], variable)
        for table, variable in self.places.items():
            lines += kept(variable, self.tables.of(table, variable))
        return [*lines, *self._names(), *self._packed_names()]

    def _apart(self) -> list[str]:
        """The parameters and buffers that are in no module."""
        return [p for p in (*self.graph.params, *self.graph.buffers) if p not in self.layers.covered]

    def _names(self) -> list[str]:
        """The statement that makes the state_dict have the diagram's names, if attributes have others."""
        apart = (str(self.graph[p].hint) for p in self._apart())
        names = self.attributes.renamed([*self.layers.modules, *apart])
        if not names:
            return []
        self.helpers |= {helper_name(f): f for f in NAME_KEEPERS}
        keep = helper_name(keep_names)
        table = ast.Dict([ast.Constant(a) for a in names], [ast.Constant(n) for n in names.values()])
        return source.expression(call(self.header.renamed.get(keep, keep), name("self"), table), depth=2)

    def _packed_names(self) -> list[str]:
        """The statement that makes the state_dict have the names of what lies in arrays."""
        if not packed_params(self.graph):
            return []
        self.helpers |= {helper_name(f): f for f in PACK_KEEPERS}
        keep = helper_name(keep_packed)
        return source.expression(
            call(self.header.renamed.get(keep, keep), name("self"), name("PACKED")), depth=2
        )

    def _place(self, module: str) -> int:
        """Which parameter a module's first is: modules stand in the order of the statements."""
        return next((self.order[p] for p in self.below.get(module, ()) if p in self.order), 0)

    def _parameter(self, node: Node) -> list[str]:
        shape = shape_arguments(self.graph, node.type)
        target = source.text(self._access(str(node.hint)))
        if node.op.name == "param" and node.op.parts:
            return [
                *source.assign(target, call("nn.Parameter", self._filled("zeros", shape)), depth=2),
                *self._starts(node),
            ]
        init = node.op.init
        if node.op.name == "buffer":
            holder, _, title = str(node.hint).rpartition(".")
            made = ast.Attribute(
                self._access(holder) if holder else name("self"), "register_buffer", ast.Load()
            )
            first = self._filled(init.name, shape)
            return source.expression(ast.Call(made, [ast.Constant(title), first], []), depth=2)
        empty = self._filled("empty", shape)
        if init.name in ("zeros", "ones"):
            empty = self._filled(init.name, shape)
            return source.assign(target, call("nn.Parameter", empty), depth=2)
        if init.name == "given":
            given = self.tables.first_value(init.value, str(node.hint))
            return source.assign(target, call("nn.Parameter", given), depth=2)
        return [*source.assign(target, call("nn.Parameter", empty), depth=2), *self._start(node)]

    def _filled(self, maker: str, shape: list[ast.expr]) -> ast.Call:
        """`torch.zeros(2, 3)`, of the module's dtype."""
        return ast.Call(attribute(f"torch.{maker}"), shape, self.dtype)

    def _start(self, node: Node) -> list[str]:
        """The statement that draws a parameter's initial values."""
        init = node.op.init
        tensor = {"tensor": self._access(str(node.hint)), **self.tables.of_init(init, str(node.hint))}
        form = instantiate_form(type(init).torch, tensor, init.values, "torch", self.real)
        return source.expression(form, depth=2)

    def _starts(self, node: Node) -> list[str]:
        """The statements that draw the first values of an array's entries, of like ones together."""
        inits = [self.inits[part] for part in node.op.parts]
        whole = self._access(str(node.hint))
        lines: list[str] = []
        first = 0
        for last in range(1, len(inits) + 1):
            if last < len(inits) and inits[last] == inits[first]:
                continue
            init, is_all = inits[first], last - first == len(inits)
            data = ast.Attribute(whole, "data", ast.Load())
            flat = ast.Call(
                ast.Attribute(data, "view", ast.Load()), [ast.UnaryOp(ast.USub(), ast.Constant(1))], []
            )
            rows = ast.Slice(ast.Constant(first), ast.Constant(last))
            tensor = whole if is_all else ast.Subscript(flat, rows, ast.Load())
            form = instantiate_form(type(init).torch, {"tensor": tensor}, init.values, "torch", self.real)
            lines += [] if init.name == "zeros" else source.expression(form, depth=2)
            first = last
        return lines

    def _access(self, path: str) -> ast.expr:
        """`self.f.linear`: the module or parameter of a dotted name."""
        return access(self.attributes.path(path))

    # -- methods

    def _call(self, layers: Layers, node: Node, operands: Sequence[ast.expr]) -> ast.expr | None:
        path = layers.calls.get(node.name)
        if path is None:
            return None
        return ast.Call(self._access(path), module_arguments(node.op, operands), [])

    def _body(self, graph: Graph | None = None) -> Body:
        namer = Namer(self.reserved)
        for argument in takes(self.graph, targets=True):
            namer.reserve(str(self.graph[argument].hint))
        body = TorchBody(
            graph or self.graph,
            self.target if graph is None else replace(self.target, call=declared_form, fills=True),
            self.header.level,
            namer,
            self.helpers,
            renamed=self.header.renamed,
            depth=2,
        )
        body.layers = self.layers if graph is None else Layers()
        body.call_of, body.access = self._call, self._access
        body.device, body.like = self._device(), self._like()
        for argument in takes(self.graph, targets=True):
            body.variables[argument] = name(str(self.graph[argument].hint))
        for leaf in body.graph:
            if leaf.op.name in ("param", "buffer"):
                body.variables[leaf.name] = self._access(str(leaf.hint))
            elif leaf.op.name == "training":
                body.variables[leaf.name] = attribute("self.training")
        for node, variable in self.constants.items():
            body.variables[node] = ast.Attribute(name("self"), variable, ast.Load())
        return body

    def _device(self) -> ast.expr | None:
        """Where arrays made from nothing belong: where an input is, or a parameter."""
        holders = [name(str(self.graph[i].hint)) for i in self.graph.inputs]
        holders += [self._access(str(self.graph[p].hint)) for p in self.graph.params[:1]]  # type: ignore[misc]
        return ast.Attribute(holders[0], "device", ast.Load()) if holders else None

    def _like(self) -> ast.expr:
        """What has the dtype and the device of the module's numbers: a parameter, or else an input."""
        for param in self.graph.params:
            return self._access(str(self.graph[param].hint))
        real = (i for i in self.graph.inputs if self.graph[i].type.elem.kind == "real")
        given = next(real, None)
        return call("torch.empty", ast.Constant(0)) if given is None else name(str(self.graph[given].hint))

    def _method(self, title: str, doc: str, given: list[str], wanted: list[str], finish: Any) -> list[str]:
        body = self._body()
        calls_forward = title != "forward" and reaches_through(self.graph, wanted)
        start = self._from_forward(body, wanted) if calls_forward else []
        body.last = wanted[0] if len(wanted) == 1 else ""
        found = body.run(wanted)
        last = finish(found)
        if any(size_source(self.graph, symbol, given) is None for symbol in body.sizes_used):
            raise CannotHold
        bound = bind_size_lines(
            self.graph, body, given, is_checked=calls_forward, has_loss=title != "forward"
        )
        sizes = [f"    {line}" for line in bound]
        names = ["self", *(str(self.graph[i].hint) for i in given)]
        about = doc_lines(doc, depth=2) if doc else []
        return [*source.signature(title, names, depth=1), *about, *sizes, *start, *body.lines, *last]

    def _from_forward(self, body: Body, wanted: list[str]) -> list[str]:
        """Begin with what forward returns; a single output used once stands where it is used."""
        outputs = [r.node for r in self.graph.results_of("output")]
        result = ast.Call(name("self"), [name(str(self.graph[i].hint)) for i in self.graph.inputs], [])
        alive = self.graph.ancestors(wanted)
        users = [u for u in self.graph.users(outputs[0]) if u.name in alive]
        once = len(users) == 1 and body.mentions(users[0], outputs[0]) == 1
        if len(outputs) == 1 and once and outputs[0] not in wanted and self.header.level > 0:
            body.variables[outputs[0]] = result
            return []
        return [f"        {output_variables(self.graph, body, wanted)} = {source.text(result)}"]

    def _forward(self) -> list[str]:
        outputs = self.graph.results_of("output")

        def finish(found: dict[str, ast.expr]) -> list[str]:
            values = [found[r.node] for r in outputs]
            if not values:
                return ["        return ()"]
            whole = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load())
            return source.returns(whole, depth=2)

        return self._method("forward", "", list(self.graph.inputs), [r.node for r in outputs], finish)


def module_arguments(op: Op, operands: Sequence[ast.expr]) -> list[ast.expr]:
    """What a module is called with: the operands, or what the operation says of them."""
    if not op.torch_call:
        return list(operands)
    form = f"module({op.torch_call})"
    made = instantiate(op, form, operands, "torch", "", lambda d: ast.Constant(d.value), {})
    assert isinstance(made, ast.Call)
    return made.args


def shape_arguments(graph: Graph, type: TensorType) -> list[ast.expr]:
    """A parameter's sizes as arguments; a single number's shape is `()`."""
    return shape_items(graph, type) or [ast.Tuple([], ast.Load())]
