"""The state of a lowering: what names mean, and the nodes made so far.

Nodes are collected in any order (a circle may be used before its wires are read) and put in
order of dependence at the end. The body of a block or a repeat has a scope of its own, whose graph
is closed: what it takes from outside, parameters among it, is an input of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NoReturn, TypeAlias

from ..errors import MAX_ERRORS, Diagnostics, Span, shorten
from ..graph import Node, renamed
from ..naming import ARGUMENT_NAMES, KEYWORDS, MODULE_NAMES, Namer
from ..ops import OPS
from ..ops.ambient import Buffer
from ..ops.derivative import REQUESTS
from ..ops.leaf import Array, Const, Input, Param
from ..types import TensorType, Type, Unifier
from .static import CONSTANTS, Skip, in_range
from .symbols import Circle, Layer, Symbol, article

DEFAULT_MAX_NODES = 1_000_000
Leaf: TypeAlias = "type[Param] | type[Buffer]"


@dataclass
class Scope:
    """Everything a lowering knows and makes."""

    found: Diagnostics
    settings: Mapping[str, Any] = field(default_factory=dict)
    max_nodes: int = DEFAULT_MAX_NODES
    path: str = ""
    """The file's, for errors that have no place in it."""
    symbols: dict[str, Symbol] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    """The names of all nodes in the order they were made."""
    inputs: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    params: dict[str, Span] = field(default_factory=dict)
    param_nodes: dict[str, str] = field(default_factory=dict)
    """The node of each parameter by the parameter's name."""
    param_places: dict[str, int] = field(default_factory=dict)
    """The line of the statement that made it, the outermost one, by the parameter's node."""
    place: Span | None = None
    """Of a body: the call, or the repeat."""
    sizes: list[str] = field(default_factory=list)
    later: dict[str, Span] = field(default_factory=dict)
    """Names that equations further down define."""
    bindings: dict[str, int] = field(default_factory=dict)
    """How many equations of the file define each of those names."""
    circles: dict[str, Circle] = field(default_factory=dict)
    excitations: dict[str, Circle] = field(default_factory=dict)
    """The circle of each excitation that is a node of its own."""
    circle_count: int = 0
    namer: Namer = field(default_factory=Namer)
    unifier: Unifier = field(default_factory=Unifier)
    types: dict[str, Type] = field(default_factory=dict)
    """What is known of the types of nodes so far; a circle's follows from its declaration."""
    interned: dict[Any, str] = field(default_factory=dict)
    skipped: bool = False
    """Whether anything was left out of the graph, which only an error excuses."""
    parent: Scope | None = None
    """The scope around it, of a body."""
    prefix: str = ""
    """What the names of a body's parameters begin with outside."""
    is_open: bool = False
    """Whether the body sees the values around it, as that of a repeat does."""
    captured: dict[str, str] = field(default_factory=dict)
    """The inputs of a body that are nodes outside, by name."""
    layer: Layer | None = None
    """The layer that the body is an application of."""
    callables: dict[str, Symbol] = field(default_factory=dict)
    """Blocks, layers and files; names before `(` are looked up here, all others among the symbols."""
    files: Any = None
    """Reads the files that are used."""
    read_edges: Any = None
    """Reads the table of a `wires` statement."""
    tables: list[Any] = field(default_factory=list)
    lower_body: Any = None
    """Lowers statements in the scope of a body: a function of the scope, the statements, their place."""
    chain: tuple[Any, ...] = ()
    """The blocks and repeats whose bodies it is in, from outside."""
    room: list[int] = field(default_factory=lambda: [0])
    """One number, how many nodes there are in all scopes together."""
    requires: list[Any] = field(default_factory=list)
    """What bodies require of symbolic sizes, of all scopes together."""
    inner: dict[str, tuple[Span, str]] = field(default_factory=dict)
    """Names that stay inside of a repeat, where they are bound, and what to do to have one outside."""
    streams: int = 0
    """How many keys for random draws were made in this scope."""

    # -- names

    def define(self, symbol: Symbol) -> bool:
        """Give a name its meaning; False, with an error, where it has one or may not have it.

        Only an equation may give a name again that an equation made.
        """
        if symbol.name in CONSTANTS:
            return False  # a reserved word: the parser has said so
        old = self.find(symbol.name)
        if old is None or old.kind == symbol.kind == "equation":
            self.symbols[symbol.name] = symbol
            return True
        if symbol.kind == "equation":
            self._report_rebound(old, symbol)
        else:
            self.found.report(
                "E0102",
                f"`{shorten(symbol.name)}` is declared twice",
                symbol.span,
                f"declared again here, as {article(symbol.kind)}",
                labels=[(old.span, f"first declared here, as {article(old.kind)}")],
                help="give one of the two another name",
            )
        old.poisoned = True
        return False

    def _report_rebound(self, old: Symbol, symbol: Symbol) -> None:
        if old.poisoned:
            return
        name = shorten(symbol.name)
        self.found.report(
            "E0206",
            f"`{name}` is {article(old.kind)} and cannot be bound again",
            symbol.span,
            "bound again here",
            labels=[
                (old.span, f"{'introduced' if old.is_implied else 'declared'} here, as {article(old.kind)}")
            ],
            help="choose another name: only a name that an equation made can be bound again",
        )

    def look_up(self, name: str, span: Span) -> Symbol:
        """What a name means. Reports and raises Skip where it means nothing."""
        symbol = self.symbols.get(name) or self._capture(name)
        if symbol is not None:
            symbol.used = True
            if symbol.poisoned:
                raise Skip
            return symbol
        if name in self.later:
            self.found.report(
                "E0103",
                f"`{shorten(name)}` is used before its equation",
                span,
                "not known yet",
                labels=[(self.later[name], f"`{shorten(name)}` is made here")],
                help="equations run in order: move this statement below the equation",
            )
            raise Skip
        if name in OPS and (OPS[name].group or name in REQUESTS):
            self.found.report(
                "E0101",
                f"`{name}` is an operation, not a value",
                span,
                "used as a value",
                help=f"call it: `{name}(...)`",
            )
            raise Skip
        self._refuse_callable(name, span)
        labels: list[tuple[Span | None, str]] = []
        if name in self.inner:
            place, cure = self.inner[name]
            labels = [(place, f"`{shorten(name)}` is known in this `repeat` alone")]
        else:
            cure = self.found.closest(name, chain(self.symbols, self.later, CONSTANTS))
        cure = cure or self.found.closest(
            name, chain(self.callables, (n for n, op in OPS.items() if op.group))
        )
        self.found.report(
            "E0101",
            f"`{shorten(name)}` is not defined",
            span,
            "not found",
            labels=labels,
            help=cure or "declare it as an input, param or node, or write an equation for it",
        )
        raise Skip

    def _refuse_callable(self, name: str, span: Span) -> None:
        """Report E0101 and raise Skip for a block, a layer or a file that stands where a value must."""
        symbol = self.find_callable(name)
        if symbol is None:
            return
        kind = symbol.kind if symbol.kind != "callable" else "block"
        cure = f"call it: `{shorten(name)}(...)`"
        if kind == "layer":
            cure = (
                f"apply it, `{shorten(name)}(x)`, or take a parameter of it, such as `{shorten(name)}.weight`"
            )
        self.found.report(
            "E0101",
            f"`{shorten(name)}` is {article(kind)}, not a value",
            span,
            "used as a value",
            labels=[(symbol.span, "made here")],
            help=cure,
        )
        raise Skip

    def find(self, name: str) -> Symbol | None:
        """What a name means here or, in an open body, outside; it does not count as used."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.symbols:
                return scope.symbols[name]
            scope = scope.parent if scope.is_open else None
        return None

    def find_callable(self, name: str) -> Symbol | None:
        """The block, layer or file of this name here or, in an open body, outside."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.callables:
                return scope.callables[name]
            scope = scope.parent if scope.is_open else None
        return None

    def _capture(self, name: str) -> Symbol | None:
        """A value from around an open body, made an input of it; None where there is none."""
        outer = self.find(name)
        if outer is None or self.parent is None:
            return None
        outer.used = True
        if outer.poisoned or not outer.node:
            self.symbols[name] = outer
            return outer
        above = self.parent.symbols.get(name) or self.parent._capture(name)
        assert above is not None
        from .local import tensor_of  # which needs scopes itself

        node = self.take(above.node, tensor_of(self.parent, above.node, outer.span), name, outer.span)
        self.symbols[name] = Symbol(outer.kind, name, outer.span, node=node)
        return self.symbols[name]

    def take(self, outside: str, type: Any, hint: str | None, span: Span | None) -> str:
        """Make a node of the scope around an input of this body; returns its name here."""
        for inner, known in self.captured.items():
            if known == outside:
                return inner
        inner = self.add(Input(type=type), hint=hint, span=span)
        self.captured[inner] = outside
        return inner

    def poison(self, kind: str, name: str, span: Span) -> None:
        """Remember a name whose definition failed, so that its uses are not reported too."""
        old = self.symbols.get(name)
        if old is None or old.kind == kind:
            self.symbols[name] = Symbol(kind, name, span, poisoned=True, used=True)

    def check_argument(self, name: str, span: Span) -> None:
        """Report an input or target whose name cannot be a parameter of the emitted functions."""
        if name in KEYWORDS or name in ARGUMENT_NAMES:
            why = "a Python keyword" if name in KEYWORDS else "the emitted functions use this name themselves"
            self.found.report(
                "E0602",
                f"`{name}` cannot be the name of an input or target",
                span,
                why,
                help=f"choose another name, such as `{name}_`: it becomes an argument of functions",
            )

    # -- nodes

    def add(
        self,
        op: Any,
        operands: Iterable[str] = (),
        *,
        hint: str | None = None,
        span: Span | None = None,
        name: str | None = None,
    ) -> str:
        """Make a node; `name` must be free if given. Raises Skip at the node limit."""
        self.room[0] += 1
        if self.room[0] > self.max_nodes:
            self.report_limit("nodes", span)
        unique = name or self._name(hint, op.name)
        self.nodes[unique] = Node(unique, op, tuple(operands), None, hint, span)
        self.namer.reserve(unique)
        self.made.append(unique)
        return unique

    def report_limit(self, what: str, span: Span | None) -> NoReturn:
        """Give up where the diagram has more nodes or circles than it may have."""
        self.found.report(
            "E0905",
            f"the diagram has more than {self.max_nodes} {what}",
            span,
            "the limit is reached here",
            help="raise the limit with --max-nodes if that is meant",
        )
        raise TooManyNodes

    def check_patience(self) -> None:
        """Give up where there are so many errors that further ones help nobody."""
        if self.found.error_count >= MAX_ERRORS:
            raise TooManyNodes

    def _name(self, hint: str | None, fallback: str) -> str:
        """The diagram's own name where it is free, else one made from it."""
        if hint is not None and hint not in self.nodes and hint not in self.circles:
            return hint
        return self.namer.unique(hint or fallback)

    def literal(self, value: Any, span: Span | None = None, hint: str | None = None) -> str:
        """The node of a number or of a rectangular nested list; equal literals share one."""
        value = Array(value) if isinstance(value, list) else in_range(value)
        key = (type(value).__name__, repr(value), hint)
        if key not in self.interned:
            self.interned[key] = self.add(Const(value=value), hint=hint, span=span)
        return self.interned[key]

    def add_param(
        self,
        name: str,
        type: TensorType,
        init: Any,
        span: Span,
        help: str = "",
        place: Span | None = None,
        leaf: Leaf = Param,
    ) -> str:
        """Make a trainable parameter, or a buffer. Reports E0106 or E0602 for names that cannot be.

        place: the statement of this scope that makes it, where that is not at `span`.
        """
        if name in self.params:
            self.found.report(
                "E0106",
                f"two parameters are named `{name}`",
                span,
                "the second is made here",
                labels=[(self.params[name], "the first is made here")],
                help=help or "give one of the two statements another name",
            )
            raise Skip
        kept = next((part for part in name.split(".") if part in MODULE_NAMES), None)
        if self.parent is None and kept is not None:
            what = "this" if kept == name else f"the statement that makes `{name}`"
            self.found.report(
                "E0602",
                f"a parameter cannot be named `{name}`",
                span,
                f"`{kept}` is a name that torch modules keep for themselves",
                help=f"name {what} differently, such as `{kept}_`",
            )
            raise Skip
        self.params[name] = span
        if self.parent is not None:
            self.param_nodes[name] = self._taken_param(name, type, init, span, help, leaf)
            return self.param_nodes[name]
        free = name if name not in self.nodes else self.namer.unique(name)
        self.param_nodes[name] = free
        self.param_places[free] = (place or span).line
        return self.add(leaf(type=type, init=init), hint=name, span=span, name=free)

    def start_param(self, node: str, init: Any) -> None:
        """Give a parameter made in this scope other first values; a body's parameters are made outside it."""
        if self.parent is not None:
            self.parent.start_param(self.captured[node], init)
            return
        made = self.nodes[node]
        self.nodes[node] = renamed(made, op=made.op.with_attrs(init=init))

    def _taken_param(self, name: str, type: TensorType, init: Any, span: Span, help: str, leaf: Leaf) -> str:
        """A parameter of a body: made outside under the body's prefix, and an input here.

        The applications of a layer share theirs.
        """
        assert self.parent is not None
        if self.layer is not None:
            outside = self.parent.shared(self.layer, name, type, init, span, leaf)
        else:
            full = f"{self.prefix}.{name}" if self.prefix else name
            outside = self.parent.add_param(full, type, init, span, help, self.place, leaf)
        return self.take(outside, type, name, span)

    def shared(
        self, layer: Layer, name: str, type: TensorType, init: Any, span: Span, leaf: Leaf = Param
    ) -> str:
        """The node, in this scope, of a layer's parameter, which its first application makes."""
        if self is not layer.scope:
            assert self.parent is not None
            outside = self.parent.shared(layer, name, type, init, span, leaf)
            return self.take(outside, type, f"{layer.name}.{name}", span)
        if name not in layer.params:
            layer.params[name] = self.add_param(f"{layer.name}.{name}", type, init, span, leaf=leaf)
        return layer.params[name]


class TooManyNodes(Exception):
    """A limit, of nodes or of errors, is reached; nothing more is lowered."""
