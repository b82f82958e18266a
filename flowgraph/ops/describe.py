"""What `flowc ops` prints, made from the declarations alone.

The derivative is read off the graph that the operation's own rules build, so what is shown
is what is computed.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from ..graph import Builder, Graph
from ..types import TupleType, Type
from ..types import describe as type_in_words
from .base import OPS, Composite, Elementwise, Op, Sample, Value, apply
from .declared import Attr, Declared
from .derivative import REQUESTS
from .init import INITS
from .optimiser import OPTIMISERS, SCHEDULES

GROUPS = (
    "activations",
    "elementwise",
    "reductions",
    "shape",
    "products",
    "creators",
    "layers",
    "losses",
    "metrics",
    "derivatives",
)
"""The chapters of the listing, in order; a group that is not named here comes after them."""

KINDS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "a string",
    "Axis": "an axis",
    "Axes": "an axis or a list of axes",
    "Size": "a size",
    "Shape": "a list of sizes",
    "Ints": "a list of whole numbers",
    "PerAxis": "a whole number, or a list with one for each axis",
    "Padding": 'a whole number, a list with one for each axis, "same" or "valid"',
    "Any": "see above",
}
"""What an attr of each kind is, in words."""

TAKES = {
    "real": "numbers",
    "number": "numbers",
    "any": "numbers, labels or truth values",
    "bool": "truth values",
}
WIDTH, ROOM = 12, 200


def listing() -> str:
    """Every operation by group, a line each; then initialisers, optimisers and schedules."""
    groups: dict[str, list[type[Declared]]] = {name: [] for name in GROUPS}
    for cls in OPS.values():
        if cls.group:
            groups.setdefault(cls.group, []).append(cls)
    groups["derivatives"] += REQUESTS.values()
    groups["initialisers"] = [cls for cls in INITS.values() if cls.public]
    groups["optimisers"] = list(OPTIMISERS.values())
    groups["learning-rate schedules"] = list(SCHEDULES.values())
    return "\n\n".join(
        "\n".join([name, *(f"  {cls.name:<16} {_first_line(cls)}" for cls in members)])
        for name, members in groups.items()
        if members
    )


def names() -> list[str]:
    """Every name that `describe_name` knows, each once."""
    operations = [cls.name for cls in OPS.values() if cls.group or cls.name in REQUESTS]
    initialisers = [cls.name for cls in INITS.values() if cls.public]
    return list(dict.fromkeys([*operations, *initialisers, *OPTIMISERS, *SCHEDULES]))


def describe_name(name: str) -> str:
    """Everything of this name (`constant` is an initialiser and a schedule), or ""."""
    parts = []
    if name in OPS and OPS[name].group:
        parts.append(describe(OPS[name]))
    if name in REQUESTS:
        parts.append(_settings(REQUESTS[name], "derivatives"))
    if name in INITS and INITS[name].public:
        parts.append(_settings(INITS[name], "initialiser"))
    if name in OPTIMISERS:
        parts.append(_settings(OPTIMISERS[name], "optimiser"))
    if name in SCHEDULES:
        parts.append(_settings(SCHEDULES[name], "learning-rate schedule"))
    return "\n\n".join(parts)


def describe(cls: type[Op]) -> str:
    """Formula, arguments, shapes, derivative, forms, LaTeX and an example of an operation."""
    rows: list[tuple[str, list[str]]] = [
        ("formula", [cls.formula]),
        ("arguments", [*_operands(cls), *(_attr(a) for a in cls.attrs)]),
        ("shapes", list(_shapes(cls))),
        ("derivative", derivative(cls)),
        ("numpy", _form(cls, "numpy")),
        ("torch", [*_form(cls, "torch"), *_module(cls)]),
        ("LaTeX", [cls.latex.format(**{n: n for n in _names(cls)})]),
        ("example", [_example(cls)]),
    ]
    return "\n".join([f"{signature(cls)}   ({cls.group})", *_documentation(cls), "", *_table(rows)])


def signature(cls: type[Declared]) -> str:
    """`leaky_relu(x, negative_slope=0.01)`."""
    operands = [o.rstrip("?") + ("=none" if o.endswith("?") else "") for o in _passed(cls)]
    attrs = [a.name if a.required else f"{a.name}={setting_text(a.default)}" for a in cls.attrs]
    parts = [*attrs, *operands] if getattr(cls, "attrs_first", False) else [*operands, *attrs]
    return f"{cls.name}({', '.join(parts)})"


def _settings(cls: type[Any], what: str) -> str:
    """An initialiser, optimiser or schedule."""
    rows = [("formula", [cls.formula]), ("arguments", [_attr(a) for a in cls.attrs])]
    for target in ("numpy", "torch"):
        form = getattr(cls, target, None)
        if form is not None:
            rows.append((target, [form] if isinstance(form, str) else _source(form)))
    return "\n".join([f"{signature(cls)}   ({what})", *_documentation(cls), "", *_table(rows)])


def _table(rows: list[tuple[str, list[str]]]) -> Iterator[str]:
    for title, lines in rows:
        for i, line in enumerate(line for line in lines if line is not None):
            yield f"{title if not i else '':<{WIDTH}}{line}".rstrip()


def _documentation(cls: type[Any]) -> list[str]:
    return inspect.cleandoc(cls.__doc__ or "").splitlines()


def _first_line(cls: type[Any]) -> str:
    return _documentation(cls)[0]


def _passed(cls: type[Any]) -> list[str]:
    """The operands that a call passes: a layer's own parameters are not among them."""
    others = (*getattr(cls, "params", ()), *getattr(cls, "ambient", ()))
    return [o for o in getattr(cls, "operands", ()) if o.strip("*?") not in others]


def _names(cls: type[Op]) -> list[str]:
    return [*(o.strip("*?") for o in cls.operands), *(a.name for a in cls.attrs)]


def _operands(cls: type[Op]) -> list[str]:
    kind = TAKES[cls.takes] if issubclass(cls, Elementwise) else ""
    out = []
    for slot, operand in enumerate(_passed(cls)):
        said = kind or _kind_in_samples(cls, slot)
        many = "one or more arrays of " if operand.startswith("*") else "an array of "
        out.append(f"{operand.strip('*?'):<16} {many}{said}, or single ones")
    return out


def _kind_in_samples(cls: type[Op], slot: int) -> str:
    """What the samples show this operand to be."""
    found = {sample.args[slot].kind for sample in cls.samples if slot < len(sample.args)}
    words = {"real": "numbers", "int": "numbers", "class": "class labels", "bool": "truth values"}
    return " or ".join(dict.fromkeys(words[kind] for kind in words if kind in found))


def _attr(attr: Attr) -> str:
    kind = KINDS.get(attr.kind.removesuffix(" | None"), attr.kind)
    default = "required" if attr.required else f"default {setting_text(attr.default)}"
    return f"{attr.name:<16} {kind}; {default}"


def setting_text(value: Any) -> str:
    """A setting as one writes it in Flow."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(setting_text(v) for v in value) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _example(cls: type[Op]) -> str:
    if cls.example:
        return cls.example.format(name=cls.name) if "{name}" in cls.example else cls.example
    return f"h = {cls.name}({', '.join(o.strip('*?') for o in _passed(cls))})"


# ---------------------------------------------------------------------------------------
# Read off a sample


class _Case:
    """A sample as a graph whose inputs have the operands' names."""

    def __init__(self, cls: type[Op], sample: Sample) -> None:
        self.graph = Graph("sample")
        self.builder = Builder(self.graph)
        self.names: dict[str, str] = {}
        self.operands = [
            self.input(name, arg.type)
            for name, arg in zip(_operand_names(cls, len(sample.args)), sample.args, strict=True)
        ]
        op = cls(**sample.attrs)
        if self.operands:
            self.result = apply(op, *self.operands)
        else:
            self.result = Value(self.builder, self.builder.apply(op.canonical([]), ()))
        self.node = self.graph[self.result.name]
        self.types = [self.graph[o].type for o in self.node.operands]

    def input(self, name: str, type: Type) -> Value:
        made = self.builder.apply(OPS["input"](type=type), ())
        self.names[made] = name
        return Value(self.builder, made)


def _operand_names(cls: type[Op], count: int) -> list[str]:
    fixed = [o.rstrip("?") for o in cls.operands if not o.startswith("*")]
    return [*fixed, *(f"x{i + 1}" for i in range(count - len(fixed)))][:count]


def _shapes(cls: type[Op]) -> Iterator[str]:
    """What the samples give: `[2, 3], [3] -> [2]`, each once."""
    seen = set()
    for sample in cls.samples:
        case = _Case(cls, sample)
        given = ", ".join(type_in_words(arg.type) for arg in sample.passed) or "nothing"
        attrs = ", ".join(f"{k}={setting_text(v)}" for k, v in sample.attrs.items())
        line = f"{given} -> {_type(case.node.type)}" + (f"   with {attrs}" if attrs else "")
        if line not in seen:
            seen.add(line)
            yield line


def _type(type: Type) -> str:
    if isinstance(type, TupleType):
        return " and ".join(type_in_words(t) for t in type.items)
    return type_in_words(type)


def _form(cls: type[Op], target: str) -> list[str]:
    case = _Case(cls, cls.samples[0])
    form = case.node.op.form(target, case.types)
    return [form] if isinstance(form, str) else _source(form)


def _source(form: Callable[..., Any]) -> list[str]:
    return textwrap.dedent(inspect.getsource(form)).splitlines()


def _module(cls: type[Op]) -> list[str]:
    case = _Case(cls, cls.samples[0])
    module = case.node.op.torch_layer(case.types) or cls.torch_module
    return [f"as a module: {module}"] if module else []


# ---------------------------------------------------------------------------------------
# Derivatives as formulas


def derivative(cls: type[Op]) -> list[str]:
    """The derivative with respect to each operand, as lines of text.

    Elementwise: `dy/dx = ...`. Else the gradient that each operand gets, `d_x`, in terms of
    `d_out`, the gradient of the result, on the first sample; for a composite, its expansion.
    """
    if not cls.differentiable:
        return ["none: it counts as constant"]
    case = _Case(cls, _smooth_sample(cls))
    op = case.node.op
    if isinstance(op, Composite) and type(op).vjp is Op.vjp:
        parts = _text(case, op.expand(*_converted(case)))
        return [f"that of {parts}" if len(parts) <= ROOM else "that of its formula, by the chain rule"]
    operands = _converted(case)
    case.names[case.result.name] = "y"
    if isinstance(op, Elementwise) and type(op).partials is not Elementwise.partials:
        found: Any = op.partials(case.result, *operands)
        title = "dy/d{}"
    else:
        found = op.vjp(_cotangent(case), case.result, *operands)
        title = "d_{}"
    shown = zip(_operand_names(cls, len(found)), found, operands, strict=True)
    return [
        f"{title.format(name)} = {_text(case, value)}"
        for name, value, operand in shown
        if operand.type.elem.kind == "real"
    ]


def _smooth_sample(cls: type[Op]) -> Sample:
    """The first sample with an operand of reals that is an array, or the first with reals."""
    with_reals = [s for s in cls.samples if any(a.kind == "real" for a in s.args)]
    return next((s for s in with_reals if any(a.shape for a in s.args)), with_reals[0])


def _converted(case: _Case) -> list[Value]:
    return [Value(case.builder, name) for name in case.node.operands]


def _cotangent(case: _Case) -> Any:
    type = case.node.type
    if isinstance(type, TupleType):
        return [case.input(f"d_out{i + 1}", t) for i, t in enumerate(type.items)]
    return case.input("d_out", type)


INFIX = {
    "add": ("+", 1),
    "sub": ("-", 1),
    "mul": ("*", 2),
    "div": ("/", 2),
    "mod": ("%", 2),
    "matmul": ("@", 2),
    "pow": ("^", 4),
    "equal": ("==", 0),
    "less": ("<", 0),
    "less_equal": ("<=", 0),
    "greater": (">", 0),
    "greater_equal": (">=", 0),
    "logical_and": ("and", -1),
}
"""Operators of Flow and how tightly they bind."""
ATOM = 9


def _text(case: _Case, value: Any) -> str:
    """A value as a line of Flow."""
    if value is None:
        return "0"
    return _render(case, value.name)[0] if isinstance(value, Value) else setting_text(value)


def _render(case: _Case, name: str) -> tuple[str, int]:
    """The text of a node and how tightly its outermost operation binds.

    Recursion is as deep as the rules of this package build nodes, a few levels.
    """
    if name in case.names:
        return case.names[name], ATOM
    node = case.graph[name]
    op = node.op
    if op.name == "const":
        return setting_text(op.value), ATOM
    parts = [_render(case, o) for o in node.operands]
    if op.name == "cast":
        return parts[0]
    if op.name == "neg":
        return f"-{_wrapped(parts[0], 3)}", 3
    if op.name == "transpose_last":
        return f"{_wrapped(parts[0], ATOM)}.T", ATOM
    if op.name == "index":
        return f"{_wrapped(parts[0], ATOM)}{op.form('numpy', [])[1:]}", ATOM
    if op.name == "share":
        return f"{_wrapped(parts[0], 2)} / {op.size}", 2
    if op.name in INFIX:
        sign, level = INFIX[op.name]
        left, right = (level + 1, level) if op.name == "pow" else (level, level + 1)
        return f"{_wrapped(parts[0], left)} {sign} {_wrapped(parts[1], right)}", level
    given = [text for text, _ in parts]
    attrs = [f"{a.name}={_setting(op, a)}" for a in type(op).attrs if _is_set(op, a)]
    return f"{op.name}({', '.join([*given, *attrs])})", ATOM


def _setting(op: Op, attr: Attr) -> str:
    value = getattr(op, attr.name)
    one = attr.kind == "Axes" and isinstance(value, tuple) and len(value) == 1
    return setting_text(value[0] if one else value)


def _is_set(op: Op, attr: Attr) -> bool:
    value = getattr(op, attr.name)
    return bool(attr.required or (value != attr.default and value != ()))


def _wrapped(part: tuple[str, int], level: int) -> str:
    return f"({part[0]})" if part[1] < level else part[0]


__all__ = [
    "derivative",
    "describe",
    "describe_name",
    "listing",
    "names",
    "setting_text",
    "signature",
]
