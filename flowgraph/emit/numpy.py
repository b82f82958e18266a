"""The numpy target: a module of plain functions that imports numpy alone.

Assumes a typed graph over batches. Promises the interface of design 3: PARAMS, init, forward,
loss, metrics, all pure; inputs and targets by their names; text that `ruff format` leaves as
it is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence

from ..graph import Graph
from . import source
from .functions import Functions
from .helpers import import_lines, paste, with_callees
from .module import (
    Header,
    arguments,
    bind_size_lines,
    doc_lines,
    docstring,
    entries_of,
    join,
    takes,
)
from .numpy_body import NumpyBody
from .packs import pack, packed_lines, packed_params, unpack
from .planned.body import PlannedBody
from .planned.write import Module as Planned
from .planned.write import planned_forward, planned_trainer
from .schedule import schedule_forms
from .template import call, name, sum_of
from .trainer import write_trainer

Differentiated = Callable[[NumpyBody], list[str]]


def emit_numpy(graph: Graph, header: Header, derived: Mapping[str, Graph], named: Graph) -> str:
    """The module's text.

    derived: the graphs from which the functions with derivatives are written, by the name of
    the function: loss_and_grad, jvp, hvp. named: a graph with the diagram's own params.
    """
    return _Module(graph, header, derived, named).text()


class _Module(Functions):
    def text(self) -> str:
        first = self.first
        parts = [*first.shapes(), packed_lines(self.graph), first.init(), *first.init_buffers()]
        parts += self.rounds.before(self._forward())
        if self.graph.results_of("loss"):
            parts += self.rounds.before(self._loss())
        writers = {
            "loss_and_grad": self._loss_and_grad,
            "jvp": self._jvp,
            "hvp": self._hvp,
            "per_example_grad": self._per_example_grad,
        }
        for function, graph in self.derived.items():
            if function not in writers:
                continue  # of a class, which is written below
            parts += self.rounds.before(writers[function](graph))
        if self.graph.results_of("metric"):
            parts += self.rounds.before(self._metrics())
        trainer: list[list[str]] = []
        if self.header.training is not None:
            trainer = self._planned("trainer") if "trainer" in self.derived else [self._trainer(), []]
            parts += trainer
        if "outputs" in self.derived:
            parts += self._planned("outputs", trainer[1] if trainer else [])
        functions = with_callees([*self.helpers.values(), *schedule_forms(self.header.training)])
        parts += [paste(f, self.header.renamed) for f in functions]
        parts.append(self.tables.lines())
        head = [docstring(self.header, self.graph), *import_lines(functions)]
        constants = [f"{n} = {v}" for n, v in self.graph.constants]
        constants += self.tables.constants_lines(self.graph, self.constants)
        return join([*head, *(["", *constants] if constants else [])], parts)

    # -- functions

    def _forward(self) -> list[str]:
        outputs = self.graph.results_of("output")
        inputs = list(self.graph.inputs)
        doc = f"Return {arguments(self.graph, outputs)}." if outputs else "There are no outputs."

        def finish(found: dict[str, ast.expr]) -> list[str]:
            values = [found[r.node] for r in outputs]
            if not values:
                return ["    return ()"]
            return source.returns(values[0] if len(values) == 1 else ast.Tuple(values, ast.Load()))

        return self.function("forward", doc, inputs, [r.node for r in outputs], finish)

    def _loss(self) -> list[str]:
        terms = self.graph.results_of("loss")
        names = ", ".join(t.label for t in terms)
        over = "the sum over the batch" if terms[0].by == "sum" else "the mean over the batch"
        doc = f"Return the sum of the losses {names}." if len(terms) > 1 else f"Return the loss, {over}."

        def finish(found: dict[str, ast.expr]) -> list[str]:
            total = sum_of([found[t.node] for t in terms])
            return source.returns(call("float", total))

        given = takes(self.graph, targets=True)
        return self.function("loss", doc, given, [t.node for t in terms], finish, cut=True)

    def _derivative(
        self, title: str, doc: str, graph: Graph, along: str, finish: Differentiated
    ) -> list[str]:
        """A function written from a graph with derivatives.

        along: the argument that holds the tangents of the params, if there is one. finish:
        given the body, writes the statements and returns the last lines.
        """
        given = takes(graph, targets=True)
        body = self.body(graph)
        for argument in given:
            body.variables[argument] = name(str(graph[argument].hint))
        used = body.reads(r.node for r in graph.results)
        unpack = self.unpack(body, [p for p in graph.params if p in used])
        dots = [n for n in graph.inputs if n not in self.graph.inputs]
        given = [n for n in given if n not in dots]
        if along:
            unpack += self.unpack(body, [d for d in dots if d in used], along)
        unpack += self.given(body, used)
        last = finish(body)
        sizes = bind_size_lines(graph, body, given)
        names = ["params", *([along] if along else []), *self.hints(given)]
        names += self.modes.arguments(train=True)
        head = [*source.signature(title, names), *doc_lines(doc), *self.convert(given), *unpack, *sizes]
        return [*head, "", *body.lines, *([""] if len(last) == 1 else []), *last]

    def _loss_and_grad(self, graph: Graph) -> list[str]:
        losses = [r.node for r in graph.results_of("loss")]
        gradients = graph.results_of("gradient")
        buffers = graph.results_of("buffer")

        def finish(body: NumpyBody) -> list[str]:
            body.plan([*losses, *(g.node for g in gradients), *(b.node for b in buffers)])
            body.assign_sum("loss", losses)
            entries = body.entries(gradients)
            if buffers:
                return ["", *source.assign("grads", entries), *new_buffers(body)]
            short = source.returns(ast.Tuple([call("float", name("loss")), entries], ast.Load()))
            if len(short) == 1:
                return short
            return ["", *source.assign("grads", entries), "    return float(loss), grads"]

        def new_buffers(body: NumpyBody) -> list[str]:
            written = len(body.lines)
            entries = entries_of(buffers, body.write([b.node for b in buffers]))
            lines = body.lines[written:]
            del body.lines[written:]
            return [
                "    if not train:",
                "        return float(loss), grads",
                "",
                *lines,
                *source.assign("new_buffers", entries),
                "    return float(loss), grads, new_buffers",
            ]

        doc = "Return the loss and its gradient with respect to every parameter."
        if buffers:
            doc = (
                "Return the loss, its gradient with respect to every parameter and, in training, new buffers."
            )
        if not packed_params(graph):
            return self._derivative("loss_and_grad", doc, graph, "", finish)
        core = self._derivative("packed_loss_and_grad", "The same of packed parameters.", graph, "", finish)
        return [*self._of_names(doc, bool(buffers)), "", "", *core]

    def _of_names(self, doc: str, has_buffers: bool) -> list[str]:
        """The function that takes and gives parameters by name, around the one that computes."""
        self.need_packs()
        given = self.hints(takes(self.graph, targets=True))
        packed = call(self.called(pack), name("params"))
        made = call("packed_loss_and_grad", packed, *(name(n) for n in given))
        made.keywords = self.modes.passed_on()
        new = ", *new" if has_buffers else ""
        return [
            *source.signature("loss_and_grad", ["params", *given, *self.modes.arguments(train=True)]),
            *doc_lines(doc),
            *source.assign(f"value, grads{new}", made),
            f"    return value, {self.called(unpack)}(grads){new}",
        ]

    def _jvp(self, graph: Graph) -> list[str]:
        losses = [r.node for r in graph.results_of("loss")]
        dots = [r.node for r in graph.results_of("loss_dot")]

        def finish(body: NumpyBody) -> list[str]:
            body.plan([*losses, *dots])
            body.assign_sum("loss", losses)
            body.assign_sum("loss_dot", dots)
            return ["    return float(loss), float(loss_dot)"]

        doc = "Return the loss and its derivative along tangents of the parameters."
        return self._derivative("jvp", doc, graph, "tangents", finish)

    def _hvp(self, graph: Graph) -> list[str]:
        products = graph.results_of("gradient_dot")

        def finish(body: NumpyBody) -> list[str]:
            found = body.run([p.node for p in products])
            return source.returns(entries_of(products, found))

        doc = "Return the product of the loss's Hessian with a vector, a dict like params."
        return self._derivative("hvp", doc, graph, "vector", finish)

    def _per_example_grad(self, graph: Graph) -> list[str]:
        gradients = graph.results_of("example_gradient")

        def finish(body: NumpyBody) -> list[str]:
            found = body.run([g.node for g in gradients])
            return source.returns(entries_of(gradients, found))

        doc = "Return the gradient of each example's own loss, a dict of arrays (N, ...)."
        return self._derivative("per_example_grad", doc, graph, "", finish)

    def _metrics(self) -> list[str]:
        metrics = self.graph.results_of("metric")

        def finish(found: dict[str, ast.expr]) -> list[str]:
            keys: list[ast.expr | None] = [ast.Constant(m.label) for m in metrics]
            return source.returns(ast.Dict(keys, [call("float", found[m.node]) for m in metrics]))

        given = takes(self.graph, targets=True)
        doc = "Return the mean of each metric."
        return self.function("metrics", doc, given, [m.node for m in metrics], finish, cut=True)

    def _planned(self, kind: str, known: Sequence[str] = ()) -> list[list[str]]:
        """A class of level 2, and the function that finds its parameters in one array.

        known: that of another class.
        """
        graph = self.derived[kind]
        body = self.body(graph, PlannedBody)
        assert isinstance(body, PlannedBody)
        given = takes(self.graph, targets=True)
        for argument in given:
            body.variables[argument] = name(str(graph[argument].hint))
        convert = {i: self.convert([i], depth=2) for i in given}
        named = [str(self.first.graph[p].hint) for p in self.first.graph.params]
        tables = {tuple(self.graph[p].op.parts): f'PACKED["{self.graph[p].hint}"]' for p in self.packed}
        module = Planned(self.header, self.modes, convert, named, tables)
        if kind == "trainer":
            return list(planned_trainer(graph, body, module))
        return list(planned_forward(graph, body, module, known))

    def _trainer(self) -> list[str]:
        given = takes(self.graph, targets=True)
        names = [str(self.graph[i].hint) for i in given]
        packs = (self.called(pack), self.called(unpack)) if self.packed else None
        convert = self.convert(given, depth=2)
        return write_trainer(self.header, names, self.real, convert, self.modes, packs)
