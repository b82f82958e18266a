"""The methods that planned classes share: what makes a plan's arrays, and finds the plan for a batch.

Assumes a written plan. Promises that at most `KEPT` plans are kept, so that sizes that come and go do not
fill the memory.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...naming import CODE_NAMES, Namer
from .. import source
from .body import PlannedBody
from .phases import Phase
from .storage import Storage

KEPT = 4


@dataclass(frozen=True)
class Written:
    """What was written for a planned class.

    inputs: the arguments, by name. convert: lines that make arrays of them, and refuse labels out of range.
    sizes: of the variables of symbolic sizes the expressions of the inputs that give them. checks: lines that
    hold them against what the diagram requires. start: lines at the start of what is done in every step, and
    finish: at its end. result: what that returns. mode: what says whether a
    step trains, if anything asks. overflows: whether exp may overflow, as it does in a
    sigmoid of large numbers. scaled: whether gradients come out times the learning rate. blocks: whether an
    update goes through large arrays piece by piece.
    """

    body: PlannedBody
    storage: Storage
    inputs: Sequence[str]
    convert: Sequence[str]
    sizes: Mapping[str, str]
    checks: Sequence[str]
    start: Sequence[str]
    finish: Sequence[str]
    result: str
    mode: str = ""
    overflows: bool = False
    scaled: bool = False
    blocks: bool = True


def guarded(made: Written, lines: Sequence[str]) -> list[str]:
    """Lines of a method, kept from warning where exp overflows to inf as it should."""
    if not made.overflows:
        return list(lines)
    return ['        with np.errstate(over="ignore"):', *(f"    {line}" for line in lines)]


def plan_for(made: Written, local: Mapping[str, str]) -> list[str]:
    """The method that finds the plan of a batch, or makes it. local: variables by what they are for."""
    sizes, title = made.sizes, local["sizes"]
    key = ", ".join(sizes.values())
    read = set(re.findall(r"\w+", "\n".join(made.checks)))
    names = ", ".join(n if n in read else "_" for n in sizes) + "," * (len(sizes) == 1)
    return [
        *source.signature("_plan_for", ["self", *made.inputs], depth=1),
        '        """The functions of a batch like this one, and the arrays that they work in."""',
        f"        {title} = ({key}{',' * (len(sizes) == 1)})",
        f"        if {title} not in self._plans:",
        *([f"            {names} = {title}"] if made.checks else []),
        *(f"        {line}" for line in made.checks),
        "            # Sizes that come and go must not fill the memory.",
        f"            while len(self._plans) >= {KEPT}:",
        "                oldest, *_ = self._plans",
        "                del self._plans[oldest]",
        f"            self._plans[{title}] = self._plan(*{title})",
        f"        return self._plans[{title}]",
    ]


def plan(made: Written, wanted: Sequence[str], *, whole: bool = False) -> list[str]:
    """The method that makes the arrays, and the functions that work in them.

    wanted: the arguments of what is done in every step. whole: whether there is that function alone, which
    takes the inputs too.
    """
    body = made.body
    written = [*body.setup, *(line for lines in body.phases.values() for line in lines)]
    namer = Namer([*CODE_NAMES, *made.inputs, *re.findall(r"\w+", "\n".join(written))])
    begin, compute = (namer.unique(title) for title in ("begin", "compute"))
    step = [*made.start, *body.phases[Phase.STEP], *made.finish]
    words = set(re.findall(r"\w+", "\n".join([*body.phases[Phase.BEGIN], *step])))
    mode = [f"        train = {made.mode}"] if made.mode and "train" in words else []
    head = [
        *source.signature("_plan", ["self", *made.sizes], depth=1),
        '        """Arrays for batches of such sizes, and what is done in them."""',
        *mode,
        *body.setup,
    ]
    if whole:
        return [
            *head,
            "",
            *source.signature(compute, [*made.inputs, *wanted], depth=2),
            *step,
            *source.returns(ast.parse(made.result, mode="eval").body, depth=3),
            "",
            f"        return {compute}",
        ]
    read = set(re.findall(r"\w+", "\n".join(step)))
    kept = [i for i in made.inputs if i in read]
    outer = [*kept, *(n for n in body.outer if n in read)]
    first = body.phases[Phase.BEGIN]
    new = {i: namer.unique(f"new_{i}") for i in kept}
    first = [*(f"            {i} = {n}" for i, n in new.items()), *first]
    if outer:
        first = [f"            nonlocal {', '.join(outer)}", *first]
    return [
        *head,
        *(f"        {n} = None" for n in outer),
        "",
        *source.signature(begin, [new.get(i, i) for i in made.inputs], depth=2),
        '            """Compute what depends on the batch alone."""',
        *first,
        "",
        *source.signature(compute, list(wanted), depth=2),
        '            """Compute the gradient; return the loss if it is wanted."""',
        *step,
        f"            return {made.result}",
        "",
        f"        return {begin}, {compute}",
    ]
