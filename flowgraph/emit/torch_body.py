"""The statements of a method of an emitted torch module: layers are called, and draws made by PyTorch.

Assumes a typed graph over batches whose layers were found (`emit.layers`). Promises statements as
`emit.body` does, of which calls of modules take no parameters, arrays made from nothing lie where
the module's lie, and loops over rounds go over an nn.ModuleList.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..graph import Node
from ..ops.rotary import Turns
from ..ops.scan import Scan
from ..types import KEY
from . import source
from .body import Body
from .layers import Layers
from .modules import HOLDERS
from .template import name
from .torch_scans import write_along


class TorchBody(Body):
    """A body whose layers are called as modules: their parameters are no operands."""

    layers: Layers
    device: ast.expr | None = None
    like: ast.expr
    call_of: Callable[[Layers, Node, Sequence[ast.expr]], ast.expr | None]
    access: Callable[[str], ast.expr]

    def inside(self, node: Node) -> TorchBody:
        body = super().inside(node)
        assert isinstance(body, TorchBody)
        body.layers = self.layers.inside.get(node.name, Layers())
        body.device, body.like = self.device, self.like
        body.call_of, body.access = self.call_of, self.access
        body.target = replace(self.target, call=partial(self.call_of, body.layers))
        return body

    def operands_of(self, node: Node) -> tuple[str, ...]:
        """Those that a module or form takes; PyTorch draws from its own generator, and takes no key."""
        operands = self.layers.operands.get(node.name, node.operands)
        return tuple(o for o in operands if getattr(self.graph[o].type, "elem", None) != KEY)

    def key_of(self, node: str, counter: str) -> ast.expr:
        return ast.Constant(None)

    def stands_alone(self, node: Node) -> bool:
        """Draws come in the order of the graph."""
        return bool(node.op.draws) or super().stands_alone(node)

    def _instantiate(self, node: Node, form: Any) -> ast.expr:
        value = super()._instantiate(node, form)
        if node.op.group == "creators" and self.device and not self.operands_of(node):
            made = [c for c in ast.walk(value) if isinstance(c, ast.Call)]
            made = [c for c in made if any(k.arg == "dtype" for k in c.keywords)] or made
            made[0].keywords.append(ast.keyword("device", self.device))
        if isinstance(node.op, Turns):
            assert isinstance(value, ast.Call)
            value.keywords.append(ast.keyword("like", self.like))
        return value

    def _form(self, node: Node) -> Any:
        return "module" if node.op.name in HOLDERS else super()._form(node)

    def _write(self, node: Node, uses: int) -> None:
        if node.op.name == "loop":
            self._loop(node)
        elif self.level > 0 and isinstance(node.op, Scan) and write_along(self, node):
            return
        elif self.level > 0 and node.name == self.last and node.op.group == "losses" and uses == 1:
            self._pending[node.name] = self._expression(node)
        else:
            super()._write(node, uses)

    def _loop(self, node: Node) -> None:
        """`for h in self.h: u = h(u)`: the modules of a list, one after another."""
        count = node.op.round_trip()
        indent = source.INDENT * self.depth
        given = [self.variable_of(o) for o in node.operands[count:]]
        labels = [r.label for r in node.op.graph.results]
        going = []
        for label, operand in zip(labels, node.operands, strict=False):
            value = self.take(operand)
            if isinstance(value, ast.Name) and self.graph.use_count(operand) == 1:
                going.append(value.id)  # nothing else reads it: it becomes what goes round
                continue
            going.append(self.namer.variable(label))
            self.lines += source.assign(going[-1], value, depth=self.depth)
        module = self.namer.variable(node.op.path)
        self.lines.append(f"{indent}for {module} in {source.text(self.access(node.op.path))}:")
        made = ast.Call(name(module), [*(name(g) for g in going), *given], [])
        self.lines += source.assign(", ".join(going), made, depth=self.depth + 1)
        if count == 1:
            self.variables[node.name] = name(going[0])
            return
        for item in self.graph.users(node.name):
            self.variables[item.name] = name(going[item.op.index])

    def variable_of(self, operand: str) -> ast.expr:
        """A value that a loop uses in every round, computed before it."""
        value = self.take(operand)
        if isinstance(value, (ast.Name, ast.Attribute, ast.Constant)):
            return value
        variable = self.namer.variable(self.graph[operand].hint or operand)
        self.lines += source.assign(variable, value, depth=self.depth)
        self.variables[operand] = name(variable)
        return self.variables[operand]
