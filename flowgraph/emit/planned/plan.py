"""Where each value of a graph lives, from when to when, and in which order all are computed.

Assumes a typed graph over batches whose nodes are simple (`passes.simpler`). Promises for every node that
is needed a home: what is given, a view of another value, a place in a room, or an array made anew each time.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...graph import Graph, Node
from ...ops import OPS
from ...ops.control import GIVEN
from ...ops.join import Join
from ...ops.scan import Scan
from ...ops.shape import Rearrangement, product
from ...passes.simulate import holds
from ...types import Dim, TensorType
from ..template import name, parsed
from .homes import ALL, Fresh, Given, Home, Number, Options, Plan, Steps, View
from .kernels import kernel
from .phases import Phase, ordered, phases
from .rooms import FOREVER, Tenant, share


def make_plan(
    graph: Graph,
    always: Sequence[str],
    asked: Sequence[str],
    gradients: Mapping[str, str],
    nominal: Mapping[str, int],
    leaves: Mapping[str, Phase],
    options: Options = ALL,
    least_applied: int | None = None,
) -> Plan:
    """The plan of a step.

    leaves: when leaves change, by their operation. least_applied: the entries from which on a gradient is
    taken from its parameter as soon as nothing reads that any more; None where steps are more than that.
    always: results of every step. asked: those that only some steps are asked for. gradients: of the
    nodes in `always` that are to lie in the array of all gradients, the parameter's node. nominal: the
    symbolic sizes by which memory is shared.
    """
    if not options.lazy_loss:
        always, asked = [*always, *asked], []
    if not options.hoist:
        leaves = dict.fromkeys(leaves, Phase.STEP)
    phase = phases(graph, always, asked, leaves)
    order = ordered(graph, phase)
    planner = _Planner(graph, phase, order, dict(gradients), nominal, options, {*always, *asked})
    return planner.plan(least_applied if options.apply else None)


TRIED = (5, 11, 23, 47, 101, 211, 4, 3, 2, *range(6, 100), 128, 256, 1001, 1024, 4096)
"""Where symbolic sizes are looked for on which layouts are tried."""


def sample_sizes(graph: Graph, symbols: Iterable[str]) -> dict[str, int]:
    """Sizes on which layouts are tried: none is 1, so that no view is one by chance, and all that the graph
    requires holds, so that no slice is cut. (Some, where none that it allows are found.)"""
    names = list(dict.fromkeys((*symbols, *graph.sizes)))
    for apart in (2, 0):
        for first in TRIED:
            sizes = {name: first + apart * i for i, name in enumerate(names)}
            if all(holds(r.condition, sizes) for r in graph.requires if r.symbols <= sizes.keys()):
                return sizes
    return {name: TRIED[0] + 2 * i for i, name in enumerate(names)}


class _Planner:
    def __init__(
        self,
        graph: Graph,
        phase: dict[str, Phase],
        order: list[Node],
        gradients: dict[str, str],
        nominal: Mapping[str, int],
        options: Options,
        results: Iterable[str],
    ) -> None:
        self.graph, self.phase, self.order, self.options = graph, phase, order, options
        self.gradients, self.nominal, self.results = gradients, nominal, set(results)
        self.place = {node.name: i for i, node in enumerate(order)}
        self.users: dict[str, list[str]] = {n: [] for n in self.place}
        for node in order:
            for operand in dict.fromkeys(node.operands):
                self.users[operand].append(node.name)
        self.sample = sample_sizes(graph, nominal)
        self.layouts: dict[str, np.ndarray] = {}
        self.homes: dict[str, Given | View | Home | Fresh | Number] = {}
        self.in_place: set[str] = set()

    def plan(self, least_applied: int | None) -> Plan:
        for node in self.order:
            self.homes[node.name] = self._home(node)
        applied = {} if least_applied is None else self._applied(least_applied)
        gradients: dict[str, tuple[str, Steps]] = {}
        for node_name, param in self.gradients.items():
            found = None if node_name in applied else self._movable(node_name, ())
            if found is None or self.phase[found[0]] < Phase.STEP:
                continue  # an update may spend the gradients: what is not computed in every step is copied
            if found[0] not in gradients and self.options.within:
                gradients[found[0]] = (param, found[1])
        self.placed = set(gradients)
        if self.options.within:
            self._within()
        self.hosts = {home.within for home in self.homes.values() if isinstance(home, Home)}
        asked = (i for i, node in enumerate(self.order) if self.phase[node.name] == Phase.LOSS)
        self.end_of_loss = max(asked, default=0)
        tenants = self._tenants()
        rooms = share(list(tenants.values()), self.nominal, reuse=self.options.reuse)
        return Plan(
            self.graph,
            self.phase,
            self.order,
            self.homes,
            gradients,
            tenants,
            rooms,
            applied,
            self.users,
            self.layouts,
        )

    def _applied(self, least: int) -> dict[str, str]:
        """The large gradients, moved to where nothing reads their parameters any more: then they can be taken
        from these while the cache has them, and share one room."""
        found: dict[str, str] = {}
        counts = Counter(self.gradients.values())
        for gradient, param in self.gradients.items():
            size = product(self.graph[param].type.shape).value or 0
            alone = not self.users[gradient] and counts[param] == 1
            anew = self.phase[gradient] >= Phase.STEP
            if size >= least and alone and anew and self.homes[gradient] == Home():
                found[gradient] = param
        for gradient, param in found.items():
            self.order.remove(self.graph[gradient])
            readers = [i for i, node in enumerate(self.order) if node.name in self._readers(param)]
            sources = [self.order.index(self.graph[o]) for o in self.graph[gradient].operands]
            self.order.insert(max([*readers, *sources]) + 1, self.graph[gradient])
        self.place = {node.name: i for i, node in enumerate(self.order)}
        self.results -= found.keys()
        return found

    def _readers(self, value: str) -> set[str]:
        """The nodes that read a value, through views of it too."""
        found: set[str] = set()
        stack = [value]
        while stack:
            for user in self.users[stack.pop()]:
                found.add(user)
                if isinstance(self.homes[user], View) or self._shares(self.graph[user]):
                    stack.append(user)
        return found

    # -- what kind of home

    def _home(self, node: Node) -> Given | View | Home | Fresh | Number:
        if node.op.name in GIVEN or not isinstance(node.type, TensorType) or node.type.elem.kind == "key":
            self._lay(node)
            return Given() if node.op.name in GIVEN or not node.operands else Fresh()
        if node.op.name in ("const", "size_value", "item", "training", "rate"):
            self._lay(node)
            return Given()
        if isinstance(node.op, Scan) or node.op.subgraphs():
            self._lay(node)
            return Fresh()
        if isinstance(node.op, Rearrangement) or node.op.name == "identity":
            looked = self._look(node)
            if looked is not None:
                return looked
        self._lay(node)
        if self.phase[node.name] == Phase.SETUP and node.name not in self.gradients:
            return Fresh() if not self._goes_within(node) else Home()
        if self._into(node):
            return Home()
        form = self._form(node)
        found = None if form is None else kernel(form, name("out"))
        if found is None:
            return Fresh()
        if self._is_number(node, form):
            return Number()
        if found.in_place:
            self.in_place.add(node.name)
        return Home()

    def _is_number(self, node: Node, form: ast.expr | None) -> bool:
        """Whether a value is on the way from sums to the loss alone: a sum or product of numbers."""
        only_loss = self.phase[node.name] == Phase.LOSS and isinstance(form, (ast.BinOp, ast.UnaryOp))
        types = [node.type, *(self.graph[o].type for o in node.operands)]
        return only_loss and all(t.rank == 0 and t.elem.kind == "real" for t in types)

    def _form(self, node: Node) -> ast.expr | None:
        form = node.op.form("numpy", [self.graph[o].type for o in node.operands])
        return parsed(form) if isinstance(form, str) else None

    def _into(self, node: Node) -> tuple[str, ...]:
        return node.op.into_form([self.graph[o].type for o in node.operands])

    def _goes_within(self, node: Node) -> bool:
        """Whether a constant is part of an array that is put together, as a row of ones is."""
        return any(isinstance(self.graph[u].op, Join) for u in self.users[node.name])

    def _lay(self, node: Node) -> None:
        """Note the layout that the value has: that of an array of its own."""
        if isinstance(node.type, TensorType) and node.type.elem.kind != "key":
            shape = tuple(_dim(d).at(self.sample) for d in node.type.shape)
            self.layouts[node.name] = (
                np.broadcast_to(np.bool_(False), shape) if not shape else np.empty(shape, bool)
            )

    def _look(self, node: Node) -> View | Home | None:
        """The value as a view of its operand, or as a copy in an array of its own."""
        (first, *rest) = node.operands
        if rest or first not in self.layouts:
            return None
        types = [self.graph[first].type]
        seen = np.asarray(node.op.evaluate([self.layouts[first]], types, self.sample))
        if np.may_share_memory(seen, self.layouts[first]) or node.op.name == "identity":
            if self._is_read_often(node, seen):
                self._lay(node)
                return Home(copied=True)
            self.layouts[node.name] = seen
            return View(first, self._fixed(first))
        self._lay(node)
        return Home(copied=True) if node.op.name in ("reshape", "flatten") else None

    def _is_read_often(self, node: Node, seen: np.ndarray) -> bool:
        """Whether a view of a batch is laid out across its rows and read entry by entry in every step: such
        calls take three times as long, so it is copied once."""
        if self.phase[node.name] != Phase.BEGIN or seen.flags.c_contiguous or self._fixed(node.operands[0]):
            return False
        users = [self.graph[u] for u in self.users[node.name]]
        later = [u for u in users if self.phase[u.name] > Phase.BEGIN]
        forms = [form for u in later if (form := self._form(u)) is not None]
        kernels = [kernel(form, name("out")) for form in forms]
        return any(made is not None and made.in_place for made in kernels)

    def _fixed(self, operand: str) -> bool:
        home = self.homes[operand]
        if isinstance(home, View):
            return home.fixed
        given = self.graph[operand].op.name in ("param", "const", "buffer")
        return isinstance(home, Home) or given or self.phase[operand] == Phase.SETUP

    # -- values within others

    def _within(self) -> None:
        """Let values be written where they are copied to: into what they are joined in or laid out anew."""
        for node in reversed(self.order):
            home = self.homes[node.name]
            if not isinstance(home, Home):
                continue
            types = [self.graph[o].type for o in node.operands]
            if home.copied:
                self._move(node, node.operands[0], (OPS["reshape"](shape=types[0].shape),))
            elif isinstance(node.op, Join):
                for operand, items in zip(node.operands, node.op.places(types), strict=True):
                    self._move(node, operand, (OPS["index"](items=items),))

    def _move(self, node: Node, operand: str, steps: Steps) -> None:
        """Put what a view shows into a place of the node's array, if nothing stands against it."""
        found = self._movable(operand, steps)
        if found is None or node.operands.count(operand) > 1 or found[0] in self.placed:
            return
        self.homes[found[0]] = Home(node.name, found[1])

    def _movable(self, operand: str, steps: Steps) -> tuple[str, Steps] | None:
        """The value that a view shows, with the steps to its place, where it can be written there."""
        while isinstance(home := self.homes[operand], View):
            base = self.graph[home.of]
            op = self.graph[operand].op
            back = None if not isinstance(op, Rearrangement) else op.undone([base.type])
            if len(self.users[operand]) > 1 or (back is None and op.name != "identity"):
                return None
            steps, operand = steps if back is None else (*steps, back), home.of
        if not isinstance(home, Home) or home.within:
            return None
        if home.copied and steps:
            return None  # it is filled in its operand's layout, which only an array of its own allows
        return operand, steps

    # -- how long

    def _tenants(self) -> dict[str, Tenant]:
        """The values that have an array of their own, with the time in which it is needed."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        owners: dict[str, Sequence[str]] = {}
        for node in self.order:
            owners[node.name] = self._owners(node, owners)
            until = max([self.place[node.name], *map(self._reads_at, self.users[node.name])])
            if self._outlives(node.name):
                until = FOREVER
            for owner in owners[node.name]:
                first[owner] = min(first.get(owner, FOREVER), self.place[node.name])
                last[owner] = max(last.get(owner, 0), until)
                if self.constant_parts(node):
                    first[owner], last[owner] = 0, FOREVER
        return {
            owner: Tenant(
                owner, self.graph[owner].type.elem.kind, tuple(map(_dim, self.graph[owner].type.shape)),
                first[owner], last[owner], self._heir(owner, last),
            )
            for owner in first
            if owner not in self.placed
        }  # fmt: skip

    def _reads_at(self, user: str) -> int:
        """The place at which a node reads its operands: numbers are worked out where the loss is."""
        if isinstance(self.homes[user], Number):
            return self.end_of_loss
        return self.place[user]

    def _owners(self, node: Node, known: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """The values in whose arrays this one lies, or may. known: those of its operands."""
        home = self.homes[node.name]
        if isinstance(home, View):
            return known[home.of]
        if isinstance(home, Home):
            owner = node.name
            while within := self._within_of(owner):
                owner = within
            return [owner]
        if not node.operands or not self._shares(node):
            return []
        return list(dict.fromkeys(owner for operand in node.operands for owner in known[operand]))

    def _within_of(self, node: str) -> str:
        home = self.homes[node]
        assert isinstance(home, Home)
        return home.within

    def _shares(self, node: Node) -> bool:
        """Whether a value that is made anew each time may lie in the memory of an operand."""
        of_several = not isinstance(node.type, TensorType) or node.op.name == "item"
        of_a_graph = isinstance(node.op, Scan) or bool(node.op.subgraphs())
        return of_several or of_a_graph or node.op.shares or isinstance(self._form(node), ast.Name)

    def _outlives(self, node: str) -> bool:
        """Whether a value is computed less often than it is read, or read by the caller."""
        phase = self.phase[node]
        later = any(self.phase[u] > phase for u in self.users[node])
        return node in self.results or phase == Phase.SETUP or (phase == Phase.BEGIN and later)

    def constant_parts(self, node: Node) -> list[str]:
        """The operands of a join that never change: they are put into its array once."""
        if not isinstance(node.op, Join) or not isinstance(self.homes[node.name], Home):
            return []
        return [o for o in node.operands if self.phase[o] == Phase.SETUP]

    def _heir(self, owner: str, last: Mapping[str, int]) -> str:
        """An operand that is not needed after this value, which may be written in its place."""
        if owner not in self.in_place or owner in self.hosts:
            return ""
        node = self.graph[owner]
        for operand in node.operands:
            home = self.homes[operand]
            same = self.graph[operand].type == node.type
            if same and isinstance(home, Home) and not home.within and last.get(operand) == self.place[owner]:
                return operand
        return ""


def _dim(size: Any) -> Dim:
    return Dim.of(size)
