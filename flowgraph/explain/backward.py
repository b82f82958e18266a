"""The backward half of an explanation: the chain rule line by line, the gradients, what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from ..formula.make import derivative, name
from ..graph import Graph, Node, with_subgraphs
from ..ops.control import Loop
from ..ops.scan import Scan
from ..types import TensorType, describe
from .equations import LEAVES, UNREAD, Equation, Equations, Line, Names, Said, is_plain
from .forward import ROUND, Values, grouped, space, value_of
from .held import Held
from .page import Entry, Page, Row, Section, Words


class Backward:
    """The equations of a graph with its gradient. forward: the names of the forward values with a line."""

    def __init__(self, graph: Graph, names: Names) -> None:
        self.graph, self.names = graph, names
        self.sheet: Equations = Held(names, self.read_in_steps).equations(graph)
        losses = [r.node for r in graph.results_of("loss")]
        gradients = [r.node for r in graph.results_of("gradient")]
        apart = [*losses, *(g for g in gradients if graph[g].of is not None)]
        self.lines: Sequence[Line] = self.sheet.write([*losses, *gradients], apart=apart)

    @property
    def read_in_steps(self) -> set[str]:
        """The values of rounds and steps that the backward passes of these read."""
        every = (n for graph in with_subgraphs(self.graph) for n in graph)
        held = [n.op.graph for n in every if isinstance(n.op, Scan | Loop) and n.op.reverse]
        return {graph[name].hint or name for graph in held for name in graph.inputs}

    @property
    def forward(self) -> set[str]:
        """The forward values that have a line."""
        nodes = [line.node for line in self.lines if line.node is not None]
        return {node.name for node in nodes if node.of is None}

    def add(self, page: Page, forward: Sequence[Row], values: Values, *, saved: bool) -> None:
        """Add the backward sections. forward: the rows of the forward equations."""
        loss = self.names.loss
        section = Section("Backward")
        section.rows.append(Words((loss, " is the loss of this example")))
        by_name = {row.left.text(): row for row in forward}
        homes = {e.node.name: by_name.get(e.left.text()) for e in self.lines if _is_forward(e)}  # type: ignore[union-attr]
        inside = False
        for line in self.lines:
            if line.steps == 0:
                inside = line.node is not None and line.node.of is None
            if inside:
                continue
            if not isinstance(line, Equation):
                section.rows.append(Words(line.said, line.steps))
                continue
            of = None
            if line.node is not None:
                home = self.sheet.home.get(line.node.of or "", line.node.of or "")
                of = homes.get(home)
            value = value_of(line.node, values)
            section.rows.append(Row(line.left, line.right, value, None, of, line.steps))
        page.sections.append(section)
        self._add_gradients(page, values)
        if saved:
            self._add_saved(page)

    def _add_gradients(self, page: Page, values: Values) -> None:
        section = Section("Gradients")
        types = {self.graph[p].hint: self.graph[p].type for p in self.graph.params}
        results = {r.label: self.graph[r.node] for r in self.graph.results_of("gradient")}
        lines = {label: self.sheet.shown[node.name] for label, node in results.items()}
        own = {n: derivative(self.names.loss, name(n)).text() == f.text() for n, f in lines.items()}
        items = [(n, describe(types[n]) if own[n] else n) for n in results]
        for group, span in grouped(items, bool(values)):
            first = group[0]
            called = first if span is None else ROUND.sub(r"\1.i.\3", first)
            other = None if own[first] else lines[first]
            more = () if span is None else ("for ", span)
            value = value_of(results[first], values)
            type = types[first]
            left = derivative(self.names.loss, name(called))
            section.entries.append(Entry(left, describe(type), value, other, more, space(type)))
        if not section.entries:
            section.rows.append(Words(("there are no parameters",)))
        page.sections.append(section)

    def _add_saved(self, page: Page) -> None:
        """What the backward lines read of the forward pass."""
        readers: dict[str, dict[str, None]] = {}
        for line in self.lines:
            if line.node is None or line.node.of is None or not isinstance(line, Equation):
                continue
            for each in self._read(line.node):
                readers.setdefault(each, {})[line.left.text()] = None
        section = Section("Kept by the forward pass for the backward pass")
        for each, users in readers.items():
            node = self.graph[each]
            kind = f", {node.op.name}" if node.op.name in LEAVES else ""
            type = describe(node.type) if isinstance(node.type, TensorType) else str(node.type)
            titles = [line.left for line in self.lines if isinstance(line, Equation)]
            named = {title.text(): title for title in titles}
            more: list[Said] = ["for "]
            for count, user in enumerate(users):
                more += [", ", named[user]] if count else [named[user]]
            section.entries.append(Entry(self.sheet.shown[each], f"({type}{kind})", None, None, tuple(more)))
        if not section.entries:
            section.rows.append(Words(("nothing",)))
        page.sections.append(section)

    def _read(self, node: Node) -> list[str]:
        """The forward values with a line of their own, and leaves, that a backward line reads."""
        found: dict[str, None] = {}
        stack = list(reversed(node.operands))
        while stack:
            each = stack.pop()
            inner = self.graph[each]
            if inner.op.name in UNREAD:
                continue
            if is_plain(self.sheet.shown[each]) or self.sheet.home.get(each) == each:
                if inner.of is None:
                    found[each] = None
                continue
            stack += reversed(inner.operands)
        return list(found)


def _is_forward(line: Line) -> bool:
    return line.node is not None and line.node.of is None and isinstance(line, Equation)
