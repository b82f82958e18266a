"""What an operation is: one class, and the families that write most of it.

An operation is a subclass of a family whose annotated fields are its attrs (static settings:
`axis: Axis = -1`), whose docstring is its documentation, and whose class attributes give its
formula, LaTeX, numpy form, torch form and sample operands. Nothing else in the package knows
a single operation by name except to build graphs from syntax: parser, checks, simulator,
emitters, docs and tests all read the declaration. Adding an operation touches one file.

Forms. `numpy` and `torch` are either an expression over operand and attr names, given as
text ("np.tanh(x)"), or a plain function; a function's source is pasted once, as a helper,
into emitted modules that use it, with every function of the same file that it calls. The
numpy form is also what the simulator runs. In a form, a keyword argument whose attr is None
or False is left out, `real` stands for the floating dtype of the module, and a variadic
operand `*xs` is written `*xs` or `xs[0]`. Every form must work on arrays with leading batch
axes: attrs that name axes count from the end once types are known (`canonical`).

Derivatives are written in graph nodes through `Value` and `fn`, so they have derivatives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..graph import Builder, Graph
from ..types import (
    BOOL,
    RANK,
    REAL,
    Dim,
    Elem,
    Mismatch,
    Shape,
    TensorType,
    Type,
    Unifier,
    Unknown,
    describe,
    promote,
    shape_text,
)
from .declared import Attr as Attr
from .declared import Declared, OpDefinitionError

OPS: dict[str, type[Op]] = {}
"""Every operation by name, in order of declaration."""


class Op(Declared):
    """An operation with its attrs; immutable, equal to another of the same class and attrs.

    Attr kinds: float, int, bool, str, Axis (one axis), Axes (None, one or several), Size,
    Shape (sizes, -1 allowed where the operation says so), Ints, Any.
    """

    group: ClassVar[str] = ""
    """The chapter of `flowc ops` it stands in; empty for operations users cannot call."""
    operands: ClassVar[tuple[str, ...]] = ("x",)
    """Operand names; a last `*xs` takes any number (at least one), `name?` may be left out."""
    params: ClassVar[tuple[str, ...]] = ()
    """Operands that are the layer's own parameters, made by the call and not passed to it."""
    attrs_first: ClassVar[bool] = False
    """Whether positional attrs come before the operands in a call, as in einsum."""
    formula: ClassVar[str] = ""
    """The mathematics in one line of plain text, for `flowc ops`."""
    latex: ClassVar[str] = ""
    numpy: ClassVar[Any] = None
    torch: ClassVar[Any] = None
    torch_module: ClassVar[str] = ""
    """What a PyTorch user puts into nn.Sequential ("nn.Tanh()"), if there is such a thing."""
    samples: ClassVar[Sequence[Sample]] = ()
    bad_samples: ClassVar[Sequence[Sample]] = ()
    differentiable: ClassVar[bool] = True
    example: ClassVar[str] = ""
    """A line of Flow that uses it; made from the signature where empty."""

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if abstract:
            return
        cls.name = cls.__dict__.get("name") or _snake(cls.__name__)
        if cls.name in OPS:
            raise OpDefinitionError(f"operation {cls.name} is declared twice")
        if not (cls.__doc__ and cls.__dict__.get("__doc__")):
            raise OpDefinitionError(f"operation {cls.name} has no docstring")
        OPS[cls.name] = cls

    def bindings(self) -> dict[str, Any]:
        """What a form may name besides the operands: the attrs, and what an operation adds.

        An operand hides an attr of the same name (`bias` of `linear`).
        """
        return self.values

    # -- operands

    @classmethod
    def required(cls) -> int:
        """The least number of operands."""
        return sum(1 for o in cls.operands if not o.endswith("?"))

    @classmethod
    def variadic(cls) -> bool:
        return bool(cls.operands) and cls.operands[-1].startswith("*")

    def accepts(self, count: int) -> bool:
        return count >= self.required() and (self.variadic() or count <= len(self.operands))

    def subgraphs(self) -> Sequence[Graph]:
        """The closed graphs it holds."""
        return ()

    def with_subgraphs(self, graphs: Sequence[Graph]) -> Op:
        """The same operation holding other graphs."""
        return self

    # -- types

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        """The type of the result. Raises Mismatch, or NotYetKnown if asked too early."""
        raise OpDefinitionError(f"{self.name} has no shape rule")

    def result_type(self, types: Sequence[Any]) -> Type:
        u = Unifier()
        return u.type(self.rule(u, *types))

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        """The element type each operand is converted to first; None leaves it as it is."""
        return [REAL if t.elem.kind != "real" else None for t in types]

    def canonical(self, types: Sequence[Any]) -> Op:
        """The same operation with attrs made explicit: axes from the end, sizes filled in."""
        return self

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        """The parameters that a call of this layer makes, given its operands' types."""
        return []

    # -- batching

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        """The operation over a leading batch axis.

        values: the operands, those with `b.has(v)` carrying the axis. types: the operands'
        types per example. The default serves every operation whose attrs count axes from the
        end: it gives the axis to all operands and applies the operation unchanged.
        """
        return b.apply(self, *(b.spread(v, t) for v, t in zip(values, types, strict=True)))

    # -- derivatives

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        """The tangent of the result; a tangent that is None is zero."""
        raise OpDefinitionError(f"{self.name} declares no derivative")

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        """The cotangent of each operand (not yet summed over broadcast axes)."""
        raise OpDefinitionError(f"{self.name} declares no derivative")

    # -- forms

    def form(self, target: str, types: Sequence[Any]) -> str | Callable[..., Any]:
        """The form for "numpy" or "torch", given the operands' types."""
        found = getattr(type(self), target)
        if found is None:
            raise OpDefinitionError(f"{self.name} has no {target} form")
        return found

    def torch_layer(self, types: Sequence[Any]) -> str:
        """The constructor of the torch module that does this operation, or ""."""
        return self.torch_module

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        """The value by the numpy form in float64; sizes gives the symbolic ones."""
        form = self.form("numpy", types)
        known = {name: concrete(value, sizes) for name, value in self.bindings().items()}
        known |= bind_operands(self, arrays)
        if not isinstance(form, str):
            names = inspect.signature(form).parameters
            return form(**{n: known[n] for n in names if n in known})
        return _compiled(form, tuple(known), inspect.getmodule(type(self)))(**known)


def bind_operands(op: Op, values: Sequence[Any]) -> dict[str, Any]:
    """Operand names to values; a variadic operand gets the list of the rest."""
    bound: dict[str, Any] = {}
    for slot, operand in enumerate(op.operands):
        if operand.startswith("*"):
            bound[operand[1:]] = list(values[slot:])
        elif slot < len(values):
            bound[operand.rstrip("?")] = values[slot]
    return bound


_CODE: dict[tuple[Any, ...], Callable[..., Any]] = {}


def _compiled(form: str, names: tuple[str, ...], module: Any) -> Callable[..., Any]:
    """A form's text (ours, never the user's) as a function of operands and attrs."""
    key = (form, names, module.__name__)
    if key not in _CODE:
        scope = {**vars(module), "np": np, "real": np.float64}
        _CODE[key] = eval(f"lambda {', '.join(names)}: {form}", scope)
    return _CODE[key]


def concrete(value: Any, sizes: Mapping[str, int]) -> Any:
    """An attr with every size a number."""
    if isinstance(value, Dim):
        return value.at(sizes)
    if isinstance(value, tuple):
        return tuple(concrete(v, sizes) for v in value)
    return value


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


@dataclass(frozen=True)
class Parameter:
    """A parameter that a layer makes: its name under the layer's, shape and initialiser."""

    name: str
    shape: Shape
    init: Any


# ---------------------------------------------------------------------------------------
# Samples for tests and documentation


@dataclass(frozen=True)
class Arg:
    """A sample operand: a shape and where its entries are drawn from.

    kind: "real", "int", "bool" or "class". avoid: points (kinks, poles) that entries keep a
    distance of 0.05 from. distinct: no two entries closer than 0.05 (for max and the like).
    """

    shape: tuple[int, ...] = ()
    low: float = -2.0
    high: float = 2.0
    kind: str = "real"
    classes: int = 0
    avoid: tuple[float, ...] = ()
    distinct: bool = False

    @property
    def type(self) -> TensorType:
        elem = Elem(self.kind, Dim.of(self.classes)) if self.kind == "class" else Elem(self.kind)
        return TensorType(elem, tuple(Dim.of(n) for n in self.shape))

    def draw(self, rng: np.random.Generator, lead: tuple[int, ...] = ()) -> np.ndarray:
        """An array of this shape after the leading axes."""
        shape = (*lead, *self.shape)
        if self.kind == "bool":
            return rng.integers(0, 2, shape).astype(bool)
        if self.kind == "class":
            return rng.integers(0, self.classes, shape)
        if self.kind == "int":
            return rng.integers(int(self.low), int(self.high) + 1, shape)
        if self.distinct:
            count = int(np.prod(shape))
            grid = np.linspace(self.low, self.high, max(count, 2))[:count]
            return rng.permutation(grid).reshape(shape)
        out = rng.uniform(self.low, self.high, shape)
        for point in self.avoid:
            near = np.abs(out - point) < 0.05
            out = np.where(near, point + np.where(out >= point, 0.1, -0.1), out)
        return out


def real(*shape: int, **where: Any) -> Arg:
    """A real operand of this shape."""
    return Arg(shape, **where)


def klass(count: int, *shape: int) -> Arg:
    """A class(count) operand."""
    return Arg(shape, kind="class", classes=count)


class Sample:
    """Operands and attrs on which an operation is tested, and with which it is documented."""

    def __init__(self, *args: Arg, **attrs: Any) -> None:
        self.args = args
        self.attrs = attrs

    def __repr__(self) -> str:
        return (
            f"Sample({', '.join([*map(str, (a.shape for a in self.args)), *map(str, self.attrs.items())])})"
        )


# ---------------------------------------------------------------------------------------
# Values: graph nodes with operators, for rules that build nodes


class Value:
    """A node under construction; operators and `fn` build further nodes of the same graph."""

    __slots__ = ("builder", "name")

    def __init__(self, builder: Builder, name: str) -> None:
        self.builder = builder
        self.name = name

    @property
    def type(self) -> TensorType:
        return self.builder.graph[self.name].type

    @property
    def shape(self) -> Shape:
        return self.type.shape

    def __add__(self, other: Any) -> Value:
        return fn.add(self, other)

    def __radd__(self, other: Any) -> Value:
        return fn.add(other, self)

    def __sub__(self, other: Any) -> Value:
        return fn.sub(self, other)

    def __rsub__(self, other: Any) -> Value:
        return fn.sub(other, self)

    def __mul__(self, other: Any) -> Value:
        return fn.mul(self, other)

    def __rmul__(self, other: Any) -> Value:
        return fn.mul(other, self)

    def __truediv__(self, other: Any) -> Value:
        return fn.div(self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return fn.div(other, self)

    def __pow__(self, other: Any) -> Value:
        return fn.pow(self, other)

    def __neg__(self) -> Value:
        return fn.neg(self)

    def __matmul__(self, other: Any) -> Value:
        return fn.matmul(self, other)

    def __lt__(self, other: Any) -> Value:
        return fn.less(self, other)

    def __le__(self, other: Any) -> Value:
        return fn.less_equal(self, other)

    def __gt__(self, other: Any) -> Value:
        return fn.less(other, self)

    def __ge__(self, other: Any) -> Value:
        return fn.less_equal(other, self)


def apply(op: Op, *operands: Any) -> Value:
    """An operation applied to values and numbers, at least one of them a Value."""
    builder = next(v.builder for v in operands if isinstance(v, Value))
    values = [v if isinstance(v, Value) else constant(builder, v) for v in operands]
    types = [v.type for v in values]
    for slot, elem in enumerate(op.wants(types)):
        if elem is not None and values[slot].type.elem.kind != elem.kind:
            values[slot] = converted(values[slot], elem)
    op = op.canonical([v.type for v in values])
    return Value(builder, builder.apply(op, [v.name for v in values]))


def beside(value: Value, op: Op) -> Value:
    """An operation without operands, as a node of the same graph as a value."""
    return Value(value.builder, value.builder.apply(op, ()))


def converted(value: Value, elem: Elem) -> Value:
    """The value with another element type; a literal simply changes its own."""
    node = value.builder.graph[value.name]
    if hasattr(node.op, "as_kind"):
        return Value(value.builder, value.builder.apply(node.op.as_kind(elem.kind), ()))
    return apply(OPS["cast"](kind=elem.kind), value)


def constant(builder: Builder, value: Any) -> Value:
    """A literal as a value."""
    return Value(builder, builder.apply(OPS["const"](value=value), ()))


class _Functions:
    """`fn.exp(x)`, `fn.sum(x, axis=0)`: any operation as a function of Values."""

    def __getattr__(self, name: str) -> Callable[..., Value]:
        cls = OPS[name]

        def call(*operands: Any, **attrs: Any) -> Value:
            return apply(cls(**attrs), *operands)

        return call


fn = _Functions()


class Batching:
    """What the batch pass offers to `Op.batch`: which values carry the batch axis, and its size."""

    def __init__(self, size: Dim, has: Callable[[str], bool]) -> None:
        self.size = size
        self._has = has
        self._made: set[str] = set()

    def has(self, value: Value) -> bool:
        return value.name in self._made or self._has(value.name)

    def mark(self, value: Value) -> Value:
        """Note that a value made here carries the axis."""
        self._made.add(value.name)
        return value

    def apply(self, op: Op, *values: Any) -> Value:
        return self.mark(apply(op, *values))

    def inline(self, op: Op, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        """A composite's expansion for one example, every operation in it batched by itself."""
        scratch = Builder(Graph("expansion"))
        inputs = [Value(scratch, scratch.apply(OPS["input"](type=t), ())) for t in types]
        result = op.expand(*inputs)  # type: ignore[attr-defined]
        made = dict(zip((v.name for v in inputs), values, strict=True))
        outer = values[0].builder
        for node in scratch.graph:
            if node.name in made:
                continue
            operands = [made[name] for name in node.operands]
            if any(self.has(v) for v in operands):
                inner = [scratch.graph[name].type for name in node.operands]
                made[node.name] = node.op.batch(self, operands, inner)
            else:
                made[node.name] = Value(outer, outer.apply(node.op, [v.name for v in operands]))
        return made[result.name]

    def spread(self, value: Value, type: TensorType) -> Value:
        """The value with the batch axis, repeated for every example if it had none."""
        if self.has(value):
            return value
        return self.mark(fn.expand(value, shape=(self.size, *type.shape)))

    def align(self, value: Value, type: TensorType, rank: int) -> Value:
        """A value whose axes per example are made `rank` many by axes of size 1 in front."""
        missing = rank - type.rank
        if missing <= 0 or not self.has(value) or not rank:
            return value
        return self.mark(fn.unsqueeze(value, axis=tuple(range(-rank, -type.rank))))


# ---------------------------------------------------------------------------------------
# Families


class Elementwise(Op, abstract=True):
    """Works on each entry by itself; operands broadcast. The author writes `partials`.

    takes: "real" converts integer operands; "number" keeps integers where all are; "any"
    brings all operands to one kind; "bool". gives: "same", "real" or "bool".
    """

    takes: ClassVar[str] = "real"
    gives: ClassVar[str] = "same"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        if self.takes == "bool":
            return [None for _ in types]
        if self.takes == "any":
            return to_common(types)
        common = REAL if self.takes == "real" else promote(t.elem for t in types)
        return [conversion(t.elem, common) for t in types]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        kinds = [t.elem.kind for t in types]
        if self.takes == "bool" and any(k != "bool" for k in kinds):
            slot = next(i for i, k in enumerate(kinds) if k != "bool")
            raise Mismatch(
                f"`{self.name}` needs true or false",
                blame=[(slot, f"this is {types[slot].elem}")],
                help="compare first: `x > 0`",
                code="E0303",
            )
        shape = broadcast(u, self, types)
        if "bool" in (self.gives, self.takes):
            return TensorType(BOOL, shape)
        if "real" in (self.gives, self.takes):
            return TensorType(REAL, shape)
        elems = [t.elem for t in types]
        return TensorType(common_elem(elems) if self.takes == "any" else promote(elems), shape)

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        rank = max(t.rank for t in types)
        return b.apply(self, *(b.align(v, t, rank) for v, t in zip(values, types, strict=True)))

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        """The derivative of the result with respect to each operand, entry by entry."""
        raise OpDefinitionError(f"{self.name} declares no partials")

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        total: Value | None = None
        for partial, tangent in zip(self.partials(y, *xs), tangents, strict=True):
            if partial is not None and tangent is not None:
                term = tangent * partial
                total = term if total is None else total + term
        return total

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [None if p is None else cotangent * p for p in self.partials(y, *xs)]


class LinearMap(Op, abstract=True):
    """Linear in all operands together. The author writes `rule` and `transpose`."""

    def transpose(self, cotangent: Value, *xs: Value) -> list[Value | None]:
        """The transposed map; of `xs` only the types may be used."""
        raise OpDefinitionError(f"{self.name} declares no transpose")

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        filled = [fn.zeros_like(x) if t is None else t for t, x in zip(tangents, xs, strict=True)]
        return apply(self, *filled)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return self.transpose(cotangent, *xs)


class BilinearMap(Op, abstract=True):
    """Linear in each of two operands. The author writes `rule` and `transposes`."""

    operands = ("a", "b")

    def transposes(self, cotangent: Value, a: Value, b: Value) -> list[Value | None]:
        """The cotangent through the first slot (a function of b) and the second (of a)."""
        raise OpDefinitionError(f"{self.name} declares no transposes")

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        (da, db), (a, b) = tangents, xs
        left = None if da is None else apply(self, da, b)
        right = None if db is None else apply(self, a, db)
        return left + right if left is not None and right is not None else left or right

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return self.transposes(cotangent, *xs)


class Composite(Op, abstract=True):
    """Made of smaller operations. The author writes `rule` and `expand`; derivatives follow.

    The numpy form may be given for readability or stability; a test holds it against the
    expansion.
    """

    def expand(self, *xs: Value) -> Value:
        """The same value by smaller operations."""
        raise OpDefinitionError(f"{self.name} declares no expansion")


class NonDifferentiable(Op, abstract=True):
    """Piecewise constant, or of whole numbers: its derivative is nothing."""

    differentiable = False

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [None for _ in xs]


# ---------------------------------------------------------------------------------------
# Pieces of type rules


def conversion(elem: Elem, wanted: Elem) -> Elem | None:
    """What an operand must be converted to; None where nothing, a label being a whole number."""
    return None if RANK[elem.kind] == RANK[wanted.kind] else wanted


def to_common(types: Sequence[TensorType]) -> list[Elem | None]:
    """What each operand must be converted to for all to have one kind, whichever it is."""
    if len({RANK[t.elem.kind] for t in types}) == 1:
        return [None for _ in types]
    common = promote(t.elem for t in types)
    return [conversion(t.elem, common) for t in types]


def common_elem(elems: Sequence[Elem]) -> Elem:
    """The element type of an array that holds entries of all these."""
    return elems[0] if all(e == elems[0] for e in elems) else promote(elems)


def broadcast(u: Unifier, op: Op, types: Sequence[TensorType]) -> Shape:
    """The common shape of operands that broadcast. Raises Mismatch naming two that do not."""
    if not any(t.shape for t in types):
        return ()
    try:
        return u.broadcast([t.shape for t in types])
    except Mismatch as error:
        raise _broadcast_conflict(u, op, types, error) from None


def _broadcast_conflict(u: Unifier, op: Op, types: Sequence[TensorType], error: Mismatch) -> Mismatch:
    """Name the first two operands whose shapes do not go together."""
    for j in range(len(types)):
        for i in range(j):
            a, b = u.shape(types[i].shape), u.shape(types[j].shape)
            for x, y in zip(reversed(a), reversed(b), strict=False):
                if x != y and 1 not in (x, y) and not isinstance(x, Unknown) and not isinstance(y, Unknown):
                    return Mismatch(
                        "shapes do not agree",
                        blame=[(i, f"is {shape_text(a)}"), (j, f"is {shape_text(b)}")],
                        help=f"compared from the last axis on: {x} and {y} must be equal, or one of them 1",
                        sizes=(x, y),
                    )
    return Mismatch("shapes do not agree", help=error.message, sizes=error.sizes)


def axis_of(op: Op, axis: int, rank: int, *, slot: int = 0) -> int:
    """The axis counted from the end. Raises Mismatch (E0304)."""
    if not -rank <= axis < rank:
        has = f"has {rank} {'axis' if rank == 1 else 'axes'}" if rank else "is a single number"
        cure = f"axes go from {-rank} to {rank - 1}" if rank else "a single number has no axes"
        raise Mismatch(
            f"`{op.name}` has no axis {axis} to work on",
            blame=[(slot, has)],
            help=cure,
            code="E0304",
        )
    return axis - rank if axis >= 0 else axis


def axes_of(op: Op, axes: Any, rank: int) -> tuple[int, ...]:
    """Axes counted from the end, in order, all of them for None. Raises Mismatch (E0304)."""
    if axes is None:
        return tuple(range(-rank, 0))
    given = (axes,) if isinstance(axes, int) else tuple(axes)
    found = [axis_of(op, a, rank) for a in given]
    if len(set(found)) != len(found):
        raise Mismatch(f"`{op.name}` names an axis twice", code="E0304", help="give each axis once")
    return tuple(sorted(found))


def need_rank(op: Op, type: TensorType, rank: int, slot: int = 0) -> None:
    """Raise Mismatch unless the operand has this number of axes."""
    if type.rank != rank:
        what = {0: "a single number", 1: "a vector", 2: "a matrix"}.get(rank, f"an array with {rank} axes")
        cure = (
            "`flatten(x)` makes it a vector, `x[0]` takes its first row"
            if type.rank
            else "`[x]` makes it a vector"
        )
        raise Mismatch(f"`{op.name}` needs {what}", blame=[(slot, f"is {describe(type)}")], help=cure)


def need_equal(op: Op, u: Unifier, a: Any, b: Any, *, blame: Sequence[tuple[int, str]], help: str) -> Any:
    """Unify two sizes, or raise Mismatch with these words."""
    try:
        return u.unify(a, b)
    except Mismatch as error:
        raise Mismatch("shapes do not agree", blame=blame, help=help, sizes=error.sizes) from None


def known_shape(u: Unifier, shape: Shape) -> tuple[Dim, ...]:
    """The shape with every size known. Raises NotYetKnown."""
    return tuple(u.known(d) for d in shape)
