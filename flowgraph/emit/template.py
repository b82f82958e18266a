"""The forms of operations as syntax trees, with operands and attrs put in.

Assumes forms as `ops.base` describes them. Promises trees that share nothing with the cache.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..ops.base import Op, bind_operands
from ..ops.leaf import Array
from ..types import Dim

Sizes = Callable[[Dim], ast.expr]
"""How a size is written: as a number, or an expression over the names of symbolic sizes."""


def name(identifier: str) -> ast.Name:
    return ast.Name(identifier, ast.Load())


def attribute(dotted: str) -> ast.expr:
    """`np.float32` as a tree."""
    first, *rest = dotted.split(".")
    node: ast.expr = name(first)
    for part in rest:
        node = ast.Attribute(node, part, ast.Load())
    return node


def call(func: str, *args: ast.expr, **keywords: ast.expr) -> ast.Call:
    return ast.Call(attribute(func), list(args), [ast.keyword(k, v) for k, v in keywords.items()])


def joined(*parts: str) -> ast.expr:
    """A formatted string: text and the names of variables by turns, `f"h.{i}.w"`."""
    return ast.JoinedStr(
        [
            ast.FormattedValue(name(p), -1) if place % 2 else ast.Constant(p)
            for place, p in enumerate(parts)
            if p
        ]
    )


def sum_of(terms: Sequence[ast.expr]) -> ast.expr:
    """The terms added from left to right."""
    total = terms[0]
    for term in terms[1:]:
        total = ast.BinOp(total, ast.Add(), term)
    return total


def number(value: float | int | bool, module: str) -> ast.expr:
    """A literal; infinities are `np.inf` or `torch.inf`."""
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return attribute(f"{module}.nan")
        infinity = attribute(f"{module}.inf")
        return infinity if value > 0 else ast.UnaryOp(ast.USub(), infinity)
    if not isinstance(value, bool) and (value < 0 or (value == 0 and math.copysign(1, value) < 0)):
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def literal(value: Any, module: str, sizes: Sizes) -> ast.expr:
    """An attr, or nested lists of numbers, as a tree."""
    if isinstance(value, Dim):
        return sizes(value)
    if isinstance(value, (list, tuple)):
        items = [literal(v, module, sizes) for v in value]
        return ast.List(items, ast.Load()) if isinstance(value, list) else ast.Tuple(items, ast.Load())
    if value is None or isinstance(value, str):
        return ast.Constant(value)
    if isinstance(value, Array):
        return literal(value.data.tolist(), module, sizes)
    if isinstance(value, np.generic):
        value = value.item()
    return number(value, module)


def size_expression(variable: Callable[[str], str]) -> Sizes:
    """Sizes written with the variables that hold the symbolic ones."""

    def write(size: Dim) -> ast.expr:
        total: ast.expr | None = None
        for names, factor in sorted(size.terms, key=lambda t: (-len(t[0]), t[0])):
            term: ast.expr | None = None
            for part in names:
                term = (
                    name(variable(part))
                    if term is None
                    else ast.BinOp(term, ast.Mult(), name(variable(part)))
                )
            weight = abs(factor)
            if term is None:
                term = ast.Constant(weight)
            elif weight != 1:
                term = ast.BinOp(ast.Constant(weight), ast.Mult(), term)
            if total is None:
                total = term if factor > 0 else ast.UnaryOp(ast.USub(), term)
            else:
                total = ast.BinOp(total, ast.Add() if factor > 0 else ast.Sub(), term)
        return ast.Constant(0) if total is None else total

    return write


def _axes(axes: Any) -> Any:
    """One axis stands without a tuple around it."""
    return axes[0] if isinstance(axes, tuple) and len(axes) == 1 else axes


@cache
def parsed(form: str) -> ast.expr:
    """A form's tree, which all who ask for it share: it must not be changed."""
    return ast.parse(form, mode="eval").body


@cache
def repeated_operands(form: str) -> frozenset[str]:
    """Names that a form mentions more than once: what they stand for must be a variable."""
    seen: list[str] = [n.id for n in ast.walk(parsed(form)) if isinstance(n, ast.Name)]
    return frozenset(n for n in seen if seen.count(n) > 1)


@cache
def array_operands(form: str) -> frozenset[str]:
    """Names that stand in a form where no bare number may: passed to a function of PyTorch's, or with a
    method called on them."""
    found: set[str] = set()
    for node in ast.walk(parsed(form)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(node.value.id)
        if not isinstance(node, ast.Call):
            continue
        function = ast.unparse(node.func)
        if function.startswith(("torch.", "F.")):
            taken = node.args[:1] if function == "torch.where" else node.args
            found.update(a.id for a in taken if isinstance(a, ast.Name))
    return frozenset(found)


def instantiate(
    op: Op,
    form: Any,
    operands: Sequence[ast.expr],
    module: str,
    real: str,
    sizes: Sizes,
    renamed: Mapping[str, str],
    tables: Mapping[str, ast.expr] | None = None,
) -> ast.expr:
    """An operation's form with operands and attrs in place.

    module: "np" or "torch", for infinities. real: the floating dtype, as `np.float32`.
    renamed: helpers that have another name in this module. tables: what stands for the operation's.
    """
    bound = bind_operands(op, operands) | dict(tables or {})
    attrs = op.bindings() | {a.name: _axes(getattr(op, a.name)) for a in op.attrs if a.kind == "Axes"}
    if not isinstance(form, str):
        made = _helper_call(form, bound, attrs, module, sizes)
        assert isinstance(made.func, ast.Name)
        made.func.id = renamed.get(made.func.id, made.func.id)
        return made
    return _Fill(bound, attrs, module, real, sizes).visit(parsed(form))


def instantiate_form(
    form: Any, bound: Mapping[str, ast.expr], attrs: Mapping[str, Any], module: str, real: str
) -> ast.expr:
    """An initialiser's form with its arguments in place."""

    def sizes(dim: Dim) -> ast.expr:
        return ast.Constant(dim.value)

    if not isinstance(form, str):
        return _helper_call(form, bound, attrs, module, sizes)
    return _Fill(bound, attrs, module, real, sizes).visit(parsed(form))


def _helper_call(
    form: Any, bound: Mapping[str, Any], attrs: Mapping[str, Any], module: str, sizes: Sizes
) -> ast.Call:
    args: list[ast.expr] = []
    keywords: list[ast.keyword] = []
    for key, default in _defaults(form).items():
        if key in bound:
            value = bound[key]
            args += value if isinstance(value, list) else [value]
        elif key in attrs and not same(attrs[key], default):
            keywords.append(ast.keyword(key, literal(attrs[key], module, sizes)))
    return ast.Call(name(helper_name(form)), args, keywords)


@cache
def _defaults(form: Any) -> dict[str, Any]:
    """What a function takes, by name, with what stands for that where it is not given."""
    return {key: each.default for key, each in inspect.signature(form).parameters.items()}


def helper_name(form: Any) -> str:
    """The name a pasted function has in the module: `step_torch` is `step` in torch code."""
    return str(form.__name__).removesuffix("_torch")


def same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default


class _Fill:
    """Copies a form's tree with operands and attrs in place of their names."""

    def __init__(
        self, bound: Mapping[str, Any], attrs: Mapping[str, Any], module: str, real: str, sizes: Sizes
    ) -> None:
        self.bound, self.attrs = bound, attrs
        self.module, self.real, self.sizes = module, real, sizes

    def visit(self, node: Any) -> Any:
        """The copy of a part of the form; what is put in is not copied."""
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.Call):
            return ast.Call(self.visit(node.func), self._spliced(node.args), self._keywords(node))
        if isinstance(node, (ast.List, ast.Tuple)):
            return type(node)(self._spliced(node.elts), ast.Load())
        return self._copied(node)

    def _copied(self, node: Any) -> Any:
        parts = {}
        for field in node._fields:
            part = getattr(node, field, None)
            if isinstance(part, list):
                part = [self.visit(each) if isinstance(each, ast.AST) else each for each in part]
            parts[field] = self.visit(part) if isinstance(part, ast.AST) else part
        return type(node)(**parts)

    def _name(self, node: ast.Name) -> ast.expr:
        if node.id in self.bound:
            value = self.bound[node.id]
            return ast.List(value, ast.Load()) if isinstance(value, list) else value
        if node.id in self.attrs:
            return literal(self.attrs[node.id], self.module, self.sizes)
        return attribute(self.real) if node.id == "real" else name(node.id)

    def _subscript(self, node: ast.Subscript) -> ast.expr:
        many = node.value.id if isinstance(node.value, ast.Name) else ""
        if isinstance(self.bound.get(many), list) and isinstance(node.slice, ast.Constant):
            return self.bound[many][node.slice.value]
        return self._copied(node)

    def _keywords(self, node: ast.Call) -> list[ast.keyword]:
        """Keyword arguments, but for those whose attr is None or False."""
        kept = []
        for keyword in node.keywords:
            attr = keyword.value.id if isinstance(keyword.value, ast.Name) else ""
            value = self.attrs.get(attr, ...) if attr not in self.bound else ...
            if value is not None and value is not False:
                kept.append(ast.keyword(keyword.arg, self.visit(keyword.value)))
        return kept

    def _spliced(self, items: list[ast.expr]) -> list[ast.expr]:
        out: list[ast.expr] = []
        for item in items:
            inner = item.value if isinstance(item, ast.Starred) else None
            if isinstance(inner, ast.Name) and isinstance(self.bound.get(inner.id), list):
                out += self.bound[inner.id]
            else:
                out.append(self.visit(item))
        return out
