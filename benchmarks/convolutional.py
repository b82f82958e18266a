"""The convolutional networks of `examples/models` against torch.nn: values and gradients.

    python benchmarks/convolutional.py

Each network is written once more with torch.nn in `networks`, VGG and ResNet with the names of
torchvision's weights. Its parameters and running statistics are drawn at random and given to ours by name
(`Weights`, as `--params` does); both see the same batch, theirs in double precision. The table has the
largest relative error of the outputs, of the gradients of all parameters and, in training, of the new
running statistics; beside our float32 that of torch.nn's own. An error is the largest difference over
the largest entry, as in `comparisons`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from comparisons import MODELS, Arrays, Theirs, emitted, error, tensors
from networks import BUILDERS

from flowgraph.diagram import Diagram, load
from flowgraph.errors import Diagnostics
from flowgraph.naming import class_name
from flowgraph.params import find_params


@dataclass(frozen=True)
class Case:
    """A model at some sizes, the examples in a batch, and whether batchnorm is in training."""

    model: str
    sizes: str
    batch: int
    train: bool = False

    def __str__(self) -> str:
        words = [self.model, self.sizes, f"batch={self.batch}", "in training" if self.train else ""]
        return " ".join(word for word in words if word)

    @property
    def settings(self) -> dict[str, int]:
        """The sizes by name, as `--set` gives them."""
        return {name: int(value) for name, value in (pair.split("=") for pair in self.sizes.split())}

    def diagram(self) -> Diagram:
        return _load(self.model, self.sizes)


@functools.cache
def _load(model: str, sizes: str) -> Diagram:
    return load(MODELS / f"{model}.flow", settings=Case(model, sizes, 1).settings)


CASES = [
    Case("lenet", "", 64),
    Case("lenet", "", 1),
    Case("lenet", "", 7),
    Case("autoencoder", "", 5),
    Case("autoencoder", "C=7 CODE=3", 1),
    Case("vgg", "S=32 W=4 F=16 K=10", 2),
    Case("vgg", "C=1 S=37 W=5 F=13 K=7", 1),
    Case("vgg", "C=2 S=67 W=3 F=11 K=5", 3),
    Case("unet", "H=32 V=32 W=4", 2),
    Case("unet", "C=3 K=5 H=16 V=48 W=3", 1),
    Case("unet", "C=2 K=7 H=48 V=16 W=5", 3),
    Case("residual", "C=3 S=16 W=8 K=4", 4, train=True),
    Case("residual", "C=2 S=7 W=5 K=3", 1, train=True),
    Case("residual", "C=5 S=13 W=3 K=7", 1),
    Case("resnet18", "S=32 W=4 K=10", 3),
    Case("resnet18", "S=64 W=4 K=10", 8, train=True),
    Case("resnet18", "C=1 S=37 W=5 K=7", 1),
    Case("resnet18", "C=2 S=97 W=3 K=5", 1, train=True),
]


@dataclass(frozen=True)
class Difference:
    """The largest relative error: of an output, a parameter's gradient, a new running statistic."""

    outputs: float
    gradients: float
    statistics: float


# ---------------------------------------------------------------------------------------
# Comparing


def build(case: Case, dtype: str, seed: int = 0) -> Theirs:
    """The network with random parameters, those of norms and running variances around 1."""
    import torch

    theirs = BUILDERS[case.model](case.settings)
    generator = torch.Generator().manual_seed(seed)
    norms = [name for name, m in theirs.module.named_modules() if isinstance(m, torch.nn.BatchNorm2d)]
    ones = {f"{name}.{part}" for name in norms for part in ("weight", "running_var")}
    with torch.no_grad():
        for name, value in theirs.module.state_dict().items():
            if not value.is_floating_point():
                continue
            drawn = torch.rand(value.shape, generator=generator, dtype=torch.float32) * 2 - 1
            fan = math.prod(value.shape[1:]) if value.dim() > 1 else 4
            value.copy_(1 + drawn / 2 if name in ones else drawn * math.sqrt(6 / fan) / 2)
    theirs.module.to(getattr(torch, dtype))
    theirs.module.train(case.train)
    return theirs


def batch_of(case: Case, dtype: str, seed: int = 1) -> Arrays:
    """Random inputs and targets; the numbers are those of single precision in both dtypes."""
    rng = np.random.default_rng(seed)
    graph, found = case.diagram().graph, {}
    for name in (*graph.inputs, *graph.targets):
        type = graph[name].type
        shape = (case.batch, *(size.value for size in type.shape))
        if type.elem.kind == "class":
            found[name] = rng.integers(0, type.elem.classes.value, shape)
        else:
            scale = 16 if name == "x" and len(shape) == 2 else 1
            found[name] = (scale * rng.normal(size=shape)).astype(np.float32).astype(dtype)
    return found


def ours_of(case: Case, theirs: Theirs, values: Mapping[str, Any]) -> Arrays:
    """Values by their names under ours, those of parameters and running statistics, in float64."""
    graph, found = case.diagram().graph, Diagnostics()
    by_node, _ = find_params(graph, theirs.weights(values), 0, found)
    found.raise_errors()
    return {str(graph[node].hint): value for node, value in by_node.items()}


@dataclass
class Answer:
    """Outputs, and by name the gradients and the new running statistics."""

    outputs: list[Any]
    grads: Arrays
    statistics: Arrays


def answer_of_theirs(case: Case, theirs: Theirs, batch: Arrays) -> Answer:
    """By our names. The module's running statistics change."""
    outputs, loss = theirs.run(theirs.module, tensors(batch))
    loss.backward()
    buffers = dict(theirs.module.named_buffers())
    grads = {name: p.grad for name, p in theirs.module.named_parameters()}
    named = ours_of(case, theirs, grads | buffers)
    names = {str(case.diagram().graph[b].hint) for b in case.diagram().graph.buffers}
    return Answer(
        [o.detach().numpy() for o in outputs],
        {name: g for name, g in named.items() if name not in names},
        {name: g for name, g in named.items() if name in names},
    )


def answer_of_numpy(case: Case, dtype: str, values: Arrays, batch: Arrays) -> Answer:
    graph = case.diagram().graph
    module = emitted(case.diagram(), "numpy", dtype)
    names = module.get("BUFFERS", {})
    params = {name: value.astype(dtype) for name, value in values.items() if name not in names}
    buffers = {name: value.astype(dtype) for name, value in values.items() if name in names}
    mode: dict[str, Any] = (
        {"train": case.train} if "train" in (module["forward"].__kwdefaults__ or {}) else {}
    )
    mode |= {"buffers": buffers} if buffers else {}
    outputs = module["forward"](params, **{name: batch[name] for name in graph.inputs}, **mode)
    _, grads, *rest = module["loss_and_grad"](params, **batch, **mode)
    after = rest[0] if rest and case.train else buffers
    return Answer(list(outputs) if isinstance(outputs, tuple) else [outputs], grads, after)


def torch_model(case: Case, dtype: str, values: Mapping[str, np.ndarray]) -> Any:
    """The emitted module with these parameters and running statistics, in the case's mode."""
    import torch

    model = emitted(case.diagram(), "torch", dtype)[class_name(case.diagram().name)]()
    state = {name: torch.tensor(value.astype(dtype)) for name, value in values.items()}
    model.to(getattr(torch, dtype)).load_state_dict(state, strict=True)
    return model.train(case.train)


def answer_of_torch(case: Case, dtype: str, values: Arrays, batch: Arrays) -> Answer:
    model, given = torch_model(case, dtype, values), tensors(batch)
    model.loss(**given).backward()
    state = {name: b.numpy() for name, b in model.named_buffers() if name in values}
    after = {name: value.copy() for name, value in state.items()}
    outputs = model(**{name: given[name] for name in case.diagram().graph.inputs})
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    grads = {name: p.grad.numpy() for name, p in model.named_parameters()}
    return Answer([o.detach().numpy() for o in several], grads, after)


ANSWERS = {"numpy": answer_of_numpy, "torch": answer_of_torch}


def compare(case: Case, dtype: str) -> Iterator[tuple[str, Difference]]:
    """Our targets in a dtype, and torch.nn itself in single precision, against torch.nn in double."""
    theirs = build(case, "float64")
    values = ours_of(case, theirs, theirs.module.state_dict())
    exact = answer_of_theirs(case, theirs, batch_of(case, "float64"))
    batch = batch_of(case, dtype)
    for target, answer in ANSWERS.items():
        yield target, difference(answer(case, dtype, values, batch), exact)
    if dtype == "float32":
        yield "torch.nn", difference(answer_of_theirs(case, build(case, dtype), batch), exact)


def difference(found: Answer, exact: Answer) -> Difference:
    """The largest errors of each kind."""
    assert set(found.grads) == set(exact.grads)
    assert set(found.statistics) == set(exact.statistics)
    largest = max(float(np.max(np.abs(g))) for g in exact.grads.values())
    return Difference(
        max(error(a, b) for a, b in zip(found.outputs, exact.outputs, strict=True)),
        max(error(found.grads[n], g, largest) for n, g in exact.grads.items()),
        max((error(found.statistics[n], s) for n, s in exact.statistics.items()), default=0),
    )


def main() -> None:
    print("| model | dtype | target | outputs | gradients | running statistics |")
    print("|---|---|---|---:|---:|---:|")
    for case in CASES:
        for dtype in ("float64", "float32"):
            for target, found in compare(case, dtype):
                errors = [found.outputs, found.gradients, *([found.statistics] if case.train else [])]
                cells = [str(case), dtype, target, *(f"{e:.1e}" for e in errors)]
                print(f"| {' | '.join(cells)} |{'' if case.train else ' |'}")


if __name__ == "__main__":
    main()
