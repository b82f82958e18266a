"""Optimisers and learning-rate schedules: names, settings with their ranges, formulas.

Declarations only: `train` statements are checked against them. In a formula w is a
parameter, g its gradient, t the number of the step counted from 1, and lr the learning rate
of the step.
"""

from __future__ import annotations

import math
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
        return found


class Optimiser(Setting, table=OPTIMISERS):
    """How parameters follow their gradients; `lr` is a number or a schedule."""


class Schedule(Setting, table=SCHEDULES):
    """The learning rate as a function of the step t, counted from 0."""


class Sgd(Optimiser):
    """Stochastic gradient descent, with momentum m and weight decay if wanted, as in PyTorch."""

    lr: Any = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    ranges = {"lr": POSITIVE, "momentum": FRACTION, "weight_decay": NOT_NEGATIVE}
    formula = "g += weight_decay w;  m = momentum m + g;  w -= lr m, with nesterov w -= lr (g + momentum m)"

    def problems(self) -> list[str]:
        found = super().problems()
        if self.nesterov and not self.momentum:
            found.append("`nesterov` of `sgd` needs a `momentum` above 0")
        return found


class Adaptive(Optimiser, table=OPTIMISERS):
    """With two decay rates, `betas`, written beta1 and beta2 in formulas."""

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


class Adagrad(Optimiser):
    """Steps scaled by the sum of all squared gradients so far (Duchi et al., 2011)."""

    lr: Any = 0.01
    eps: float = 1e-10
    weight_decay: float = 0.0
    ranges = {"lr": POSITIVE, "eps": NOT_NEGATIVE, "weight_decay": NOT_NEGATIVE}
    formula = "g += weight_decay w;  v = v + g^2;  w -= lr g / (√v + eps)"


class Constant(Schedule):
    """The same rate always."""

    lr: float
    ranges = {"lr": POSITIVE}
    formula = "lr"


class Staircase(Schedule):
    """The rate multiplied by a factor after every so many steps."""

    lr: float
    every: int
    factor: float = 0.1
    ranges = {"lr": POSITIVE, "every": Range(1), "factor": Range(0, 1, open_low=True)}
    formula = "lr factor^⌊t / every⌋"


class Cosine(Schedule):
    """Half a cosine wave from lr down to `final` over the steps, then `final`."""

    lr: float
    steps: int
    final: float = 0.0
    ranges = {"lr": POSITIVE, "steps": Range(1), "final": NOT_NEGATIVE}
    formula = "final + (lr - final) (1 + cos(π min(t / steps, 1))) / 2"


class Warmup(Schedule):
    """A straight line up to lr over the first steps; then lr, a number or a schedule from there."""

    lr: Any
    steps: int
    ranges = {"lr": POSITIVE, "steps": Range(1)}
    formula = "lr (t + 1) / steps for t < steps, then lr; a schedule then counts from 0"
