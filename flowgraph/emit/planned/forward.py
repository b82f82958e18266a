"""`class Forward` of -O2: what `forward` returns, computed in memory that is made once.

Assumes a written plan of the outputs. Promises copies of them, which later calls do not change.
"""

from __future__ import annotations

import ast

from ...graph import Graph
from ...naming import CODE_NAMES, Namer
from .. import source
from ..modes import Modes
from ..module import arguments, doc_lines
from ..template import attribute, call, name
from .methods import Written, guarded, plan, plan_for

LOCALS = ("sizes", "begin", "compute", "batch", "value")


def write_forward(graph: Graph, modes: Modes, made: Written, real: str) -> list[str]:
    """The class as lines. real: the dtype of the parameters."""
    namer = Namer([*CODE_NAMES, *made.inputs])
    local = {wanted: namer.unique(wanted) for wanted in LOCALS}
    rng = ["rng"] if modes.draws else []
    doc = f"Returns {arguments(graph, graph.results_of('output'))}, by a copy of params."
    given = [*made.inputs, *rng]
    take = [
        *source.assign(local["compute"], call("self._plan_for", *map(name, made.inputs)), depth=2),
        *guarded(made, [f"        return {local['compute']}({', '.join(given)})"]),
    ]
    methods = [
        _init(graph, modes, made, real),
        [
            *source.signature(
                "__call__", ["self", *made.inputs, *(["*", "rng=None"] if rng else [])], depth=1
            ),
            '        """Compute the outputs; what is returned is the caller\'s."""',
            *made.convert,
            *take,
        ],
        plan_for(made, local),
        plan(made, rng, whole=True),
    ]
    about = "It works in arrays that are made once for batches of a size."
    head = ["class Forward:", *doc_lines(doc, depth=1)]
    if len(head) == 2:
        head = ["class Forward:", f'    """{doc}', "", f"    {about}", '    """']
    else:
        head = [*head[:-1], "", f"    {about}", '    """']
    return [*head, *(line for method in methods for line in ("", *method))]


def _init(graph: Graph, modes: Modes, made: Written, real: str) -> list[str]:
    buffers = ["buffers=None"] if modes.buffers else []
    lines = source.signature("__init__", ["self", "params", *buffers], depth=1)
    if graph.params:
        total = call("np.zeros", ast.Constant(made.storage.total), attribute(real))
        lines += [
            *source.assign("self._w", total, depth=2, note="all parameters"),
            f"        for name, view in {made.storage.views}(self._w).items():",
            "            view[...] = params[name]",
        ]
    if modes.buffers:
        lines += [
            "        buffers = init_buffers() if buffers is None else buffers",
            f"        self._buffers = {{name: np.array(buffers[name], {real}) for name in BUFFERS}}",
        ]
    return [*lines, "        self._plans = {}  # by the sizes of a batch"]
