"""The statements of a plan: arrays made once, and what is computed into them, phase by phase.

Assumes a plan. Promises for every phase the lines of a function that computes it; arrays, places in them and
views of them are made among the lines of the setup.
"""

from __future__ import annotations

import ast
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from ...graph import Node
from ...ops import OPS
from ...ops.base import Op
from ...ops.join import Join
from ...ops.shape import Flatten, Reshape
from ...types import Dim, TensorType
from .. import source
from ..body import Body
from ..comments import shape_note, suggestion
from ..numpy_body import NumpyBody
from ..template import attribute, call, instantiate, name, sum_of
from .arrays import make_room
from .chains import Chain
from .homes import Fresh, Home, Number, Plan, Steps, View
from .kernels import FUNCTIONS, Put, bound_call, copy_into, kernel
from .phases import Phase
from .products import Products
from .runs import Run
from .storage import as_view

WORDS = {"0": "zero", "1": "one", "2": "two", "3": "three", "0.5": "half", "np.inf": "inf"}
"""Names of numbers that are kept as arrays: a ufunc takes these twice as fast."""


SHORT, LONG = 40, 64
"""So long may a view be that stands in the views taken of it: in several of them, and in one."""


class PlannedBody(NumpyBody):
    """A body that writes a plan.

    setup: lines that make arrays and views. phases: those of the functions, by phase.
    """

    plan_: Plan
    setup: list[str]
    phases: dict[Phase, list[str]]
    outer: dict[str, None]
    """Variables that the function of a batch gives values to and that of a step reads."""

    def prepare(self, plan: Plan, depth: int) -> PlannedBody:
        """The body, ready to write a plan into functions of a method at this depth."""
        self.plan_, self.setup, self.outer = plan, [], {}
        self.phases = {phase: [] for phase in Phase}
        self.setup_depth = depth
        self.losses: list[str] = []
        self.value = self.wanted = ""
        self._numbers_made: dict[str, str] = {}
        self.titles: dict[str, str] = {}
        self._bound: set[str] = set()
        self._products = Products(self)
        self._titled: dict[str, ast.expr] = {}
        self._results = {r.node for r in self.graph.results}
        self._chain: Run | None = None
        self.parts: list[str] = []
        self.functions: dict[str, str] = {}
        self._taken: set[str] = set()
        return self

    # -- the whole

    def write_losses(self, losses: Sequence[str]) -> None:
        """Have a step return the sum of these, where it is asked for."""
        self.losses = list(losses)
        self.value, self.wanted = self.namer.variable("value"), "loss"

    def write_plan(
        self, gradients: dict[str, ast.expr], wanted: Iterable[str], chains: Sequence[Chain] = ()
    ) -> None:
        """Write all phases. gradients: where the gradient of each parameter lies, by its node. wanted: all
        results. chains: runs to be made piece by piece."""
        super().plan([*wanted, *self.plan_.gradients])
        for title in FUNCTIONS:  # those that the diagram leaves free are called by their own names
            if self.namer.variable(title) != title:
                self._taken.add(title)
        for node in self.plan_.order:
            if isinstance(self.plan_.homes[node.name], Home):
                title = node.hint or suggestion(self.graph, node, self._known())
                self.titles[node.name] = self.namer.variable(title)
                self._titled[node.name] = name(self.titles[node.name])
        for room in self.plan_.rooms:
            make_room(self, room)
            self._bound.update(t.name for t in room.tenants)
        for node_name, (param, steps) in self.plan_.gradients.items():
            value = self._place(gradients[param], self.graph[param].type, steps)
            self.bind(self.titles[node_name], value, shape_note(self.graph[node_name].type))
            self._bound.add(node_name)
        for node_name in self.titles:
            self._bind_place(node_name)
        asked = [n for n in self.plan_.order if self.plan_.phase[n.name] == Phase.LOSS]
        starts = {chain.nodes[0]: chain for chain in chains}
        for node in self.plan_.order:
            if node.name in starts:
                self._chain = Run(self, starts[node.name])
            if asked and node is asked[0]:
                self.phases[Phase.STEP] += self._start_of_loss()
            self._write_node(node)
            if self._chain is not None and node.name == self._chain.last:
                self._chain.close()
                self._chain = None
            if asked and node is asked[-1]:
                self._within(Phase.LOSS, self._value_of_loss)
        if self.losses and not asked:
            self.phases[Phase.STEP] += self._start_of_loss()
            self._within(Phase.LOSS, self._value_of_loss)

    def _start_of_loss(self) -> list[str]:
        indent = source.INDENT * (self.setup_depth + 1)
        return ["", f"{indent}{self.value} = None", f"{indent}if {self.wanted}:"]

    def _value_of_loss(self) -> None:
        """The number that is returned, where it is asked for."""
        total = sum_of([self._as_number(n) for n in self.losses])
        rest: list[ast.expr] = []
        while not source.fits(f"{self.value} = ", total, self.depth) and _is_sum(total):
            rest.insert(0, total.right)
            total = total.left
        self.lines += source.assign(self.value, total, depth=self.depth)
        for term in rest:
            self.lines += source.augment(self.value, term, depth=self.depth)

    def _known(self) -> Mapping[str, ast.expr]:
        return ChainMap(self.variables, self._titled)

    def bind(self, title: str, value: ast.expr, note: str = "") -> None:
        self.setup += source.assign(title, value, depth=self.setup_depth, note=note)

    # -- arrays

    def shape(self, shape: Sequence[Any]) -> ast.expr:
        if len(shape) == 1:
            return self.size(Dim.of(shape[0]))
        return ast.Tuple([self.size(Dim.of(d)) for d in shape], ast.Load())

    def _bind_place(self, node: str) -> None:
        """Make the variable of a value that lies in the array of another one."""
        if node in self._bound:
            return
        home = self.plan_.homes[node]
        assert isinstance(home, Home) and home.within
        self._bind_place(home.within)
        value = self._place(name(self.titles[home.within]), self.graph[home.within].type, home.steps)
        self.bind(self.titles[node], value, shape_note(self.graph[node].type))
        self._bound.add(node)

    def _place(self, value: ast.expr, type: TensorType, steps: Steps) -> ast.expr:
        for op in steps:
            result = op.result_type([type])
            assert isinstance(result, TensorType)
            value = as_view(self._apply(op, value, type), result)
            type = result
        return value

    def _apply(self, op: Op, value: ast.expr, type: TensorType) -> ast.expr:
        form = op.form("numpy", [type])
        return instantiate(op, form, [value], "np", self.target.real, self._sizes, self.renamed)

    # -- values

    def _write_node(self, node: Node) -> None:
        if node.name in self.variables:
            return
        home = self.plan_.homes[node.name]
        phase = self.plan_.phase[node.name]
        if isinstance(home, View):
            self._view(node, home, phase)
        elif isinstance(home, Home):
            self._within(phase, lambda: self._compute(node, home))
            self.variables[node.name] = name(self.titles[node.name])
            if node.name in self.plan_.applied:
                self._within(phase, lambda: self._apply_gradient(node))
        elif isinstance(home, Number):
            self._number_of(node)
        elif isinstance(home, Fresh) and phase == Phase.SETUP:
            self._within(phase, lambda: self._once(node))
        else:
            self._within(phase, lambda: self._anew(node, phase))

    def _within(self, phase: Phase, write: Any) -> None:
        """Let something write its lines among those of a phase; what the loss needs stands in a step."""
        where = Phase.STEP if phase == Phase.LOSS else phase
        self.lines = self.setup if phase == Phase.SETUP else self.phases[where]
        self.depth = self.setup_depth + {Phase.SETUP: 0, Phase.LOSS: 2}.get(phase, 1)
        write()

    def _view(self, node: Node, home: View, phase: Phase) -> None:
        """A view is made once where what it shows stays where it is, else where that is made."""
        users = self.plan_.users[node.name]
        value = self._expression(node) if node.op.name != "identity" else self.take(home.of)
        shown = all(isinstance(self.plan_.homes[u], View) or self._needs_no_copy(u, node.name) for u in users)
        room = SHORT if len(users) > 1 else LONG
        brief = shown and node.name not in self._results and len(source.text(value)) <= room
        if brief or node.op.name == "identity" or self._is_idle(node.name):
            self.variables[node.name] = (
                value  # nothing computes with it: views of it are views of its operand
            )
            return
        title = self.namer.variable(self._view_title(node, home))
        if home.fixed:
            self.bind(title, value)
        else:
            self._within(phase, lambda: self._assign_here(title, value, phase, node))
        self.variables[node.name] = name(title)

    def _needs_no_copy(self, user: str, operand: str) -> bool:
        home = self.plan_.homes[user]
        joins = isinstance(home, Home) and (home.copied or isinstance(self.graph[user].op, Join))
        return joins and self.plan_.within(user, operand)

    def _is_idle(self, view: str) -> bool:
        """Whether nothing reads a view: what it shows is computed where it would be copied to."""
        homes = self.plan_.homes
        return view not in self._results and all(
            self._is_idle(u) if isinstance(homes[u], View) else self._needs_no_copy(u, view)
            for u in self.plan_.users[view]
        )

    def _view_title(self, node: Node, home: View) -> str:
        if node.hint is not None:
            return node.hint
        base = self.variables.get(home.of)
        if node.op.name == "transpose_last" and isinstance(base, ast.Name):
            return f"{base.id}_T"
        return suggestion(self.graph, node, self._known())

    def _assign_here(self, title: str, value: ast.expr, phase: Phase, node: Node) -> None:
        if phase == Phase.BEGIN:
            self.outer[title] = None
        self.lines += source.assign(title, value, depth=self.depth, note=self.comments.shape(node))

    def _anew(self, node: Node, phase: Phase) -> None:
        """A value for which a new array is made each time."""
        before = {*self._names()} if phase == Phase.BEGIN else set()
        Body._write(self, node, 2)
        if phase == Phase.BEGIN:
            self.outer |= dict.fromkeys(n for n in self._names() if n not in before)

    def _number_of(self, node: Node) -> None:
        """A number of Python's, made of numbers."""
        operands = [self._as_number(o) for o in node.operands]
        form = self._form(node)
        value = instantiate(node.op, form, operands, "np", self.target.real, self._sizes, self.renamed)
        self.variables[node.name] = value

    def _as_number(self, node: str) -> ast.expr:
        value = self.variables[node]
        is_array = isinstance(value, ast.Name) and not isinstance(self.plan_.homes[node], Number)
        return call("float", value) if is_array else value

    def _once(self, node: Node) -> None:
        """A value made with the plan; a number as an array without axes."""
        Body._write(self, node, 2)
        value = self.variables.get(node.name)
        is_number = (
            isinstance(node.type, TensorType) and not node.type.shape and node.type.elem.kind == "real"
        )
        if is_number and isinstance(value, ast.Name):
            made = call("np.array", value, attribute(self.target.real))
            self.lines += source.assign(value.id, made, depth=self.depth)

    def _names(self) -> list[str]:
        return [v.id for v in self.variables.values() if isinstance(v, ast.Name)]

    def _compute(self, node: Node, home: Home) -> None:
        """A value that is written into its place."""
        out = name(self.titles[node.name])
        if home.copied:
            self._copy(node, out)
        elif isinstance(node.op, Join):
            self._join(node, out)
        elif into := node.op.into_form([self.graph[o].type for o in node.operands]):
            self._say(node, self._instantiated(node, self._form(node)))
            self._statements([self._declared(node, text, out) for text in into])
        else:
            value = self._instantiated(node, self._form(node))
            self._say(node, value)
            self._statements(self._kernel(node, value, out))

    def _apply_gradient(self, node: Node) -> None:
        """Take a gradient, times the learning rate, from its parameter."""
        param = self.variables[self.plan_.applied[node.name]]
        self._statements([call("np.subtract", param, name(self.titles[node.name]), out=param)])

    def _instantiated(self, node: Node, form: Any) -> ast.expr:
        operands = [self.variables[o] for o in node.operands]
        if not isinstance(form, str):
            return self._instantiate(node, form)
        return instantiate(node.op, form, operands, "np", self.target.real, self._sizes, self.renamed)

    def _declared(self, node: Node, text: str, out: ast.expr) -> ast.expr:
        """A declared form with `out` in it."""
        operands = [self.variables[o] for o in node.operands]
        made = instantiate(node.op, text, operands, "np", self.target.real, self._sizes, self.renamed)
        return Put(out).visit(made)

    def _say(self, node: Node, value: ast.expr) -> None:
        """Note the formula of a value, for the comment above its gradient."""
        self.comments.statements[node.name] = f"{self.titles[node.name]} = {source.text(value)}"
        inside = self._chain is not None and self._chain.is_open
        self.lines += self.comments.above(node, self.depth + inside)

    def _statements(self, statements: Iterable[ast.expr]) -> None:
        for statement in statements:
            if self.depth > self.setup_depth:
                statement = bound_call(statement, self._function)
            if self._chain is not None:
                statement = self._chain.of_pieces(statement)
            self.lines += source.expression(statement, depth=self.depth + (self._chain is not None))

    def _function(self, title: str) -> str:
        """The variable of a function of numpy."""
        if title not in self.functions:
            self.functions[title] = self.namer.variable(f"np_{title}") if title in self._taken else title
        return self.functions[title]

    def _kernel(self, node: Node, value: ast.expr, out: ast.expr) -> Sequence[ast.expr]:
        made = kernel(value, out)
        if made is None:
            return [copy_into(value, out)]
        if made.kind == "matmul":
            return [self._products.call(node, out)]
        kinds = [self.graph[o].type.elem.kind for o in node.operands]
        if made.kind == "each" and all(kind == "real" for kind in kinds):
            (only,) = made.statements
            assert isinstance(only, ast.Call)
            only.args = [self._number(a) for a in only.args]
        return made.statements

    def _number(self, value: ast.expr) -> ast.expr:
        """A number as an array without axes, made once."""
        literal = value.operand if isinstance(value, ast.UnaryOp) else value
        if not isinstance(literal, (ast.Constant, ast.Call)) and source.text(literal) != "np.inf":
            return value
        text = source.text(value)
        if text not in self._numbers_made:
            title = self.namer.variable(WORDS.get(text, "c"))
            self.bind(title, call("np.array", value, attribute(self.target.real)))
            self._numbers_made[text] = title
        return name(self._numbers_made[text])

    # -- copies

    def _copy(self, node: Node, out: ast.expr) -> None:
        (operand,) = node.operands
        if self.plan_.within(node.name, operand):
            return
        if not isinstance(node.op, (Reshape, Flatten)):
            self._statements([copy_into(self._instantiated(node, self._form(node)), out)])
            return
        shape = self.shape(self.graph[operand].type.shape)
        shaped = ast.Call(ast.Attribute(out, "reshape", ast.Load()), [shape], [])
        title = self.namer.variable(f"{self.titles[node.name]}_parts")
        self.bind(title, shaped)
        self._statements([copy_into(self.variables[operand], name(title))])

    def _join(self, node: Node, out: ast.expr) -> None:
        types = [self.graph[o].type for o in node.operands]
        for operand, items in zip(node.operands, node.op.places(types), strict=True):
            if self.plan_.within(node.name, operand) and node.operands.count(operand) == 1:
                continue
            place = self._place(out, node.type, (OPS["index"](items=items),))
            title = self.namer.variable(f"{self.titles[node.name]}_part")
            self.bind(title, place)
            copied = copy_into(self.variables[operand], name(title))
            if self.plan_.phase[operand] == Phase.SETUP:
                self.setup += source.expression(copied, depth=self.setup_depth)
            else:
                self._statements([copied])


def _is_sum(value: ast.expr) -> TypeGuard[ast.BinOp]:
    return isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add)
