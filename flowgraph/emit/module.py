"""What the emitted modules of both targets share: head, arguments, sizes, layout."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..graph import Graph, Result, with_subgraphs
from ..lower.program import Training
from ..naming import MODULE_NAMES, Namer, comment_text, docstring_text
from ..ops.ambient import draw_key
from ..ops.control import GIVEN
from ..types import Dim, TensorType
from . import source
from .body import Body
from .comments import shape_note
from .containers import NAME_KEEPERS, Attributes
from .helpers import with_callees
from .packs import PACK_KEEPERS, pack, unpack
from .planned.chains import pieces
from .schedule import schedule_forms
from .template import helper_name, name

SHAPED = re.compile(r"[A-Za-z0-9_]+ \([^()]*\)")
"""A name and its shape, `x (N, 3)`, which a line break must not part."""
GLUE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Header:
    """How a module came to be, and the choices it was emitted with."""

    source: str
    version: str
    target: str
    level: int = 1
    dtype: str = "float32"
    sparse: str = ""
    """The library that computes lists of wires, if it is another than the target's."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Helpers whose name an argument takes, and what they are called instead."""
    helper_names: frozenset[str] = frozenset()
    training: Training | None = None
    """How the module trains; None where there is nothing to train."""
    frozen: tuple[str, ...] = ()
    """Names of the parameters that stay as they are."""
    without: frozenset[str] = frozenset()
    """Optimisations of level 2 that are left out."""


def with_names(header: Header, graphs: Sequence[Graph], named: Graph) -> Header:
    """The header with helpers renamed where an input or target of the graphs has their name.

    named: a graph with the diagram's own params.
    """
    forms = schedule_forms(header.training)
    graph = graphs[0]
    graphs = [inner for each in graphs for inner in with_subgraphs(each)]
    for each, node in ((g, n) for g in graphs for n in g):
        if node.op.name == "key" and header.target == "numpy":
            forms.append(draw_key)
        if node.op.name in (*GIVEN, "const", "training", "key", "rate") or node.op.subgraphs():
            continue
        types = [each[o].type for o in node.operands]
        if header.target == "torch" and node.op.torch_along is not None:
            forms.append(node.op.torch_along)
        form = node.op.form(header.target, types)
        if not isinstance(form, str):
            forms.append(form)
        forms += [t.build for t in node.op.tables(header.target, types).values() if t.build is not None]
    for param in named.params:
        form = type(named[param].op.init).numpy
        if not isinstance(form, str):
            forms.append(form)
    if header.target == "torch" and Attributes(str(graph[p].hint) for p in (*graph.params, *graph.buffers)):
        forms += NAME_KEEPERS
    if header.level == 2:
        forms.append(pieces)
    if any(graph[p].op.parts for p in graph.params):
        forms += [pack, unpack] if header.target == "numpy" else PACK_KEEPERS
    names = [helper_name(f) for f in with_callees(forms)] + ["unpacked"]
    taken = {str(graph[i].hint) for i in (*graph.inputs, *graph.targets)}
    taken |= {str(n.hint) for n in graph if n.op.name == "const" and n.type.shape}
    renamed = {n: f"{n}_" for n in names if n in taken}
    return replace(header, renamed=renamed, helper_names=frozenset(renamed.get(n, n) for n in names))


def docstring(header: Header, graph: Graph) -> str:
    """The module's docstring: what it is, and the source and command it came from."""
    title = f"{graph.name}: {graph.doc.rstrip('.')}." if graph.doc else f"{graph.name}."
    how = f"target {header.target}, -O{header.level}" + (
        f", {header.dtype}" if header.dtype != "float32" else ""
    )
    how += f", sparse {header.sparse}" if header.sparse else ""
    made = f"Compiled from {comment_text(header.source)} by flowc {header.version} ({how})."
    return f'"""{docstring_text(title)}\n\n{docstring_text(made)}\n"""'


def doc_lines(text: str, depth: int = 1) -> list[str]:
    """A function's or class's docstring; a name and its shape stay on one line."""
    indent = " " * (4 * depth)
    whole = f'{indent}"""{text}"""'
    if len(whole) <= source.WIDTH:
        return [whole]
    glued = SHAPED.sub(lambda m: m[0].replace(" ", GLUE), text)
    # Less than the room there is: the formatter would put a single line and its quotes together.
    lines = textwrap.wrap(glued, source.WIDTH - len(indent) - 8, break_long_words=False)
    body = [line.replace(GLUE, " ") for line in lines]
    return [f'{indent}"""{body[0]}', *(indent + line for line in body[1:]), f'{indent}"""']


def join(head: Sequence[str], parts: Iterable[Sequence[str]]) -> str:
    """The module's text: the head, then its parts two blank lines apart."""
    lines = list(head)
    for index, part in enumerate(p for p in parts if p):
        first = part[0]
        apart = 2 if first.startswith(("def ", "class ")) else 1
        if index and not first.startswith(("def ", "class ")):
            apart = 1
        lines += [""] * apart + list(part)
    return "\n".join(lines).rstrip() + "\n"


def takes(graph: Graph, *, targets: bool) -> list[str]:
    """The arguments of a function: inputs, then targets."""
    return [*graph.inputs, *(graph.targets if targets else ())]


def arguments(graph: Graph, outputs: Sequence[Result]) -> str:
    """`f, shape (N,), from x1 (N,) and x2 (N,)`, for a docstring."""
    results = [f"{r.label} {shape_note(graph[r.node].type)}" for r in outputs]
    if len(outputs) == 1:
        results = [f"{outputs[0].label}, shape {shape_note(graph[outputs[0].node].type)}"]
    given = [f"{graph[i].hint} {_kind(graph[i].type)}" for i in graph.inputs]
    text = listed(results)
    joint = ", from" if len(outputs) == 1 else " from"
    return f"{text}{joint} {listed(given)}" if given else text


def _kind(type: TensorType) -> str:
    if type.elem.kind == "class":
        listed_names = f": {', '.join(type.elem.names)}" if type.elem.names else ""
        names = docstring_text(listed_names).replace("\n", " ")
        assert isinstance(type.elem.classes, Dim)
        return f"{shape_note(type)} of labels 0..{type.elem.classes - 1}{names}"
    return shape_note(type)


def listed(items: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""


def arrays_at_head(graph: Graph, namer: Namer) -> dict[str, str]:
    """The literal arrays, each by the name of the module's constant for it."""
    for argument in (*graph.inputs, *graph.targets):
        namer.reserve(str(graph[argument].hint))
    for constant, _ in graph.constants:
        namer.reserve(constant)
    for param in graph.params:  # in torch, constants and parameters are attributes of one module
        namer.reserve(str(graph[param].hint).partition(".")[0])
    for taken in MODULE_NAMES:
        namer.reserve(taken)
    out = {}
    used = graph.ancestors(r.node for r in graph.results)
    for node in graph:
        if node.name in used and node.op.name == "const" and node.type.shape:
            out[node.name] = namer.variable(node.hint or "values")
    return out


def entries_of(results: Sequence[Result], found: Mapping[str, ast.expr]) -> ast.Dict:
    """The values of results as a dict by label."""
    return ast.Dict([ast.Constant(r.label) for r in results], [found[r.node] for r in results])


def shape_items(graph: Graph, type: TensorType) -> list[ast.expr]:
    """A parameter's sizes, written with the module's size constants where they come from them."""
    named = {f"`size {n} = {v}`": n for n, v in graph.constants}
    items: list[ast.expr] = []
    for size in type.shape:
        assert isinstance(size, Dim)
        origin = size.origin.text.removesuffix(" by --set") if size.origin is not None else ""
        items.append(name(named[origin]) if origin in named else ast.Constant(size.value))
    return items


def bind_size_lines(
    graph: Graph, body: Body, given: Sequence[str], *, is_checked: bool = False, has_loss: bool = True
) -> list[str]:
    """Lines that read the symbolic sizes off the arguments, and check what the file requires of these.

    is_checked: whether the function calls `forward`, which checks what it requires of its inputs.
    has_loss: whether it computes losses or metrics.
    """
    checks = []
    for requirement in graph.requires:
        needed = requirement.symbols
        if any(size_source(graph, symbol, given) is None for symbol in needed):
            continue
        if requirement.for_loss and not has_loss:
            continue
        if (
            is_checked
            and not requirement.for_loss
            and all(size_source(graph, symbol, graph.inputs) is not None for symbol in needed)
        ):
            continue
        condition = _condition(requirement.condition, body)
        message = source.text(ast.Constant(requirement.message))
        checks.append(f"    assert {source.text(condition)}, {message}")
    lines = []
    for symbol in body.sizes_used:
        place = size_source(graph, symbol, given)
        if place is None:
            continue
        argument, axis = place
        variable = str(graph[argument].hint)
        # torch.export takes what `len` says for a fixed number.
        is_length = axis == 0 and body.target.key == "numpy"
        text = f"len({variable})" if is_length else f"{variable}.shape[{axis}]"
        lines.append(f"    {body.size_names[symbol]} = {text}")
    return lines + checks


def size_source(graph: Graph, symbol: str, given: Sequence[str]) -> tuple[str, int] | None:
    """An argument and its axis whose size is the symbolic size alone."""
    wanted = Dim.symbol(symbol)
    for argument in given:
        for axis, size in enumerate(graph[argument].type.shape):
            if size == wanted:
                return argument, axis
    return None


COMPARE: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}


def _condition(condition: Any, body: Body) -> ast.expr:
    if isinstance(condition, Dim):
        return body.size(condition)
    if not isinstance(condition, tuple):
        return ast.Constant(condition)
    op, *sides = condition
    if op == "not":
        return ast.UnaryOp(ast.Not(), _condition(sides[0], body))
    a, b = (_condition(side, body) for side in sides)
    if op in ("and", "or"):
        return ast.BoolOp(ast.And() if op == "and" else ast.Or(), [a, b])
    if op == "%":
        return ast.BinOp(a, ast.Mod(), b)
    return ast.Compare(a, [COMPARE[op]()], [b])


def reaches_through(graph: Graph, wanted: Sequence[str]) -> bool:
    """Whether `wanted` can be computed from what forward returns, arguments and params alone.

    All outputs must be needed, and nothing that forward computes may be computed again. What is
    drawn at random is drawn there: a call has one key.
    """
    outputs = [r.node for r in graph.results_of("output")]
    leaves = (*GIVEN, "const", "size_value", "training")
    if not outputs or any(graph[o].op.name in leaves for o in outputs):
        return False
    if not all(o in graph.ancestors(wanted) for o in outputs):
        return False
    inside = graph.ancestors(outputs)
    stack, seen = list(wanted), set()
    while stack:
        node = stack.pop()
        if node in seen or node in outputs:
            continue
        seen.add(node)
        if graph[node].op.draws or (node in inside and graph[node].op.name not in leaves):
            return False
        stack += graph[node].operands
    return True


def output_variables(graph: Graph, body: Body, wanted: Iterable[str]) -> str:
    """Give variables to the outputs that `wanted` needs; returns the left-hand side of forward's results."""
    names = []
    outputs = {r.node for r in graph.results_of("output")}
    needed: set[str] = set()
    stack = list(wanted)
    while stack:
        node_name = stack.pop()
        if node_name not in needed:
            needed.add(node_name)
            stack += () if node_name in outputs else graph[node_name].operands
    for result in graph.results_of("output"):
        if result.node not in needed:
            names.append("_")
            continue
        if result.node not in body.variables:
            variable = body.namer.variable(graph[result.node].hint or result.label)
            body.variables[result.node] = name(variable)
        node = body.variables[result.node]
        assert isinstance(node, ast.Name)
        names.append(node.id)
    return ", ".join(names)
