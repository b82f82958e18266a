"""Blocks, repeats and recurrences: what a node holds, written once.

A call of a block is a function of its arguments, which is defined once, below; a repeat is a heading with
the equations of round i under it, where u_i becomes u_{i+1}; a recurrence is the same for step t. The
parameters of a block have the name of its call before theirs, those of round i that of the repeat and i.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..formula import DOTS, Apply, Formula, Infix, Rank, Script, Symbol
from ..formula.make import derivative, name, number, word
from ..graph import Graph, Node
from ..ops.control import Loop
from ..ops.leaf import Item
from ..ops.scan import Scan
from ..passes.name_values import NameValues
from ..types import KEY
from .equations import UNREAD, Equation, Equations, Heading, Line, Names, Said

I, T = Symbol("i", "i"), Symbol("t", "t")
ONE = Symbol("1", "1", "number")
PLUS = Symbol("+", "+")
SHORT_CALL = 60
"""A call that nobody named stands inside the line that uses it while it is at most this long."""


@dataclass
class Definition:
    """A block as it is called, the equations of its body, and the blocks that these call."""

    head: Apply
    lines: list[Line]
    calls: list[Definition]


@dataclass
class Held:
    """Writes nodes that hold graphs, and keeps the definitions of the blocks that they call.

    read: the names of values of a step that a backward pass reads, which have a line of their own.
    """

    names: Names
    read: Collection[str] = ()
    known: dict[tuple[str, ...], Definition] = field(default_factory=dict)
    calls: list[Definition] = field(default_factory=list)
    """The blocks called by the equations that are being written."""
    steps: dict[str, dict[str, Formula]] = field(default_factory=dict)
    """How the values of a round or step of a node are written, by their names."""
    rounds: dict[str, dict[str, Formula]] = field(default_factory=dict)
    """The parameters that the rounds of a repeat have for themselves, by their names in a round."""

    def definitions(self) -> list[Definition]:
        """The blocks in the order of their calls, from outside in."""
        found = list(self.calls)
        for each in found:
            found += [d for d in each.calls if not any(d is f for f in found)]
        return found

    def equations(self, graph: Graph, steps: int = 0, scope: str = "", ahead: str = "") -> Equations:
        """An empty sheet for the equations of a graph."""
        return Equations(graph, self.names, self.writers, steps, scope, ahead or scope)

    def body(self, sheet: Equations, node: Node, graph: Graph) -> Equations:
        """A sheet for the equations of a round or step."""
        scope = f"{sheet.scope}/{node.name.removesuffix('_run')}"
        ahead = f"{sheet.ahead}/{(node.of or node.name).removesuffix('_run')}"
        return self.equations(graph, sheet.steps + 1, scope, ahead)

    @property
    def writers(self) -> Mapping[str, Callable[[Equations, Node], bool]]:
        return {"call": self.call, "loop": self.loop, "scan": self.scan, "item": self.item}

    # -- results of nodes that have several

    def item(self, sheet: Equations, node: Node) -> bool:
        """A result of a node with a line of its own is known by its name alone."""
        source = sheet.graph[node.operands[0]]
        if source.op.name not in self.writers:
            return False
        if isinstance(source.op, Scan) and node.hint is None and source.of is None:
            inner = source.op.graph[[*source.op.gives(), *source.op.last][node.op.index]]
            if inner.name in self.read:
                sheet.titles.setdefault(node.name, name(inner.name))
        elif isinstance(source.op, Loop) and node.hint is None:
            sheet.titles.setdefault(node.name, name(node.name))  # what a round keeps for its backward pass
        if node.name not in sheet.shown:
            sheet.shown[node.name] = sheet.title(node)
        sheet.home[node.name] = source.name
        return True

    def results(self, sheet: Equations, node: Node) -> Formula:
        """The names of what a node gives, separated by commas."""
        items = [u for u in sheet.graph.users(node.name) if isinstance(u.op, Item)]
        if not items:
            return sheet.title(node)
        titles = {sheet.title(u).text(): sheet.title(u) for u in items}
        return Rank(tuple(titles.values())) if len(titles) > 1 else next(iter(titles.values()))

    # -- blocks

    def call(self, sheet: Equations, node: Node) -> bool:
        """A line or part of one, and the definition of the block."""
        op = node.op
        inner = NameValues().run(op.graph)
        given = dict(zip(inner.inputs, node.operands, strict=True))
        passed = [n for n in inner.inputs if _is_argument(sheet, op.path, inner[n], given[n])]
        head = Apply(word(inner.name, "function"), tuple(name(inner[n].hint or n) for n in passed))
        body = self.equations(inner, 1, inner.name)
        results = [r.node for r in inner.results]
        is_last = len(results) == 1 and inner.use_count(results[0]) == 1 and results[0] not in inner.inputs
        if is_last:
            body.titles[results[0]] = head
        outside, self.calls = self.calls, []
        body.write(results, apart=results if is_last else ())
        called, self.calls = self.calls, outside
        if not is_last:
            gives = [body.shown[r] for r in results]
            body.lines.append(Equation(head, gives[0] if len(gives) == 1 else Rank(tuple(gives)), None, 1))
        head = self._defined(head, _inner(body.lines), called)
        value = replace(head, arguments=tuple(sheet.shown[given[n]] for n in passed))
        several = any(isinstance(u.op, Item) for u in sheet.graph.users(node.name))
        if not several and node.hint is None and len(value.text()) <= SHORT_CALL:
            sheet.shown[node.name] = value
            return True
        title = self.results(sheet, node)
        sheet.lines.append(Equation(title, value, node, sheet.steps))
        sheet.settle(node, title)
        return True

    def _defined(self, head: Apply, lines: list[Line], calls: list[Definition]) -> Apply:
        """How the block that says this is called; several of one name are numbered."""
        says = tuple(line.text() if isinstance(line, Equation) else str(line) for line in lines)
        key = (head.function.text(), *says)
        if key not in self.known:
            same = sum(known[0] == key[0] for known in self.known)
            if same:
                above = Symbol(f"({same + 1})", f"({same + 1})", "number")
                head = replace(head, function=Script(head.function, above=above))
                last = lines[-1]
                assert isinstance(last, Equation)
                lines[-1] = replace(last, left=head)
            self.known[key] = Definition(head, lines, calls)
        found = self.known[key]
        if not any(found is called for called in self.calls):
            self.calls.append(found)
        return found.head

    # -- repeats

    def loop(self, sheet: Equations, node: Node) -> bool:
        """A heading, and the equations of round i."""
        op = node.op
        inner = NameValues().run(op.graph)
        body = self.body(sheet, node, inner)
        states = list(inner.inputs[: op.round_trip()])
        shared = inner.inputs[len(states) : len(states) + op.shared]
        before, after = (_next(I), I) if op.reverse else (I, _next(I))
        for n, slot in zip(shared, range(len(states), len(states) + op.shared), strict=True):
            body.titles[n] = sheet.shown[node.operands[slot]]
        for n in states:
            body.titles[n] = _indexed(inner[n].hint or n, before, self.names.loss)
        is_back = node.of is not None
        body.known = self.steps.get(body.ahead, {}) if is_back else {}
        own = {n: inner[n].hint or n for n in inner.inputs[len(states) + op.shared :]}
        full = self.rounds.setdefault(body.ahead, {})
        for (n, hint), slot in zip(own.items(), op.own_slots(0), strict=True):
            outer = sheet.graph[node.operands[slot]].hint or ""
            if outer.endswith(f".0.{hint}"):  # a parameter that each round has for itself
                full[hint] = name(f"{outer.removesuffix(f'.0.{hint}')}.i.{hint}")
            body.titles[n] = full.get(hint) or body.known.get(hint) or _indexed(hint, I, self.names.loss)
        results = [r.node for r in inner.results]
        ends: list[Formula] = [_indexed(inner[n].hint or n, after, self.names.loss) for n in states]
        if is_back:
            kept = inner.results[op.round_trip() :]
            ends += [derivative(self.names.loss, full.get(r.label) or name(r.label)) for r in kept]
        self._close(body, results, ends)
        if not is_back:
            self._note_step(node, inner, body)
        first, last = (op.count, 0) if op.reverse else (0, op.count)
        starts = [_indexed(inner[n].hint or n, number(first), self.names.loss) for n in states]
        self._name_results(sheet, node, [inner[n].hint or n for n in states], number(last))
        for start, n, operand in zip(starts, states, node.operands, strict=False):
            self._start(sheet, start, inner[n].hint or n, operand)
        rounds = [number(n) for n in (range(op.count)[::-1] if op.reverse else range(op.count))]
        span = (*rounds[:1], *([DOTS] if len(rounds) > 2 else []), *rounds[1:][-1:])
        said: tuple[Said, ...] = ("for ", Infix("=", I, Rank(span)), ":")
        sheet.lines += [Heading(said, node, sheet.steps), *_inner(body.lines)]
        sheet.settle(node, sheet.shown.get(node.name) or sheet.title(node))
        return True

    def _name_read(self, body: Equations) -> None:
        """Names for the values that the backward pass reads; what was made under a name has that."""
        for each in body.graph:
            if each.name in self.read and each.hint is None and each.name not in body.titles:
                is_plain = re.sub(r"_[0-9]+\Z", "", each.name).endswith(each.op.name)
                body.titles[each.name] = body.title(each) if is_plain else body.indexed(name(each.name))

    def _note_step(self, node: Node, inner: Graph, body: Equations) -> None:
        """Note how the values of a round or step are written, for its backward pass."""
        told = [n for n in inner if n.name in body.titles or n.hint is not None]
        titles = {n.name: body.title(n) for n in told}
        for n in told:
            titles.setdefault(node.op.graph[n.name].hint or n.name, titles[n.name])
        self.steps[body.ahead] = titles

    def _close(self, body: Equations, results: Sequence[str], ends: Sequence[Formula]) -> None:
        """Write the body of a round or step. ends: what the first of its results are called."""
        for result, end in zip(results, ends, strict=False):
            if result not in body.graph.inputs and body.graph[result].op.name != "const":
                body.titles.setdefault(result, end)
        self._name_read(body)
        read = [n.name for n in body.graph if n.name in self.read]
        body.write([*results, *read], apart={*results, *body.titles})
        for result, end in zip(results, ends, strict=False):
            if body.shown[result].text() != end.text():
                body.lines.append(Equation(end, body.shown[result], None, body.steps))

    def _start(self, sheet: Equations, start: Formula, hint: str, operand: str) -> None:
        """The line of what rounds start from, which may be that of a value that nothing else uses."""
        if sheet.graph[operand].hint == hint and sheet.graph.use_count(operand) == 1:
            for place, line in enumerate(sheet.lines):
                if isinstance(line, Equation) and line.node is not None and line.node.name == operand:
                    sheet.lines[place] = replace(line, left=start)
                    return
        if start.text() != sheet.shown[operand].text():
            sheet.lines.append(Equation(start, sheet.shown[operand], sheet.graph[operand], sheet.steps))

    def _name_results(self, sheet: Equations, node: Node, hints: Sequence[str], last: Formula) -> None:
        """What has gone round is called u_n after the last round."""
        for user in sheet.graph.users(node.name):
            if isinstance(user.op, Item) and user.op.index < len(hints):
                sheet.titles[user.name] = _indexed(hints[user.op.index], last, self.names.loss)
                sheet.known[user.hint or user.name] = sheet.titles[user.name]
        if len(hints) == 1 and not any(isinstance(u.op, Item) for u in sheet.graph.users(node.name)):
            sheet.shown[node.name] = sheet.titles[node.name] = _indexed(hints[0], last, self.names.loss)
            sheet.known[node.hint or node.name] = sheet.titles[node.name]

    # -- recurrences

    def scan(self, sheet: Equations, node: Node) -> bool:
        """A heading, and the equations of step t."""
        op = node.op
        inner = NameValues().run(op.graph)
        body = self.body(sheet, node, inner)
        states, entries, shared = op.parts(inner.inputs)
        firsts, sequences, given = op.parts(node.operands)
        is_back = node.of is not None
        known = self.steps.get(body.ahead, {}) if is_back else {}
        before, after = (T, Infix("-", T, ONE)) if is_back else (Infix("-", T, ONE), T)
        hints = {n: (inner[n].hint or n).removesuffix("_t") for n in (*states, *entries)}
        body.index, body.known = T, known
        for n, outside in zip(shared, given, strict=True):
            body.titles[n] = sheet.shown[outside]
        loss = Script(self.names.loss, above=PLUS) if is_back else self.names.loss
        for n in states:
            body.titles[n] = _state(hints[n], before, loss, known)
        for n in entries:
            body.titles[n] = known.get(inner[n].hint or n) or _indexed(hints[n], T, self.names.loss)
        gives = [r.node for r in inner.results]
        self._close(body, gives, [_state(hints[n], after, loss, known) for n in states])
        if is_back:
            self._name_sent(sheet, node)
        else:
            self._note_step(node, inner, body)
        title = self.results(sheet, node)
        along = [n for n in entries if not is_back or (inner[n].hint or n).startswith("d_")]
        outer = dict(zip(entries, sequences, strict=True))
        said: list[Said] = [title, ": for each ", *_listed([body.titles[n] for n in along])]
        said += [" of ", *_listed([sheet.shown[outer[n]] for n in along])]
        if is_back:
            said += [", the last one first, ", loss, " being the loss through later steps"]
        start = Symbol("n", "n") if is_back else number(0)
        begun = [
            Infix("=", _state(hints[n], start, loss, known), sheet.shown[o])
            for n, o in zip(states, firsts, strict=True)
            if not (is_back and _is_zero(sheet.graph, o))
        ]
        said += [", from ", *_listed(begun)] if begun else []
        sheet.lines += [Heading((*said, ":"), node, sheet.steps), *_inner(body.lines)]
        sheet.settle(node, title)
        return True

    def _name_sent(self, sheet: Equations, node: Node) -> None:
        """The cotangents of whole sequences, which a backward pass gives out, are called after these."""
        if node.of is None or node.of not in sheet.graph:
            return
        ahead = sheet.graph[node.of]
        for item in sheet.graph.users(node.name):
            if item.hint is not None or not isinstance(item.op, Item):
                continue
            given = [*node.op.gives(), *node.op.last][item.op.index]
            of = given.removeprefix("d_")
            if of in ahead.op.graph.inputs:
                operand = ahead.operands[ahead.op.graph.inputs.index(of)]
                if sheet.graph.use_count(operand) == 1 and operand in sheet.shown:
                    sheet.titles[item.name] = derivative(self.names.loss, sheet.shown[operand])


def _is_argument(sheet: Equations, path: str, inner: Node, operand: str) -> bool:
    """Whether an input of a block is an argument: no parameter that the call makes, nor its mode or key."""
    outer = sheet.graph[operand]
    if outer.op.name in UNREAD or inner.type.elem == KEY or (inner.hint or "").startswith("("):
        return False
    return not (path and outer.hint == f"{path}.{inner.hint}")


def _inner(lines: Sequence[Line]) -> list[Line]:
    """Lines of what a node holds, whose nodes are none of the graph around it."""
    return [replace(line, node=None) for line in lines]


def _next(index: Formula) -> Formula:
    return Infix("+", index, ONE)


def _indexed(hint: str, index: Formula, loss: Formula) -> Formula:
    """A value of a round or step: h with the index below it, or the derivative of the loss by that."""
    if hint.startswith("d_"):
        return derivative(loss, Script(name(hint[2:]), below=index))
    return Script(name(hint), below=index)


def _is_zero(graph: Graph, node: str) -> bool:
    """Whether a value is 0 in every entry, as is what recurrences go back from."""
    op = graph[node].op
    return op.name in ("zeros", "zeros_like") or (op.name == "const" and op.value == 0)


def _state(hint: str, index: Formula, loss: Formula, known: Mapping[str, Formula]) -> Formula:
    """A state of a step; in a backward pass perhaps the sum of derivatives by what all steps share."""
    shared = known.get(hint.removeprefix("d_"))
    if hint.startswith("d_") and isinstance(shared, Symbol):
        return derivative(loss, Script(shared, below=index))
    return _indexed(hint, index, loss)


def _listed(items: Sequence[Formula]) -> list[Said]:
    """Formulas with commas between them."""
    out: list[Said] = []
    for number_, item in enumerate(items):
        out += [", ", item] if number_ else [item]
    return out
