"""Where engines are compared: random values, and the file's own data with its first parameters.

Promises values that float32 holds exactly, so that single precision differs by its arithmetic
alone; and random values that keep away from where a diagram has no numbers, if trying helps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..data.table import Table
from ..graph import Graph
from ..passes.simulate import holds
from ..types import Dim, TensorType
from .compare import Arrays
from .engines import Case

EXAMPLES = 8
"""Examples in a random batch."""

SIZES = (4, 3, 5, 2, 6, 8, 1, 12, 16)
"""What is tried for sizes that are known only with data."""


def random_case(
    graph: Graph, initial: Arrays, seed: int, is_fine: Callable[[Case], bool], buffers: Arrays | None = None
) -> Case | None:
    """Random parameters near the first ones, and random examples; None if no sizes are allowed.

    graph: of one example. is_fine: whether a case has numbers everywhere; of several ways to draw,
    the first fine one is taken, else the first. buffers: their first values, which are moved too.
    """
    sizes = _sizes(graph)
    if sizes is None:
        return None
    cases = [_drawn(graph, initial, np.random.default_rng([seed, n]), sizes, n) for n in range(4)]
    rng = np.random.default_rng([seed, 98])
    moved = {n: single(a + rng.uniform(0.1, 0.5, a.shape)) for n, a in (buffers or {}).items()}
    cases = [replace(case, buffers=moved, stream=(seed, 97)) for case in cases]
    return next((c for c in cases if is_fine(c)), cases[0])


def _sizes(graph: Graph) -> dict[str, int] | None:
    names = [s for s in graph.sizes if s != graph.batch]
    tried = [[*SIZES, *_bounds(graph, Dim.symbol(name))] for name in names]
    for chosen in itertools.islice(itertools.product(*tried), 2000):
        sizes = dict(zip(names, chosen, strict=True))
        shapes = [graph[n].type.shape for n in (*graph.inputs, *graph.targets)]
        fits = all(d.at(sizes) >= 0 for shape in shapes for d in shape)
        if fits and all(holds(r.condition, sizes) for r in graph.requires):
            return sizes
    return None


def _bounds(graph: Graph, size: Dim) -> list[int]:
    """The numbers beyond SIZES that a size must reach by itself."""
    least = [r.condition[2] for r in graph.requires if r.condition[:2] == (">=", size)]
    return [n for n in least if isinstance(n, int) and n > max(SIZES)]


def _drawn(
    graph: Graph, initial: Arrays, rng: np.random.Generator, sizes: Mapping[str, int], attempt: int
) -> Case:
    """Attempt 0 draws normally, 1 and 3 between 0.1 and 0.9, 2 and 3 whole numbers that are 0."""
    positive, zeros = attempt % 2 == 1, attempt >= 2

    def values(type: TensorType) -> np.ndarray:
        shape = (EXAMPLES, *(d.at(sizes) for d in type.shape if isinstance(d, Dim)))
        if type.elem.kind == "real":
            return single(rng.uniform(0.1, 0.9, shape) if positive else rng.normal(size=shape))
        if type.elem.kind == "bool":
            return rng.integers(0, 2, shape).astype(bool)
        classes = type.elem.classes
        high = classes.value if isinstance(classes, Dim) and classes.value else 1 if zeros else 4
        return rng.integers(0, high, shape)

    examples = {str(graph[n].hint): values(graph[n].type) for n in (*graph.inputs, *graph.targets)}
    params = {n: single(a + 0.3 * _spread(a) * rng.normal(size=a.shape)) for n, a in initial.items()}
    if positive:
        params = {n: np.abs(a) + np.float64(np.float32(0.1)) for n, a in params.items()}
    params = {n: single(a) for n, a in params.items()}
    return Case(
        "random values", params, examples, direction(params, rng), tuple(range(1, EXAMPLES + 1)), True
    )


def data_case(
    graph: Graph, params: Arrays, table: Table, limit: int, seed: int, buffers: Arrays | None = None
) -> Case:
    """At most `limit` rows of a table, drawn at random and kept in order."""
    rng = np.random.default_rng([seed, 99])
    count = table.count
    rows = np.sort(rng.choice(count, limit, replace=False)) if count > limit else np.arange(count)
    by_hint = {n: str(graph[n].hint) for n in (*graph.inputs, *graph.targets)}
    examples = {by_hint[n]: a[rows] for n, a in table.columns.items() if n in by_hint}
    examples = {n: single(a) if a.dtype.kind == "f" else a for n, a in examples.items()}
    params = {n: single(a) for n, a in params.items()}
    has_targets = all(by_hint[n] in examples for n in graph.targets)
    numbers = tuple(int(r) + 1 for r in rows)
    way, held = direction(params, rng), {n: single(a) for n, a in (buffers or {}).items()}
    return Case("the data", params, examples, way, numbers, has_targets, buffers=held, stream=(seed, 96))


def direction(params: Arrays, rng: np.random.Generator) -> Arrays:
    """A direction of about the size of the parameters."""
    return {n: single(_spread(a) * rng.uniform(-1, 1, a.shape)) for n, a in params.items()}


NEARBY = 3
"""How many points beside a kink must agree."""


def beside(case: Case, seed: int, count: int = NEARBY) -> Iterator[Case]:
    """The case with its parameters moved a little, at random, so many times."""
    for attempt in range(count):
        yield case.moved(direction(case.params, np.random.default_rng([seed, attempt])), 1e-3)


def groups(params: Arrays, most: int = 8) -> Iterator[list[str]]:
    """The parameters in at most so many groups, to be moved one group at a time."""
    names = list(params)
    size = max(1, -(-len(names) // most))
    for start in range(0, len(names), size):
        yield names[start : start + size]


def _spread(array: np.ndarray) -> float:
    """The size of the entries; a half where they are all 0."""
    size = float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0
    return size or 0.5


def single(array: np.ndarray) -> np.ndarray:
    """The nearest numbers of single precision, as float64."""
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype=np.float32).astype(np.float64)
