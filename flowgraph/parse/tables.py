"""The parser's tables, worked out once: building them takes longer than checking a small file.

`grammar/flow.tables.json` holds what Lark computes from `grammar/flow.lark`, with the digest of
that grammar and the version of that Lark. Where either differs the tables are built anew, so a
stale file costs 60 ms and nothing else; a test asks for a fresh one.

    python -m flowgraph.parse.tables          # write it, after changing the grammar
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark

RUNTIME = ("postlex", "transformer", "lexer_callbacks")
"""Lark's options that are objects, given again on loading."""


def tables_path(grammar: Path) -> Path:
    """Where the tables of a grammar lie: beside it."""
    return grammar.with_suffix(".tables.json")


def origin(grammar: Path) -> dict[str, str]:
    """What the tables depend on: the grammar's text and Lark's version."""
    import lark

    return {"grammar": hashlib.sha256(grammar.read_bytes()).hexdigest(), "lark": lark.__version__}


def load_tables(grammar: Path, **runtime: Any) -> Lark | None:
    """The parser from its tables, or None where there are none for this grammar and this Lark.

    runtime: the options in RUNTIME.
    """
    from lark import Lark

    try:
        text = tables_path(grammar).read_text(encoding="ascii")
        stored = json.loads(text, object_hook=_decoded)
    except (OSError, ValueError):
        return None
    if not isinstance(stored, dict) or stored.get("origin") != origin(grammar):
        return None
    parser: Lark = Lark._load_from_dict(stored["data"], stored["memo"], **runtime)
    return parser


def tables_text(parser: Lark, grammar: Path) -> str:
    """The tables of a parser as they are stored: the same text whatever the hash seed."""
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    data, memo = parser.memo_serialize([TerminalDef, Rule])
    _number_anew(data["parser"]["parser"])
    data["options"] = {k: v for k, v in data["options"].items() if k not in RUNTIME}
    stored = {"origin": origin(grammar), "data": _encoded(data), "memo": _encoded(memo)}
    return json.dumps(stored, separators=(",", ":")) + "\n"


def _number_anew(table: dict[str, Any]) -> None:
    """Number tokens by name and states by the way to them: Lark goes by the order of sets."""
    names = table["tokens"]
    order = {name: number for number, name in enumerate(sorted(names.values()))}
    states = {
        state: dict(sorted((order[names[token]], action) for token, action in actions.items()))
        for state, actions in table["states"].items()
    }
    reached: dict[int, int] = {}
    waiting = [table["start_states"][start] for start in sorted(table["start_states"])]
    while waiting:
        state = waiting.pop()
        if state in reached:
            continue
        reached[state] = len(reached)
        waiting += [next_state for shift, next_state in states[state].values() if shift == 0]
    table["tokens"] = {number: name for name, number in order.items()}
    table["states"] = {
        number: {t: (a, reached[to] if a == 0 else to) for t, (a, to) in states[state].items()}
        for state, number in reached.items()
    }
    for ends in ("start_states", "end_states"):
        table[ends] = {start: reached[state] for start, state in table[ends].items()}


def _encoded(value: Any) -> Any:
    """JSON has no numbers as keys: such dicts become `{"#": [key, value, key, value, ...]}`."""
    if isinstance(value, dict):
        if any(isinstance(key, int) for key in value):
            return {"#": [part for key in sorted(value) for part in (key, _encoded(value[key]))]}
        return {key: _encoded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _decoded(item: dict[str, Any]) -> dict[Any, Any]:
    """A dict as it was, called for every one that is read, the innermost first."""
    parts = item.get("#")
    return item if parts is None else dict(zip(parts[::2], parts[1::2], strict=True))


def write_tables() -> Path:
    """Work the tables out and write them beside the grammar."""
    from . import grammar_path, load_grammar

    grammar = grammar_path()
    path = tables_path(grammar)
    path.write_text(tables_text(load_grammar(), grammar), encoding="ascii", newline="\n")
    return path


if __name__ == "__main__":
    print(write_tables())
