"""Reading the text form of graphs that `flowgraph.text` prints.

Assumes lines as that module describes them. Promises an equal graph, or a FlowError (E0004)
that shows the line; nothing is evaluated, and nothing but operations and initialisers is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import Source, Span
from ..graph import Graph, Node, Requirement, Result
from ..types import Dim, Elem, TensorType, TupleType, Unknown
from . import WORDS, holds_sizes
from .scan import Tokens

MAX_DEPTH = 200
HEAD = ("sizes", "batch", "constants", "require", "inputs", "targets", "params")


def read_graph(text: str, ops: Any) -> Graph:
    """The graph of a text. Raises FlowError (E0004) where it is not one."""
    reader = _Reader(Source("<graph>", text), ops)
    start = 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            reader.line(line.rstrip("\n"), start)
        start += len(line)
    return reader.finish()


@dataclass
class _Open:
    """A graph being read: its indentation, and what its lines have said so far."""

    depth: int
    name: str
    doc: str
    sizes: list[str] = field(default_factory=list)
    batch: str | None = None
    constants: list[tuple[str, int]] = field(default_factory=list)
    requires: list[Requirement] = field(default_factory=list)
    listed: dict[str, list[str]] = field(default_factory=dict)
    nodes: list[_Made] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


@dataclass
class _Made:
    """A node being read; `held` are the graphs under it, which its attrs name by number."""

    name: str
    hint: str | None
    type: Any
    op: str
    operands: list[str]
    attrs: dict[str, Any]
    held: list[Graph]
    span: Span
    of: str | None = None


@dataclass(frozen=True)
class _Held:
    """`@1` in an attr."""

    number: int


class _Reader(Tokens):
    """Reads lines into the innermost open graph."""

    def __init__(self, source: Source, ops: Any) -> None:
        super().__init__(source)
        self.ops = ops
        self.open: list[_Open] = []
        self.unknown: dict[str, Unknown] = {}

    # -- lines

    def line(self, line: str, start: int) -> None:
        self.start(line, start)
        depth = len(line) - len(line.lstrip(" "))
        if not self.tokens:
            return
        while len(self.open) > 1 and depth <= self.open[-1].depth:
            self.close()
        if self.peek() == ("sign", "@") or (self.peek() == ("name", "graph") and not self.open):
            self.begin(depth)
        elif not self.open or depth <= self.open[-1].depth:
            self.refuse("a line outside of any graph")
        elif self.is_node():
            self.node()
        else:
            self.statement(self.name())
        if self.at < len(self.tokens):
            self.refuse(f"`{self.tokens[self.at][1]}` is too much")

    def is_node(self) -> bool:
        if self.peek() == ("sign", "%"):
            return True
        return self.tokens[1:2] in ([("sign", ":")], [("sign", "{")])

    def begin(self, depth: int) -> None:
        if self.accept("@"):
            made = self.open[-1].nodes if self.open else []
            if not made or self.number() != len(made[-1].held) + 1:
                self.refuse("this graph belongs to no node")
        self.word("graph")
        name = self.label()
        doc = self.string() if self.at < len(self.tokens) else ""
        self.open.append(_Open(depth, name, doc))

    def statement(self, word: str) -> None:
        graph = self.open[-1]
        if word == "sizes":
            graph.sizes = self.listed(self.name)
        elif word == "batch":
            graph.batch = self.name()
        elif word == "constants":
            graph.constants = self.listed(self.constant)
        elif word in ("require", "require_for_loss"):
            condition = self.value()
            self.sign(",")
            message, for_loss = self.string(), word == "require_for_loss"
            graph.requires.append(Requirement(condition, message, for_loss=for_loss))
        elif word in HEAD:
            graph.listed[word] = self.listed(self.reference)
        elif ("sign", "=") in self.tokens:  # the role of a result
            label = self.label()
            self.sign("=")
            node = self.reference()
            by = self.name() if self.at < len(self.tokens) and self.word("by") else "mean"
            graph.results.append(Result(word, label, node, by))
        else:
            self.refuse(f"`{word}` begins no line")

    def node(self) -> None:
        unnamed = self.accept("%")
        name = self.name()
        hint: str | None = None if unnamed else name
        if self.accept("{"):
            hint = self.label()
            self.sign("}")
        self.sign(":")
        type = None if self.accept("?") else self.type()
        self.sign("=")
        made = _Made(name, hint, type, self.name(), [], {}, [], self.span)
        if made.op not in self.ops.OPS:
            self.refuse(f"there is no operation `{made.op}`")
        self.sign("(")
        while not self.accept(")"):
            self.argument(made)
            if self.peek() != ("sign", ")"):
                self.sign(",")
        if self.at < len(self.tokens) and self.word("of"):
            made.of = self.name()
        self.open[-1].nodes.append(made)

    def argument(self, made: _Made) -> None:
        following = self.tokens[self.at + 1][1] if self.at + 1 < len(self.tokens) else ""
        if following == "=":
            name = self.name()
            self.sign("=")
            attr = next((a for a in self.ops.OPS[made.op].attrs if a.name == name), None)
            if attr is None:
                self.refuse(f"`{made.op}` has no attr `{name}`")
            made.attrs[name] = self.value(sized=holds_sizes(attr))
        elif following == ":":
            self.word("type")
            self.sign(":")
            made.attrs["type"] = None if self.accept("?") else self.type()
        else:
            made.operands.append(self.reference())

    # -- graphs

    def close(self) -> None:
        """Finish the innermost graph and give it to the node it stands under."""
        held = self.built(self.open.pop())
        self.open[-1].nodes[-1].held.append(held)

    def finish(self) -> Graph:
        while len(self.open) > 1:
            self.close()
        if not self.open:
            self.refuse("there is no graph")
        return self.built(self.open.pop())

    def built(self, said: _Open) -> Graph:
        graph = Graph(
            said.name,
            doc=said.doc,
            sizes=said.sizes,
            batch=said.batch,
            requires=said.requires,
            constants=said.constants,
        )
        for made in said.nodes:
            self.span = made.span
            for operand in made.operands:
                if operand not in graph:
                    self.refuse(f"`{operand}` is not defined above")
            if made.name in graph:
                self.refuse(f"`{made.name}` is defined twice")
            op, operands = self.operation(made), tuple(made.operands)
            graph.add(Node(made.name, op, operands, made.type, made.hint, made.span, made.of))
        for name in (*(n for names in said.listed.values() for n in names), *(r.node for r in said.results)):
            if name not in graph:
                self.refuse(f"`{name}` is not in the graph")
        lists = [said.listed.get(word, []) for word in ("inputs", "targets", "params")]
        return graph.close(lists[0], lists[1], lists[2], said.results)

    def operation(self, made: _Made) -> Any:
        cls = self.ops.OPS[made.op]
        attrs = {name: self.filled(value, made.held) for name, value in made.attrs.items()}
        if any(a.name == "type" for a in cls.attrs):
            attrs.setdefault("type", made.type)
        missing = [a.name for a in cls.attrs if a.required and a.name not in attrs]
        if missing:
            self.refuse(f"`{made.op}` needs {', '.join(missing)}")
        return cls(**attrs)

    def filled(self, value: Any, held: list[Graph]) -> Any:
        """A value with the graphs in the place of their numbers."""
        if isinstance(value, tuple):
            return tuple(self.filled(v, held) for v in value)
        if not isinstance(value, _Held):
            return value
        if not 0 < value.number <= len(held):
            self.refuse(f"there is no graph @{value.number}")
        return held[value.number - 1]

    # -- types and values

    def type(self) -> Any:
        if self.accept("("):
            items = self.until(")", self.type)
            return TupleType(tuple(items))
        kind = self.name()
        elem = Elem(kind)
        if kind == "class":
            self.sign("(")
            if self.peek()[0] == "string":
                names = self.until(")", self.string)
                elem = Elem("class", Dim.of(len(names)), tuple(names))
            else:
                elem = Elem("class", self.size())
                self.sign(")")
        elif kind not in ("real", "int", "bool", "key"):
            self.refuse(f"there is no type `{kind}`")
        return TensorType(elem, tuple(self.until("]", self.size)) if self.accept("[") else ())

    def size(self) -> Any:
        if self.peek()[0] == "unknown":
            return self.unknown.setdefault(self.take()[1], Unknown())
        total, sign = Dim.of(0), -1 if self.accept("-") else 1
        while True:
            term = Dim.of(sign)
            while True:
                kind, text = self.take()
                if kind not in ("number", "name"):
                    self.refuse(f"`{text}` is no size")
                term = term * (self.whole(text) if kind == "number" else Dim.symbol(text))
                if not self.accept("*"):
                    break
            total = total + term
            if self.accept("+"):
                sign = 1
            elif self.accept("-"):
                sign = -1
            else:
                return total

    def value(self, sized: bool = False, depth: int = 0) -> Any:
        """An attr's value; sized: whether its whole numbers are sizes."""
        if depth > MAX_DEPTH:
            self.refuse("brackets are nested too deeply")
        kind, text = self.peek()
        following = self.tokens[self.at + 1][1] if self.at + 1 < len(self.tokens) else ""
        if kind == "string":
            return self.string()
        if kind == "unknown" or (kind == "name" and text not in WORDS and following != "("):
            return self.size()
        if kind == "number" and following != "*":
            number = self.literal(self.take()[1])
            return Dim.of(number) if sized and isinstance(number, int) else number
        if kind == "number" or (kind == "sign" and text == "-"):
            return self.size()
        if kind == "name" and following == "(":
            return self.initialiser(depth)
        self.take()
        if kind == "name":
            return WORDS[text]
        if text == "{":
            size = self.size()
            self.sign("}")
            return size
        if text == "(":
            return tuple(self.until(")", lambda: self.value(sized, depth + 1)))
        if text == "[":
            return self.ops.leaf.Array(self.until("]", lambda: self.entry(depth + 1)))
        if text == "@":
            return _Held(self.number())
        return self.refuse(f"`{text}` is no value")

    def entry(self, depth: int) -> Any:
        """A number or a list of an array."""
        if self.accept("["):
            return self.until("]", lambda: self.entry(depth + 1))
        return self.value(depth=depth)

    def initialiser(self, depth: int) -> Any:
        name = self.name()
        cls = self.ops.init.INITS.get(name)
        if cls is None:
            self.refuse(f"there is no initialiser `{name}`")
        self.sign("(")
        attrs = {}
        for key, value in self.until(")", lambda: self.setting(depth)):
            attrs[key] = value
        return cls(**attrs)

    def setting(self, depth: int) -> tuple[str, Any]:
        name = self.name()
        self.sign("=")
        return name, self.value(depth=depth + 1)
