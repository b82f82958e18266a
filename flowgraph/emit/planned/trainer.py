"""`class Trainer` of -O2: the optimiser's steps in memory that is made once.

Assumes a written plan of the loss and its gradient. Promises the interface, the order of batches and the
rules of the plain Trainer (`emit.trainer`), to rounding.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from .. import source
from ..modes import Modes
from ..module import Header
from ..schedule import rate_lines
from ..template import attribute, call, name
from ..trainer import PlainTrainer, unpack_lines
from .methods import Written, guarded, plan, plan_for
from .updates import Lowered, goes_in_blocks, lowered

BLOCK = 16384
"""Entries that an update treats at a time, so that the arrays of a chain of calls stay in the cache."""


class PlannedTrainer(PlainTrainer):
    """Writes the class."""

    def __init__(self, header: Header, inputs: Sequence[str], real: str, modes: Modes, made: Written) -> None:
        super().__init__(header, inputs, real, modes, None)
        self.made = made
        self.storage = made.storage

    def methods(self, convert: Sequence[str]) -> list[list[str]]:
        return [
            self.init(),
            self.views("params", "parameters"),
            self.views("buffers", "running statistics") if self.modes.buffers else [],
            self.planned_step(convert),
            self.planned_run(convert),
            self.batches() if self.inputs else [],
            self.state(),
            self.load_state(),
            self.planned_update(),
            plan_for(self.made, self.local),
            plan(self.made, ["loss", *(["rng"] if self.modes.draws else [])]),
        ]

    def about(self) -> list[str]:
        return [*super().about(), "A step works in arrays that are made once for batches of a size."]

    # -- what it holds

    def held(self) -> list[str]:
        slots = self.optimiser.slots()
        kept = "".join(f', "{slot}": {self.storage.views}(self._{slot})' for slot in slots)
        buffers = []
        if self.modes.buffers:
            kept = f', "buffers": self._buffers{kept}'
            buffers = self.copied_buffers()
        arrays = ast.parse(f'{{"params": self._params{kept}}}', mode="eval").body
        made = call("np.zeros", ast.Constant(self.storage.total), attribute(self.real))
        return [
            *source.assign("self._w", made, depth=2, note="all parameters"),
            *self._gradients(),
            *(f"        self._{slot} = np.zeros_like(self._w)" for slot in slots),
            f"        self._params = {self.storage.views}(self._w)",
            "        for name, view in self._params.items():",
            "            view[...] = params[name]",
            *buffers,
            *source.assign("self._arrays", arrays, depth=2),
            *self._scratch(),
            "        self._plans = {}  # by the sizes of a batch",
        ]

    def _gradients(self) -> list[str]:
        """The statement that makes the array of gradients: of those that no step applies at once."""
        times = ", times lr" * self.made.scaled
        if self.storage.first == self.storage.total:
            return [f"        self._g = np.zeros_like(self._w)  # their gradients{times}"]
        made = call("np.zeros", ast.Constant(self.storage.first), attribute(self.real))
        return source.assign("self._g", made, depth=2, note=f"gradients of the small ones{times}")

    # -- the update

    def _lowered(self) -> Lowered:
        return lowered(self.optimiser, self._statements())

    def _statements(self) -> list[str]:
        return ["w -= g"] if self.made.scaled else self.optimiser.update()

    def _in_blocks(self, update: Lowered) -> bool:
        if self.header.frozen:
            return True
        return self.made.blocks and goes_in_blocks(update, self.storage.total, BLOCK)

    def _scratch(self) -> list[str]:
        update = self._lowered()
        count, total = len(update.scratch), self.storage.total
        if not self._in_blocks(update):
            return [f"        self._{s} = np.empty_like(self._w)" for s in update.scratch]
        arrays = ", ".join(f"self._{a}" for a in ("w", "g", *self.optimiser.slots()))
        if self.header.frozen:
            return self._learning(arrays, count)
        pieces = [f"a[i : i + {BLOCK}] for a in arrays"]
        lines = [f"        arrays = ({arrays})"]
        if count:
            lines.append(f"        scratch = np.empty(({count}, {BLOCK}), {self.real})")
            pieces = [f"*({pieces[0]})", f"*scratch[:, : {total} - i]"]
            made = [f"            ({', '.join(pieces)})"]
        else:
            made = [f"            tuple({pieces[0]})"]
        return [
            *lines,
            "        self._blocks = [  # pieces that the cache holds",
            *made,
            f"            for i in range(0, {total}, {BLOCK})",
            "        ]",
        ]

    def _learning(self, arrays: str, count: int) -> list[str]:
        """The pieces of an update where some parameters stay as they are: each of the others is one."""
        lines = []
        if count:
            lines.append(f"        scratch = np.empty(({count}, {self.storage.total}), {self.real})")
            arrays += ", *scratch"
        lines.append(f"        kinds = [{self.storage.views}(a) for a in ({arrays})]")
        return [
            *lines,
            "        self._blocks = [  # the parameters that learn",
            "            tuple(kind[name] for kind in kinds) for name in PARAMS if name not in frozen",
            "        ]",
        ]

    def planned_update(self) -> list[str]:
        update = self._lowered()
        words = set(re.findall(r"\w+", " ".join(self._statements())))
        lines = [
            "    def _update(self):",
            f'        """Move the parameters along their gradients by the rule of {self.optimiser.title}."""',
        ]
        if self.optimiser.schedule is not None:
            lines += rate_lines(self.training, self.header.renamed, "lr", "self._t", "self._lr", 2)
            words.discard("lr")
        lines.append("        self._t += 1")
        before = self.optimiser.before()
        lines += ["        " + re.sub(r"= (\w+)$", r"= self._\1", line) for line in before]
        lines += unpack_lines([n for n in ("lr", *self.optimiser.used(), "t") if n in words])
        arrays = ["w", "g", *self.optimiser.slots()]
        if self.clip is not None:
            squares = "np.dot(self._g, self._g)"
            if self.header.frozen:
                squares = "sum(np.vdot(piece[1], piece[1]) for piece in self._blocks)"
            lines += [
                f"        norm = np.sqrt({squares})",
                "        self._g *= np.minimum(self._clip / (norm + 1e-6), 1)",
            ]
        if self._in_blocks(update):
            names = ", ".join([*arrays, *update.scratch])
            lines += [f"        for {names}{',' * (len(arrays) == 1)} in self._blocks:"]
            return [*lines, *(f"            {line}" for line in update.lines)]
        if self.storage.first == self.storage.total:
            lines += unpack_lines([*arrays, *update.scratch])
        elif self.storage.first:
            lines += [f"        w, g = self._w[: {self.storage.first}], self._g"]
        else:
            return lines  # each step applies all gradients at once
        return [*lines, *(f"        {line}" for line in update.lines)]

    # -- steps

    def planned_step(self, convert: Sequence[str]) -> list[str]:
        v = self.local
        rng = ["        rng = np.random.default_rng([self._seed, self._t, 1])"] if self.modes.draws else []
        wanted = "loss, rng" if self.modes.draws else "loss"
        take = guarded(
            self.made,
            [
                *self._call("", v["begin"], 2),
                *rng,
                f"        {v['value']} = {v['compute']}({wanted})",
            ],
        )
        return [
            *source.signature("step", ["self", *self.inputs, "loss=True"], depth=1),
            '        """Take one step; return the loss before it, or None with loss=False."""',
            *convert,
            *self._call(f"{v['begin']}, {v['compute']} = ", "self._plan_for", 2, inside=False),
            *take,
            "        self._update()",
            f"        return {v['value']}",
        ]

    def planned_run(self, convert: Sequence[str]) -> list[str]:
        v = self.local
        plain = self.run(convert)
        start = next(i for i, line in enumerate(plain) if line.endswith(f"{v['losses']} = []"))
        lines = [*plain[:start], f"        {v['losses']} = []"]
        if self.inputs:
            whole = f"{v['per_epoch']} == 1  # then the order of the rows is no matter"
            if self.modes.draws:
                whole = 'self._batch == "all"'
            lines.append(f"        {v['whole']} = {whole}")
        loop = [f"        for {v['i']} in range(steps):"]
        if self.inputs:
            loop += [
                f"            if not {v['whole']} or {v['i']} == 0:",
                f"                {v['epoch']}, {v['k']} = divmod(self._t, {v['per_epoch']})",
                f"                if {v['i']} == 0 or {v['k']} == 0:",
                f"                    {v['batches']} = self._batches({v['epoch']}, {v['n']})",
                f"                {v['rows']} = ... if {v['whole']} else {v['batches']}[{v['k']}]",
            ]
            pair = f"{v['begin']}, {v['compute']}"
            loop += [
                *self._part(4),
                f"                {pair} = self._plan_for(*{v['part']})",
                f"                {v['begin']}(*{v['part']})",
            ]
        else:
            lines.append(f"        {v['begin']}, {v['compute']} = self._plan_for()")
            lines.append(f"        {v['begin']}()")
        if self.modes.draws:
            loop.append("            rng = np.random.default_rng([self._seed, self._t, 1])")
        wanted = f"log > 0 and {v['i']} % log == 0"
        wanted += ", rng" if self.modes.draws else ""
        loop += [
            f"            {v['value']} = {v['compute']}({wanted})",
            "            self._update()",
            f"            if {v['value']} is not None:",
            f"                {v['losses']}.append({v['value']})",
        ]
        return [*lines, *guarded(self.made, loop), f"        return np.array({v['losses']})"]

    def _call(self, prefix: str, title: str, depth: int, *, inside: bool = True) -> list[str]:
        """A call with the inputs, as lines. inside: whether `guarded` will move them to the right."""
        made = call(title, *(name(i) for i in self.inputs))
        return self._moved(prefix, made, depth, inside)

    def _part(self, depth: int) -> list[str]:
        """The rows of a batch, of every input."""
        rows: list[ast.expr] = [
            ast.Subscript(name(i), name(self.local["rows"]), ast.Load()) for i in self.inputs
        ]
        prefix, made = f"{self.local['part']} = ", ast.Tuple(rows, ast.Load())
        bare = prefix + source.text(made).removeprefix("(").removesuffix(")")
        room = source.WIDTH - len(source.INDENT) * (depth + self.made.overflows)
        if len(rows) > 1 and len(bare) <= room:
            return [source.INDENT * depth + bare]
        return self._moved(prefix, made, depth, True)

    def _moved(self, prefix: str, value: ast.expr, depth: int, inside: bool) -> list[str]:
        """A statement laid out for where it will stand, and put where it is still."""
        by = int(inside and self.made.overflows)
        target = prefix.removesuffix(" = ")
        lines = (
            source.assign(target, value, depth=depth + by)
            if prefix
            else source.expression(value, depth=depth + by)
        )
        return [line[len(source.INDENT) * by :] for line in lines]
