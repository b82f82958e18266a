"""Derivatives of a diagram against central differences of its loss and of its gradient.

Along random directions: of all parameters, and of one group of them after another, so that a
wrong one cannot hide behind larger ones. Where a derivative and the differences do not agree, the
comparison is made again: with what passes no gradient held still (`stop_gradient`, `step`,
comparisons), since derivatives take it as constant; at points beside, which all agree if the
point was on a kink, where the derivative is a matter of convention; and, as in a large network every
point has kinks near it, with the mean of the derivatives over the step, which is what a difference
is. The report says which it was, and the slopes on both sides; it is not called agreement.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from .cases import NEARBY, beside, direction, groups
from .compare import DIFFERENCES, Arrays, along, along_sizes, place_text
from .engines import Case, Simulator
from .report import Row
from .slopes import EPS, FINER, STEPS, Slope, one_sided, slope

TRUSTED = 1e-3
"""Of its scale: a difference whose own error is larger proves nothing."""

ENGINE = "central differences"


def compare_differences(simulator: Simulator, case: Case, seed: int) -> Iterator[Row]:
    """Rows for gradient, jvp and hvp of a case that has a loss and parameters."""
    rng = np.random.default_rng([seed, 7])
    everything = list(case.params)
    for part in (everything, everything, *groups(case.params)):
        drawn = direction(case.params, rng)
        way = {n: d if n in part else np.zeros_like(d) for n, d in drawn.items()}
        yield _gradient_row(simulator, case, way, part, seed)
    yield _jvp_row(simulator, case, seed)
    yield _hvp_row(simulator, case, seed)


def _slope_of_loss(
    simulator: Simulator,
    case: Case,
    way: Arrays,
    held: Arrays | None = None,
    steps: Sequence[float] = STEPS,
) -> Slope:
    return slope(lambda t: simulator.loss(case.moved(way, t), held), steps)


def _agrees(ours: float, found: Slope, scale: float) -> bool:
    """Whether they agree to the tolerance, and what the differences themselves are good to."""
    return bool(abs(ours - found.value[0]) <= DIFFERENCES * scale + min(found.error, TRUSTED * scale))


def _gradient_row(simulator: Simulator, case: Case, way: Arrays, part: Sequence[str], seed: int) -> Row:
    moved = ", ".join(part[:3]) + (", ..." if len(part) > 3 else "")

    def ours(at: Case) -> tuple[float, float]:
        found = simulator.gradient(at)
        gradient = {n: found[f"gradient {n}"] for n in way}
        return along(gradient, way), along_sizes(gradient, way) + _floor(simulator, at)

    return _row("gradient", f"gradient along {moved} on {case.title}", simulator, case, way, ours, seed)


def _jvp_row(simulator: Simulator, case: Case, seed: int) -> Row:
    def ours(at: Case) -> tuple[float, float]:
        found = simulator.derivatives(at)
        sizes = along_sizes({n: found[f"gradient {n}"] for n in at.way}, at.way)
        return float(found["jvp"]), sizes + _floor(simulator, at)

    return _row("jvp", f"jvp on {case.title}", simulator, case, case.way, ours, seed)


def _row(
    group: str,
    where: str,
    simulator: Simulator,
    case: Case,
    way: Arrays,
    ours: Callable[[Case], tuple[float, float]],
    seed: int,
) -> Row:
    """A derivative along a direction against differences. ours: the derivative, and its scale."""
    value, scale = ours(case)
    row = _compared(group, value, _slope_of_loss(simulator, case, way), scale, case)
    if row.status != "DIFFERS":
        return row
    finer = _compared(group, value, _slope_of_loss(simulator, case, way, steps=FINER), scale, case)
    if finer.status != "DIFFERS":
        return finer
    said = f"{where}: {value:.6g}, {_sides(simulator, case, way)}"
    moving = simulator.moves(case, way, STEPS[-1])
    if moving and _agrees(value, _slope_of_loss(simulator, case, way, simulator.cut(case)), scale):
        return replace(
            row, status="kink", note=f"{said}: {moving}, passes no gradient; held still, both agree"
        )
    for near in beside(case, seed):
        value_near, scale_near = ours(near)
        if not _agrees(value_near, _slope_of_loss(simulator, near, way), scale_near):
            break
    else:
        return replace(row, status="kink", note=f"{said}: a kink; beside it both agree")
    if _averages(simulator, case, way, lambda at: ours(at)[0], scale):
        return replace(row, status="kink", note=f"{said}: kinks around it, and the slopes average to these")
    return replace(row, note=said)


POINTS = 32
"""Where the slopes over a step are taken, at even distances."""


def _averages(
    simulator: Simulator, case: Case, way: Arrays, ours: Callable[[Case], float], scale: float
) -> bool:
    """Whether a difference is the mean of the derivatives over its step, as it is kinks or not.

    Their mean is taken at points, so that each kink in between may put it off by its share of a point.
    """
    step = FINER[0]
    high, low = (float(simulator.loss(case.moved(way, t))[0]) for t in (step, -step))
    slopes = np.array([ours(case.moved(way, step * (2 * i + 1 - POINTS) / POINTS)) for i in range(POINTS)])
    variation = float(np.sum(np.abs(np.diff(slopes))))
    rounding = 4 * EPS * max(abs(high), abs(low)) / step
    off = abs((high - low) / (2 * step) - float(np.mean(slopes)))
    return bool(off <= DIFFERENCES * scale + variation / POINTS + rounding)


def _floor(simulator: Simulator, case: Case) -> float:
    """What counts as no slope at all: a small share of the loss, from which differences are made."""
    loss = abs(float(simulator.loss(case)[0]))
    return 1e-4 * loss if np.isfinite(loss) else 0.0


def _compared(group: str, ours: float, found: Slope, scale: float, case: Case) -> Row:
    difference = float(abs(ours - found.value[0]) / scale)
    row = Row(group, ENGINE, difference, DIFFERENCES, "ok")
    if not _agrees(ours, found, scale):
        return replace(row, status="DIFFERS")
    if difference > DIFFERENCES:
        return replace(row, status="rounding", note=_rough(case, min(found.error / scale, TRUSTED)))
    return row


def _rough(case: Case, bound: float) -> str:
    return f"on {case.title}, differences are good to {bound:.0e} only"


def _sides(simulator: Simulator, case: Case, way: Arrays) -> str:
    left, right = one_sided(lambda t: simulator.loss(case.moved(way, t)))
    return f"by differences {left:.6g} to the left and {right:.6g} to the right"


def _hvp_row(simulator: Simulator, case: Case, seed: int) -> Row:
    """The Hessian along the case's direction against differences of the gradient."""
    for steps in (STEPS, FINER):
        off, scale, error = _hvp_difference(simulator, case, steps=steps)
        difference = float(np.max(off, initial=0.0)) / scale
        row = Row("hvp", ENGINE, difference, DIFFERENCES, "ok")
        if difference <= DIFFERENCES:
            return row
        if difference <= DIFFERENCES + error:
            return replace(row, status="rounding", note=_rough(case, error))
    where = f"hvp {_entry(case.params, int(np.argmax(off)))} on {case.title}"
    off, scale, error = _hvp_difference(simulator, case, simulator.cut(case, 2))
    if np.max(off, initial=0.0) / scale <= DIFFERENCES + error:
        note = f"{where}: a value that passes no gradient moves; held still, both agree"
        return replace(row, status="kink", note=note)
    agreed = 0
    for near in beside(case, seed, PLACES):
        if any(_hvp_agrees(simulator, near, steps) for steps in (STEPS, FINER)):
            agreed += 1
        elif not _jumps(simulator, near):
            return replace(row, status="DIFFERS", note=where)
        if agreed == NEARBY:
            return replace(row, status="kink", note=f"{where}: a kink of the gradient; beside it both agree")
    said = "the gradient jumps within the smallest step here and beside; no difference can tell"
    return replace(row, status="kink", note=f"{where}: {said}")


PLACES = 12
"""Where a comparison is tried that kinks may spoil."""


def _jumps(simulator: Simulator, case: Case) -> bool:
    """Whether the gradient jumps within the smallest step: in one part of it, it changes unlike in others."""

    def at(t: float) -> np.ndarray:
        found = simulator.gradient(case.moved(case.way, t))
        return np.concatenate([np.ravel(found[f"gradient {n}"]) for n in case.params])

    values = [at(t) for t in np.linspace(-FINER[0], FINER[0], 9)]
    changes = [float(np.linalg.norm(b - a)) for a, b in itertools.pairwise(values)]
    return max(changes) > 4 * float(np.median(changes))


def _hvp_agrees(simulator: Simulator, case: Case, steps: Sequence[float]) -> bool:
    off, scale, error = _hvp_difference(simulator, case, steps=steps)
    return bool(np.max(off, initial=0.0) / scale <= DIFFERENCES + error)


def _hvp_difference(
    simulator: Simulator, case: Case, held: Arrays | None = None, steps: Sequence[float] = STEPS
) -> tuple[np.ndarray, float, float]:
    """Differences of all entries, their scale, and what they are good to relative to it."""

    def at(t: float) -> np.ndarray:
        found = simulator.gradient(case.moved(case.way, t), held)
        return np.concatenate([np.ravel(found[f"gradient {n}"]) for n in case.params])

    want = simulator.derivatives(case)
    ours = np.concatenate([np.ravel(want[f"hvp {n}"]) for n in case.params])
    found = slope(at, steps)
    steep = float(np.max(np.abs(at(0.0)), initial=0.0))
    scale = float(np.max(np.abs(ours), initial=0.0)) + 1e-2 * steep + 1e-12
    off = np.nan_to_num(np.abs(ours - found.value), nan=np.inf)
    return off, scale, min(found.error / scale, TRUSTED)


def _entry(params: Arrays, index: int) -> str:
    """The entry at a place among those of all parameters in a row."""
    for name, array in params.items():
        if index < array.size:
            return f"{name}{place_text(np.unravel_index(index, array.shape))}"
        index -= array.size
    raise IndexError(index)
