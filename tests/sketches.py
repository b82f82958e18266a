"""Random diagrams of circles, to be drawn: what tests of layouts share.

The same seed gives the same text. Up to 40 circles in columns and layers of various height, wires that skip
columns, biases, shared and fresh weights, numbers of one to five digits, equations; names with underscores,
digits, Greek letters, and long ones.
"""

from __future__ import annotations

import random

LARGEST = 40
"""Circles of a diagram, at most; the constant 1 is not counted."""
STEPS = ("tanh", "step", "relu", "sigmoid", "sign", "", "softplus", "elu")
STEMS = (
    "h",
    "x_hat",
    "alpha_1",
    "u2v",
    "A_b_c",
    "theta",
    "m_max",
    "a_rather_long_name_of_a_circle",
    "Q7_",
    "z",
)


def sketch_text(seed: int) -> str:
    """A diagram in Flow."""
    return _Sketch(random.Random(seed)).text()


class _Sketch:
    def __init__(self, draws: random.Random) -> None:
        self.draws = draws
        self.room = draws.randint(1, LARGEST)
        self.lines: list[str] = []
        self.stem = draws.choice(STEMS)
        self.count = 0
        self.skips = draws.choice((0.0, 0.0, 0.15, 0.4))
        self.fan_in = draws.choice((1, 2, 2, 3, 4, 6))

    def text(self) -> str:
        self.lines.append('diagram sketch "50 % of $x_1$ & {a}^2 # ~ \\\\ said twice"')
        columns = [self.inputs()]
        while self.room > 0 and len(columns) < self.draws.choice((2, 3, 4, 5, 8, 12)):
            columns.append(self.column(columns))
        self.maybe_loss(columns)
        return "\n".join(self.lines) + "\n"

    def name(self) -> str:
        self.count += 1
        stem = self.stem if self.draws.random() < 0.7 else self.draws.choice(STEMS)
        return f"{stem}{self.count}" if self.draws.random() < 0.8 else f"{stem}_{self.count}"

    def inputs(self) -> list[str]:
        names = [self.name() for _ in range(min(self.draws.choice((1, 2, 2, 3, 5, 8)), self.room))]
        self.room -= len(names)
        self.lines.append(f"input {', '.join(names)}")
        return names

    def column(self, before: list[list[str]]) -> list[str]:
        many = min(self.draws.choice((1, 1, 2, 3, 4, 6, 9)), self.room)
        self.room -= many
        names = [self.name() for _ in range(many)]
        kind = self.draws.random()
        if kind < 0.15:
            return self.equations(names, before)
        step = self.draws.choice(STEPS)
        said = ", ".join(names)
        if kind > 0.8:
            said, names = f"{names[0]}[{many}]", [f"{names[0]}[{k}]" for k in range(many)]
        self.lines.append(f"node {said}" + (f" : {step}" if step else ""))
        if kind < 0.3:
            self.lines.append(f"{', '.join(before[-1])} -[{self.weight()}]-> {', '.join(names)}")
            self.lines.append(f"1 -[{self.weight()}]-> {', '.join(names)}")
            return names
        for name in names:
            for source in self.sources(before):
                self.wire(source, name)
            if self.draws.random() < 0.4:
                self.wire("1", name)
        return names

    def equations(self, names: list[str], before: list[list[str]]) -> list[str]:
        for name in names:
            terms = " + ".join(f"{self.weight()}*{source}" for source in self.sources(before))
            self.lines.append(f"{name} = {self.draws.choice(STEPS)}({terms} - 1.5)")
        return names

    def sources(self, before: list[list[str]]) -> list[str]:
        """Circles of the column before, and now and then of any."""
        near = list(before[-1])
        far = [name for column in before[:-1] for name in column]
        found = self.draws.sample(near, min(self.fan_in, len(near)))
        return found + [name for name in far if self.draws.random() < self.skips / max(len(far), 1) * 2]

    def wire(self, source: str, target: str) -> None:
        kind = self.draws.random()
        if kind < 0.7:
            self.lines.append(f"{source} -[{self.weight()}]-> {target}")
        elif kind < 0.85:
            self.lines.append(f"{source} -[w_{self.draws.randint(1, 5)}]-> {target}")
        else:
            self.lines.append(f"{source} -> {target}")

    def weight(self) -> str:
        return self.draws.choice(
            ("1", "-1", "0.5", "-1.5", "2", "0.123", "-12.75", "100", "0.333333", "1e-6")
        )

    def maybe_loss(self, columns: list[list[str]]) -> None:
        if len(columns) > 1 and self.draws.random() < 0.25:
            self.lines += ["target y_true", f"loss mse({columns[-1][0]}, y_true)"]
