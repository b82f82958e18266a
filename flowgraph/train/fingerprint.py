"""What a checkpoint belongs to: a description of diagram, settings and data, and what differs in another.

Assumes a typed graph, and settings and data as plain values. Promises a description that is plain
JSON and equal for equal runs, whatever the hash seed; that the length of a run is no part of it (a
finished run may go on); and that `differences` finds something wherever two descriptions differ,
whatever a file may hold in the place of one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import fail, shorten
from ..graph import Graph
from ..text import print_graph
from ..types import TensorType, shape_text

LENGTHS = ("steps", "epochs")
"""The settings that say how long a run is: they may change."""
MAX_LINES = 20_000
"""The equations of a larger graph are kept as a checksum only."""
MAX_LINE = 240
"""What is longer (a param's given values) is kept as its beginning and a checksum."""
MAX_SHOWN = 12
NAME = r'%?(?:"(?:[^"\\]|\\.)*"|[\w.]+)'
NODE = re.compile(rf"({NAME})(?:\{{{NAME}\}})?: (.*)")
RESULT = re.compile(rf"((?:output|loss|metric) {NAME}) = (.*)")
HEAD = re.compile(r"(\w+) (.*)")
LISTS = ("=inputs", "=targets", "=params")
"""The lines of a graph's text: a node, a result, or what stands before them (sizes, names)."""


def describe(graph: Graph, settings: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint belongs to, as plain JSON values.

    graph: of one example, typed (`Diagram.graph`). settings: all that decides a run's steps (optimiser,
    batch, seed, clip, frozen, dtype, target); `steps` and `epochs` are left out. data: what says which
    rows it trains on (count, digest, split).
    """
    lines = print_graph(graph).splitlines()[1:]  # without the name, which a renamed file changes
    kept = [_bounded(line[2:]) for line in lines] if len(lines) <= MAX_LINES else []
    return {
        "inputs": {name: _type(graph[name].type) for name in graph.inputs},
        "targets": {name: _type(graph[name].type) for name in graph.targets},
        "params": {name: [_plain(d) for d in graph[name].type.shape] for name in graph.params},
        "settings": {k: _setting(k, v) for k, v in settings.items() if k not in LENGTHS},
        "data": {k: _plain(v) for k, v in data.items()},
        "graph": {"lines": kept, "digest": _digest("\n".join(lines))},
    }


def fingerprint(description: Mapping[str, Any]) -> str:
    """The sha256 of a description, in hexadecimal; equal where `differences` finds nothing."""
    return _digest(json.dumps(description, sort_keys=True))


def check_same(old: Any, new: Mapping[str, Any], path: str | Path) -> None:
    """Raise FlowError (E0803) with the differences, at most twelve of them, if there are any.

    old: of the checkpoint at `path`, None if it has none. new: of the run that is to go on from it.
    """
    found = differences(old, new)
    if not found:
        return
    more = [f"... and {len(found) - MAX_SHOWN} more differences"] if len(found) > MAX_SHOWN else []
    listed = "".join(f"\n  - {line}" for line in found[:MAX_SHOWN] + more)
    raise fail(
        "E0803",
        f"the checkpoint `{shorten(str(path), 200)}` belongs to another diagram or run:{listed}",
        help="undo these changes to go on from it, or start a new run in another folder (--out)",
        path=str(path),
    )


def _type(type: TensorType) -> str:
    """A type with the names of its classes, which fix what a label means."""
    if not type.elem.names:
        return str(type)
    return f"class({', '.join(type.elem.names)}){shape_text(type.shape) if type.shape else ''}"


def _setting(name: str, value: Any) -> Any:
    return "all" if name == "batch" and value is None else _plain(value)


def _plain(value: Any) -> Any:
    """A setting as plain JSON: optimisers and schedules by name and settings, whole floats as integers."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "name") and hasattr(value, "values"):
        return {"name": value.name, **{k: _plain(v) for k, v in value.values.items()}}
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # `lr=1` and `lr=1.0` are one run
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    number = getattr(value, "value", None)  # a size
    return number if isinstance(number, int) else str(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _bounded(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}... sha256 {_digest(line)[:16]}"


# ---------------------------------------------------------------------------------------
# Differences


def differences(old: Any, new: Mapping[str, Any]) -> list[str]:
    """What differs, a line for a person each; empty exactly where the descriptions are equal.

    old may be anything that a file can hold in the place of a description.
    """
    if _json(old) == _json(new):
        return []
    found: list[str] = []
    told: set[str] = set()
    for word in ("input", "target", "param"):
        before, now = _part(old, f"{word}s"), _part(new, f"{word}s")
        for name, said in _compared(before, now):
            found.append(f"the {word} `{shorten(name)}` {said}")
            told.add(name)
    found += _in_settings("", _part(old, "settings"), _part(new, "settings"))
    found += _in_data(_part(old, "data"), _part(new, "data"))
    found += _in_graph(_part(old, "graph"), _part(new, "graph"), told)
    return found or ["its description has another form: another version of flowgraph wrote it"]


def _part(description: Any, key: str) -> Mapping[str, Any]:
    part = description.get(key) if isinstance(description, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _shown(value: Any) -> str:
    """A value in a message; what has a name and settings as the call that makes it."""
    if isinstance(value, Mapping) and "name" in value:
        inner = ", ".join(f"{k}={_shown(v)}" for k, v in value.items() if k != "name")
        return shorten(f"{value['name']}({inner})", 100)
    if value is None:
        return "none"
    return shorten(value if isinstance(value, str) else json.dumps(value))


def _compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names whose values differ, each with what there is to say."""
    found = []
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            found.append((name, f"is new: {_shown(new[name])}"))
        elif name not in new:
            found.append((name, f"is gone; it was {_shown(old[name])}"))
        elif _json(old[name]) != _json(new[name]):
            found.append((name, f"was {_shown(old[name])}, now {_shown(new[name])}"))
    return found


def _in_settings(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = []
    for name, said in _compared(old, new):
        before, now = old.get(name), new.get(name)
        both = isinstance(before, Mapping) and isinstance(now, Mapping)
        if both and before.get("name") == now.get("name"):  # type: ignore[union-attr]
            found += _in_settings(f"{path}{name}.", before, now)  # type: ignore[arg-type]
        else:
            found.append(f"`{shorten(path + name)}` {said}")
    return found


def _in_data(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs in the data; that they hold other values only where nothing else is to be said."""
    said = [f"of the data, {line}" for line in _in_settings("", old, new) if not line.startswith("`digest`")]
    if not said and _json(old) != _json(new):
        said.append("the data hold other values")
    return said


def _in_graph(old: Mapping[str, Any], new: Mapping[str, Any], told: set[str]) -> list[str]:
    """The lines that differ, those of unnamed values last; told: names of which all is said."""
    if _json(old) == _json(new):
        return []
    before, now = _equations(old), _equations(new)
    if not before or not now:
        return ["the equations differ"]
    named: list[str] = []
    unnamed: list[str] = []
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) == now.get(name) or name in told or name in LISTS:
            continue
        said = f"{_called(name)} {_change(name, before.get(name), now.get(name))}"
        (unnamed if name.startswith("%") else named).append(said)
    if not named and not unnamed and not told:
        return ["the statements stand in another order"]
    return named + unnamed


def _called(name: str) -> str:
    """How a line of a graph is called in a message, by the name `_equations` gives it."""
    kind, _, rest = name.partition(" ")
    if rest:
        return f"the {kind} `{shorten(rest)}`"
    if name.startswith("="):
        return "the line of sizes" if name == "=constants" else f"the line `{shorten(name[1:])}`"
    return f"the {'unnamed value' if name.startswith('%') else 'equation of'} `{shorten(name)}`"


def _change(name: str, old: list[str] | None, new: list[str] | None) -> str:
    """How an equation changed: the first lines that differ, which may be of a graph inside it."""
    if old is None or new is None:
        return "is gone" if new is None else f"is new: `{shorten(new[0])}`"
    before, now = next(((a, b) for a, b in zip(old, new, strict=False) if a != b), ("", ""))
    if not before:
        return f"has a {'longer' if len(new) > len(old) else 'shorter'} graph inside"
    type_before, _, rest_before = before.partition(" = ")
    type_now, _, rest_now = now.partition(" = ")
    if type_before == type_now and not name.startswith("="):
        before, now = rest_before or before, rest_now or now
    return f"was `{shorten(before.strip())}`, now `{shorten(now.strip())}`"


def _equations(graph: Mapping[str, Any]) -> dict[str, list[str]]:
    """The lines of a graph's text, without their beginnings, by name: a node's, `output NAME` and the
    like, `=sizes` and the like. Deeper lines, of a graph inside a node, follow the node's own."""
    found: dict[str, list[str]] = {}
    lines = graph.get("lines")
    current: list[str] = []
    for line in lines if isinstance(lines, list) else []:
        if not isinstance(line, str) or line.startswith(" "):
            current.append(str(line))
            continue
        node, result, head = NODE.match(line), RESULT.match(line), HEAD.match(line)
        name, rest = line, line
        if match := node or result or head:
            name, rest = match.groups()
            name = name if node or result else f"={name}"
        current = found.setdefault(name, [])
        current.append(rest)
    return found
