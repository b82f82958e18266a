"""A few steps of training by every engine, against the simulator's gradients and the declared update.

Assumes a diagram with a loss and something to train. The reference takes its gradients from the
simulator and moves the parameters by the statements that the optimiser declares; its batches,
learning rates and clipping follow the `train` statement. The emitted trainers, and PyTorch's
optimisers through the emitted `train_step`, must take the same path. A difference is judged as all
others are: a step taken with every operation a little off says what rounding may do, steps from
beside say whether the path runs over a kink.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..data.batches import MemoryExamples
from ..execute import execute
from ..lower.program import Training
from ..naming import class_name
from .cases import beside
from .compare import (
    AUTOGRAD,
    DERIVATIVES,
    NOISE,
    NOISE_SINGLE,
    SINGLE,
    TIMES,
    Arrays,
    largest_difference,
)
from .engines import Case, Engine, Simulator
from .modules import NumpyModule, TorchModule
from .report import NEAR, TRAINED, TRAINING_STEPS, Row

Path = list[Arrays]
"""The trained parameters by name, after each step."""

STEPPING = 1
"""What the draws of a step are told apart by from others with the same seed."""

LARGE = 1e12
"""Where parameters or gradients are larger than this, training diverges, and is not compared."""

TRIES = 6


@dataclass(frozen=True)
class Steps:
    """A few steps of training on a case. frozen: names of parameters that stay as they are."""

    simulator: Simulator
    training: Training
    frozen: tuple[str, ...]
    case: Case
    seed: int = 0

    @cached_property
    def names(self) -> list[str]:
        """The parameters that change."""
        return [n for n in self.case.params if n not in self.frozen]

    @cached_property
    def compared(self) -> list[str]:
        """What training changes: those, and the buffers."""
        return [*self.names, *self.case.buffers]

    def at(self, case: Case, t: int, params: Arrays, batch: Arrays) -> Case:
        """Where step t is taken, with what it draws from; params: those of then, buffers too."""
        rows = tuple(range(len(next(iter(batch.values()), ()))))
        own = {n: params.get(n, a) for n, a in case.params.items()}
        buffers = {n: params.get(n, a) for n, a in case.buffers.items()}
        stream = (self.training.seed, t, STEPPING)
        return replace(
            case, params=own, examples=batch, rows=rows, buffers=buffers, train=True, stream=stream
        )

    def batches(self, case: Case) -> list[Arrays]:
        """The batch of each step, as `flowc train` takes them."""
        examples, size = MemoryExamples(case.examples), self.training.batch
        wanted = None if isinstance(size, str) else size
        return [examples.batch(t, wanted, self.training.seed) for t in range(TRAINING_STEPS)]

    # -- the reference

    @cached_property
    def path(self) -> Path:
        """By the simulator; it ends where training diverges."""
        return self.reference(self.case)

    def reference(self, case: Case, noise: float = 0.0, seed: int = 0) -> Path:
        """The path from a case; noise: the relative error that every operation and update is given."""
        rng = np.random.default_rng(seed)
        real = np.float32 if noise == NOISE_SINGLE else np.float64
        now = {n: np.array(a, dtype=real) for n, a in {**case.params, **case.buffers}.items()}
        update = _update(self.training.optimiser)
        slots = {n: [np.zeros_like(now[n]) for _ in self.training.optimiser.slots()] for n in self.names}
        path: Path = []
        for t, batch in enumerate(self.batches(case)):
            with np.errstate(all="ignore"):
                at = self.at(case, t, now, batch)
                gradient = self._clipped(self._gradient(at, noise, rng))
                buffers = self.simulator.new_buffers(at, noise, rng)
                rate = self.training.optimiser.rate_at(t)
                for name in self.names:
                    update(now[name], gradient[name].astype(real), slots[name], rate, t + 1)
                    error: Any = 1 + noise * rng.choice((-1.0, 1.0), now[name].shape)
                    now[name] = np.asarray(now[name] * error, dtype=real)
                now |= {n: b.astype(real) for n, b in buffers.items()}
            arrays = [*now.values(), *gradient.values()]
            if not all(np.all(np.abs(a) < LARGE) for a in arrays):
                break
            path.append({n: now[n].copy() for n in self.compared})
        return path

    def _gradient(self, at: Case, noise: float, rng: np.random.Generator) -> Arrays:
        found = self.simulator.gradient(at, noise=noise, rng=rng)
        return {n: found[f"gradient {n}"] for n in self.names}

    def _clipped(self, gradient: Arrays) -> Arrays:
        """Scaled down to the norm that is allowed, as torch.nn.utils.clip_grad_norm_ does."""
        clip = self.training.clip
        if clip is None:
            return gradient
        norm = np.sqrt(sum(np.sum(np.square(g)) for g in gradient.values()))
        return {n: g * min(clip / (norm + 1e-6), 1.0) for n, g in gradient.items()}

    # -- comparing

    def remarks(self) -> list[str]:
        """Where training diverges, in a sentence."""
        if len(self.path) == TRAINING_STEPS:
            return []
        compared = (
            f"{len(self.path)} of {TRAINING_STEPS} steps are compared" if self.path else "it is not compared"
        )
        step = len(self.path) + 1
        return [f"On {self.case.title}, training diverges (beyond {LARGE:g}) in step {step}: {compared}."]

    def rows(self, engine: Engine) -> Iterator[Row]:
        """What an engine's path differs by; what differs too much is judged, until one is wrong."""
        if not self.path:
            return
        tolerance = SINGLE if engine.single else AUTOGRAD if isinstance(engine, TorchModule) else DERIVATIVES
        plain = Row(TRAINED, engine.name, 0.0, tolerance, "ok")
        try:
            got = self.engine_path(engine, self.case)
        except Exception as error:
            said = f"{engine.name} raises {type(error).__name__} on {self.case.title}: {error}"
            yield replace(plain, difference=np.inf, status="DIFFERS", note=said)
            return
        for t, name, difference, place in self.differences(got, self.path, self.case, plain):
            row = replace(plain, difference=difference)
            where = f"{name}{place} after step {t + 1} on {self.case.title}"
            judged = row if difference <= tolerance else self._judged(row, where, t, name, engine)
            yield judged
            if judged.status == "DIFFERS":
                return

    def differences(
        self, got: Path, want: Path, case: Case, row: Row
    ) -> Iterator[tuple[int, str, float, str]]:
        """Step, name, difference and place, relative to what training has changed so far.

        Parameters are themselves rounded in each step, which a small change cannot be free of.
        """
        assert row.tolerance is not None
        noise = NOISE_SINGLE if row.tolerance == SINGLE else NOISE
        for t, after in enumerate(want):
            first = {**case.params, **case.buffers}
            moved = {n: _size(after[n] - first[n]) for n in self.compared}
            most = max(moved.values())
            for name in self.compared:
                rounded = (t + 1) * noise / row.tolerance * _size(after[name])
                scale = max(moved[name], 1e-3 * most) + rounded
                yield t, name, *largest_difference(got[t][name], after[name], max(scale, 1e-30))

    def _judged(self, row: Row, where: str, t: int, name: str, engine: Engine) -> Row:
        """A difference above the tolerance, with what explains it or where it is."""
        assert row.difference is not None
        rounding = self._rounding(engine.single, row)[t, name]
        if row.difference <= TIMES * rounding:
            said = f"{where}: rounding alone changes it by {rounding:.1e}"
            return replace(row, status="rounding", note=said)
        if (engine.single or isinstance(engine, TorchModule)) and self._agrees_beside(engine, row):
            why = NEAR if engine.single else "where PyTorch takes another slope"
            said = f"{where}: a kink, {why}; from beside it both agree"
            return replace(row, status="kink", note=said)
        return replace(row, status="DIFFERS", note=where)

    def _rounding(self, single: bool, row: Row) -> dict[tuple[int, str], float]:
        """How far errors of every operation take each parameter after each step."""
        if single not in self._rough:
            found: dict[tuple[int, str], float] = {}
            for seed in range(TRIES):
                rough = self.reference(self.case, NOISE_SINGLE if single else NOISE, seed)
                if len(rough) < len(self.path):  # it diverges, or nearly so: nothing is known of the rest
                    rough += [{n: np.full_like(a, np.inf) for n, a in self.path[-1].items()}] * TRAINING_STEPS
                for t, name, off, _ in self.differences(rough, self.path, self.case, row):
                    found[t, name] = max(off, found.get((t, name), 0.0))
            self._rough[single] = found
        return self._rough[single]

    @cached_property
    def _rough(self) -> dict[bool, dict[tuple[int, str], float]]:
        return {}

    def _agrees_beside(self, engine: Engine, row: Row) -> bool:
        if engine.name not in self._kinks:
            near = beside(self.case, self.seed)
            self._kinks[engine.name] = all(self._agrees(engine, each, row) for each in near)
        return self._kinks[engine.name]

    @cached_property
    def _kinks(self) -> dict[str, bool]:
        """By engine, whether it takes the same paths beside this one."""
        return {}

    def _agrees(self, engine: Engine, near: Case, row: Row) -> bool:
        """Whether an engine takes the same path from a point a little away."""
        want = self.reference(near)
        found = self.differences(self.engine_path(engine, near), want, near, row)
        return bool(want) and all(off <= (row.tolerance or 0.0) for _, _, off, _ in found)

    # -- the engines

    def engine_path(self, engine: Engine, case: Case) -> Path:
        """The path that an emitted module takes; raises whatever it raises."""
        take = _numpy_path if isinstance(engine, NumpyModule) else _torch_path
        steps = [self.at(case, t, {}, batch) for t, batch in enumerate(self.batches(case))]
        with np.errstate(all="ignore"):
            return take(engine, case, steps)  # type: ignore[arg-type]

    # -- blame

    def culprits(self) -> list[str]:
        """The optimiser, if PyTorch's own takes another path with the simulator's gradients."""
        try:
            import torch
        except ImportError:
            return []
        optimiser = self.training.optimiser
        now = {n: torch.tensor(np.array(self.case.params[n], dtype=np.float64)) for n in self.names}
        made = getattr(torch.optim, optimiser.torch)
        theirs = made(list(now.values()), lr=optimiser.rate, **optimiser.torch_settings())
        rng = np.random.default_rng(self.seed)
        before = self.case.params
        for t, (batch, after) in enumerate(zip(self.batches(self.case), self.path, strict=False)):
            params = {n: np.array(a, dtype=np.float64) for n, a in before.items()}
            gradient = self._clipped(self._gradient(self.at(self.case, t, params, batch), 0.0, rng))
            for group in theirs.param_groups:
                group["lr"] = optimiser.rate_at(t)
            for name, parameter in now.items():
                parameter.grad = torch.tensor(gradient[name])
            theirs.step()
            before = {**before, **after}
            for name, parameter in now.items():
                scale = _size(after[name]) + 1e-30
                if largest_difference(parameter.numpy(), after[name], scale)[0] > DERIVATIVES:
                    line = f", line {self.training.span.line}" if self.training.span is not None else ""
                    said = f"its update is not that of torch.optim.{optimiser.torch} (step {t + 1})"
                    return [f"`{optimiser.name}`{line}: {said}"]
        return []


def _size(array: np.ndarray) -> float:
    return float(np.max(np.abs(array), initial=0.0))


def _update(optimiser: Any) -> Callable[[np.ndarray, np.ndarray, list[np.ndarray], float, int], None]:
    """One parameter's step by the statements that the optimiser declares; w and the slots change."""
    settings = optimiser.used()
    lines = [
        "import numpy as np",
        f"def update(w, g, slots, lr, t, {', '.join(settings)}):",
        *(f"    {slot} = slots[{i}]" for i, slot in enumerate(optimiser.slots())),
        *(f"    {line}" for line in (*optimiser.before(), *optimiser.update())),
    ]
    update = execute("\n".join(lines) + "\n", optimiser.name)["update"]
    return lambda w, g, slots, lr, t: update(w, g, slots, lr, t, **settings)


def _numpy_path(engine: NumpyModule, case: Case, steps: list[Case]) -> Path:
    """By `Trainer.step`; the last step is that of `Trainer.run`, which draws its batches itself."""
    module = engine.module
    first = {n: np.asarray(a, engine.dtype) for n, a in case.params.items()}
    buffers = {n: np.asarray(a, engine.dtype) for n, a in case.buffers.items()}
    given = {"buffers": buffers} if buffers else {}

    def now(trainer: Any) -> Arrays:
        return _arrays({**trainer.params, **(trainer.buffers if buffers else {})})

    trainer = module["Trainer"](first, **given)
    path = []
    for step in steps:
        trainer.step(**step.examples, loss=False)
        path.append(now(trainer))
    whole = module["Trainer"](first, **given)
    whole.run(**case.examples, steps=len(steps), log=0)
    path[-1] = now(whole)
    return path


def _torch_path(engine: TorchModule, case: Case, steps: list[Case]) -> Path:
    """By `train_step`."""
    name = class_name(engine.graph.name)
    model = engine.model(case).train()
    loss = engine.module[f"{name}Loss"](model)
    optimizer = engine.module["make_optimizer"](model)
    path = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, on batches of one
        for step in steps:
            batch = {n: engine.tensor(a) for n, a in step.examples.items()}
            with engine.drawing(step, "loss"):
                engine.module["train_step"](loss, optimizer, **batch)
            held = model.state_dict()
            path.append(_arrays({n: held[n].numpy(force=True) for n in (*case.params, *case.buffers)}))
    return path


def _arrays(params: Mapping[str, np.ndarray]) -> Arrays:
    return {n: np.array(a, dtype=np.float64) for n, a in params.items()}
