"""The classes of -O2 as lines, from the graphs that they compute.

Assumes a module in the making that gives bodies for the graphs and the names it has taken.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...graph import Graph
from ...ops.shape import product
from ...passes.learn import intervals
from .. import source
from ..modes import Modes, bind_modes
from ..module import Header, bind_size_lines, size_source, takes
from ..template import name
from .body import PlannedBody
from .chains import Chain, find_chains
from .forward import write_forward
from .methods import Written
from .phases import INFERENCE, TRAINING
from .plan import Options, Plan, make_plan
from .storage import Storage
from .trainer import PlannedTrainer

NOMINAL = 64
"""The size that a symbolic size is taken to have where memory is shared out."""
APPLIED = 1 << 16
"""From so many entries on, a gradient is taken from its parameter at once: it would leave the cache."""
LARGE = 80
"""exp of more than this is inf in float32, or soon will be."""


@dataclass(frozen=True)
class Module:
    """What a planned class has of its module.

    convert: lines that make arrays of inputs, by node. named: the diagram's parameters. tables: see
    `Storage`.
    """

    header: Header
    modes: Modes
    convert: Mapping[str, Sequence[str]]
    named: Sequence[str]
    tables: Mapping[tuple[str, ...], str]


def training_plan(graph: Graph, without: frozenset[str] = frozenset(), *, frozen: bool = False) -> Plan:
    """The plan of a step, from a graph of the loss and its gradient.

    frozen: whether some parameters stay as they are, so that no gradient is taken from one unasked.
    """
    labels = {str(graph[p].hint): p for p in graph.params}
    gradients = {r.node: labels[r.label] for r in reversed(graph.results_of("gradient"))}
    kept = [*graph.results_of("gradient"), *graph.results_of("buffer")]
    always = list(dict.fromkeys(r.node for r in kept))
    losses = [r.node for r in graph.results_of("loss")]
    options = Options.besides(without)
    least = APPLIED if not frozen and any(node.op.name == "rate" for node in graph) else None
    return make_plan(graph, always, losses, gradients, _nominal(graph), TRAINING, options, least)


def forward_plan(graph: Graph, without: frozenset[str] = frozenset()) -> Plan:
    """The plan of what `forward` returns."""
    outputs = [r.node for r in graph.results_of("output")]
    return make_plan(graph, outputs, [], {}, _nominal(graph), INFERENCE, Options.besides(without))


def _nominal(graph: Graph) -> dict[str, int]:
    return dict.fromkeys(graph.sizes, NOMINAL)


def planned_trainer(graph: Graph, body: PlannedBody, module: Module) -> tuple[list[str], list[str]]:
    """`class Trainer`, and the function that finds parameters by name. body: for this graph."""
    plan = training_plan(graph, module.header.without, frozen=bool(module.header.frozen))
    last = frozenset(plan.applied.values())
    storage = Storage(graph, module.named, body.namer.variable("views"), module.tables, last)
    w, g = body.namer.variable("w"), body.namer.variable("g")
    body.prepare(plan, 2)
    start = _leaves(graph, body, storage, w, module)
    losses = [r.node for r in graph.results_of("loss")]
    body.write_losses(losses)
    places = {p: storage.place(p, g) for p in graph.params if p not in last}
    body.write_plan(places, [r.node for r in graph.results], _chains(graph, plan, module))
    finish = _finish(graph, body, storage, g)
    _bind_functions(body)
    held = {w: "self._w", g: "self._g"}
    read = set(re.findall(r"\w+", "\n".join(body.setup)))
    used = [n for n in held if n in read]
    if used:
        body.setup[:0] = [f"        {', '.join(used)} = {', '.join(held[n] for n in used)}"]
    given = takes(graph, targets=True)
    made = _written(graph, body, storage, given, module, start, finish, body.value, "self._train")
    inputs = [str(graph[i].hint) for i in given]
    lines = PlannedTrainer(module.header, inputs, body.target.real, module.modes, made).lines(made.convert)
    return lines, storage.lines()


def planned_forward(
    graph: Graph,
    body: PlannedBody,
    module: Module,
    known: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """`class Forward`, and the function that finds its parameters by name. body: for this graph.

    known: such a function that is there already, and serves if it is the same.
    """
    plan = forward_plan(graph, module.header.without)
    views = body.namer.variable("views")
    large = frozenset(p for p in graph.params if (product(graph[p].type.shape).value or 0) >= APPLIED)
    orders = [Storage(graph, module.named, views, module.tables, last) for last in (frozenset(), large)]
    same = [storage for storage in orders if storage.lines() == list(known)]
    title = body.namer.variable("views_of_forward") if known and not same else views
    storage = same[0] if same else replace(orders[0], views=title)
    w = body.namer.variable("w")
    body.prepare(plan, 2)
    start = _leaves(graph, body, storage, w, module)
    outputs = [r.node for r in graph.results_of("output")]
    body.write_plan({}, outputs, _chains(graph, plan, module))
    _bind_functions(body)
    if re.search(rf"\b{w}\b", "\n".join(body.setup)):
        body.setup[:0] = [f"        {w} = self._w"]
    values = [f"{source.text(body.variables[o])}" for o in outputs]
    copies = [f"np.array({v})" for v in values]
    result = copies[0] if len(copies) == 1 else f"({', '.join(copies)})"
    made = _written(graph, body, storage, list(graph.inputs), module, start, [], result, "False")
    lines = write_forward(graph, module.modes, made, body.target.real)
    return lines, [] if same else storage.lines()


def _chains(graph: Graph, plan: Plan, module: Module) -> list[Chain]:
    return [] if "blocks" in module.header.without else find_chains(plan, _nominal(graph))


def _bind_functions(body: PlannedBody) -> None:
    """Begin the setup with variables for the functions of numpy that are called."""
    lines: list[str] = []
    row: list[tuple[str, str]] = []
    for pair in [*sorted((v, f"np.{t}") for t, v in body.functions.items()), ("", "")]:
        names, values = (", ".join(p[i] for p in [*row, pair]) for i in (0, 1))
        if row and (not pair[0] or len(f"        {names} = {values}") > source.WIDTH):
            lines.append("        " + " = ".join(", ".join(p[i] for p in row) for i in (0, 1)))
            row = []
        row.append(pair)
    if lines:
        body.setup[:0] = ["        # Each of these writes into its last argument.", *lines]


def _leaves(graph: Graph, body: PlannedBody, storage: Storage, w: str, module: Module) -> list[str]:
    """Give variables to parameters, statistics and the rate; returns the lines that begin a step."""
    used = {n.name for n in body.plan_.order}
    for param in graph.params:
        if param in used:
            title = body.namer.variable(str(graph[param].hint))
            body.variables[param] = name(title)
            body.setup += source.assign(title, storage.place(param, w), depth=2)
    for buffer in graph.buffers:
        if buffer in used:
            title = body.namer.variable(str(graph[buffer].hint))
            body.variables[buffer] = name(title)
            held = ast.Subscript(
                ast.parse("self._buffers", mode="eval").body,
                ast.Constant(str(graph[buffer].hint)),
                ast.Load(),
            )
            body.setup += source.assign(title, held, depth=2)
    for node in graph:
        if node.op.name == "rate":
            title = body.namer.variable("rate")
            body.variables[node.name] = name(title)
            body.setup += [f"        {title} = np.array(self._lr, {body.target.real})"]
    body.depth = 3
    return bind_modes(body, used)


def _written(
    graph: Graph,
    body: PlannedBody,
    storage: Storage,
    given: Sequence[str],
    module: Module,
    start: Sequence[str],
    finish: Sequence[str],
    result: str,
    mode: str,
) -> Written:
    bound = bind_size_lines(graph, body, given, has_loss=len(given) > len(graph.inputs))
    checks = [line for line in bound if line.lstrip().startswith("assert")]
    sizes = {}
    for symbol in body.sizes_used:
        place = size_source(graph, symbol, given)
        assert place is not None
        argument, axis = place
        text = str(graph[argument].hint)
        sizes[body.size_names[symbol]] = f"len({text})" if axis == 0 else f"{text}.shape[{axis}]"
    lies = intervals(graph)
    overflows = any(n.op.name == "exp" and lies[n.operands[0]][1] > LARGE for n in body.plan_.order)
    convert = [line for i in given for line in module.convert[i]]
    return Written(
        body, storage, [str(graph[i].hint) for i in given], [*convert, *_label_checks(graph, given)], sizes,
        checks, start, finish, result, mode if module.modes.has_mode else "", overflows,
        scaled=any(node.op.name == "rate" for node in graph),
        blocks="blocks" not in module.header.without,
    )  # fmt: skip


def _label_checks(graph: Graph, given: Sequence[str]) -> list[str]:
    """Lines that refuse labels out of range, which calls that write into given arrays would not notice."""
    lines: list[str] = []
    for each in given:
        node = graph[each]
        if node.type.elem.kind == "class":
            classes, title = node.type.elem.classes, node.hint
            lines += [
                f"        if np.maximum.reduce({title}.view(np.uint64), axis=None, initial=0) >= {classes}:",
                f'            raise IndexError("{title} holds a label outside 0..{classes - 1}")',
            ]
    return lines


def _finish(graph: Graph, body: PlannedBody, storage: Storage, g: str) -> list[str]:
    """Copies of gradients and statistics that could not be computed where they belong."""
    labels = {str(graph[p].hint): p for p in graph.params}
    lines: list[str] = []
    done = {*body.plan_.applied.values(), *(param for param, _ in body.plan_.gradients.values())}
    for result in graph.results_of("gradient"):
        param = labels[result.label]
        if param not in done:
            title = body.namer.variable(f"d_{result.label}")
            body.setup += source.assign(title, storage.place(param, g), depth=2)
            value = body.variables[result.node]
            lines += [f"            {title}[...] = {source.text(value)}"]
    for result in graph.results_of("buffer"):
        held = next(b for b in graph.buffers if graph[b].hint == result.label)
        if held != result.node:
            new = source.text(body.variables[result.node])
            lines += [f"            {source.text(body.variables[held])}[...] = {new}"]
    return lines
