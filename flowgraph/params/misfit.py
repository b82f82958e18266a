"""What keeps a file of weights from being a diagram's parameters, told so that it can be read.

Assumes the findings of `flowgraph.params`. Promises E0505 for each of them; those that differ in
numbers alone (`h.0.w`, `h.1.w`, ...) are one, and what belongs to another model altogether is told
in a single error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import Diagnostics, closest_name, shorten
from .pattern import Pattern

FEW = 10
"""So many misfits are told, even if no name fits."""
SOME = 3
"""So many names that differ in numbers alone are told as one."""
SHOWN = 12
"""So many errors, or lines, of a kind."""
Shape = tuple[int, ...]


def turned(shape: Shape) -> Shape:
    """A shape with the last two axes swapped; as it is where it has fewer."""
    return (*shape[:-2], shape[-1], shape[-2]) if len(shape) > 1 else shape


@dataclass
class Fit:
    """What does not fit, by the diagram's names; `extra` by those that it has none of.

    path: the file. missing: the shapes wanted. extra: the shapes there. misshapen: the shape there,
    the one wanted, and whether the first is that after a transposition asked for. flat: what is to
    be transposed and has fewer than two axes. numberless: what is held instead of numbers. square:
    what fits, and would so transposed.
    """

    path: str
    missing: dict[str, Shape] = field(default_factory=dict)
    extra: dict[str, Shape] = field(default_factory=dict)
    misshapen: dict[str, tuple[Shape, Shape, bool]] = field(default_factory=dict)
    flat: dict[str, Shape] = field(default_factory=dict)
    numberless: dict[str, str] = field(default_factory=dict)
    square: list[str] = field(default_factory=list)
    fitting: int = 0
    patterns: list[tuple[str, str]] = field(default_factory=list)
    """Messages and cures about the patterns given."""

    def unused(self, option: str, what: str, taken_by: str = "") -> None:
        """A pattern that matches nothing, or nothing that an earlier one has not taken."""
        cure = "check it against the names there, or leave it out"
        if taken_by:
            cure = f"`--rename {shorten(taken_by)}` is given before it and takes them: give this one first"
        self.patterns.append((f"`{shorten(option, 200)}` matches no {what}", cure))

    def undecided(self, rename: str, old: str, news: list[str]) -> None:
        """A rename that gives two names to one entry."""
        both = " or ".join(f"`{shorten(new)}`" for new in news)
        said = f"`--rename {shorten(rename, 200)}` can make {both} of `{shorten(old)}`"
        self.patterns.append((said, "put more of the name between the `*`"))

    def clash(self, first: str, second: str, new: str) -> None:
        """Two entries that get one name."""
        said = f"`{shorten(first)}` and `{shorten(second)}` both become `{shorten(new)}`"
        self.patterns.append((said, "rename them apart, or leave one out with --ignore"))


@dataclass
class _Group:
    """Findings of one kind that are told as one. pattern: what their names share, or the only one."""

    pattern: str
    names: list[str]

    @property
    def quoted(self) -> str:
        """The pattern as it is to be written on the command line."""
        text = self.names[0] if len(self.names) == 1 else self.pattern
        return f'"{shorten(text)}"' if "*" in text else shorten(text)

    def who(self, what: str) -> str:
        """``the parameter `w` ``, or ``12 parameters `h.*.w` ``."""
        if len(self.names) == 1:
            return f"the {what} `{shorten(self.names[0])}`"
        return f"{len(self.names)} {what}s `{shorten(self.pattern)}`"

    def verb(self, one: str, many: str) -> str:
        return one if len(self.names) == 1 else many


def report_misfits(fit: Fit, found: Diagnostics) -> bool:
    """Report all that does not fit (E0505); whether there was anything."""
    for said, cure in fit.patterns[:SHOWN]:
        found.report("E0505", said, help=cure, path=fit.path)
    if len(fit.patterns) > SHOWN:
        said = f"{len(fit.patterns) - SHOWN} more names or patterns cannot be used like these"
        found.report("E0505", said, path=fit.path)
    count = len(fit.missing) + len(fit.extra) + len(fit.misshapen) + len(fit.flat) + len(fit.numberless)
    if _is_another(fit, count):
        _report_another(fit, found)
    elif count:
        _report_each(fit, found)
    return bool(count or fit.patterns)


def _grouped(names: Iterable[str], shapes: Mapping[str, object]) -> list[_Group]:
    """Names as groups: those that are alike without their numbers, and in shape, where there are some."""
    alike: dict[tuple[str, object], list[str]] = {}
    for name in names:
        alike.setdefault((re.sub(r"[0-9]+", "*", name), shapes.get(name)), []).append(name)
    groups = []
    for (pattern, _), members in alike.items():
        if len(members) < SOME:
            groups += [_Group(name, [name]) for name in members]
        else:
            groups.append(_Group(pattern, members))
    return groups


# ---------------------------------------------------------------------------------------
# One by one


def _report_each(fit: Fit, found: Diagnostics) -> None:
    for findings, tell in (
        ({name: fit.extra[name] for name in sorted(fit.extra)}, _extra),
        (fit.missing, _missing),
        (fit.misshapen, _misshapen),
        (fit.flat, _flat),
        (fit.numberless, _numberless),
    ):
        groups = _grouped(findings, findings)
        for group in groups[:SHOWN]:
            said, cure = tell(fit, group)
            found.report("E0505", said, help=cure, path=fit.path)
        if len(groups) > SHOWN:
            said = f"{len(groups) - SHOWN} more like this: {tell(fit, groups[SHOWN])[0]}, ..."
            found.report("E0505", said, path=fit.path)


def _extra(fit: Fit, group: _Group) -> tuple[str, str]:
    name = group.names[0]
    if len(group.names) > 1:
        said = f"{len(group.names)} entries `{shorten(group.pattern)}` are no parameters"
        return said, f"the diagram has no such parameters; --ignore {group.quoted} leaves them out"
    said = f"`{shorten(name)}` is no parameter"
    close = closest_name(name, fit.missing)
    if not close:
        return said, f"the diagram has no such parameter; --ignore {group.quoted} leaves it out"
    want, have = fit.missing[close], fit.extra[name]
    return said, f"did you mean `{close}`?" + (f" It is {list(want)}, not {list(have)}" * (want != have))


def _missing(fit: Fit, group: _Group) -> tuple[str, str]:
    shape = fit.missing[group.names[0]]
    cure = f"{group.verb('its', 'their')} shape is {list(shape)}"
    if len(group.names) == 1:
        close = closest_name(group.names[0], [name for name, there in fit.extra.items() if there == shape])
        close = close or _sole(fit, group.names[0])
        cure += f"; if it is `{shorten(close)}`, add --rename {close}={group.names[0]}" if close else ""
    return f"{group.who('parameter')} {group.verb('is', 'are')} missing", cure


def _sole(fit: Fit, missing: str) -> str:
    """The only entry that can be it by its shape and the end of its name, if it can be nothing else."""

    def alike(name: str, shape: Shape) -> bool:
        return shape == fit.missing[missing] and name.rpartition(".")[2] == missing.rpartition(".")[2]

    entries = [name for name, shape in fit.extra.items() if alike(name, shape)]
    params = [name for name, shape in fit.missing.items() if alike(name, shape)]
    return entries[0] if len(entries) == len(params) == 1 else ""


def _misshapen(fit: Fit, group: _Group) -> tuple[str, str]:
    have, want, is_turned = fit.misshapen[group.names[0]]
    once = " once transposed" if is_turned else ""
    said = f"{group.who('parameter')} {group.verb('is', 'are')} {list(have)}{once}, not {list(want)}"
    if turned(have) != want:
        return said, "save it in the shape that the diagram gives it"
    if is_turned:
        return said, "it fits as it is: leave it out of --transpose"
    options = [group.quoted]
    if any(Pattern(group.pattern).matches(name) for name in fit.square):
        options = [shorten(name) for name in group.names[:SOME]]  # the pattern would turn what fits
    cure = f"add --transpose {' --transpose '.join(options)}"
    cure += " and so on" if len(options) > 1 and len(group.names) > SOME else ""
    turning = (
        name for name, (have, want, done) in fit.misshapen.items() if turned(have) == want and not done
    )
    if fit.square and group.names[0] == next(turning):
        cure += f"; square ones, such as `{fit.square[0]}`, may need it too and do not show it"
    return said, cure


def _flat(fit: Fit, group: _Group) -> tuple[str, str]:
    shape = list(fit.flat[group.names[0]])
    said = f"{group.who('parameter')} {group.verb('is', 'are')} {shape}, and to be transposed"
    return said, "only what has two axes can be transposed: let --transpose match less"


def _numberless(fit: Fit, group: _Group) -> tuple[str, str]:
    holds = shorten(fit.numberless[group.names[0]])
    said = f"{group.who('parameter')} {group.verb('holds', 'hold')} {holds}, not numbers"
    return said, "save plain numbers, such as float32"


# ---------------------------------------------------------------------------------------
# Another model


def _is_another(fit: Fit, count: int) -> bool:
    """Whether the names of most parameters are not there, and other names are."""
    wanted = len(fit.missing) + _present(fit)
    if not fit.extra or 2 * len(fit.missing) <= wanted:
        return False
    return count > FEW or _prefix(fit)[1] > 1


def _present(fit: Fit) -> int:
    """How many parameters are there by name."""
    return fit.fitting + len(fit.misshapen) + len(fit.flat) + len(fit.numberless)


def _report_another(fit: Fit, found: Diagnostics) -> None:
    rename, helped = _prefix(fit)
    present, missing = _present(fit), len(fit.missing)
    only_names = 2 * helped > missing
    head = "the names are not the diagram's" if only_names else "these look like the weights of another model"
    lines = [f"{head}: of its {present + missing} parameters {present} {_are(present)} there by name"]
    lines += _section(f"missing, {missing}", fit.missing)
    lines += _section(f"in the file alone, {len(fit.extra)}", {n: fit.extra[n] for n in sorted(fit.extra)})
    cure = "--rename PATTERN=PATTERN brings names together where only names differ"
    if only_names:
        cure = f'--rename "{rename}" brings {helped} of them together'
    found.report("E0505", "\n".join(lines), help=cure, path=fit.path)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _section(title: str, shapes: Mapping[str, Shape]) -> list[str]:
    """A line for each group of names, and one that counts the groups left out."""
    lines = [f"  {title}:"]
    groups = _grouped(shapes, {})
    for group in groups[:SHOWN]:
        of_them = {shapes[name] for name in group.names}
        shape = f" {list(of_them.pop())}" if len(of_them) == 1 else ""
        many = f" ({len(group.names)} of them)" if len(group.names) > 1 else ""
        text = group.pattern if many else group.names[0]
        lines.append(f"  - `{shorten(text)}`{shape}{many}")
    if len(groups) > SHOWN:
        lines.append(f"  - and {len(groups) - SHOWN} more such lines")
    return lines


def _prefix(fit: Fit) -> tuple[str, int]:
    """The rename that takes a prefix off, or puts one on, with which most names fit; and how many."""
    counts: Counter[str] = Counter()
    for longer, shorter, form in (
        (fit.extra, fit.missing, "{}.*=*"),
        (fit.missing, fit.extra, "*={}.*"),
    ):
        for name in longer:
            for dot in [i for i, c in enumerate(name[:400]) if c == "."]:
                if name[dot + 1 :] in shorter:
                    counts[form.format(name[:dot])] += 1
    best = max(counts, key=lambda rename: (counts[rename], rename), default="")
    return best, counts[best]
