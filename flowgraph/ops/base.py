"""What an operation is: one class, and the families that write most of it.

An operation is a subclass of a family whose annotated fields are its attrs (static settings:
`axis: Axis = -1`), whose docstring is its documentation, and whose class attributes give its
formula, LaTeX, numpy form, torch form and sample operands. Nothing else in the package knows
a single operation by name except to build graphs from syntax: parser, checks, simulator,
emitters, docs and tests all read the declaration. Adding an operation touches one file.

Forms. `numpy` and `torch` are either an expression over operand and attr names, given as
text ("np.tanh(x)"), or a plain function; a function's source is pasted once, as a helper,
into emitted modules that use it, with every function of `flowgraph.ops` that it calls; where
the torch form needs another function of that name, it is called `name_torch` here. The numpy
form is also what the simulator runs. In a form, a keyword argument whose attr is None
or False is left out, `real` stands for the floating dtype of the module, and a variadic
operand `*xs` is written `*xs` or `xs[0]`. Every form must work on arrays with leading batch
axes: attrs that name axes count from the end once types are known (`canonical`).

Derivatives are written in graph nodes through `Value` and `fn`, so they have derivatives.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..graph import Graph
from ..mathnames import latex_word
from ..types import (
    BOOL,
    REAL,
    Dim,
    Elem,
    Mismatch,
    Shape,
    TensorType,
    Type,
    Unifier,
    promote,
)
from .declared import Attr, Declared, OpDefinitionError
from .interval import ANYTHING, Interval
from .rules import (
    axes_of,
    axis_of,
    broadcast,
    common_elem,
    conversion,
    known_shape,
    need_equal,
    need_rank,
    to_common,
)
from .sample import Arg, Sample, klass, real
from .value import OPS, Batching, Value, apply, beside, called, constant, converted, fn, items_of

if TYPE_CHECKING:
    from .table import Table

__all__ = [
    "ANYTHING",
    "OPS",
    "Arg",
    "Attr",
    "Batching",
    "BilinearMap",
    "Composite",
    "Elementwise",
    "Interval",
    "LinearMap",
    "NonDifferentiable",
    "Op",
    "OpDefinitionError",
    "Parameter",
    "Sample",
    "Value",
    "apply",
    "axes_of",
    "axis_of",
    "beside",
    "bind_operands",
    "broadcast",
    "called",
    "common_elem",
    "concrete",
    "constant",
    "conversion",
    "converted",
    "fn",
    "items_of",
    "klass",
    "known_shape",
    "need_equal",
    "need_rank",
    "real",
    "to_common",
]
"""What an operation's file needs: this module, `value`, `rules` and `sample` together."""


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
    """Operands that are the layer's own parameters and buffers, made by the call and not passed to it."""
    ambient: ClassVar[tuple[str, ...]] = ()
    """Operands that the call of an emitted function gives: `train` and, last of all, `key`."""
    couples: ClassVar[bool] = False
    """Whether in training it lets the examples of a batch act on each other."""
    draws: ClassVar[str] = ""
    """When it draws random numbers: "always", in "training", or never."""
    title: ClassVar[str] = ""
    """What draws them, in messages."""
    torch_draw: ClassVar[str] = ""
    """The function of PyTorch's that its torch form draws by."""
    attrs_first: ClassVar[bool] = False
    """Whether positional attrs come before the operands in a call, as in einsum."""
    formula: ClassVar[str] = ""
    """The mathematics in one line of plain text, for `flowc ops`."""
    latex: ClassVar[str] = ""
    """The mathematics in LaTeX, `{x}` standing for the operand or setting x, as `formula_read` reads it; the
    function of that name where a class says nothing."""
    latex_of_arrays: ClassVar[str] = ""
    """The same where no operand is a single number, if it is another."""
    called: ClassVar[str] = ""
    """The LaTeX of the function of its name."""
    unsaid: ClassVar[tuple[str, ...]] = ()
    """Settings that no formula needs to say: its parameters, or the shapes, show them."""
    numpy: ClassVar[Any] = None
    torch: ClassVar[Any] = None
    into: ClassVar[str | tuple[str, ...] | None] = None
    """The numpy form for an array that is there already, where `numpy` is no function, operator or
    reduction with `out=`: see `into_form`."""
    torch_module: ClassVar[str] = ""
    """What a PyTorch user puts into nn.Sequential ("nn.Tanh()"), if there is such a thing."""
    torch_along: ClassVar[Any] = None
    """Of a cell with a module, its torch form for a whole sequence: a function of the module, rows
    [N, T, D] and the first states, to all h [N, T, H] and the last states."""
    torch_call: ClassVar[str] = ""
    """How that module is called where not with the operands in order: "x, (h, c)" of nn.LSTMCell."""
    samples: ClassVar[Sequence[Sample]] = ()
    bad_samples: ClassVar[Sequence[Sample]] = ()
    differentiable: ClassVar[bool] = True
    is_view: ClassVar[bool] = False
    """Whether the result shares the operand's memory, so that writing it twice costs nothing."""
    shares: ClassVar[bool] = False
    """Whether numpy's result may lie in the memory of an operand, where it is no rearrangement."""
    example: ClassVar[str] = ""
    """A line of Flow that uses it; made from the signature where empty."""
    bounds: ClassVar[Interval] = ANYTHING
    """Between which numbers every entry of the result lies."""
    instead: ClassVar[str] = ""
    """Without a derivative: what to train with in its place, in words."""
    remedy: ClassVar[str] = ""
    """Where its value or its slope is no finite number for some operands: what to do about it, in words."""
    unmeant: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Of a loss: operations whose output it is hardly meant to be given; why, and the cure."""
    numbers_only: ClassVar[bool] = False
    """Of a loss: whether a class label is taken for a number, which is hardly meant."""

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if abstract:
            return
        cls.name = cls.__dict__.get("name") or _snake(cls.__name__)
        if cls.name in OPS:
            raise OpDefinitionError(f"operation {cls.name} is declared twice")
        if not (cls.__doc__ and cls.__dict__.get("__doc__")):
            raise OpDefinitionError(f"operation {cls.name} has no docstring")
        inherited = cls.called if "latex" not in cls.__dict__ else ""
        cls.called = _called(cls)
        cls.latex = cls.called if cls.latex in ("", inherited) else cls.latex
        OPS[cls.name] = cls

    def bindings(self) -> dict[str, Any]:
        """What a form may name besides the operands: the attrs, and what an operation adds.

        An operand hides an attr of the same name (`bias` of `linear`).
        """
        return self.values

    def tables(self, target: str, types: Sequence[Any]) -> Mapping[str, Table]:
        """What its form reads besides that is worked out once, by the name it has there."""
        return {}

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
        wanted = [REAL if t.elem.kind != "real" else None for t in types]
        if not self.ambient:
            return wanted
        names = zip(self.operands, wanted, strict=False)
        return [None if name in self.ambient else elem for name, elem in names]

    def canonical(self, types: Sequence[Any]) -> Op:
        """The same operation with attrs made explicit: axes from the end, sizes filled in."""
        return self

    def parameters(self, u: Unifier, *types: TensorType) -> list[Parameter]:
        """The parameters that a call of this layer makes, given its operands' types."""
        return []

    def needs(self, types: Sequence[Any]) -> Sequence[tuple[Dim, int, str]]:
        """Of the sizes of its operands: what must be at least which number, and what for, in words.

        Asked where types are known; what only data tell is required of them, as "T must be at least 3"
        and the words. That no size of its result is negative need not be said.
        """
        return []

    def drawn(self, key: Any, shape: tuple[int, ...]) -> Any:
        """The array that its numpy form draws from a key, in the place of what `torch_draw` gives."""
        raise OpDefinitionError(f"{self.name} draws nothing")

    def least_rows(self, types: Sequence[Any]) -> int:
        """How many examples a batch in training must have, given the operands' types per example."""
        return 0

    def kept(self, buffers: Mapping[int, Value], *xs: Value) -> Mapping[int, Value]:
        """What it makes of its buffers in training, by slot; given as they are by then."""
        return {}

    # -- formulas

    def notation(self, types: Sequence[Any]) -> str:
        """Its LaTeX for operands of these types."""
        arrays = self.latex_of_arrays and all(t.rank for t in types)
        return self.latex_of_arrays if arrays else self.latex

    def said(self, types: Sequence[Any]) -> dict[str, Any]:
        """The settings that a formula must say: those that are not the default.

        An axis is not worth a word where there is only one.
        """
        single = all(isinstance(t, TensorType) and t.rank <= 1 for t in types)
        return {
            a.name: getattr(self, a.name)
            for a in self.attrs
            if a.name not in self.unsaid and not (single and a.kind in ("Axis", "Axes"))
            if getattr(self, a.name) not in (a.default, None)
        }

    # -- for warnings

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        """Between which numbers the result lies, given the same of the operands."""
        return self.bounds

    def is_flat(self, low: float, high: float) -> bool:
        """Whether its derivative is 0 wherever its only operand lies between these."""
        return False

    # -- batching

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        """The operation over a leading batch axis.

        values: the operands, those with `b.has(v)` carrying the axis. types: the operands'
        types per example. The default serves every operation whose attrs count axes from the
        end: it gives the axis to all operands and applies the operation unchanged.
        """
        return b.apply(self, *(b.spread(v, t) for v, t in zip(values, types, strict=True)))

    # -- planned code

    def simpler(self, *xs: Value) -> Value | None:
        """The same value by operations that pass over their arrays once, for planned numpy code.

        None where there are none, or where it is such a one. A node with several results gives a
        `pack` of them. It is as accurate as the numpy form to rounding of its largest term, and
        finite where that is; no derivative is taken of it. What appears in a derivative rule is
        made in the same way here, so that both share it.
        """
        return None

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

    def into_form(self, types: Sequence[Any]) -> tuple[str, ...]:
        """The numpy form as calls, in order, that write the result into `out`; empty if there is none.

        They make no array of its size. `out` shares no memory with an operand. What lies in rows,
        one after the other, is `out`, and what an operand's `reshape` is asked of.
        """
        found = type(self).into
        return (found,) if isinstance(found, str) else found or ()

    def torch_layer(self, types: Sequence[Any]) -> str:
        """The constructor of the torch module that does this operation, or ""."""
        return self.torch_module

    def torch_layer_starts(self) -> bool:
        """Whether that constructor gives the parameters the initial values that `parameters` says."""
        return True

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        """The value by the numpy form in float64; sizes gives the symbolic ones."""
        form = self.form("numpy", types)
        known = {name: concrete(value, sizes) for name, value in self.bindings().items()}
        known |= {name: table.value for name, table in self.tables("numpy", types).items()}
        known |= bind_operands(self, arrays)
        if not isinstance(form, str):
            return form(**{n: known[n] for n in _arguments(form) if n in known})
        return _compiled(form, tuple(known), inspect.getmodule(type(self)))(**known)


@functools.cache
def _arguments(form: Callable[..., Any]) -> tuple[str, ...]:
    """What a form that is a function takes, by name."""
    return tuple(inspect.signature(form).parameters)


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


def _called(cls: type[Op]) -> str:
    """The LaTeX of a function that has no notation of its own."""
    given = [o.strip("*") for o in cls.operands if not o.endswith("?")]
    places = ", ".join(f"{{{o}}}" for o in given if o not in (*cls.params, *cls.ambient))
    return rf"\operatorname{{{{{latex_word(cls.name)[8:-1]}}}}}({places})"


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


@dataclass(frozen=True)
class Parameter:
    """A parameter that a layer makes: its name under the layer's, shape and initialiser.

    is_buffer: whether it is not trained, but kept up by the layer itself.
    """

    name: str
    shape: Shape
    init: Any
    is_buffer: bool = False


# ---------------------------------------------------------------------------------------
# Families


class Elementwise(Op, abstract=True):
    """Works on each entry by itself; operands broadcast. The author writes `partials`.

    takes: "real" converts integer operands; "number" keeps integers where all are; "any"
    brings all operands to one kind; "bool". gives: "same", "real" or "bool".
    """

    takes: ClassVar[str] = "real"
    gives: ClassVar[str] = "same"
    rising: ClassVar[bool] = False
    """Whether of one operand, and never falling as it grows."""

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        if self.takes == "bool" or all(t.elem.kind == "real" for t in types):
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
                blame=[(slot, f"is {types[slot].elem}")],
                help="compare first: `x > 0`",
                code="E0303",
            )
        shape = broadcast(u, self, types)
        if "bool" in (self.gives, self.takes):
            return TensorType(BOOL, shape)
        if "real" in (self.gives, self.takes):
            return TensorType(REAL, shape)
        elems = [t.elem for t in types]
        elem = common_elem(elems) if self.takes == "any" else promote(elems)
        same = (t for t in types if t.shape is shape and t.elem is elem)
        return next(same, None) or TensorType(elem, shape)

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        rank = max(t.rank for t in types)
        return b.apply(self, *(b.align(v, t, rank) for v, t in zip(values, types, strict=True)))

    def interval(self, given: Sequence[Interval], types: Sequence[Any]) -> Interval:
        if not self.rising:
            return self.bounds
        with np.errstate(all="ignore"):
            low, high = (float(self.evaluate([np.float64(end)], types, {})) for end in given[0])
        return (self.bounds[0] if np.isnan(low) else low), (self.bounds[1] if np.isnan(high) else high)

    def partials(self, y: Value, *xs: Value) -> list[Value | float | None]:
        """The derivative of the result with respect to each operand, entry by entry."""
        raise OpDefinitionError(f"{self.name} declares no partials")

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        total: Value | None = None
        for partial, tangent in zip(self.partials(y, *xs), tangents, strict=True):
            if partial is not None and tangent is not None:
                term = scaled(tangent, partial)
                total = term if total is None else total + term
        if total is None or total.shape == y.shape:
            return total
        return fn.expand(total, shape=y.shape)

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [None if p is None else scaled(cotangent, p) for p in self.partials(y, *xs)]


def scaled(value: Value, factor: Value | float) -> Value:
    """A derivative times a partial; no operation for the number 1, a sign change for -1.

    What `where` has set to 0 stays 0, whatever the partial is there: `where(c, v, 0) * p` is
    made `where(c, v * p, 0)`. So the gradient of `where(x > 0, log(x), 0)` at x = 0 is 0, where
    0 times 1/0 would not be a number.
    """
    if not isinstance(factor, Value) and factor == 1:
        return value
    chosen = _chosen(value)
    if chosen is not None:
        condition, *branches = chosen
        return fn.where(condition, *(0.0 if b is None else scaled(b, factor) for b in branches))
    return value * factor if isinstance(factor, Value) or factor != -1 else -value


def _chosen(value: Value) -> tuple[Value, Value | None, Value | None] | None:
    """Condition and branches of a `where` with a literal 0, which stands as None."""
    graph = value.builder.graph
    node = graph[value.name]
    if node.op.name != "where":
        return None
    zeros = [graph[o].op.name == "const" and graph[o].op.value == 0.0 for o in node.operands[1:]]
    if not any(zeros):
        return None
    condition, a, b = (Value(value.builder, o) for o in node.operands)
    return condition, None if zeros[0] else a, None if zeros[1] else b


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

    def simpler(self, *xs: Value) -> Value | None:
        return self.expand(*xs)


class NonDifferentiable(Op, abstract=True):
    """Piecewise constant, or of whole numbers: its derivative is nothing."""

    differentiable = False

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        return None

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [None for _ in xs]
