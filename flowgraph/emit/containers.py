"""Dotted names of parameters as torch modules in modules: `h.0.attn.weight` is `self.h[0].attn.weight`.

Promises that a module's state_dict has exactly the dotted names, whatever words they are made of: a
part that is a number is the place in an nn.ModuleList; one that is a word of Python, or a method of the
emitted class, has an underscore after it as an attribute, which the module leaves out where it saves
and puts back where it loads.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from keyword import iskeyword

from ..naming import Namer
from . import source
from .template import name

OWN_METHODS = ("loss",)


class Attributes:
    """The attributes that dotted names are reached by: `f.return_.linear` for `f.return.linear`.

    names: all parameters and buffers of the module.
    """

    def __init__(self, names: Iterable[str]) -> None:
        siblings: dict[str, dict[str, None]] = {}
        for each in names:
            holder = ""
            for part in each.split("."):
                siblings.setdefault(holder, {})[part] = None
                holder = f"{holder}.{part}" if holder else part
        self._others: dict[str, str] = {}
        """The attribute for a dotted name's last part, where that cannot be it."""
        for holder, parts in siblings.items():
            namer = Namer(parts)
            for part in parts:
                whole = f"{holder}.{part}" if holder else part
                if iskeyword(part) or whole in OWN_METHODS:
                    self._others[whole] = namer.unique(f"{part}_")

    def __bool__(self) -> bool:
        """Whether any attribute is not what the diagram calls it."""
        return bool(self._others)

    def path(self, dotted: str) -> str:
        """The attributes on the way to a module or parameter, dotted."""
        parts = dotted.split(".")
        wholes = (".".join(parts[: count + 1]) for count in range(len(parts)))
        return ".".join(self._others.get(whole, part) for whole, part in zip(wholes, parts, strict=True))

    def renamed(self, paths: Iterable[str]) -> dict[str, str]:
        """The names that attributes on the way to these stand for, by those attributes; inner ones first."""
        prefixes: set[str] = set()
        for path in paths:
            parts = path.split(".")
            prefixes |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        found = sorted(prefixes & self._others.keys(), key=lambda dotted: (-dotted.count("."), dotted))
        return {self.path(each): each for each in found}


def keep_names(module, names):  # type: ignore[no-untyped-def]
    """Let a module save and load by the diagram's names what its attributes cannot be called."""
    module._diagram_names = names
    module._register_state_dict_hook(save_names)
    module._register_load_state_dict_pre_hook(load_names, with_module=True)


def save_names(module, state, prefix, *_):  # type: ignore[no-untyped-def]
    """Give entries of a state_dict the diagram's names, for the attributes that stand for them."""
    for attribute, original in module._diagram_names.items():
        rename_entries(state, prefix + attribute, prefix + original)


def load_names(module, state, prefix, *_):  # type: ignore[no-untyped-def]
    """Give entries of a state_dict that is loaded the attributes that stand for their names."""
    for attribute, original in module._diagram_names.items():
        rename_entries(state, prefix + original, prefix + attribute)


def rename_entries(state, old, new):  # type: ignore[no-untyped-def]
    """Rename an entry, or all that lie below it; the order stays."""
    for key in list(state):
        is_meant = key == old or key.startswith(old + ".")
        state[new + key[len(old) :] if is_meant else key] = state.pop(key)


NAME_KEEPERS = (keep_names, save_names, load_names, rename_entries)
"""What a module contains whose classes have attributes of other names than the diagram's."""


def access(path: str) -> ast.expr:
    """The module or parameter that attributes lead to."""
    node: ast.expr = name("self")
    for part in path.split("."):
        if part.isdigit():
            node = ast.Subscript(node, ast.Constant(int(part)), ast.Load())
        else:
            node = ast.Attribute(node, part, ast.Load())
    return node


def module_lines(path: str, made: ast.expr) -> list[str]:
    """The statement of `__init__` that puts a module in its place."""
    return source.assign(source.text(access(path)), made, depth=2)


class Containers:
    """Makes the modules that hold others, each when something is first put into it.

    paths: the attributes that lead to all modules and parameters of the class.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.known: set[str] = set()
        self.rounds: dict[str, int] = {}
        """How many modules a container has that are numbered."""
        for path in paths:
            parts = path.split(".")
            for count in range(1, len(parts)):
                if parts[count].isdigit():
                    container = ".".join(parts[:count])
                    self.rounds[container] = max(self.rounds.get(container, 0), int(parts[count]) + 1)

    def lines(self, path: str) -> list[str]:
        """Statements of `__init__` that make what is to hold a module or parameter; it counts as made."""
        found: list[str] = []
        parts = path.split(".")
        for count in range(1, len(parts)):
            container = ".".join(parts[:count])
            if container not in self.known and not parts[count - 1].isdigit():
                found += module_lines(container, self._made(container))
            self.known.add(container)
        self.known.add(path)
        return found

    def _made(self, container: str) -> ast.expr:
        rounds = self.rounds.get(container)
        text = f"nn.ModuleList(nn.Module() for _ in range({rounds}))" if rounds else "nn.Module()"
        return ast.parse(text, mode="eval").body
