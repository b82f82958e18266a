"""A graph as the statements of a function.

Assumes a typed graph over batches. Promises one statement for every node that has a name of
the diagram's, in the graph's order; at level 1 and above a value that nobody named and that
is used once stands inside the statement that uses it, as long as the line stays short.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..graph import Graph, Node
from ..naming import Namer
from ..ops.scan import Scan
from ..ops.table import Table
from ..types import Dim, TensorType, TupleType
from . import source
from .comments import Comments, suggestion
from .loops import write_scan
from .tables import tables_of
from .template import (
    Sizes,
    array_operands,
    call,
    helper_name,
    instantiate,
    name,
    number,
    repeated_operands,
    size_expression,
    sum_of,
)

INLINE_ROOM = 70
"""A value is put into the statement that uses it while its own text is at most this long."""


def declared_form(node: Node, operands: Sequence[ast.expr]) -> ast.expr | None:
    """No better form than the one declared with the operation."""
    return None


@dataclass
class Target:
    """What differs between the numpy and the torch target where statements are concerned."""

    key: str  # which form of an operation
    module: str  # the array library's name
    real: str  # the floating dtype
    call: Callable[[Node, Sequence[ast.expr]], ast.expr | None] = declared_form
    """A better form for a node (a module's call in torch), or None for the declared one."""
    fills: bool = True
    """Whether arrays may be filled entry by entry: not where autograd looks on."""
    wrap: Callable[[ast.expr], ast.expr] | None = None
    """Gives a bare number the floating dtype, where all operands of an operation are numbers."""
    table: Callable[[Table, str], ast.expr] | None = None
    """What stands for a table of an operation, given a name to call it by."""


@dataclass
class Body:
    """Writes the statements of one function.

    variables: nodes that are known already, by variable (arguments, unpacked params, module
    constants). helpers: collects the functions whose source the module must contain.
    """

    graph: Graph
    target: Target
    level: int
    namer: Namer
    helpers: dict[str, Any]
    variables: dict[str, ast.expr] = field(default_factory=dict)
    size_names: dict[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    depth: int = 1
    lines: list[str] = field(default_factory=list)
    sizes_used: dict[str, None] = field(default_factory=dict)
    last: str = ""
    """The one value that the function returns, which needs no variable of its own."""

    def __post_init__(self) -> None:
        self._pending: dict[str, ast.expr] = {}
        self._all_uses: dict[str, int] = {}
        self._numbers: set[str] = set()
        """Values that are plain numbers of Python's in the code."""
        self.comments = Comments()
        self.chosen: dict[str, str] = {}
        """Variables for values that are to be in these."""
        self.growing: set[str] = set()
        """Those of them that are what the variable holds and something more."""
        self.counters: dict[int, str] = {}
        """What the loops at each depth count with."""
        self._sizes: Sizes = self._size_writer()

    def _size_writer(self) -> Sizes:
        used, names, namer = self.sizes_used, self.size_names, self.namer  # with `self` it would be a cycle

        def variable(symbol: str) -> str:
            used[symbol] = None
            if symbol not in names:
                names[symbol] = namer.variable(symbol)
            return names[symbol]

        return size_expression(variable)

    def size(self, dim: Dim) -> ast.expr:
        """A size as an expression; notes which symbolic sizes the function must bind."""
        return self._sizes(dim)

    def run(self, wanted: Iterable[str]) -> dict[str, ast.expr]:
        """Write what is needed for these nodes; returns the expression of each."""
        wanted = list(wanted)
        self.plan(wanted)
        return self.write(wanted)

    def plan(self, wanted: Iterable[str]) -> None:
        """Count the uses of every value on the way to all that the function will ask for."""
        wanted = list(wanted)
        self._all_uses = self._uses(self._needed(wanted), wanted)

    def write(self, wanted: Iterable[str]) -> dict[str, ast.expr]:
        """Write what is needed for some of the nodes planned; returns the expression of each."""
        wanted = list(wanted)
        needed = self._needed(wanted) - self._pending.keys()
        for node in self.graph:
            if node.name in needed and node.name not in self.variables:
                self._write(node, self._all_uses[node.name])
        return {w: self.take(w) for w in wanted}

    def assign_sum(self, variable: str, nodes: list[str]) -> None:
        """Write a variable as the sum of some of the nodes planned."""
        found = self.write(nodes)
        self.namer.reserve(variable)
        self.lines += source.assign(variable, sum_of([found[n] for n in nodes]), depth=self.depth)

    def _needed(self, wanted: list[str]) -> set[str]:
        seen: set[str] = set()
        stack = list(wanted)
        while stack:
            node = stack.pop()
            if node not in seen and node not in self.variables:
                seen.add(node)
                stack += self.operands_of(self.graph[node])
        return seen

    def _uses(self, needed: set[str], wanted: list[str]) -> dict[str, int]:
        uses = dict.fromkeys(needed, 0)
        for name_ in needed:
            for operand in self.operands_of(self.graph[name_]):
                if operand in uses:
                    uses[operand] += 1
        for name_ in wanted:
            if name_ in uses:
                uses[name_] += 1
        return uses

    def operands_of(self, node: Node) -> tuple[str, ...]:
        """The operands that the node's form takes; a module's call takes its first alone."""
        return node.operands

    def take(self, node: str) -> ast.expr:
        """The expression for a value: its variable, or what is to be put in its place."""
        if node in self._pending:
            return self._pending.pop(node)
        return self.variables[node]

    def take_array(self, node: str) -> ast.expr:
        """The same, a number as an array."""
        kind = self.graph[node].type.elem.kind
        value = self.take(node)
        return self._as_array(value, kind) if node in self._numbers else value

    # -- graphs that nodes hold

    def inside(self, node: Node) -> Body:
        """A body for the graph that a node of this one holds, one step further in."""
        body = type(self)(
            node.op.graph, replace(self.target, call=declared_form), self.level, self.namer, self.helpers,
            size_names=self.size_names, renamed=self.renamed, depth=self.depth + 1,
            sizes_used=self.sizes_used,
        )  # fmt: skip
        body.counters = self.counters
        return body

    def is_needed(self, node: str) -> bool:
        """Whether a value is needed for what was planned."""
        return node in self._all_uses

    def make_variable(self, node: str) -> None:
        """Give a value a variable, if it has none yet."""
        if node in self._pending:
            self._set_apart(node)

    def key_of(self, node: str, counter: str) -> ast.expr:
        """The key that a step of a loop draws from, given that of the loop."""
        return ast.Tuple([ast.Starred(self.take(node), ast.Load()), name(counter)], ast.Load())

    def stands_alone(self, node: Node) -> bool:
        """Whether a value is to be computed by a statement of its own."""
        return node.name in self.chosen

    def counter(self) -> str:
        """The variable that a loop at this depth counts with."""
        if self.depth not in self.counters:
            self.counters[self.depth] = self.namer.variable("t")
        return self.counters[self.depth]

    def give_entry(self, node: str, value: ast.expr) -> None:
        """Say what an input of a step is: where it is read once, that stands in its place."""
        uses = self._all_uses.get(node, 0)
        if not uses:
            return
        if self.level > 0 and uses == 1:
            self._pending[node] = value
            return
        title, step = self.graph[node].hint or node, f"_{self.counters[self.depth - 1]}"
        variable = self.namer.variable(title if title.endswith(step) else title + step)
        self.lines += source.assign(variable, value, depth=self.depth)
        self.variables[node] = name(variable)

    # -- statements

    def _write(self, node: Node, uses: int) -> None:
        if node.op.name in ("const", "size_value") and not node.type.shape:
            self.variables[node.name] = self._scalar(node)
            if node.type.elem.kind != "bool":
                self._numbers.add(node.name)
            return
        if isinstance(node.op, Scan):
            write_scan(self, node)
            return
        value = self._expression(node)
        if isinstance(node.type, TupleType) and (uses > 1 or self._names_parts(node)):
            self._unpack(node, value)
            return
        if self.level > 0 and uses > 1 and node.hint is None and node.op.is_view and _is_reference(value):
            self.variables[node.name] = value  # a view costs nothing: it is written where it is used
            return
        is_last = node.name == self.last and source.fits("return ", value, self.depth)
        short = node.hint is None and len(source.text(value)) <= INLINE_ROOM
        if self.level > 0 and uses <= 1 and (is_last or short) and not self.stands_alone(node):
            self._pending[node.name] = value
            return
        self._assign(node, value)

    def _scalar(self, node: Node) -> ast.expr:
        if node.op.name == "size_value":
            return self.size(node.op.size)
        value = node.op.value
        if node.type.elem.kind == "real" and isinstance(value, bool):
            value = float(value)
        if node.type.elem.kind == "bool" and self.target.key == "torch":
            return call("torch.tensor", ast.Constant(bool(value)))  # torch takes no bare true or false
        return number(value, self.target.module)

    def _assign(self, node: Node, value: ast.expr) -> None:
        variable = self._variable_for(node)
        self.comments.statements[node.name] = f"{variable} = {source.text(value)}"
        self.lines += self.comments.above(node, self.depth)
        note = self.comments.shape(node)
        if node.name in self.growing and isinstance(value, ast.BinOp):
            self.lines += source.augment(variable, value.right, depth=self.depth, note=note)
        else:
            self.lines += source.assign(variable, value, depth=self.depth, note=note)
        self.variables[node.name] = name(variable)

    def _variable_for(self, node: Node) -> str:
        """The variable chosen for a value, or a new one."""
        title = node.hint or suggestion(self.graph, node, self.variables)
        return self.chosen.get(node.name) or self.namer.variable(title)

    def _names_parts(self, node: Node) -> bool:
        """Whether the diagram names a result of a node that has several, or a variable is chosen for it."""
        if any(u.name in self.chosen for u in self.graph.users(node.name)):
            return True
        return any(u.hint is not None and u.name in self._all_uses for u in self.graph.users(node.name))

    def _unpack(self, node: Node, value: ast.expr) -> None:
        """Several results, each under its own name: `a, b = ...`; those that nothing uses are `_`."""
        assert isinstance(node.type, TupleType)
        names = ["_"] * len(node.type.items)
        for item in self.graph.users(node.name):
            if item.name not in self._all_uses:
                continue
            if names[item.op.index] == "_":
                names[item.op.index] = self._variable_for(item)
            self.variables[item.name] = name(names[item.op.index])
            self.comments.inside[item.name] = node.name
        self.lines += self.comments.above(node, self.depth)
        target = ", ".join(names)
        self.comments.statements[node.name] = f"{target} = {source.text(value)}"
        self.lines += source.assign(target, value, depth=self.depth)

    def _expression(self, node: Node) -> ast.expr:
        """The node's form, its operands put in; operands are set apart until it fits."""
        operands = self.operands_of(node)
        form = self._form(node)
        if isinstance(form, str):
            self._set_apart_repeated(node)
        prefix = f"{node.hint or node.name} = "
        inline = [o for o in dict.fromkeys(operands) if o in self._pending]
        while True:
            value = self._instantiate(node, form)
            if not inline or source.fits(prefix, value, self.depth):
                break
            longest = max(inline, key=lambda o: len(source.text(self._pending[o])))
            inline.remove(longest)
            self._set_apart(longest)
        for operand in inline:
            self._pending.pop(operand, None)
            self.comments.inside[operand] = node.name
        return value

    def _form(self, node: Node) -> Any:
        types = [self.graph[o].type for o in node.operands]
        return node.op.form(self.target.key, types)

    def mentions(self, node: Node, operand: str) -> int:
        """How often the text of a node's form would hold an operand's: 1, or 2 for more than once."""
        form = self._form(node)
        twice = repeated_operands(form) if isinstance(form, str) else frozenset()
        names = [n.rstrip("?") for n in node.op.operands]
        slots = [i for i, o in enumerate(node.operands) if o == operand]
        return 2 if len(slots) > 1 or any(names[i] in twice for i in slots if i < len(names)) else 1

    def _set_apart_repeated(self, node: Node) -> None:
        """Give a variable to operands that the form mentions more than once."""
        for operand in node.operands:
            if operand in self._pending and self.mentions(node, operand) > 1:
                self._set_apart(operand)

    def _set_apart(self, operand: str) -> None:
        node = self.graph[operand]
        self._assign(node, self._pending.pop(operand))

    def _instantiate(self, node: Node, form: Any) -> ast.expr:
        operands = [
            self._pending[o] if o in self._pending else self.variables[o] for o in self.operands_of(node)
        ]
        better = self.target.call(node, operands)
        if better is not None:
            return better
        if not isinstance(form, str):
            self.helpers[helper_name(form)] = form
        operands = self._typed(node, form, operands)
        return instantiate(
            node.op, form, operands, self.target.module, self.target.real, self._sizes, self.renamed,
            tables_of(self.graph, node, self.target, self.variables),
        )  # fmt: skip

    def _typed(self, node: Node, form: Any, operands: list[ast.expr]) -> list[ast.expr]:
        """Make arrays of bare numbers where a function takes none, and where all operands are numbers.

        An operation on numbers alone would choose the library's default dtype, or give no array.
        """
        if self.target.wrap is None or not isinstance(node.type, TensorType):
            return operands
        numbers = [i for i, o in enumerate(node.operands) if o in self._numbers]
        kinds = [getattr(self.graph[o].type, "elem", node.type.elem).kind for o in node.operands]
        wrapped: set[int] = set()
        if node.type.elem.kind == "real":
            reals = [i for i, kind in enumerate(kinds) if kind == "real"]
            literal = [i for i in reals if _is_number(operands[i])]
            wrapped = set(literal[:1]) if literal == reals else set()
        if isinstance(form, str):
            names, refused = node.op.operands, array_operands(form)
            wrapped |= {i for i in numbers if i < len(names) and names[i] in refused}
        if not wrapped and len(numbers) == len(node.operands) != 0:
            self._numbers.add(node.name)
        return [self._as_array(o, kinds[i]) if i in wrapped else o for i, o in enumerate(operands)]

    def _as_array(self, value: ast.expr, kind: str) -> ast.expr:
        """A number as an array: of the floating dtype, or whole or true as it is."""
        assert self.target.wrap is not None
        make = {"numpy": "np.asarray", "torch": "torch.tensor"}[self.target.key]
        return self.target.wrap(value) if kind == "real" else call(make, value)


def _is_reference(node: ast.expr) -> bool:
    """`W.T`, `self.W.T`, `p["W"].T`: attributes of a variable or entry, and nothing that computes."""
    while isinstance(node, ast.Attribute):
        node = node.value
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        node = node.value if isinstance(node.slice.value, str) else node
    return isinstance(node, ast.Name)


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.attr in ("inf", "nan")
    return isinstance(node, ast.Constant)
