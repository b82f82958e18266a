"""An optimiser's update as calls that write into given arrays.

Assumes statements over arrays of one shape and numbers, as `ops.optimiser` declares them. Promises the same
values, computed in the same order, with one call an operation and no array but the scratch ones.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ...naming import Namer
from ...ops.optimiser import Optimiser
from .. import source
from ..template import attribute, name
from .kernels import BINARY, UNARY


class Lowered:
    """The statements, and the scratch arrays that they need.

    arrays: names that are arrays; every other one is a number. spent: those of them whose values nobody
    needs afterwards, which become scratch. scratch: makes the name of a scratch array.
    """

    def __init__(self, arrays: Iterable[str], spent: Iterable[str], scratch: Callable[[], str]) -> None:
        self.arrays = set(arrays)
        self.lines: list[str] = []
        self.scratch: list[str] = []
        self._free: list[str] = []
        self._make = scratch
        self._spent = set(spent)
        self._held: dict[str, str] = {}
        self._mentions: Counter[str] = Counter()

    def write(self, statements: Sequence[str]) -> Lowered:
        """Lower statements such as `v += (1 - beta2) * g * g`, one after the other."""
        pairs = [_assignment(text) for text in statements]
        self._mentions.update(n for _, value in pairs for n in _names(value))
        for target, value in pairs:
            self._assign(target, value)
        return self

    def _assign(self, target: str, value: ast.expr) -> None:
        if not self._is_array(value):
            self.lines += source.assign(target, value, depth=0)
        elif target in self.arrays:
            self._lower(value, target)
        else:
            self._held[target] = self._lower(value, None)
            self._spent.add(target)

    def _is_array(self, value: ast.expr) -> bool:
        return any(n in self.arrays or n in self._held for n in _names(value))

    def _lower(self, value: ast.expr, out: str | None) -> str:
        """The name of the array that holds a value: `out`, or a scratch array where there is none."""
        if isinstance(value, ast.BinOp):
            title, parts = BINARY[type(value.op)], [value.left, value.right]
        elif isinstance(value, ast.UnaryOp):
            title, parts = UNARY[type(value.op)], [value.operand]
        else:
            assert isinstance(value, ast.Call)
            title, parts = ast.unparse(value.func), value.args
        operands = [self._operand(part) for part in parts]
        spent = [o for o in dict.fromkeys(operands) if isinstance(o, str) and self._is_spent(o)]
        if out is None:
            out = spent[0] if spent else self._take()
        self._free += [s for s in spent if s != out]
        given = [name(o) if isinstance(o, str) else o for o in operands]
        self.lines += source.expression(
            ast.Call(attribute(title), given, [ast.keyword("out", name(out))]), depth=0
        )
        return out

    def _operand(self, value: ast.expr) -> str | ast.expr:
        """The array of a part, or the part itself where it is a number."""
        if not self._is_array(value):
            return value
        if not isinstance(value, ast.Name):
            return self._lower(value, None)
        self._mentions[value.id] -= 1
        return self._held.get(value.id, value.id)

    def _is_spent(self, array: str) -> bool:
        """Whether nothing needs what an array holds any more."""
        titles = [t for t, a in self._held.items() if a == array]
        if any(self._mentions[t] > 0 for t in titles):
            return False
        return array in self.scratch or (array in self._spent and self._mentions[array] == 0)

    def _take(self) -> str:
        if self._free:
            return self._free.pop()
        self.scratch.append(self._make())
        return self.scratch[-1]


def lowered(optimiser: Optimiser, statements: Sequence[str] | None = None) -> Lowered:
    """The update of an optimiser over arrays w, g and its slots. statements: in place of its own."""
    namer = Namer(["w", "g", "lr", "t", *optimiser.slots(), *optimiser.used()])
    made = Lowered(["w", "g", *optimiser.slots()], ["g"], lambda: namer.variable("scratch"))
    return made.write(optimiser.update() if statements is None else statements)


def goes_in_blocks(update: Lowered, total: int, block: int) -> bool:
    """Whether an update of so many entries goes block by block: one call alone gains nothing."""
    return total > block and len(update.lines) > 2


def scratch_of(optimiser: Optimiser, total: int, block: int) -> int:
    """The entries of the scratch arrays of an update of so many parameters."""
    update = lowered(optimiser)
    return len(update.scratch) * (block if goes_in_blocks(update, total, block) else total)


def _assignment(text: str) -> tuple[str, ast.expr]:
    """The target of a statement, and the whole value that it gets."""
    (statement,) = ast.parse(text).body
    if isinstance(statement, ast.AugAssign):
        assert isinstance(statement.target, ast.Name)
        return statement.target.id, ast.BinOp(name(statement.target.id), statement.op, statement.value)
    assert isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    return statement.targets[0].id, statement.value


def _names(value: ast.expr) -> list[str]:
    return [n.id for n in ast.walk(value) if isinstance(n, ast.Name)]
