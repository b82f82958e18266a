"""Models that are linear in their parameters as one product: a + b x + c x² is (a, b, c) · (1, x, x²).

Assumes a typed graph of one example. A number that is a sum with at least two terms of a scalar param by
itself, or times something that depends on no param, becomes the product of a vector of these params and of
one of the factors, which a training step need not compute again for the same data; so do value and gradient
come to one product each, over all examples. Params that nothing else uses are packed (see `packing`).
Promises the same values to rounding, under their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops import OPS
from ..ops.base import Value, fn
from .affine import Form, Forms
from .base import Pass
from .dce import Dce
from .packing import Packing

FEWEST = 2
"""So many params make a product worth it."""

Factor = Mapping[str, float]
"""A sum of sources by their numbers, "" being 1."""


@dataclass(frozen=True)
class LinearModel(Pass):
    """Sums of params times known factors as inner products."""

    name: ClassVar[str] = "linear_model"

    def run(self, graph: Graph) -> Graph:
        models = _models(graph)
        return Packing().run(Dce().run(_written(graph, models))) if models else graph


@dataclass(frozen=True)
class _Model:
    """What each param is multiplied by, and the rest of the sum."""

    factors: Mapping[str, Factor]
    rest: Form


def _models(graph: Graph) -> dict[str, _Model]:
    """The numbers that are such sums, but for those that are a part of another."""
    forms = Forms(graph)
    trained = graph.depends_on(graph.params)
    results = {r.node for r in graph.results}
    found = {}
    for node in graph:
        if node.name not in forms.own or node.op.name in ("const", "param") or _is_part(forms, node):
            continue
        model = _model(forms.own[node.name], trained)
        if len(model.factors) < FEWEST:
            continue
        parts = _parts(forms, node.name)
        if all(p not in results and parts.issuperset(graph.nx.succ[p]) for p in model.factors):
            found[node.name] = model
    return found


def _is_part(forms: Forms, node: Node) -> bool:
    """Whether the sum is seen through by the one that uses it."""
    users = forms.graph.users(node.name)
    return not forms.is_source(node) and bool(users) and users[0].name in forms.own


def _parts(forms: Forms, whole: str) -> set[str]:
    """The sums and products that a number is added up in, itself among them."""
    found = {whole}
    stack = [whole]
    while stack:
        for operand in forms.graph[stack.pop()].operands:
            node = forms.graph[operand]
            if operand in forms.own and node.op.name not in ("const", "param") and _is_part(forms, node):
                found.add(operand)
                stack.append(operand)
    return found


def _model(form: Form, trained: set[str]) -> _Model:
    factors: dict[str, dict[str, float]] = {}
    rest = Form(bias=form.bias)
    for (source, param), number in form.terms.items():
        if param and source not in trained:
            factors.setdefault(param, {})[source] = number
        else:
            rest.terms[source, param] = number
    return _Model(factors, rest)


# ---------------------------------------------------------------------------------------
# The new graph


def _written(graph: Graph, models: Mapping[str, _Model]) -> Graph:
    out = graph.like()
    builder = Builder(out, [n.name for n in graph])
    for node in graph:
        if node.name not in models:
            out.add(node)
            continue
        model = models[node.name]
        params = fn.assemble(*(Value(builder, p) for p in model.factors), shape=(len(model.factors),))
        out.set_hint(params.name, f"w_{node.hint or node.name}")
        known = fn.stack(*(_sum(builder, Form(terms=_terms(f))) for f in model.factors.values()), axis=-1)
        total = fn.matmul(params, known)
        if model.rest.bias or model.rest.terms:
            total = total + _sum(builder, model.rest)
        last = out.pop_last()
        assert last.name == total.name
        out.add(renamed(last, name=node.name, hint=node.hint, span=node.span))
    return out.close(graph.inputs, graph.targets, graph.params, graph.results)


def _terms(factor: Factor) -> dict[tuple[str, str], float]:
    return {(source, ""): number for source, number in factor.items()}


def _sum(builder: Builder, form: Form) -> Value:
    """A form written out; the term without a source and a param is a number by itself."""
    bias = form.bias + form.terms.get(("", ""), 0)
    total: Value | None = None
    for (source, param), number in form.terms.items():
        names = [name for name in (param, source) if name]
        if not names:
            continue
        term = Value(builder, names[0])
        term = term * Value(builder, names[1]) if len(names) == 2 else term
        term = term if number == 1 else number * term
        total = term if total is None else total + term
    if total is None:
        return Value(builder, builder.apply(OPS["const"](value=bias, kind="real"), ()))
    return bias + total if bias else total
