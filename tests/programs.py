"""Random programs of the Flow language that are right by construction.

`random_program(rng)` gives the text of a diagram; `random_wiring(rng)` gives one network of circles
in both spellings. The generator keeps the shape of every value and a bound of its size, so that
every program compiles and rounding stays small: a value that could exceed `LIMIT` goes through tanh.
What jumps (step, sign, argmax, comparisons) is applied to inputs alone, where every engine has the
very same number.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

LIMIT = 10.0
SIZES = (1, 2, 3)

SMOOTH = {
    "tanh": 1.0, "sigmoid": 1.0, "softsign": 1.0, "sin": 1.0, "cos": 1.0, "atan": 1.6, "erf": 1.0,
    "hard_sigmoid": 1.0, "hard_tanh": 1.0,
}  # fmt: skip
"""Functions of any number, and the bound of their values."""

KEEPING = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "abs", "relu6", "hard_swish")
"""Functions that (all but) keep the size of a value within its bound."""

Shape = tuple[int, ...]


@dataclass
class Value:
    """A name of the program: its shape, and a bound of its absolute value."""

    name: str
    shape: Shape
    bound: float
    leaf: bool = False


def shape_text(shape: Shape) -> str:
    return f"[{', '.join(map(str, shape))}]"


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """NumPy's rule; None where it does not apply."""
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    out = []
    for x, y in pairs:
        if x != y and 1 not in (x, y):
            return None
        out.append(y if x == 1 else x)
    return tuple(out)


@dataclass
class Writer:
    """A program under construction."""

    rng: random.Random
    lines: list[str] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    labels: list[tuple[str, int]] = field(default_factory=list)
    """Class inputs: name and number of classes."""
    counts: dict[str, int] = field(default_factory=dict)

    def fresh(self, prefix: str) -> str:
        self.counts[prefix] = self.counts.get(prefix, 0) + 1
        return f"{prefix}{self.counts[prefix]}"

    def shape(self, ranks: tuple[int, ...] = (0, 1, 1, 2, 2, 3)) -> Shape:
        return tuple(self.rng.choice(SIZES) for _ in range(self.rng.choice(ranks)))

    def number(self) -> str:
        return self.rng.choice(("0.5", "-1", "2", "1.5", "-0.25", "1", "0", "3e-1"))

    # -- declarations

    def input(self, shape: Shape) -> Value:
        name = self.fresh("x")
        self.lines.append(f"input {name} : {shape_text(shape)}" if shape else f"input {name}")
        self.values.append(Value(name, shape, 2.0, leaf=True))
        return self.values[-1]

    def param(self, shape: Shape) -> Value:
        """A trainable array, bounded by 1 in the tests."""
        name = self.fresh("W")
        start = self.rng.choice(("normal()", "zeros()", "uniform(-1, 1)", "0.5"))
        if len(shape) == 2:
            start = self.rng.choice((start, "glorot()", "he()"))
        declared = f" : {shape_text(shape)}" if shape else ""
        self.lines.append(f"param {name}{declared} = {start if shape else '0.5'}")
        return Value(name, shape, 1.0)

    def const(self) -> Value:
        name, count = self.fresh("c"), self.rng.choice(SIZES)
        self.lines.append(f"const {name} = [{', '.join(self.number() for _ in range(count))}]")
        return Value(name, (count,), 3.0)

    # -- equations

    def pick(self, ranks: tuple[int, ...] | None = None) -> Value:
        """A value of one of these ranks, a new input where there is none."""
        found = [v for v in self.values if ranks is None or len(v.shape) in ranks]
        return self.rng.choice(found) if found else self.input(self.shape(ranks or (1,)))

    def define(self, text: str, shape: Shape, bound: float) -> Value:
        """A new equation; what could be too large goes through tanh."""
        if bound > LIMIT:
            text, bound = f"tanh({text})", 1.0
        name = self.fresh("v")
        self.lines.append(f"{name} = {text}")
        self.values.append(Value(name, shape, bound))
        return self.values[-1]

    def unary(self) -> Value:
        x = self.pick()
        if self.rng.random() < 0.5:
            op = self.rng.choice(sorted(SMOOTH))
            return self.define(f"{op}({x.name})", x.shape, SMOOTH[op])
        if self.rng.random() < 0.6:
            return self.define(f"{self.rng.choice(KEEPING)}({x.name})", x.shape, x.bound)
        forms = {
            "{} ^ 2": x.bound**2,
            "square({})": x.bound**2,
            "-{}": x.bound,
            "exp(-abs({}))": 1.0,
            "sqrt(1 + {} ^ 2)": 1 + x.bound,
            "log1p(abs({}))": x.bound,
            "1 / (1 + {} ^ 2)": 1.0,
            "softplus({})": x.bound + 0.7,
            "clip({}, -1, 1)": 1.0,
        }
        form = self.rng.choice(sorted(forms))
        return self.define(form.format(x.name), x.shape, forms[form])

    def binary(self) -> Value:
        a = self.pick()
        partners = [v for v in self.values if (s := broadcast(a.shape, v.shape)) is not None and len(s) < 4]
        b = self.rng.choice(partners)
        if self.rng.random() < 0.25:
            b = self.rng.choice((self.param(a.shape[-1:]), Value(self.number(), (), 3.0)))
        shape = broadcast(a.shape, b.shape)
        assert shape is not None
        forms = {
            "{} + {}": a.bound + b.bound,
            "{} - {}": a.bound + b.bound,
            "{} * {}": a.bound * b.bound,
            "{} / (1 + ({}) ^ 2)": a.bound,
            "maximum({}, {})": max(a.bound, b.bound),
            "minimum({}, {})": max(a.bound, b.bound),
        }
        form = self.rng.choice(sorted(forms))
        return self.define(form.format(a.name, b.name), shape, forms[form])

    def product(self) -> Value:
        x = self.pick((1, 2))
        n = x.shape[-1]
        kind = self.rng.choice(("matrix", "linear", "inner", "chain", "const", "bilinear", "outer"))
        if kind == "inner" and len(x.shape) == 1:
            w = self.param((n,))
            return self.define(f"{w.name} @ {x.name}", (), n * x.bound)
        if kind == "const" and len(x.shape) == 1:
            rows = [[self.number() for _ in range(n)] for _ in range(2)]
            matrix = "[" + ", ".join(f"[{', '.join(row)}]" for row in rows) + "]"
            return self.define(f"{matrix} @ {x.name}", (2,), 3 * n * x.bound)
        k = self.rng.choice(SIZES)
        shape = (*x.shape[:-1], k)
        if kind == "linear":
            bias = self.rng.choice(("", ", bias=false"))
            return self.define(f"linear({x.name}, {k}{bias})", shape, (n + 1) * x.bound)
        if kind == "chain":
            act = self.rng.choice(("tanh", "sigmoid"))
            return self.define(f"{x.name} |> linear({k}) |> {act} |> linear({k})", shape, k + 1)
        if kind == "bilinear" and len(x.shape) == 1:
            y = self.pick((1,))
            bound = x.bound * y.bound * n * y.shape[0] + 1
            return self.define(f"bilinear({x.name}, {y.name}, {k})", (k,), bound)
        if kind == "outer" and len(x.shape) == 1:
            y = self.pick((1,))
            return self.define(f"outer({x.name}, {y.name})", (n, y.shape[0]), x.bound * y.bound)
        w, b = self.param((k, n)), self.param((k,))
        text = f"{w.name} @ {x.name}" if len(x.shape) == 1 else f"{x.name} @ {w.name}.T"
        return self.define(f"{text} + {b.name}", shape, n * x.bound + 1)

    def reduce(self) -> Value:
        x = self.pick((1, 2, 3))
        axis = self.rng.choice((None, *range(-len(x.shape), 0)))
        op = self.rng.choice(("sum", "mean", "max", "min", "logsumexp", "var", "prod", "cumsum"))
        if op == "cumsum":
            place = -1 if axis is None else axis
            return self.define(f"cumsum({x.name}, axis={place})", x.shape, x.bound * x.shape[place])
        if op == "logsumexp" and axis is None:
            axis = -1
        keep = self.rng.random() < 0.3
        count, shape = 1, list(x.shape)
        for place in range(-len(x.shape), 0) if axis is None else [axis]:
            count *= x.shape[place]
            shape[place] = 1 if keep else 0
        bounds = {"sum": count * x.bound, "logsumexp": x.bound + 2, "var": x.bound**2, "prod": 0.0}
        if op == "prod" and x.bound**count > LIMIT:
            op = "mean"
        bound = max(bounds.get(op, x.bound), x.bound)
        settings = ("" if axis is None else f", axis={axis}") + (", keepdims=true" if keep else "")
        return self.define(f"{op}({x.name}{settings})", tuple(s for s in shape if s), bound)

    def reshape(self) -> Value:
        x = self.pick((1, 2, 3))
        total = 1
        for size in x.shape:
            total *= size
        axis = self.rng.randrange(len(x.shape))
        kind = self.rng.choice(
            ("flatten", "reshape", "permute", "T", "index", "slice", "flip", "pad", "stack", "concat",
             "split", "squeeze", "softmax", "list")
        )  # fmt: skip
        same = [v for v in self.values if v.shape == x.shape]
        y = self.rng.choice(same)
        bound = max(x.bound, y.bound)
        if kind == "reshape":
            return self.define(f"reshape({x.name}, [1, {total}])", (1, total), x.bound)
        if kind == "permute":
            axes = list(range(len(x.shape)))
            self.rng.shuffle(axes)
            return self.define(f"permute({x.name}, {axes})", tuple(x.shape[a] for a in axes), x.bound)
        if kind == "T" and len(x.shape) > 1:
            return self.define(f"{x.name}.T", (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.bound)
        if kind == "index":
            return self.define(f"{x.name}[{self.rng.randrange(x.shape[0])}]", x.shape[1:], x.bound)
        if kind == "slice" and x.shape[0] > 1:
            return self.define(f"{x.name}[1:]", (x.shape[0] - 1, *x.shape[1:]), x.bound)
        if kind == "flip":
            return self.define(f"flip({x.name}, {axis})", x.shape, x.bound)
        if kind == "pad" and len(x.shape) == 1:
            return self.define(f"pad({x.name}, [1, 0], value=0.5)", (x.shape[0] + 1,), x.bound)
        if kind == "stack":
            at = self.rng.randrange(len(x.shape) + 1)
            if len(x.shape) < 3:
                shape = (*x.shape[:at], 2, *x.shape[at:])
                return self.define(f"stack({x.name}, {y.name}, axis={at})", shape, bound)
        if kind == "concat":
            shape = (*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])
            if shape[axis] <= 6:
                return self.define(f"concat({x.name}, {y.name}, axis={axis})", shape, bound)
        if kind == "split" and x.shape[0] == 2:
            a, b = self.fresh("v"), self.fresh("v")
            self.lines.append(f"{a}, {b} = split({x.name}, 2)")
            self.values += [Value(n, (1, *x.shape[1:]), x.bound) for n in (a, b)]
            return self.values[-1]
        if kind == "squeeze" and x.shape[axis] == 1:
            return self.define(f"squeeze({x.name}, {axis})", (*x.shape[:axis], *x.shape[axis + 1 :]), x.bound)
        if kind == "softmax":
            op, bound = self.rng.choice((("softmax", 1.0), ("log_softmax", 2 * x.bound + 2)))
            return self.define(f"{op}({x.name})", x.shape, bound)
        if kind == "list" and len(x.shape) == 1:
            return self.define(f"[{x.name}, {y.name}]", (2, *x.shape), bound)
        return self.define(f"flatten({x.name})", (total,), x.bound)

    def choose(self) -> Value:
        """What jumps: on inputs alone."""
        leaves = [v for v in self.values if v.leaf]
        x = self.rng.choice(leaves)
        kind = self.rng.choice(("step", "sign", "where", "argmax", "class", "table"))
        if kind in ("step", "sign"):
            return self.define(f"{kind}({x.name})", x.shape, 1.0)
        if kind == "argmax" and x.shape:
            shape = (*x.shape[:-1], x.shape[-1])
            return self.define(f"one_hot(argmax({x.name}), {x.shape[-1]})", shape, 1.0)
        if kind in ("class", "table"):
            if not self.labels:
                name, classes = self.fresh("k"), self.rng.choice((2, 3))
                self.lines.append(f"input {name} : class({classes})")
                self.labels.append((name, classes))
            name, classes = self.rng.choice(self.labels)
            if kind == "class":
                return self.define(f"one_hot({name})", (classes,), 1.0)
            table = self.param((classes, 2))
            return self.define(f"take({table.name}, {name})", (2,), 1.0)
        return self.define(f"where({x.name} > 0.3, {x.name}, -{x.name})", x.shape, x.bound)

    # -- wires

    def wires(self) -> Value:
        """A circle or a layer, fed by earlier circles and layers."""
        sources = [v for v in self.values if len(v.shape) <= 1]
        sources = sources or [self.input(())]
        sources = self.rng.sample(sources, min(len(sources), self.rng.choice((1, 2, 3))))
        name, act = self.fresh("h"), self.rng.choice(("tanh", "sigmoid", "relu", ""))
        size = self.rng.choice((0, 0, 2, 3))
        self.lines.append(f"node {name}{f'[{size}]' if size else ''}{f' : {act}' if act else ''}")
        bound = 1.0
        for source in sources:
            weight = self.rng.choice(("", "fresh", "number"))
            named = self.rng.random() < 0.3
            if named:
                shape = ((size,) if size else ()) + source.shape
                weight = self.param(shape).name
            elif weight == "number" and not (size and source.shape):
                weight = self.number()
            else:
                weight = ""
            arrow = f"-[{weight}]->" if weight else "->"
            self.lines.append(f"{source.name} {arrow} {name}")
            bound += 3 * source.bound * (source.shape[0] if source.shape else 1)
        if self.rng.random() < 0.7:
            self.lines.append(self.rng.choice(("1 -[0.5]-> {}", "1 -> {}")).format(name))
        bound = 1.0 if act in ("tanh", "sigmoid") else bound
        shape = (size,) if size else ()
        if bound > LIMIT:
            return self.define(f"tanh({name})", shape, bound)
        self.values.append(Value(name, shape, bound))
        return self.values[-1]

    # -- results

    def results(self) -> None:
        if self.rng.random() < 0.8:
            chosen = self.rng.sample(self.values, min(len(self.values), self.rng.choice((1, 1, 2, 3))))
            self.lines.append("output " + ", ".join(v.name for v in chosen))
        for number in range(self.rng.choice((1, 1, 2))):
            self.loss(f"L{number}")

    def loss(self, name: str) -> None:
        v = self.rng.choice(self.values)
        by = self.rng.choice(("", "", " by sum"))
        kind = self.rng.choice(("pair", "pair", "plain", "class", "weights"))
        if kind == "class" and len(v.shape) == 1:
            self.lines.append(f"target {name}_y : class({v.shape[0]})")
            op = self.rng.choice(("cross_entropy", "nll"))
            score = v.name if op == "cross_entropy" else f"log_softmax({v.name})"
            self.lines.append(f"loss {name} = {op}({score}, {name}_y){by}")
            return
        if kind == "plain":
            self.lines.append(f"loss {name} = mean({v.name} ^ 2){by}")
            return
        if kind == "weights":
            w = self.param((2, 2))
            self.lines.append(f"loss {name} = 0.01 * sum({w.name} ^ 2)")
            return
        declared = f" : {shape_text(v.shape)}" if v.shape else ""
        self.lines.append(f"target {name}_y{declared}")
        op = self.rng.choice(("mse", "mae", "huber", "bce_with_logits"))
        self.lines.append(f"loss {name} = {op}({v.name}, {name}_y){by}")
        self.lines.append(f"metric {name}_error = mae({v.name}, {name}_y)")


def random_program(rng: random.Random) -> str:
    """The text of a random diagram; at least one input, one output and one loss."""
    writer = Writer(rng)
    for _ in range(rng.choice((1, 2, 3))):
        writer.input(writer.shape())
    if rng.random() < 0.2:
        const = writer.const()
        writer.values.append(writer.define(f"2 * {const.name} + {writer.pick((0,)).name}", const.shape, 9.0))
        writer.values.pop()
    makers = (
        writer.unary, writer.unary, writer.binary, writer.binary, writer.product, writer.product,
        writer.reduce, writer.reshape, writer.reshape, writer.choose, writer.wires, writer.wires,
    )  # fmt: skip
    for _ in range(rng.choice((2, 4, 6, 9))):
        rng.choice(makers)()
    writer.results()
    return "\n".join(writer.lines) + "\n"


def random_wiring(rng: random.Random) -> tuple[str, str]:
    """One network of circles: in wires, and in equations. Both output every circle."""
    inputs = [f"x{i}" for i in range(1, rng.choice((2, 3, 4)))]
    head = [f"input {', '.join(inputs)}"]
    params = [f"w{i}" for i in range(1, rng.choice((1, 2, 4)))]
    head += [f"param {name} = {rng.choice(('0.5', '-1.5'))}" for name in params]
    wires, equations, known = list(head), list(head), list(inputs)
    unused = list(params)
    circles = [f"h{i}" for i in range(1, rng.choice((2, 4, 7)))]
    for circle in circles:
        act = rng.choice(("step", "tanh", "sigmoid", "relu", "sign", ""))
        wires.append(f"node {circle}" + (f" : {act}" if act else ""))
        bias = rng.choice(("", "0.5", "-1.5"))
        terms = [bias] if bias else []
        lines = []
        for source in rng.sample(known, min(len(known), rng.choice((1, 2, 3)))):
            weight = rng.choice(("-1", "1", "0.25", *params))
            unused = [p for p in unused if p != weight]
            lines.append(f"{source} -[{weight}]-> {circle}")
            terms.append(f"{weight} * {source}")
        if bias:
            lines.insert(rng.randrange(len(lines) + 1), f"1 -[{bias}]-> {circle}")
        wires += lines
        total = " + ".join(terms)
        equations.append(f"{circle} = {act}({total})" if act else f"{circle} = {total}")
        known.append(circle)
    outputs = [*circles, *unused]
    last = f"output {', '.join(outputs)}"
    return "\n".join([*wires, last]) + "\n", "\n".join([*equations, last]) + "\n"
