"""Optimisers and learning-rate schedules: names, settings with their ranges, formulas, updates.

Each is declared once: `train` statements are checked against it, the numpy trainer is written
from its update, the torch one from its class in torch.optim, whose rules the updates follow
exactly. In a formula w is a parameter, g its gradient, t the number of the step counted from 1,
and lr the learning rate of the step.
"""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .declared import Declared, OpDefinitionError

OPTIMISERS: dict[str, type[Optimiser]] = {}
"""Every optimiser by name."""
SCHEDULES: dict[str, type[Schedule]] = {}
"""Every learning-rate schedule by name."""


@dataclass(frozen=True)
class Range:
    """Which numbers a setting may have; an open end is excluded."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"more than {self.low:g}" if self.open_low else f"at least {self.low:g}"
        ends = [f"from {self.low:g}", f"to {self.high:g}"]
        if self.open_low:
            ends[0] = f"above {self.low:g}"
        if self.open_high:
            ends[1] = f"up to, not including, {self.high:g}"
        return " ".join(ends)


POSITIVE = Range(0, open_low=True)
NOT_NEGATIVE = Range(0)
FRACTION = Range(0, 1, open_high=True)
"""A momentum or a decay rate: 1 itself would never forget."""


class Setting(Declared):
    """Named settings with defaults and ranges: what optimisers and schedules have in common."""

    ranges: ClassVar[dict[str, Range]] = {}
    """The range of each numeric setting that has one."""
    formula: ClassVar[str] = ""

    def __init_subclass__(cls, table: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if table is not None:
            cls.table = table
            return
        cls.name = cls.__name__.lower()
        if cls.name in cls.table or not cls.__doc__:
            raise OpDefinitionError(f"{cls.name} is declared twice, or has no docstring")
        cls.table[cls.name] = cls

    table: ClassVar[dict[str, Any]] = {}
    """The registry of its kind."""

    def problems(self) -> list[str]:
        """What is wrong with the values, in words: `momentum` must be ..., and it is 1."""
        found = []
        for name, allowed in type(self).ranges.items():
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if number and value not in allowed:
                found.append(f"`{name}` of `{self.name}` must be {allowed}, and it is {value}")
            elif number and math.isinf(value):
                found.append(f"`{name}` of `{self.name}` must be a finite number, and it is {value}")
        return found


class Optimiser(Setting, table=OPTIMISERS):
    """How parameters follow their gradients; `lr` is a number or a schedule.

    An update is statements over w, which they change in place, g, which they do not, the slots,
    lr, t and the settings in use. w comes last: g may be a view of it.
    """

    lr: Any
    title: ClassVar[str] = ""
    torch: ClassVar[str] = ""
    """Its class in torch.optim."""

    @property
    def rate(self) -> float:
        """The learning rate, or that of the innermost schedule."""
        rate: Any = self.lr
        while isinstance(rate, Schedule):
            rate = rate.values["lr"]
        return float(rate)

    @property
    def schedule(self) -> Schedule | None:
        """How the learning rate changes, if it does."""
        return self.lr if isinstance(self.lr, Schedule) and self.lr.changes else None

    def rate_at(self, t: int) -> float:
        """The learning rate of step t, counted from 0."""
        return self.rate if self.schedule is None else self.schedule.at(t)

    def slots(self) -> tuple[str, ...]:
        """What is kept for each parameter between steps, arrays of its shape, at first 0."""
        return ()

    def used(self) -> dict[str, Any]:
        """The settings that the step mentions, but lr, which it always does."""
        words = set(re.findall(r"\w+", " ".join([*self.before(), *self.update()])))
        return {n: v for n, v in self.values.items() if n != "lr" and n in words}

    def before(self) -> list[str]:
        """Statements of a step that stand before those of the parameters."""
        return []

    @abstractmethod
    def update(self) -> list[str]:
        """The statements of one parameter's step."""

    def torch_settings(self) -> dict[str, Any]:
        """What torch.optim is given beside lr: all that is not its default, which is ours too."""
        return {a.name: getattr(self, a.name) for a in self.attrs if self._differs(a.name, a.default)}

    def _differs(self, name: str, default: Any) -> bool:
        return name != "lr" and getattr(self, name) != default

    def _decayed(self) -> list[str]:
        """Weight decay as a part of the gradient."""
        return ["g = g + weight_decay * w"] if self.values["weight_decay"] else []


class Schedule(Setting, table=SCHEDULES):
    """The learning rate as a function of the step t, counted from 0.

    `form` computes it from t, lr and the settings; it is pasted into emitted modules.
    """

    lr: Any
    form: ClassVar[Callable[..., float] | None] = None

    @property
    def changes(self) -> bool:
        """Whether the rate is not the same always."""
        return type(self).form is not None

    @property
    def stages(self) -> list[tuple[int, Schedule]]:
        """The schedules that follow each other, each with the step that it counts from."""
        return [(0, self)]

    def at(self, t: int) -> float:
        """The learning rate of step t."""
        start, stage = [s for s in self.stages if s[0] <= t][-1]
        form = type(stage).form
        rate = stage.values["lr"]
        while isinstance(rate, Schedule):
            rate = rate.values["lr"]
        return float(rate) if form is None else float(form(t - start, rate, **stage.settings))

    @property
    def settings(self) -> dict[str, Any]:
        """All but lr."""
        return {n: v for n, v in self.values.items() if n != "lr"}


class Sgd(Optimiser):
    """Stochastic gradient descent, with momentum m and weight decay if wanted, as in PyTorch."""

    lr: Any = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    ranges = {"lr": POSITIVE, "momentum": FRACTION, "weight_decay": NOT_NEGATIVE}
    formula = "g += weight_decay w;  m = momentum m + g;  w -= lr m, with nesterov w -= lr (g + momentum m)"
    title = "gradient descent"
    torch = "SGD"

    def slots(self) -> tuple[str, ...]:
        return ("m",) if self.momentum else ()

    def update(self) -> list[str]:
        if not self.momentum:
            return [*self._decayed(), "w -= lr * g"]
        step = "w -= lr * (g + momentum * m)" if self.nesterov else "w -= lr * m"
        return [*self._decayed(), "m *= momentum", "m += g", step]

    def problems(self) -> list[str]:
        found = super().problems()
        if self.nesterov and not self.momentum:
            found.append("`nesterov` of `sgd` needs a `momentum` above 0")
        return found


class Adaptive(Optimiser, table=OPTIMISERS):
    """With running moments of the gradient, and two decay rates, `betas`: beta1 and beta2 in formulas."""

    betas: Any

    def slots(self) -> tuple[str, ...]:
        return "m", "v"

    def before(self) -> list[str]:
        return ["beta1, beta2 = betas"]

    def moments(self) -> list[str]:
        """The moments, and what they are without the zeros that they begin with."""
        return [
            "m += (1 - beta1) * (g - m)",
            "v *= beta2",
            "v += (1 - beta2) * g * g",
            "m_hat = m / (1 - beta1**t)",
            "v_hat = v / (1 - beta2**t)",
        ]

    def problems(self) -> list[str]:
        found = super().problems()
        betas = self.values["betas"]
        pair = isinstance(betas, tuple) and len(betas) == 2
        if not pair or not all(isinstance(b, (int, float)) and b in FRACTION for b in betas):
            found.append(f"`betas` of `{self.name}` must be two numbers, each {FRACTION}")
        return found


class Adam(Adaptive):
    """Steps scaled by running moments of the gradient (Kingma and Ba, 2014)."""

    lr: Any = 0.001
    betas: Any = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    ranges = {
        "lr": POSITIVE,
        "eps": NOT_NEGATIVE,
        "weight_decay": NOT_NEGATIVE,
    }
    formula = (
        "g += weight_decay w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  "
        "w -= lr (m / (1 - beta1^t)) / (√(v / (1 - beta2^t)) + eps)"
    )
    title = "Adam"
    torch = "Adam"

    def update(self) -> list[str]:
        return [*self._decayed(), *self.moments(), "w -= lr * m_hat / (np.sqrt(v_hat) + eps)"]


class Adamw(Adaptive):
    """Adam with weight decay apart from the gradient (Loshchilov and Hutter, 2017)."""

    lr: Any = 0.001
    betas: Any = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01
    ranges = Adam.ranges
    formula = (
        "w -= lr weight_decay w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  "
        "w -= lr (m / (1 - beta1^t)) / (√(v / (1 - beta2^t)) + eps)"
    )
    title = "AdamW"
    torch = "AdamW"

    def update(self) -> list[str]:
        move = "m_hat / (np.sqrt(v_hat) + eps)"
        step = f"w -= lr * ({move} + weight_decay * w)" if self.weight_decay else f"w -= lr * {move}"
        return [*self.moments(), step]


class Rmsprop(Optimiser):
    """Steps scaled by a running mean of squared gradients (Tieleman and Hinton, 2012)."""

    lr: Any = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    weight_decay: float = 0.0
    ranges = {
        "lr": POSITIVE,
        "alpha": FRACTION,
        "eps": NOT_NEGATIVE,
        "momentum": FRACTION,
        "weight_decay": NOT_NEGATIVE,
    }
    formula = (
        "g += weight_decay w;  v = alpha v + (1 - alpha) g^2;  m = momentum m + g / (√v + eps);  w -= lr m"
    )
    title = "RMSprop"
    torch = "RMSprop"

    def slots(self) -> tuple[str, ...]:
        return ("v", "m") if self.momentum else ("v",)

    def update(self) -> list[str]:
        mean = [*self._decayed(), "v *= alpha", "v += (1 - alpha) * g * g"]
        if not self.momentum:
            return [*mean, "w -= lr * g / (np.sqrt(v) + eps)"]
        return [*mean, "m *= momentum", "m += g / (np.sqrt(v) + eps)", "w -= lr * m"]


class Adagrad(Optimiser):
    """Steps scaled by the sum of all squared gradients so far (Duchi et al., 2011)."""

    lr: Any = 0.01
    eps: float = 1e-10
    weight_decay: float = 0.0
    ranges = {"lr": POSITIVE, "eps": NOT_NEGATIVE, "weight_decay": NOT_NEGATIVE}
    formula = "g += weight_decay w;  v = v + g^2;  w -= lr g / (√v + eps)"
    title = "Adagrad"
    torch = "Adagrad"

    def slots(self) -> tuple[str, ...]:
        return ("v",)

    def update(self) -> list[str]:
        return [*self._decayed(), "v += g * g", "w -= lr * g / (np.sqrt(v) + eps)"]


class Constant(Schedule):
    """The same rate always."""

    lr: float
    ranges = {"lr": POSITIVE}
    formula = "lr"


def staircase(t, lr, every, factor=0.1):
    """The rate of step t: lr times factor for every so many steps taken."""
    return lr * factor ** (t // every)


class Staircase(Schedule):
    """The rate multiplied by a factor after every so many steps."""

    lr: float
    every: int
    factor: float = 0.1
    ranges = {"lr": POSITIVE, "every": Range(1), "factor": Range(0, 1, open_low=True)}
    formula = "lr factor^⌊t / every⌋"
    form = staircase


def cosine(t, lr, steps, final=0.0):
    """The rate of step t: half a cosine wave from lr down to final."""
    return final + (lr - final) * (1 + math.cos(math.pi * min(t / steps, 1))) / 2


class Cosine(Schedule):
    """Half a cosine wave from lr down to `final` over the steps, then `final`."""

    lr: float
    steps: int
    final: float = 0.0
    ranges = {"lr": POSITIVE, "steps": Range(1), "final": NOT_NEGATIVE}
    formula = "final + (lr - final) (1 + cos(π min(t / steps, 1))) / 2"
    form = cosine


def warmup(t, lr, steps):
    """The rate of step t: a straight line up to lr."""
    return lr * min((t + 1) / steps, 1)


class Warmup(Schedule):
    """A straight line up to lr over the first steps; then lr, a number or a schedule from there."""

    lr: Any
    steps: int
    ranges = {"lr": POSITIVE, "steps": Range(1)}
    formula = "lr (t + 1) / steps for t < steps, then lr; a schedule then counts from 0"
    form = warmup

    @property
    def stages(self) -> list[tuple[int, Schedule]]:
        found: list[tuple[int, Schedule]] = []
        start = 0
        stage: Schedule = self
        while isinstance(stage, Warmup) and isinstance(stage.lr, Schedule):
            found.append((start, stage))
            start, stage = start + stage.steps, stage.lr
        return [*found, (start, stage)]
