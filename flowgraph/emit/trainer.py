"""The numpy target's `class Trainer`: the optimiser of the `train` statement, written out.

Assumes a module with `loss_and_grad` and PARAMS. Promises the interface and the order of batches
of design 3, and torch.optim's rules: the statements of a step are the optimiser's own
declaration. Only what the settings need is written.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from ..naming import CODE_NAMES, Namer
from . import source
from .modes import Modes
from .module import Header
from .schedule import rate_lines
from .template import attribute, call, literal, name

LOCALS = (
    "value", "grads", "new", "losses", "batches", "rows", "per_epoch", "epoch", "i", "k", "n", "sizes",
    "begin", "compute", "batch", "part", "whole",
)  # fmt: skip
"""The variables of the methods that take the inputs, which may have such names themselves."""


def write_trainer(
    header: Header,
    inputs: Sequence[str],
    real: str,
    convert: Sequence[str],
    modes: Modes,
    packs: tuple[str, str] | None = None,
) -> list[str]:
    """The class as lines.

    inputs: what `step` takes, by name. real: the dtype of the parameters. convert: the
    statements that make the inputs arrays, two levels deep. modes: what `loss_and_grad` is given
    besides. packs: the functions that lay parameters out in arrays, and give them by name, if the
    Trainer keeps them so.
    """
    return PlainTrainer(header, inputs, real, modes, packs).lines(convert)


class PlainTrainer:
    """Writes the class whose steps call `loss_and_grad`."""

    def __init__(
        self,
        header: Header,
        inputs: Sequence[str],
        real: str,
        modes: Modes,
        packs: tuple[str, str] | None,
    ) -> None:
        assert header.training is not None
        self.pack, self.unpack = packs or ("", "")
        self.modes = modes
        self.header, self.inputs, self.real = header, list(inputs), real
        self.optimiser = header.training.optimiser
        self.training = header.training
        self.clip = header.training.clip
        namer = Namer([*CODE_NAMES, *inputs, "steps", "epochs", "log"])
        self.local = {wanted: namer.unique(wanted) for wanted in LOCALS}

    def lines(self, convert: Sequence[str]) -> list[str]:
        """The class."""
        methods = self.methods(convert)
        return [*self.head(), *(line for method in methods if method for line in ("", *method))]

    def methods(self, convert: Sequence[str]) -> list[list[str]]:
        """Its methods, each as lines; empty ones are left out."""
        return [
            self.init(),
            self.views("params", "parameters"),
            self.views("buffers", "running statistics") if self.modes.buffers else [],
            self.step(),
            self.run(convert),
            self.batches() if self.inputs else [],
            self.state(),
            self.load_state(),
            self.by_name(),
            self.update(),
        ]

    def about(self) -> list[str]:
        """What the docstring says besides its title."""
        about = []
        of = "the shuffles and draws" if self.modes.draws else "the shuffles"
        if self.inputs:
            about.append(f'batch: examples in a step, or "all" in their order. seed: of {of}.')
        if self.clip is not None:
            about.append("clip: a gradient whose norm is greater is scaled down to it.")
        if self.header.frozen:
            about.append("frozen: names of parameters that stay as they are.")
        if self.modes.buffers:
            about.append("buffers: running statistics to go on from; a copy of them is kept up.")
        if self.modes.has_mode:
            about.append("train: whether steps are taken in training mode.")
        return about

    def head(self) -> list[str]:
        about = self.about()
        title = f"Trains a copy of params by {self.optimiser.title}."
        if not about:
            return ["class Trainer:", f'    """{title}"""']
        return ["class Trainer:", f'    """{title}', "", *(f"    {line}" for line in about), '    """']

    def init(self) -> list[str]:
        values: dict[str, Any] = {"lr": self.optimiser.rate, **self.optimiser.used()}
        if self.clip is not None:
            values["clip"] = self.clip
        if self.inputs:
            values["batch"] = self.training.batch
        if self.inputs or self.modes.draws:
            values["seed"] = self.training.seed
        if self.header.frozen:
            values["frozen"] = self.header.frozen
        if self.modes.has_mode:
            values["train"] = True
        defaults = [_default(n, v) for n, v in values.items()]
        if self.modes.buffers:
            defaults.append("buffers=None")
        return [
            *source.signature("__init__", ["self", "params", *defaults], depth=1),
            *self.held(),
            "        self._t = 0  # steps taken",
            *(f"        self._{n} = {n}" for n in values),
        ]

    def held(self) -> list[str]:
        """The statements of `__init__` that make what is kept."""
        slots = self.optimiser.slots()
        zeros = "{name: np.zeros_like(w) for name, w in self._params.items()}"
        kept = "".join(f', "{slot}": self._{slot}' for slot in slots)
        buffers = []
        if self.modes.buffers:
            kept = f', "buffers": self._buffers{kept}'
            buffers = self.copied_buffers()
        arrays = ast.parse(f'{{"params": self._params{kept}}}', mode="eval").body
        return [
            *self._copied(),
            *buffers,
            *(f"        self._{slot} = {zeros}" for slot in slots),
            *source.assign("self._arrays", arrays, depth=2),
        ]

    def copied_buffers(self) -> list[str]:
        """The statements that copy the buffers."""
        return [
            "        buffers = init_buffers() if buffers is None else buffers",
            "        self._buffers = {",
            f"            name: np.array(buffers[name], dtype={self.real}) for name in BUFFERS",
            "        }",
        ]

    def _copied(self) -> list[str]:
        """The statement that copies the parameters."""
        if not self.pack:
            copied = f"name: np.array(params[name], dtype={self.real}) for name in PARAMS"
            return ["        self._params = {", f"            {copied}", "        }"]
        copied = f"name: np.array(w, dtype={self.real}) for name, w in {self.pack}(params).items()"
        line = f"        self._params = {{{copied}}}"
        if len(line) <= source.WIDTH:
            return [line]
        return ["        self._params = {", f"            {copied}", "        }"]

    def _named(self, arrays: str) -> str:
        """Arrays by the names of parameters, as an expression."""
        return f"{self.unpack}({arrays})" if self.unpack else arrays

    def views(self, title: str, what: str) -> list[str]:
        """The property of this name."""
        held = self._named("self._params") if title == "params" else f"self._{title}"
        return [
            "    @property",
            f"    def {title}(self):",
            f'        """The {what} by name, as views that cannot be written to."""',
            f"        views = {{name: w.view() for name, w in {held}.items()}}",
            "        for view in views.values():",
            "            view.flags.writeable = False",
            "        return views",
        ]

    # -- what takes the inputs

    def step(self) -> list[str]:
        value, grads, new = (self.local[n] for n in ("value", "grads", "new"))
        function = "packed_loss_and_grad" if self.pack else "loss_and_grad"
        made = call(function, attribute("self._params"), *(name(i) for i in self.inputs))
        rng, results, kept = [], f"{value}, {grads}", []
        if self.modes.buffers:
            made.keywords.append(ast.keyword("buffers", attribute("self._buffers")))
            results += f", *{new}"
            kept = [
                f"        for name, array in {new}[0].items() if {new} else ():",
                "            self._buffers[name][...] = array",
            ]
        if self.modes.has_mode:
            made.keywords.append(ast.keyword("train", attribute("self._train")))
        if self.modes.draws:
            rng = ["        rng = np.random.default_rng([self._seed, self._t, 1])"]
            made.keywords.append(ast.keyword("rng", name("rng")))
        return [
            *source.signature("step", ["self", *self.inputs, "loss=True"], depth=1),
            '        """Take one step; return the loss before it, or None with loss=False."""',
            *rng,
            *source.assign(results, made, depth=2),
            f"        self._update({grads})",
            *kept,
            f"        return {value} if loss else None",
        ]

    def run(self, convert: Sequence[str]) -> list[str]:
        v = self.local
        steps, epochs = self.training.length
        length = f"{steps} steps" if epochs is None else f"{epochs} epochs"
        per_epoch = f" * {v['per_epoch']}" if self.inputs else ""
        chosen = (
            f"{steps} if epochs is None else epochs{per_epoch}"
            if epochs is None
            else f"({epochs} if epochs is None else epochs){per_epoch}"
        )
        lines = [
            *source.signature("run", ["self", *self.inputs, "steps=None", "epochs=None", "log=1"], depth=1),
            '        """Train on the whole data; return the losses before every log-th step.',
            "",
            f"        Without steps or epochs, {length}; with log=0 no losses.",
            '        """',
            '        assert steps is None or epochs is None, "give steps or epochs, not both"',
            *convert,
        ]
        if self.inputs:
            lines.append(f"        {v['n']} = len({self.inputs[0]})")
            size = f'1 if self._batch == "all" else -(-{v["n"]} // self._batch)'
            lines.append(f"        {v['per_epoch']} = {size}")
        lines += ["        if steps is None:", f"            steps = {chosen}"]
        lines += [f"        {v['losses']} = []", f"        for {v['i']} in range(steps):"]
        if self.inputs:
            lines += [
                f"            {v['epoch']}, {v['k']} = divmod(self._t, {v['per_epoch']})",
                f"            if {v['i']} == 0 or {v['k']} == 0:",
                f"                {v['batches']} = self._batches({v['epoch']}, {v['n']})",
                f"            {v['rows']} = {v['batches']}[{v['k']}]",
            ]
        given = [ast.Subscript(name(i), name(v["rows"]), ast.Load()) for i in self.inputs]
        wanted = ast.parse(f"log > 0 and {v['i']} % log == 0", mode="eval").body
        return [
            *lines,
            *source.assign(v["value"], call("self.step", *given, loss=wanted), depth=3),
            f"            if {v['value']} is not None:",
            f"                {v['losses']}.append({v['value']})",
            f"        return np.array({v['losses']})",
        ]

    @staticmethod
    def batches() -> list[str]:
        return [
            "    def _batches(self, epoch, n):",
            '        """The rows of each batch of an epoch: shuffled, unless one has them all."""',
            '        if self._batch == "all":',
            "            return [slice(None)]",
            "        order = np.random.default_rng([self._seed, epoch]).permutation(n)",
            "        return [order[i : i + self._batch] for i in range(0, n, self._batch)]",
        ]

    # -- what does not

    def state(self) -> list[str]:
        return [
            "    def state(self):",
            '        """Copies of all that a later run needs to go on from here, by name."""',
            '        found = {"step": np.array(self._t)}',
            f"        for kind, arrays in {self._by_name()}:",
            '            found |= {f"{kind}/{name}": a.copy() for name, a in arrays.items()}',
            "        return found",
        ]

    def _by_name(self) -> str:
        """The kinds of arrays that a state has, each by name."""
        return "self._by_name()" if self.unpack else "self._arrays.items()"

    def by_name(self) -> list[str]:
        """The method that gives them, where they are kept packed."""
        if not self.unpack:
            return []
        lines = ["    def _by_name(self):", '        """The arrays of a state by kind and name, as views."""']
        if not self.modes.buffers:
            return [*lines, f"        return [(k, {self.unpack}(a)) for k, a in self._arrays.items()]"]
        return [
            *lines,
            "        arrays = self._arrays.items()",
            f'        return [(k, a if k == "buffers" else {self.unpack}(a)) for k, a in arrays]',
        ]

    def load_state(self) -> list[str]:
        return [
            "    def load_state(self, state):",
            '        """Go on from where `state` was taken."""',
            '        self._t = int(state["step"])',
            f"        for kind, arrays in {self._by_name()}:",
            "            for name, array in arrays.items():",
            '                array[...] = state[f"{kind}/{name}"]',
        ]

    def update(self) -> list[str]:
        before, statements = self.optimiser.before(), self.optimiser.update()
        words = set(re.findall(r"\w+", " ".join(statements)))
        lines = [
            "    def _update(self, grads):",
            f'        """Move the parameters along their gradients by the rule of {self.optimiser.title}."""',
        ]
        if self.optimiser.schedule is not None:
            lines += rate_lines(self.training, self.header.renamed, "lr", "self._t", "self._lr", 2)
            words.discard("lr")
        lines.append("        self._t += 1")
        lines += ["        " + re.sub(r"= (\w+)$", r"= self._\1", line) for line in before]
        lines += unpack_lines([n for n in ("lr", *self.optimiser.used(), "t") if n in words])
        if self.header.frozen:
            lines.append("        grads = {n: g for n, g in grads.items() if n not in self._frozen}")
        if self.clip is not None:
            lines += [
                "        norm = np.sqrt(sum(np.sum(g * g) for g in grads.values()))",
                "        scale = np.minimum(self._clip / (norm + 1e-6), 1)",
            ]
            statements = ["g = scale * g", *statements]
        slots = self.optimiser.slots()
        values = ", ".join(["w", *slots])
        held = ", ".join(["self._params[name]", *(f"self._{slot}[name]" for slot in slots)])
        lines += ["        for name, g in grads.items():", f"            {values} = {held}"]
        return [*lines, *(f"            {line}" for line in statements)]


def unpack_lines(names: Sequence[str]) -> list[str]:
    """What a Trainer keeps under these names as variables, on one line where they fit."""
    together = f"        {', '.join(names)} = {', '.join(f'self._{n}' for n in names)}"
    if not names or len(together) <= source.WIDTH:
        return [together] if names else []
    return [f"        {n} = self._{n}" for n in names]


def _default(setting: str, value: Any) -> str:
    """`lr=0.1`, as an argument of a method; a long tuple has one entry a line."""
    short = f"{setting}={source.text(_literal(value))}"
    if len(short) + 9 <= source.WIDTH or not isinstance(value, tuple):
        return short
    inner = "".join(f"\n{source.INDENT * 3}{source.text(_literal(v))}," for v in value)
    return f"{setting}=({inner}\n{source.INDENT * 2})"


def _literal(value: Any) -> ast.expr:
    return literal(value, "np", lambda size: ast.Constant(size.value))
