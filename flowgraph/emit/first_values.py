"""What the arrays of an emitted numpy module are: their shapes, and their first values.

Promises PARAMS and `init(seed)`, which draws every parameter from a stream of its own; BUFFERS and
`init_buffers()` for arrays that layers keep up by themselves.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from typing import Any

from ..graph import Graph
from ..types import TensorType
from . import source
from .module import shape_items
from .template import call, helper_name, instantiate_form


class FirstValues:
    """Writes them. real: the dtype of the module. helpers: collects the functions it must contain."""

    def __init__(self, graph: Graph, real: str, helpers: dict[str, Any]) -> None:
        self.graph, self.real, self.helpers = graph, real, helpers

    def shapes(self) -> list[str]:
        """PARAMS, and BUFFERS where there are any."""
        lines = source.assign("PARAMS: dict[str, tuple[int, ...]]", self._shapes(self.graph.params), depth=0)
        if self.graph.buffers:
            shapes = self._shapes(self.graph.buffers)
            lines += source.assign("BUFFERS: dict[str, tuple[int, ...]]", shapes, depth=0)
        return lines

    def _shapes(self, names: Sequence[str]) -> ast.expr:
        return ast.Dict(
            [ast.Constant(self.graph[n].hint) for n in names],
            [self._shape(self.graph[n].type) for n in names],
        )

    def _shape(self, type: TensorType) -> ast.expr:
        return ast.Tuple(shape_items(self.graph, type), ast.Load())

    def init(self) -> list[str]:
        """The function that draws the first parameters."""
        params = [self.graph[p] for p in self.graph.params]
        if not params:
            return ["def init(seed=0):", '    """There are no parameters."""', "    return {}"]
        random = any(self._is_random(p.op.init) for p in params)
        lines = ["def init(seed=0):"]
        if random:
            lines += [
                '    """Return first parameters, each drawn from a stream of its own: (seed, name)."""',
                "",
                "    def rng(name):",
                "        return np.random.default_rng([seed, *name.encode()])",
                "",
            ]
        else:
            lines.append('    """Return first parameters."""')
        values = ast.Dict([ast.Constant(p.hint) for p in params], [self._drawn(p) for p in params])
        lines += source.assign("values", values)
        array = "np.asarray(value, dtype=" + self.real + ")"
        lines.append(f"    return {{name: {array} for name, value in values.items()}}")
        return lines

    def init_buffers(self) -> list[list[str]]:
        """The function that gives the buffers their first values, where there are any."""
        if not self.graph.buffers:
            return []
        nodes = [self.graph[b] for b in self.graph.buffers]
        values = ast.Dict([ast.Constant(n.hint) for n in nodes], [self._drawn(n) for n in nodes])
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

    def _drawn(self, param: Any) -> ast.expr:
        init = param.op.init
        form = type(init).numpy
        bound = {"rng": call("rng", ast.Constant(param.hint)), "shape": self._shape(param.type)}
        if not isinstance(form, str):
            self.helpers.setdefault(helper_name(form), form)
        return instantiate_form(form, bound, init.values, "np", self.real)
