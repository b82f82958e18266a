"""The Trainer of -O2 as lines, from the graph of the loss and its gradient.

Assumes a module in the making that gives bodies and the names it has taken.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence

from ...graph import Graph
from ...lower.program import Training
from ...passes.learn import intervals
from .. import source
from ..modes import Modes, bind_modes
from ..module import Header, bind_size_lines, size_source, takes
from ..template import name
from .body import PlannedBody
from .plan import Options, make_plan
from .storage import Storage
from .trainer import PlannedTrainer, Written

NOMINAL = 64
"""The size that a symbolic size is taken to have where memory is shared out."""


def planned_trainer(
    graph: Graph,
    header: Header,
    body: PlannedBody,
    modes: Modes,
    convert: Sequence[str],
    named: Sequence[str],
    tables: Mapping[tuple[str, ...], str],
) -> tuple[list[str], list[str]]:
    """The class and the function that finds parameters by name, as lines.

    body: for this graph, with arguments and constants known. convert: lines that make inputs arrays. named:
    the diagram's parameters. tables: see `Storage`.
    """
    real = body.target.real
    losses = [r.node for r in graph.results_of("loss")]
    labels = {str(graph[p].hint): p for p in graph.params}
    gradients = {r.node: labels[r.label] for r in reversed(graph.results_of("gradient"))}
    statistics = graph.results_of("buffer")
    always = list(dict.fromkeys([r.node for r in (*graph.results_of("gradient"), *statistics)]))
    nominal = dict.fromkeys(dict.fromkeys([*graph.sizes]), NOMINAL)
    options = Options.besides(header.without)
    made_plan = make_plan(graph, always, losses, gradients, nominal, options)
    storage = Storage(graph, named, body.namer.variable("views"), tables)
    given = takes(graph, targets=True)
    body.prepare(made_plan, 2)
    w, g = body.namer.variable("w"), body.namer.variable("g")
    used = {n.name for n in made_plan.order}
    for param in graph.params:
        if param in used:
            title = body.namer.variable(str(graph[param].hint))
            body.variables[param] = name(title)
            body.setup += source.assign(title, storage.place(param, w), depth=2)
    for buffer in graph.buffers:
        if buffer in used:
            title = body.namer.variable(str(graph[buffer].hint))
            body.variables[buffer] = name(title)
            body.setup += [f"        {title} = self._buffers[{str(graph[buffer].hint)!r}]".replace("'", '"')]
    for node in graph:
        if node.op.name == "rate":
            title = body.namer.variable("rate")
            body.variables[node.name] = name(title)
            body.setup += [f"        {title} = np.array(self._lr, {real})"]
    body.depth = 3
    start = bind_modes(body, used)
    if modes.has_mode:
        body.setup += ["        train = self._train"]
    body.write_plan({p: storage.place(p, g) for p in graph.params}, losses, [*always, *losses])
    finish = _finish(graph, body, storage, g)
    bound = bind_size_lines(graph, body, given)
    checks = [line for line in bound if line.lstrip().startswith("assert")]
    sizes = {}
    for symbol in body.sizes_used:
        place = size_source(graph, symbol, given)
        assert place is not None
        argument, axis = place
        text = str(graph[argument].hint)
        sizes[body.size_names[symbol]] = f"len({text})" if axis == 0 else f"{text}.shape[{axis}]"
    head = [f"        {w}, {g} = self._w, self._g"]
    if body.setup:
        body.setup[:0] = head
    lies = intervals(graph)
    overflows = any(n.op.name == "exp" and lies[n.operands[0]][1] > 80 for n in made_plan.order)
    inputs = [str(graph[i].hint) for i in given]
    convert = [*convert, *_label_checks(graph, given)]
    scaled = any(node.op.name == "rate" for node in graph)
    written = Written(body, storage, sizes, checks, inputs, start, "", finish, overflows, scaled, options.blocks)
    lines = PlannedTrainer(header, inputs, real, modes, written).lines(convert)
    return lines, storage.lines()


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
    done = {param for param, _ in body.plan_.gradients.values()}
    for result in graph.results_of("gradient"):
        param = labels[result.label]
        if param not in done:
            title = body.namer.variable(f"d_{result.label}")
            body.setup += source.assign(title, storage.place(param, g), depth=2)
            value = body.variables[result.node]
            lines += [f"            {title}[...] = {source.text(value)}"]
    for result in graph.results_of("buffer"):
        held = next(b for b in graph.buffers if graph[b].hint == result.label)
        if held == result.node:
            continue
        lines += [f"            {source.text(body.variables[held])}[...] = {source.text(body.variables[result.node])}"]
    return lines


def rate_in_seed(training: Training) -> bool:
    """Whether gradients may come out times the learning rate: where a step is that and no more."""
    optimiser = training.optimiser
    plain = optimiser.update() == ["w -= lr * g"] and optimiser.schedule is None
    return plain and training.clip is None


MakeBody = Callable[[Graph], PlannedBody]
__all__ = ["MakeBody", "ast", "planned_trainer"]
