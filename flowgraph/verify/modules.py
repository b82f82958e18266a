"""The emitted modules as engines: numpy with `jvp` and `hvp`, torch with autograd and beside it.

The emitted texts, which are ours, are executed as they stand. Functions are given training mode,
buffers and what to draw from as a case says; PyTorch is made to draw what the simulator draws.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..errors import InternalError
from ..execute import execute
from ..graph import Graph
from ..naming import class_name
from ..passes.inline import Inline
from ..passes.simulate import bind_sizes
from ..torch_params import Place, by_name, entry, places_of
from .compare import WRITTEN, Arrays, Quantities
from .engines import Case, asked
from .modes import couples, draws_of, refused, replayed


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


class NumpyModule:
    """An emitted numpy module with `jvp` and `hvp`."""

    def __init__(self, graph: Graph, text: str, level: int, dtype: str) -> None:
        self.graph, self.dtype, self.single = graph, dtype, dtype == "float32"
        self.name = f"numpy -O{level}" + (" float32" if self.single else "")
        self.lacks: tuple[str, ...] = ("gradient written out",)
        self.skipped: dict[str, str] = {}
        self.module = execute(text, "emitted")
        flat = Inline().run(graph)
        self.refused, self.couples = refused(flat), couples(flat)

    def quantities(self, case: Case) -> Quantities:
        params, way = (
            {n: np.asarray(a, self.dtype) for n, a in of.items()} for of in (case.params, case.way)
        )
        given = {str(self.graph[n].hint) for n in self.graph.inputs}
        inputs = {n: a for n, a in case.examples.items() if n in given}
        has_loss, has_gradient = asked(case, self.graph)
        examples = case.examples
        without = self.refused if case.train else set()
        found: Quantities = {}

        def run(function: str, *arrays: Any, **columns: Any) -> Any:
            return self.module[function](*arrays, **columns, **self.modes(case))

        with np.errstate(all="ignore"):
            if "output" not in without:
                labels = [r.label for r in self.graph.results_of("output")]
                outputs = as_list(run("forward", params, **inputs))
                found |= {f"output {n}": v for n, v in zip(labels, outputs, strict=True)}
                found |= self._of_class(case, params, inputs, labels)
            if has_loss:
                found["loss"] = run("loss", params, **examples)
            if has_gradient:
                value, gradient, *new = run("loss_and_grad", params, **examples)
                found |= {f"gradient {n}": g for n, g in gradient.items()}
                found |= {f"buffer {n}": b for each in new for n, b in each.items()}
                again, found["jvp"] = run("jvp", params, way, **examples)
                found |= {f"hvp {n}": g for n, g in run("hvp", params, way, **examples).items()}
                found |= {"loss of loss_and_grad": value, "loss of jvp": again}
            if has_gradient and not (case.train and self.couples):
                each = run("per_example_grad", params, **examples)
                found |= {f"each gradient {n}": g for n, g in each.items()}
            if case.has_targets and self.graph.results_of("metric") and "metric" not in without:
                found |= {f"metric {n}": v for n, v in run("metrics", params, **examples).items()}
        return {n: np.asarray(v, dtype=np.float64) for n, v in found.items()}

    def _of_class(self, case: Case, params: Arrays, inputs: Arrays, labels: list[str]) -> Quantities:
        """The outputs of `Forward`, in the place of the function's: the second call's, in used memory."""
        if "Forward" not in self.module or case.train:
            return {}
        modes = self.modes(case)
        made = self.module["Forward"](params, **{n: a for n, a in modes.items() if n == "buffers"})
        draws = "rng" in inspect.signature(made.__call__).parameters
        for _ in range(2):
            outputs = as_list(made(**inputs, **({"rng": case.rng()} if draws else {})))
        return {f"output {n}": v for n, v in zip(labels, outputs, strict=True)}

    def modes(self, case: Case) -> dict[str, Any]:
        """What a function of the module takes besides."""
        if "rng" not in inspect.signature(self.module["forward"]).parameters:
            return {}
        given: dict[str, Any] = {"train": case.train, "rng": case.rng()}
        if case.buffers:
            given["buffers"] = {n: np.asarray(a, self.dtype) for n, a in case.buffers.items()}
        return given

    def init(self, seed: int) -> Quantities:
        """What `init(seed)` draws."""
        values = self.module["init"](seed)
        if {n: tuple(np.shape(v)) for n, v in values.items()} != dict(self.module["PARAMS"]):
            raise InternalError("PARAMS and init disagree on names or shapes")
        return {f"init {n}": np.asarray(v, dtype=np.float64) for n, v in values.items()}


class TorchModule:
    """An emitted torch module: autograd, and the derived backward pass beside it."""

    def __init__(self, graph: Graph, text: str, level: int, dtype: str) -> None:
        self.graph, self.dtype, self.single = graph, dtype, dtype == "float32"
        self.name = f"torch -O{level}" + (" float32" if self.single else "")
        self.lacks: tuple[str, ...] = ("gradient per example",)
        self.module = execute(text, "emitted_torch")
        self.skipped: dict[str, str] = {}
        """What PyTorch itself cannot compute, and what it says of that."""
        self.flat = Inline().run(graph)
        self.refused = refused(self.flat)

    def quantities(self, case: Case) -> Quantities:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own, on batches of one
            return self._quantities(case)

    def _quantities(self, case: Case) -> Quantities:
        import torch

        model = self.model(case)
        examples = {n: self.tensor(a) for n, a in case.examples.items()}
        given = {str(self.graph[n].hint) for n in self.graph.inputs}
        without = self.refused if case.train else set()
        found: dict[str, Any] = {}
        has_loss, has_gradient = asked(case, self.graph)
        if has_loss:
            with self.drawing(case, "loss"):
                found["loss"] = model.loss(**examples)
        if has_gradient:
            if case.train:
                found |= {f"buffer {n}": model.state_dict()[n].clone() for n in case.buffers}
            found |= self._derivatives(model, found["loss"], case)
            with self.drawing(case, "loss"):
                value, gradient = model.loss_and_grad(**examples)
            found |= {f"gradient {n}{WRITTEN}": g for n, g in gradient.items()}
            found["loss of loss_and_grad"] = value
        with torch.no_grad():
            if "output" not in without:
                labels = [r.label for r in self.graph.results_of("output")]
                with self.drawing(case, "output"):
                    outputs = as_list(model(**{n: t for n, t in examples.items() if n in given}))
                found |= {f"output {n}": v for n, v in zip(labels, outputs, strict=True)}
            if case.has_targets and self.graph.results_of("metric") and "metric" not in without:
                with self.drawing(case, "metric"):
                    found |= {f"metric {n}": v for n, v in model.metrics(**examples).items()}
        return {n: _as_array(v) for n, v in found.items()}

    def model(self, case: Case) -> Any:
        """The module with the parameters and buffers of a case, in its mode."""
        import torch

        model = self.module[class_name(self.graph.name)]()
        arrays = {**case.params, **case.buffers}
        state = {n: torch.tensor(np.asarray(a, dtype=self.dtype)) for n, a in arrays.items()}
        model.load_state_dict(state, strict=True)
        model.requires_grad_(True)
        return model.train(case.train)

    def drawing(self, case: Case, role: str) -> AbstractContextManager[Any]:
        """A context in which PyTorch draws what the simulator draws, for the results of a role."""
        if not any(node.op.name == "key" for node in self.flat):
            return nullcontext()
        flat = self.flat
        hints = {n: str(flat[n].hint) for n in (*flat.inputs, *flat.targets)}
        sizes = bind_sizes(flat, {n: case.examples[h] for n, h in hints.items() if h in case.examples})
        return replayed(draws_of(self.flat, (role,), sizes, case.train, case.rng()))

    def _derivatives(self, model: Any, loss: Any, case: Case) -> dict[str, Any]:
        """By autograd: the gradient, along the direction, and once more."""
        import torch

        places = {n: p for n, p in places_of(model).items() if n in case.params}
        way = {n: torch.tensor(np.asarray(case.way[n], dtype=self.dtype)) for n in places}
        if not loss.requires_grad:
            gradient = hessian = {n: torch.zeros_like(entry(*place)) for n, place in places.items()}
        else:
            leaves = list(dict.fromkeys(param for param, _ in places.values()))
            found = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
            gradient = by_name(places, dict(zip(leaves, found, strict=True)))
            hessian = self._twice(gradient, way, places)
        along = sum((gradient[n].detach() * way[n]).sum() for n in places)
        named = {f"gradient {n}": g for n, g in gradient.items()} | {
            f"hvp {n}": g for n, g in hessian.items()
        }
        return named | {"jvp": along}

    def _twice(
        self, gradient: dict[str, Any], way: dict[str, Any], places: Mapping[str, Place]
    ) -> dict[str, Any]:
        import torch

        along = sum((gradient[n] * way[n]).sum() for n in places)
        if not along.requires_grad:
            return {n: torch.zeros_like(entry(*place)) for n, place in places.items()}
        leaves = list(dict.fromkeys(param for param, _ in places.values()))
        try:
            found = torch.autograd.grad(along, leaves, materialize_grads=True)
        except (RuntimeError, NotImplementedError) as error:
            if "not implemented" not in str(error):
                raise
            self.skipped["hvp"] = str(error).splitlines()[0]
            return {}
        return by_name(places, dict(zip(leaves, found, strict=True)))

    def tensor(self, array: np.ndarray) -> Any:
        """An input or target, reals in the dtype of the module."""
        import torch

        return torch.tensor(np.asarray(array, self.dtype) if array.dtype.kind == "f" else array)


def _as_array(tensor: Any) -> np.ndarray:
    value = tensor.numpy(force=True) if hasattr(tensor, "numpy") else tensor
    return np.asarray(value, dtype=np.float64)
