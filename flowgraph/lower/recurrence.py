"""`scan(f, xs, first...)`: a step along the first axis of a sequence becomes a node that holds its graph.

Promises one `scan` node whose step is a typed closed graph: its inputs are the states, an entry of
the sequence, and the values and parameters that all steps share, which are operands of the node. The
parameters are made once and named after the statement, as those of any layer's call.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from ..errors import Span, shorten
from ..graph import Graph, Result, with_subgraphs
from ..ops import OPS
from ..ops.derivative import REQUESTS
from ..ops.scan import Scan
from ..passes.infer import InferTypes
from ..syntax import Call, Expr, Name
from ..types import Mismatch, TensorType, TupleType, describe
from .apply import Target, find_target, signature
from .blocks import Definition, inside, scope_sizes
from .calls import signature as signature_of
from .calls import slots_of
from .forms import dotted
from .local import tensor_of, type_of
from .order import in_order
from .scope import Scope
from .static import Skip
from .symbols import Layer, Symbol
from .walk import Steps

HOW = "it is called as `scan(f, xs, first)`, with a first value for each state of `f`"


def scan(
    expressions: Any, call: Call, piped: Expr | None, base: str, statement: Any, hint: str | None
) -> Steps:
    """The node of a recurrence; what is wrong is reported, and Skip raised.

    base: what the names of its parameters begin with. statement: makes the `Statement` of a name and
    a call.
    """
    scope: Scope = expressions.scope
    given = [*([] if piped is None else [piped]), *call.args]
    name = _callee(scope, call, given)
    nodes = yield expressions._all(given[1:], statement(base, None))
    nodes[1:] = [_as_real(scope, n, arg.span) for n, arg in zip(nodes[1:], given[2:], strict=True)]
    types = [tensor_of(scope, node, arg.span) for node, arg in zip(nodes, given[1:], strict=True)]
    if not types[0].shape:
        scope.found.report(
            "E0304",
            "`scan` goes along the first axis of a sequence",
            given[1].span,
            f"is {describe(types[0])}",
            help="give it an array whose first axis is the one to go along, such as `input x : [T, 4]`",
        )
        raise Skip
    step = _Step(scope, call, name, given)
    step.open(types)
    made = yield step.called(type(expressions)(step.child, expressions.paths), statement, base)
    graph, taken = step.close(made)
    op = Scan(graph=graph, states=len(types) - 1, sequences=1, path=base if step.child.params else "")
    single = hint if len(types) == 2 else None
    return scope.add(op, [*nodes[1:], nodes[0], *taken], hint=single, span=call.span)


def _callee(scope: Scope, call: Call, given: Sequence[Expr]) -> str:
    """The name of what a scan repeats. Reports E0401, E0402 or E0104 and raises Skip."""
    found = scope.found
    if call.keywords:
        keyword = call.keywords[0]
        said = f"`scan` has no argument `{shorten(keyword.name)}`"
        found.report("E0402", said, keyword.span, "not known", help=HOW)
        raise Skip
    if len(given) < 3:
        missing = ("what is repeated", "the sequence", "the first state")[len(given)]
        said = "`scan` is called with the wrong number of arguments"
        found.report("E0401", said, call.span, f"{missing} is missing", help=HOW)
        raise Skip
    name = dotted(given[0])
    if name is not None and find_target(scope, name) not in (None, *(OPS[r] for r in REQUESTS)):
        return name
    symbol = scope.find(name) if name is not None else None
    if symbol is not None and symbol.poisoned:
        raise Skip
    cure = found.closest(name, [*(n for n, c in OPS.items() if c.group), *scope.callables]) if name else ""
    if symbol is not None:
        cure = ""
    found.report(
        "E0104",
        "`scan` repeats a block, a layer or an operation",
        given[0].span,
        "none of these",
        labels=[] if symbol is None else [(symbol.span, f"`{shorten(symbol.name)}` is a value")],
        help=cure or "name what maps an entry of the sequence and the states to the next states",
    )
    raise Skip


def _as_real(scope: Scope, node: str, place: Span) -> str:
    """A first value that is written as a whole number, as a real: what follows it hardly is one."""
    made = scope.nodes.get(node)
    if made is None or made.op.name != "const" or tensor_of(scope, node, place).elem.kind != "int":
        return node
    return scope.add(made.op.as_kind("real"), (), span=made.span)


def _argument_names(target: Target | None) -> list[str]:
    """What the callee calls its arguments."""
    if isinstance(target, Layer):
        return _argument_names(find_target(target.scope, target.call.func))
    if isinstance(target, Definition):
        return [p.name for p in target.statement.params]
    if target is None:
        raise Skip  # what the layer calls is not there, which is told at the layer
    assert isinstance(target, type)
    return [slot.rstrip("?") for slot in slots_of(target) if not slot.startswith("*")]


class _Step:
    """The body of a scan: one call, of an entry of the sequence and the states."""

    def __init__(self, scope: Scope, call: Call, name: str, given: Sequence[Expr]) -> None:
        self.scope, self.call, self.name, self.given = scope, call, name, given
        self.target = find_target(scope, name)
        self.inputs: list[str] = []
        """The nodes of the entry, then of the states."""
        self.child: Scope = inside(scope, call, call.span, "", is_open=True)
        self.child.found = scope.found  # what is wrong with the call is told at its place anyway

    def open(self, types: Sequence[TensorType]) -> None:
        """Make the inputs: an entry of the sequence, and the states."""
        titles = _argument_names(self.target)
        self._check_count(titles, len(types))
        titles += ["x", "state", *(f"state_{i}" for i in range(2, len(types)))][len(titles) :]
        kinds = [TensorType(types[0].elem, types[0].shape[1:]), *types[1:]]
        for index, (title, type, arg) in enumerate(zip(titles, kinds, self.given[1:], strict=False)):
            node = self.child.add(OPS["input"](type=type), hint=title, span=arg.span)
            self.inputs.append(node)
            self.child.symbols[_hidden(index)] = Symbol("input", title, arg.span, node=node, type=type)

    def _check_count(self, titles: Sequence[str], count: int) -> None:
        """Report E0401 and raise Skip where a block or an operation takes more values, or fewer."""
        target, given = self.target, 0
        if isinstance(target, Layer):  # the call that it is an application of has some of the arguments
            given = len(target.call.args) + len(target.call.keywords)
            target = find_target(target.scope, target.call.func)
        if isinstance(target, Definition):
            least = sum(p.default is None for p in target.statement.params) - given
            most: float = len(titles) - given
            how = signature(target.statement)
        elif isinstance(target, type):
            least = 0 if given else sum(not s.endswith("?") for s in slots_of(target))
            most = inf if target.variadic() else len(titles)
            how = signature_of(target)
        else:
            return  # what the layer calls is told where the layer is made
        if least <= count <= most:
            return
        self.scope.found.report(
            "E0401",
            f"`{shorten(self.name)}` is repeated with the wrong number of states",
            self.call.span,
            f"{_counted(count - 1, 'first value')} here",
            help=f"it is called as `{how}`, with an entry of the sequence and then the states",
        )
        raise Skip

    def called(self, expressions: Any, statement: Any, base: str) -> Steps:
        """The nodes of the next states. Reports E0401 and raises Skip where they are too few or many."""
        arguments = tuple(Name(_hidden(i), a.span) for i, a in enumerate(self.given[1:]))
        call = Call(self.name, arguments, (), self.given[0].span, self.call.span)
        node = yield expressions._call(call, None, call, statement(base, call), None)
        type, states = type_of(self.child, node), len(self.inputs) - 1
        count = len(type.items) if isinstance(type, TupleType) else 1
        if count != states:
            self.scope.found.report(
                "E0401",
                f"`{shorten(self.name)}` gives {_counted(count, 'value')} for {_counted(states, 'state')}",
                self.call.span,
                f"{_counted(states, 'first value')} here",
                help="what is repeated maps an entry and the states to as many next states",
            )
            raise Skip
        if count == 1:
            return [node]
        return [self.child.add(OPS["item"](index=i, count=count), [node]) for i in range(count)]

    def close(self, made: Sequence[str]) -> tuple[Graph, list[str]]:
        """The typed graph of a step, and the values outside that all steps share."""
        self._hold_states(made)
        child = self.child
        graph = Graph(self.name.replace(".", "_"), sizes=scope_sizes(child))
        for name in in_order(child):
            graph.add(child.nodes[name])
        entry, *states = self.inputs
        titles = [child.nodes[s].hint or s for s in states]
        following = [Result("output", title, n) for title, n in zip(titles, made, strict=True)]
        given = [Result("output", f"{title}s", n) for title, n in zip(titles, made, strict=True)]
        graph.close([*states, entry, *child.captured], (), (), [*following, *given])
        before = child.found.error_count
        typed = InferTypes(child.found).run(graph)
        if child.found.error_count > before:
            raise Skip
        self._refuse_coupling(typed)
        return unwrapped(typed), list(child.captured.values())

    def _refuse_coupling(self, graph: Graph) -> None:
        """Report E0406 and raise Skip for what lets the examples of a batch act on each other."""
        nodes = (node for inner in with_subgraphs(graph) for node in inner if node.op.couples)
        node = next(nodes, None)
        if node is None:
            return
        self.scope.found.report(
            "E0406",
            f"`{node.op.name}` cannot stand inside of a `scan`",
            self.call.span,
            "repeated here",
            labels=[(node.span, f"`{node.op.name}` in training couples the examples of a batch")],
            help="use `layernorm`, which works on each example by itself",
        )
        raise Skip

    def _hold_states(self, made: Sequence[str]) -> None:
        """Hold the next states against those before."""
        for state, name, arg in zip(self.inputs[1:], made, self.given[2:], strict=True):
            self._need_same(state, tensor_of(self.child, name, self.call.span), arg.span)

    def _need_same(self, state: str, type: TensorType, place: Span) -> None:
        """Report E0310 or E0303 and raise Skip where a state would change its type."""
        node = self.child.nodes[state]
        old: TensorType = node.op.type
        same_kind = old.elem.kind == type.elem.kind
        fits = same_kind and old.rank == type.rank
        try:
            for a, b in zip(old.shape, type.shape, strict=True) if fits else ():
                self.scope.unifier.unify(a, b)
        except Mismatch:
            fits = False
        if fits:
            return
        before, after = describe(old), describe(type)
        cure = "a state keeps its shape from step to step: change its first value, or what is repeated"
        if not same_kind:
            cure = f"a state keeps its kind from step to step: make the first value {type.elem.kind}"
        elif old.elem.kind == "real" and type.shape:
            cure += f"; `zeros({', '.join(map(str, type.shape))})` would fit"
        self.scope.found.report(
            "E0310" if same_kind else "E0303",
            f"the state `{shorten(node.hint or state)}` changes from {before} to {after}",
            place,
            f"is {before}",
            labels=[(self.given[0].span, f"`{shorten(self.name)}` makes {after} of it")],
            help=cure,
        )
        raise Skip


def _hidden(index: int) -> str:
    """A name that no file can use."""
    return f"%{index}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def unwrapped(step: Graph) -> Graph:
    """The step without a call that is all it does: the graph that is called, its inputs in order."""
    calls = [n for n in step if n.op.name == "call"]
    if len(calls) != 1 or any(n.op.name not in ("input", "call", "item") for n in step):
        return step
    (call,) = calls
    slots = {operand: slot for slot, operand in enumerate(call.operands)}
    if len(slots) != len(call.operands) or set(slots) != set(step.inputs):
        return step
    inner: Graph = call.op.graph
    if any(isinstance(inner[r.node].type, TupleType) for r in inner.results):
        return step  # its one result is several values, which are taken apart out here
    nodes = [step[r.node] for r in step.results]
    outputs = [inner.results[n.op.index if n.op.name == "item" else 0].node for n in nodes]
    out = inner.like()
    for node in inner:
        out.add(node)
    results = [Result("output", r.label, n) for r, n in zip(step.results, outputs, strict=True)]
    return out.close([inner.inputs[slots[name]] for name in step.inputs], (), (), results)
