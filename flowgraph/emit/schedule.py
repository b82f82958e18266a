"""Learning-rate schedules in emitted code: the functions they are, and the lines that call them."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from ..lower.program import Training
from . import source
from .template import helper_name, literal, name


def schedule_forms(training: Training | None) -> list[Any]:
    """The functions that the schedule of a training needs pasted."""
    schedule = training.optimiser.schedule if training is not None else None
    if schedule is None:
        return []
    return list(dict.fromkeys(form for _, stage in schedule.stages if (form := type(stage).form)))


def rate_lines(
    training: Training, renamed: Mapping[str, str], target: str, t: str, lr: str, depth: int
) -> list[str]:
    """Statements that give `target` the rate of step t (from 0), of a schedule whose own rate is `lr`.

    renamed: functions that have another name in the module.
    """
    stages = training.optimiser.schedule.stages
    if len(stages) == 1:
        return source.assign(target, _rate(stages[0], renamed, t, lr), depth=depth)
    indent = source.INDENT * depth
    lines: list[str] = []
    for index, stage in enumerate(stages):
        word = "if" if index == 0 else "elif"
        last = index == len(stages) - 1
        lines.append(f"{indent}else:" if last else f"{indent}{word} {t} < {stages[index + 1][0]}:")
        lines += source.assign(target, _rate(stage, renamed, t, lr), depth=depth + 1)
    return lines


def _rate(stage: Sequence[Any], renamed: Mapping[str, str], t: str, lr: str) -> ast.expr:
    start, schedule = stage
    form = type(schedule).form
    rate = ast.parse(lr, mode="eval").body
    if form is None:
        return rate
    defaults = {a.name: a.default for a in schedule.attrs}
    settings = {n: v for n, v in schedule.settings.items() if v != defaults[n]}
    keywords = [
        ast.keyword(n, literal(v, "np", lambda size: ast.Constant(size.value))) for n, v in settings.items()
    ]
    step = ast.parse(f"{t} - {start}" if start else t, mode="eval").body
    called = helper_name(form)
    return ast.Call(name(renamed.get(called, called)), [step, rate], keywords)
