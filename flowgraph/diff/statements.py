"""What differs in what a file says beside its equations: sizes, consts, requirements, blocks, training, data.

Assumes two programs without errors. A statement that says what holds without it (`train sgd(lr=0.01),
seed=0`) is no difference to a file without it, nor is another spelling of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from .. import syntax as s
from ..format.doc import Part, flat
from ..graph import Graph
from ..lower.program import DEFAULT_TRAINING, Program, Training
from ..types import Dim, TensorType
from .blocks import Blocks
from .changes import ADDED, CHANGED, REMOVED, RENAMED, Change, Note
from .keys import Keys
from .spelled import NOWHERE, value_text


class Subject(Protocol):
    """One of two diagrams: its syntax tree, what it comes to, and its typed graph of one example."""

    file: s.File
    program: Program
    graph: Graph


# ---------------------------------------------------------------------------------------
# Sizes that are known from data only


def renamed_sizes(old: Graph, new: Graph) -> dict[str, str]:
    """The symbolic sizes of the old graph that the new one calls by other names: those that stand in the same
    places of inputs and targets, or the one that is left on each side."""
    gone = [name for name in old.sizes if name not in new.sizes]
    fresh = [name for name in new.sizes if name not in old.sizes]
    found: dict[str, str] = {}
    given = {n: new[n].type for n in (*new.inputs, *new.targets)}
    for name in (*old.inputs, *old.targets):
        for a, b in zip(_dims(old[name].type), _dims(given.get(name)), strict=False):
            if a in gone and b in fresh and a not in found and b not in found.values():
                found[a] = b
    left = [n for n in gone if n not in found], [n for n in fresh if n not in found.values()]
    if len(left[0]) == len(left[1]) == 1:
        found[left[0][0]] = left[1][0]
    return found


def _dims(type: Any) -> list[str]:
    return [str(d) for d in type.shape] if isinstance(type, TensorType) else []


# ---------------------------------------------------------------------------------------
# Statements


def statement_changes(old: Subject, new: Subject, keys: Keys, blocks: Blocks) -> Iterator[Change]:
    """The differences in what stands beside the equations, and in which blocks there are."""
    yield from _heads(old, new)
    sizes = old.program.sizes, new.program.sizes
    consts = [{n: v for n, v in x.program.statics.items() if n not in x.program.sizes} for x in (old, new)]
    alike = renamed_sizes(old.graph, new.graph)
    yield from _table("size", sizes[0], sizes[1], _size_text, keys, alike)
    yield from _table("const", consts[0], consts[1], value_text, keys, {})
    yield from _requirements(old, new, keys)
    yield from _blocks(blocks)
    yield from _training(old.program.training, new.program.training)
    yield from _data(old.program.data, new.program.data)


def _heads(old: Subject, new: Subject) -> Iterator[Change]:
    """The name and title; a name that only a file's own name gives is none."""
    said = [
        next((x for x in each.file.statements if isinstance(x, s.DiagramStmt)), None) for each in (old, new)
    ]
    notes = []
    if any(said) and old.graph.name != new.graph.name:
        notes.append(Note("name", old.graph.name, new.graph.name))
    if old.graph.doc != new.graph.doc:
        notes.append(Note("title", *(value_text(x.graph.doc) if x.graph.doc else "" for x in (old, new))))
    if notes:
        spans = [None if x is None else x.span for x in said]
        yield Change(CHANGED, "diagram", "", notes=tuple(notes), before=spans[0], now=spans[1])


def _size_text(size: Any) -> str:
    return str(size) if not isinstance(size, Dim) or size.value is not None else "known from data"


def _table(
    what: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    text: Callable[[Any], str],
    keys: Keys,
    alike: Mapping[str, str],
) -> Iterator[Change]:
    """Named values; one that is gone and one of the same value that is new are one that was renamed."""
    told = dict(alike)
    waiting: dict[Any, list[str]] = {}
    for name, value in new.items():
        if name not in old and name not in told.values() and not _is_symbol(value):
            waiting.setdefault(keys.value(value, False), []).append(name)
    for name, value in old.items():
        same = waiting.get(keys.value(value, True)) if name not in new and name not in told else None
        if same:
            told[name] = same.pop(0)
    for name, value in old.items():
        if name in told:
            yield Change(RENAMED, what, name, told[name])
        elif name not in new:
            yield Change(REMOVED, what, name, said=text(value))
        elif keys.value(value, True) != keys.value(new[name], False):
            yield Change(CHANGED, what, name, notes=(Note("", text(value), text(new[name])),))
    for name, value in new.items():
        if name not in old and name not in told.values():
            yield Change(ADDED, what, name, said=text(value))


def _is_symbol(value: Any) -> bool:
    return isinstance(value, Dim) and value.value is None


def _requirements(old: Subject, new: Subject, keys: Keys) -> Iterator[Change]:
    """What is required of sizes that only data tell; what held when the file was compiled is settled."""
    tables = []
    for subject, is_old in ((old, True), (new, False)):
        said = ((keys.value(r.condition, is_old), r.message) for r in subject.graph.requires)
        tables.append(dict(zip(said, subject.graph.requires, strict=True)))
    for key, r in tables[0].items():
        if key not in tables[1]:
            yield Change(REMOVED, "require", _condition(r.condition), said=r.message, before=r.span)
    for key, r in tables[1].items():
        if key not in tables[0]:
            yield Change(ADDED, "require", _condition(r.condition), said=r.message, now=r.span)


def _condition(value: Any) -> str:
    return flat([Part(_tree(value))])


def _tree(value: Any) -> s.Expr:
    """A condition of the graph as an expression; conditions nest no deeper than the file's."""
    if not isinstance(value, tuple):
        return s.Name(str(value), NOWHERE)
    sign, *parts = value
    trees = [_tree(part) for part in parts]
    if len(trees) == 1:
        return s.Unary(sign, trees[0], NOWHERE)
    return s.Binary(sign, trees[0], trees[1], NOWHERE, NOWHERE)


def _blocks(blocks: Blocks) -> Iterator[Change]:
    for name in blocks.old:
        if name not in blocks.new and name not in blocks.renamed.values():
            yield Change(REMOVED, "block", name)
    for name in blocks.new:
        if name in blocks.renamed:
            yield Change(RENAMED, "block", blocks.renamed[name], name)
        elif name not in blocks.old:
            yield Change(ADDED, "block", name)


# ---------------------------------------------------------------------------------------
# Training and data


def _training(old: Training | None, new: Training | None) -> Iterator[Change]:
    before, now = old or DEFAULT_TRAINING, new or DEFAULT_TRAINING
    if _settings(before) == _settings(now) and before.optimiser == now.optimiser:
        return
    spans = [None if x is None else x.span for x in (old, new)]
    if old is None or new is None:
        way, said = (ADDED, now) if old is None else (REMOVED, before)
        yield Change(way, "train", "", said=_training_text(said), before=spans[0], now=spans[1])
        return
    notes = list(_attr_notes("", before.optimiser, now.optimiser))
    settings = _settings(before), _settings(now)
    for name in settings[0]:
        if settings[0][name] != settings[1][name]:
            notes.append(Note(name, *(_setting_text(each[name]) for each in settings)))
    if notes:
        yield Change(CHANGED, "train", "", notes=tuple(notes), before=spans[0], now=spans[1])


def _settings(training: Training) -> dict[str, Any]:
    """The settings of a run, with what holds where the file says nothing."""
    steps, epochs = training.length
    return {
        "epochs": epochs,
        "steps": steps,
        "batch": training.batch,
        "seed": training.seed,
        "clip": training.clip,
        "freeze": " ".join(sorted(set(training.freeze))) or None,
    }


def _setting_text(value: Any) -> str:
    return "" if value is None else value_text(value) if value != "all" else "all"


def _attr_notes(path: str, before: Any, now: Any) -> Iterator[Note]:
    """How optimisers and schedules differ: as wholes, or setting by setting where they are of one kind."""
    if before.name != now.name:
        yield Note(path, value_text(before), value_text(now))
        return
    for attr in before.attrs:
        one, other = getattr(before, attr.name), getattr(now, attr.name)
        if hasattr(one, "attrs") and hasattr(other, "attrs"):
            yield from _attr_notes(attr.name, one, other)
        elif one != other:
            yield Note(
                f"{before.name} {attr.name}" if path else attr.name, value_text(one), value_text(other)
            )


def _training_text(training: Training) -> str:
    said = [value_text(training.optimiser)]
    return ", ".join([*said, *(f"{k}={_setting_text(v)}" for k, v in training.settings.items())])


def _data(old: Any, new: Any) -> Iterator[Change]:
    if _data_key(old) == _data_key(new):
        return
    spans = [None if x is None else x.span for x in (old, new)]
    if old is None or new is None:
        way, said = (ADDED, new) if old is None else (REMOVED, old)
        yield Change(way, "data", "", said=_data_text(said), before=spans[0], now=spans[1])
        return
    texts = _data_text(old), _data_text(new)
    note = Note("", *texts) if texts[0] != texts[1] else Note("values", texts[0], "the same of other values")
    yield Change(CHANGED, "data", "", notes=(note,), before=spans[0], now=spans[1])


def _data_key(data: Any) -> Any:
    """What a data statement says: equal for equal data, if they are written alike. Expressions by their
    text, for they may be long sums."""
    if data is None:
        return None
    if isinstance(data, s.DataFileStmt):
        return (data.path, None if data.split is None else _expr_key(data.split))
    if isinstance(data, s.DataTableStmt):
        names = ([n.name for n in data.inputs], [n.name for n in data.targets])
        return (*names, [list(map(_expr_key, (*row.inputs, *row.targets))) for row in data.rows])
    columns = [([str(t.name) for t in e.targets], _expr_key(e.value)) for e in data.equations]
    return (_expr_key(data.count), columns)


def _expr_key(expr: s.Expr) -> Any:
    return expr.value if isinstance(expr, s.Number) else flat([Part(expr)])


def _data_text(data: Any) -> str:
    """A data statement in a few words."""
    if isinstance(data, s.DataFileStmt):
        split = "" if data.split is None else f" split {flat([Part(data.split)])}"
        return f"{value_text(data.path)}{split}"
    if isinstance(data, s.DataTableStmt):
        names = [" ".join(n.name for n in part) for part in (data.inputs, data.targets) if part]
        return f"table of {len(data.rows)} rows ({' | '.join(names)})"
    names = [target.name for equation in data.equations for target in equation.targets]
    return f"{flat([Part(data.count)])} examples made ({', '.join(map(str, names))})"
