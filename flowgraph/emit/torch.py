"""The torch target: a module as a PyTorch user would write it.

Assumes a typed graph over batches. Promises `class Name(nn.Module)` whose state_dict has the
diagram's names, `forward`, `loss`, `metrics`, and `class NameLoss` around its loss; a class for
every block, and a loop over an nn.ModuleList for a repeat.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ..graph import Graph
from ..naming import CODE_NAMES, Namer, class_name
from . import source
from .helpers import STANDARD, paste, with_callees
from .module import Header, bind_size_lines, docstring, entries_of, join, takes
from .modules import Modules, with_modules
from .packs import packed_lines
from .schedule import schedule_forms
from .tables import Tables
from .template import call, name, sum_of
from .torch_class import DTYPES, ClassWriter
from .torch_steps import write_optimizer, write_step


def emit_torch(graph: Graph, header: Header, derived: Mapping[str, Graph], named: Graph) -> str:
    """The module's text.

    derived: the graph of the explicit backward pass under "vjp", where it is asked for. named: a graph
    with the diagram's own params. Raises CannotHold where blocks must be dissolved first.
    """
    title = class_name(graph.name)
    names = Namer(
        [*CODE_NAMES, *header.helper_names, title, f"{title}Loss", *(n for n, _ in graph.constants)]
    )
    modules = Modules(names, Tables("torch", DTYPES[header.dtype], {}, header.renamed), header.helper_names)
    return _Module(with_modules(graph, modules), header, title, modules, derived, named).text()


class _Module(ClassWriter):
    def __init__(
        self,
        graph: Graph,
        header: Header,
        title: str,
        modules: Modules,
        derived: Mapping[str, Graph],
        named: Graph,
    ) -> None:
        super().__init__(graph, header, title, modules, modules.tables.helpers, named)
        self.derived = derived

    def text(self) -> str:
        body: list[str] = []
        if self.graph.results_of("loss"):
            body += ["", *self._loss()]
        if "vjp" in self.derived:
            body += ["", *self._loss_and_grad(self.derived["vjp"])]
        if self.graph.results_of("metric"):
            body += ["", *self._metrics()]
        inner = [
            ClassWriter(graph, self.header, title, self.modules, self.helpers).lines()
            for title, graph in self.modules.graphs.items()
        ]
        parts = [packed_lines(self.graph, is_flat=True), *inner, [*self.lines(), *body]]
        if self.graph.results_of("loss"):
            parts.append(self._loss_class())
        if self.header.training is not None:
            given = [str(self.graph[i].hint) for i in takes(self.graph, targets=True)]
            parts += [write_optimizer(self.header), write_step(self.header, given)]
        functions = with_callees([*self.helpers.values(), *schedule_forms(self.header.training)])
        parts += [paste(f, self.header.renamed) for f in functions]
        parts.append(self.tables.lines())
        used = "\n".join(line for part in parts for line in part)
        head = [docstring(self.header, self.graph), *self._imports(used), *self._sizes()]
        return join(head, parts)

    def _imports(self, text: str) -> list[str]:
        names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
        lines = [""]
        lines += [f"import {module}" for module in STANDARD if module in names]
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

    # -- methods

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
