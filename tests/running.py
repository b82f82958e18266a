"""What the tests of examples and random programs share: diagrams, and the ways to run them.

An engine runs a diagram on a batch. The simulator is the reference; the others execute the
emitted text, once for each target, level and dtype. All take and give plain numpy arrays.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flowgraph.diagram import Diagram, load
from flowgraph.graph import Graph
from flowgraph.naming import class_name
from flowgraph.passes.simulate import mode_values, simulate

ROOT = Path(__file__).parent.parent
SMALL_MODELS = ("burgers", "contractive", "lenet", "matrix_factorisation", "word2vec")
"""The models that are tried in every way like the other examples; tests/models has the rest."""
FILES = sorted((ROOT / "examples").glob("*/*.flow"))
EXAMPLES = {p.stem: p for p in FILES if p.parent.name != "models" or p.stem in SMALL_MODELS}
LECTURE = [name for name, path in EXAMPLES.items() if path.parent.name == "lecture"]
HAS_TORCH = importlib.util.find_spec("torch") is not None

Values = Mapping[str, Any]


@functools.cache
def example(name: str) -> Diagram:
    """An example by the stem of its file."""
    return load(EXAMPLES[name])


@dataclass
class Answer:
    """What a diagram answers to a batch: outputs in order, the total loss, metrics by name."""

    outputs: list[np.ndarray]
    loss: float | None
    metrics: dict[str, float]


def execute(text: str) -> dict[str, Any]:
    """The namespace of an emitted module."""
    space: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(text, "emitted.py", "exec"), space)
    return space


def initial(diagram: Diagram, seed: int = 0) -> dict[str, np.ndarray]:
    """Initial parameters in float64, as the emitted `init` draws them, and buffers."""
    module = execute(diagram.compile("numpy", dtype="float64"))
    buffers = module["init_buffers"]() if "BUFFERS" in module else {}
    return {name: np.asarray(value) for name, value in {**module["init"](seed), **buffers}.items()}


def answer_of(graph: Graph, values: Values) -> Answer:
    """What the simulator answers; `graph` is of a batch, `values` of inputs, targets and params."""
    known = simulate(graph, {**values, **mode_values(graph, rng=np.random.default_rng(0))})
    losses = [known[r.node] for r in graph.results_of("loss")]
    return Answer(
        [known[r.node] for r in graph.results_of("output")],
        float(sum(losses)) if losses else None,
        {r.label: float(known[r.node]) for r in graph.results_of("metric")},
    )


@dataclass(frozen=True)
class Engine:
    """One way to run a diagram. `target` is "simulator", "numpy" or "torch"."""

    target: str
    level: int = 0
    dtype: str = "float64"

    def __str__(self) -> str:
        return self.target if self.target == "simulator" else f"{self.target}-O{self.level}-{self.dtype}"

    @property
    def tolerance(self) -> dict[str, Any]:
        """Relative and absolute: rounding alone, a few units in the last place of each sum."""
        return {"rtol": 1e-12, "atol": 1e-12} if self.dtype == "float64" else {"rtol": 2e-5, "atol": 2e-5}

    def run(self, diagram: Diagram, params: Values, inputs: Values, targets: Values | None = None) -> Answer:
        """The answer to a batch; without targets no loss or metric is asked for."""
        if self.target == "simulator":
            graph = diagram.batched()
            return answer_of(graph, {**params, **inputs, **(targets or {})})
        module = module_of(diagram, self.target, self.level, self.dtype)
        run = _run_numpy if self.target == "numpy" else _run_torch
        return run(diagram, module, self.dtype, params, inputs, targets)


@functools.lru_cache(maxsize=256)
def module_of(diagram: Diagram, target: str, level: int, dtype: str) -> dict[str, Any]:
    """The executed module of a diagram."""
    return execute(diagram.compile(target, level=level, dtype=dtype))


def _run_numpy(
    diagram: Diagram,
    module: dict[str, Any],
    dtype: str,
    params: Values,
    inputs: Values,
    targets: Values | None,
) -> Answer:
    graph = diagram.graph
    given = {name: np.asarray(value, dtype=dtype) for name, value in params.items()}
    buffers = {name: given.pop(name) for name in module.get("BUFFERS", ())}
    assert set(given) == set(module["PARAMS"])

    def run(function: str, values: Values) -> Any:
        modes: dict[str, Any] = {"buffers": buffers} if buffers else {}
        if "rng" in inspect.signature(module[function]).parameters:
            modes["rng"] = np.random.default_rng(0)
        return module[function](given, **values, **modes)

    with np.errstate(all="ignore"):
        outputs = _as_list(run("forward", inputs))
        if "Forward" in module:  # the second time in memory that has been used
            made = module["Forward"](given, **({"buffers": buffers} if buffers else {}))
            draws = "rng" in inspect.signature(made.__call__).parameters
            for _ in range(2):
                drawn = {"rng": np.random.default_rng(0)} if draws else {}
                outputs = _as_list(made(**inputs, **drawn))
        both = {**inputs, **(targets or {})}
        judged = targets is not None
        loss = run("loss", both) if judged and graph.results_of("loss") else None
        metrics = run("metrics", both) if judged and graph.results_of("metric") else {}
    if loss is not None:
        assert type(loss) is float
    return Answer(outputs, loss, metrics)


def _run_torch(
    diagram: Diagram,
    module: dict[str, Any],
    dtype: str,
    params: Values,
    inputs: Values,
    targets: Values | None,
) -> Answer:
    import torch

    graph = diagram.graph
    model = module[class_name(graph.name)]()
    state = {name: torch.tensor(np.asarray(value, dtype=dtype)) for name, value in params.items()}
    model.load_state_dict(state, strict=True)
    model.eval()
    real = getattr(torch, dtype)

    def tensors(values: Values) -> dict[str, torch.Tensor]:
        made = {}
        for name, value in values.items():
            tensor = torch.tensor(np.asarray(value))
            made[name] = tensor.to(real) if graph[name].type.elem.kind == "real" else tensor
        return made

    with torch.no_grad():
        outputs = [o.numpy() for o in _as_list(model(**tensors(inputs)))]
        both = tensors({**inputs, **(targets or {})})
        judged = targets is not None
        loss = float(model.loss(**both)) if judged and graph.results_of("loss") else None
        metrics = model.metrics(**both) if judged and graph.results_of("metric") else {}
    return Answer(outputs, loss, {name: float(value) for name, value in metrics.items()})


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


SIMULATOR = Engine("simulator")
EMITTED = [
    Engine(target, level, dtype)
    for target, level in (("numpy", 0), ("numpy", 1), ("numpy", 2), ("torch", 0), ("torch", 1))
    for dtype in ("float32", "float64")
]
ENGINES = [SIMULATOR, *EMITTED]


def same(actual: Answer, expected: Answer, **tolerance: Any) -> None:
    """Assert that two answers agree, shapes and nan included."""
    assert len(actual.outputs) == len(expected.outputs)
    for ours, theirs in zip(actual.outputs, expected.outputs, strict=True):
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, **tolerance)
    assert (actual.loss is None) == (expected.loss is None)
    if actual.loss is not None and expected.loss is not None:
        np.testing.assert_allclose(actual.loss, expected.loss, **tolerance)
    assert list(actual.metrics) == list(expected.metrics)
    for name, value in expected.metrics.items():
        np.testing.assert_allclose(actual.metrics[name], value, **tolerance)


def random_values(
    graph: Graph, names: tuple[str, ...], rng: np.random.Generator, lead: tuple[int, ...] = ()
) -> dict[str, np.ndarray]:
    """Random values for inputs, targets or params of one example, with leading axes put before."""
    values: dict[str, np.ndarray] = {}
    for name in names:
        type = graph[name].type
        shape = (*lead, *(size.value for size in type.shape))
        if type.elem.kind == "real":
            values[name] = rng.normal(size=shape)
        elif type.elem.kind == "bool":
            values[name] = rng.integers(0, 2, shape).astype(bool)
        else:
            high = type.elem.classes.value if type.elem.kind == "class" else 5
            values[name] = rng.integers(0, high, shape)
    return values


def check(
    engine: Engine,
    name: str,
    inputs: dict[str, Any],
    outputs: list[Any],
    *,
    targets: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    loss: float | None = None,
    metrics: dict[str, float] | None = None,
) -> None:
    """Assert what an engine answers to a batch; params are the file's own unless given."""
    diagram = example(name)
    params = initial(diagram) if params is None else params
    arrays = {key: np.asarray(value) for key, value in inputs.items()}
    labels = None if targets is None else {key: np.asarray(value) for key, value in targets.items()}
    answer = engine.run(diagram, params, arrays, labels)
    expected = Answer([np.asarray(o, dtype=float) for o in outputs], loss, metrics or {})
    same(answer, expected, **engine.tolerance)


def circles(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The value of every node over a batch, and of every named node's excitation as `xi_NAME`."""
    diagram = example(name)
    graph = diagram.batched()
    known = simulate(graph, {**initial(diagram), **inputs})
    excitations = {f"xi_{n.name}": known[n.operands[0]] for n in graph if n.operands and n.hint}
    return {**excitations, **known}


def slopes_of(model: Any) -> dict[str, np.ndarray]:
    """The gradients that a torch module holds, by the diagram's names; 0 where nothing flows."""
    from flowgraph.torch_params import entry, places_of

    found = {}
    for name, (param, place) in places_of(model).items():
        grad = param.detach() * 0 if param.grad is None else param.grad
        found[name] = entry(grad, place).numpy()
    return found
