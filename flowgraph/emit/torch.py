"""The torch target: a module as a PyTorch user would write it.

Assumes a typed graph over batches. Promises `class Name(nn.Module)` whose state_dict has the
diagram's names, `forward`, `loss`, `metrics`, and `class NameLoss` around its loss.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..graph import Graph, Node
from ..naming import CODE_NAMES, Namer, class_name
from ..ops.base import Op
from ..types import TensorType
from . import source
from .body import Body, Target, declared_form
from .containers import access, container_lines
from .helpers import paste, with_callees
from .layers import Layers, find_layers
from .module import (
    Header,
    arguments,
    arrays_at_head,
    bind_size_lines,
    doc_lines,
    docstring,
    entries_of,
    join,
    output_variables,
    reaches_through,
    shape_items,
    takes,
)
from .schedule import schedule_forms
from .template import attribute, call, instantiate, instantiate_form, literal, name, sum_of
from .torch_steps import write_optimizer, write_step

DTYPES = {"float32": "torch.float32", "float64": "torch.float64"}


def emit_torch(graph: Graph, header: Header, derived: Mapping[str, Graph] | None = None) -> str:
    """The module's text.

    derived: the graph of the explicit backward pass under "vjp", where it is asked for.
    """
    return _Module(graph, header, derived or {}).text()


class _Module:
    def __init__(self, graph: Graph, header: Header, derived: Mapping[str, Graph]) -> None:
        self.graph = graph
        self.derived = derived
        self.header = header
        self.real = DTYPES[header.dtype]
        self.helpers: dict[str, Any] = {}
        self.layers: Layers = find_layers(graph, sequences=header.level > 0)
        self.target = Target("torch", "torch", self.real, call=self._call, wrap=self._number)
        self.constants = arrays_at_head(graph, Namer(CODE_NAMES))
        self.class_name = class_name(graph.name)
        self.reserved = set(CODE_NAMES) | set(header.helper_names) | {self.class_name}

    def _number(self, value: ast.expr) -> ast.expr:
        """A number as a tensor, with the dtype and device of an input or a parameter."""
        for argument in self.graph.inputs:
            if self.graph[argument].type.elem.kind == "real":
                return call(f"{self.graph[argument].hint}.new_tensor", value)
        for param in self.graph.params:
            made = ast.Attribute(self._access(str(self.graph[param].hint)), "new_tensor", ast.Load())
            return ast.Call(made, [value], [])
        return call("torch.tensor", value, dtype=attribute(self.real))

    def text(self) -> str:
        made = self._init()
        body = [*made, "", *self._forward()] if len(made) > 2 else self._forward()
        if self.graph.results_of("loss"):
            body += ["", *self._loss()]
        if "vjp" in self.derived:
            body += ["", *self._loss_and_grad(self.derived["vjp"])]
        if self.graph.results_of("metric"):
            body += ["", *self._metrics()]
        outputs = self.graph.results_of("output")
        about = arguments(self.graph, outputs) or "No outputs"
        lines = [f"class {self.class_name}(nn.Module):", *doc_lines(f"{about}."), "", *body]
        parts = [lines]
        if self.graph.results_of("loss"):
            parts.append(self._loss_class())
        if self.header.training is not None:
            given = [str(self.graph[i].hint) for i in takes(self.graph, targets=True)]
            parts += [write_optimizer(self.header), write_step(self.header, given)]
        functions = with_callees([*self.helpers.values(), *schedule_forms(self.header.training)])
        parts += [paste(f, self.header.renamed) for f in functions]
        used = "\n".join(line for part in parts for line in part)
        head = [docstring(self.header, self.graph), *self._imports(used), *self._sizes()]
        return join(head, parts)

    def _imports(self, text: str) -> list[str]:
        names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
        lines = [""]
        if "math" in names:
            lines.append("import math")
        if "OrderedDict" in names:
            lines.append("from collections import OrderedDict")
        if len(lines) > 1:
            lines.append("")
        if "torch" in names:
            lines.append("import torch")
        lines.append("from torch import nn")
        if "F" in names:
            lines.append("from torch.nn import functional as F")
        return lines

    def _sizes(self) -> list[str]:
        lines = [f"{n} = {v}" for n, v in self.graph.constants]
        return ["", *lines] if lines else []

    # -- construction

    def _init(self) -> list[str]:
        lines = ["    def __init__(self):", "        super().__init__()"]
        apart = [str(self.graph[p].hint) for p in self.graph.params if p not in self.layers.covered]
        lines += container_lines([*self.layers.modules, *apart], list(self.layers.modules))
        for path, made in self.layers.modules.items():
            lines += source.assign(source.text(self._access(path)), made, depth=2)
        for param in self.graph.params:
            if param not in self.layers.covered:
                lines += self._parameter(self.graph[param])
        for node, variable in self.constants.items():
            array = self.graph[node]
            dtype = {"real": self.real, "int": "torch.int64", "bool": "torch.bool"}[array.type.elem.kind]
            numbers = literal(array.op.value.data.tolist(), "torch", lambda d: ast.Constant(d.value))
            value = call("torch.tensor", numbers, dtype=attribute(dtype))
            register = call("self.register_buffer", ast.Constant(variable), value)
            register.keywords = [ast.keyword("persistent", ast.Constant(False))]
            lines += source.expression(register, depth=2)
        if self.header.dtype != "float32" and self.graph.params:
            lines.append(f"        self.to({self.real})")
        return lines

    def _parameter(self, node: Node) -> list[str]:
        shape = shape_arguments(self.graph, node.type)
        target = source.text(self._access(str(node.hint)))
        init = node.op.init
        empty = call("torch.empty", *shape)
        if init.name in ("zeros", "ones"):
            empty = call(f"torch.{init.name}", *shape)
            return source.assign(target, call("nn.Parameter", empty), depth=2)
        if init.name == "given":
            numbers = literal(init.value.data.tolist(), "torch", lambda d: ast.Constant(d.value))
            tensor = call("torch.tensor", numbers, dtype=attribute(self.real))
            return source.assign(target, call("nn.Parameter", tensor), depth=2)
        lines = source.assign(target, call("nn.Parameter", empty), depth=2)
        form = instantiate_form(
            type(init).torch, {"tensor": self._access(str(node.hint))}, init.values, "torch", self.real
        )
        return lines + source.expression(form, depth=2)

    def _access(self, path: str) -> ast.expr:
        """`self.f.linear`: the module or parameter of a dotted name."""
        return access(path, "_modules" if "." in path else "_parameters")

    # -- methods

    def _call(self, node: Node, operands: Sequence[ast.expr]) -> ast.expr | None:
        path = self.layers.calls.get(node.name)
        if path is None:
            return None
        return ast.Call(self._access(path), module_arguments(node.op, operands), [])

    def _loss_and_grad(self, graph: Graph) -> list[str]:
        """The backward pass written out, to be laid beside autograd's."""
        losses = [r.node for r in graph.results_of("loss")]
        gradients = graph.results_of("gradient")
        given = takes(graph, targets=True)
        body = self._body(graph)
        unpack = []
        for param in graph.params:
            variable = body.namer.variable(str(graph[param].hint))
            unpack += source.assign(variable, self._access(str(graph[param].hint)), depth=2)
            body.variables[param] = name(variable)
        wanted = [g.node for g in gradients]
        body.plan([*losses, *wanted])
        body.assign_sum("loss", losses)
        entries = entries_of(gradients, body.write(wanted))
        sizes = [f"    {line}" for line in bind_size_lines(graph, body, given)]
        return [
            "    @torch.no_grad()",
            *source.signature("loss_and_grad", ["self", *(str(graph[i].hint) for i in given)], depth=1),
            '        """Return the loss and its gradient, the chain rule written out."""',
            *unpack,
            *sizes,
            "",
            *body.lines,
            "",
            *source.assign("grads", entries, depth=2),
            "        return loss, grads",
        ]

    def _body(self, graph: Graph | None = None) -> Body:
        namer = Namer(self.reserved)
        for argument in takes(self.graph, targets=True):
            namer.reserve(str(self.graph[argument].hint))
        body = _TorchBody(
            graph or self.graph,
            self.target if graph is None else replace(self.target, call=declared_form),
            self.header.level,
            namer,
            self.helpers,
            renamed=self.header.renamed,
            depth=2,
        )
        body.layers = self.layers if graph is None else Layers()
        for argument in takes(self.graph, targets=True):
            body.variables[argument] = name(str(self.graph[argument].hint))
        for param in self.graph.params:
            body.variables[param] = self._access(str(self.graph[param].hint))
        for node, variable in self.constants.items():
            body.variables[node] = ast.Attribute(name("self"), variable, ast.Load())
        return body

    def _method(self, title: str, doc: str, given: list[str], wanted: list[str], finish: Any) -> list[str]:
        body = self._body()
        start = []
        if title != "forward" and reaches_through(self.graph, wanted):
            start = self._from_forward(body, wanted)
        body.last = wanted[0] if len(wanted) == 1 else ""
        found = body.run(wanted)
        last = finish(found)
        sizes = [f"    {line}" for line in bind_size_lines(self.graph, body, given)]
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

    def _loss(self) -> list[str]:
        terms = self.graph.results_of("loss")

        def finish(found: dict[str, ast.expr]) -> list[str]:
            total = sum_of([found[t.node] for t in terms])
            return source.returns(total, depth=2)

        given = takes(self.graph, targets=True)
        return self._method("loss", "", given, [t.node for t in terms], finish)

    def _metrics(self) -> list[str]:
        metrics = self.graph.results_of("metric")

        def finish(found: dict[str, ast.expr]) -> list[str]:
            keys: list[ast.expr | None] = [ast.Constant(m.label) for m in metrics]
            return source.returns(ast.Dict(keys, [found[m.node] for m in metrics]), depth=2)

        given = takes(self.graph, targets=True)
        doc = "Return the mean of each metric."
        return self._method("metrics", doc, given, [m.node for m in metrics], finish)

    def _loss_class(self) -> list[str]:
        given = [str(self.graph[i].hint) for i in takes(self.graph, targets=True)]
        return [
            f"class {self.class_name}Loss(nn.Module):",
            '    """The loss as a module\'s forward: what DDP and torch.compile wrap."""',
            "",
            "    def __init__(self, model):",
            "        super().__init__()",
            "        self.model = model",
            "",
            *source.signature("forward", ["self", *given], depth=1),
            *source.returns(call("self.model.loss", *(name(g) for g in given)), depth=2),
        ]


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


class _TorchBody(Body):
    """A body whose layers are called as modules: their parameters are no operands."""

    layers: Layers

    def operands_of(self, node: Node) -> tuple[str, ...]:
        return self.layers.operands.get(node.name, node.operands)
