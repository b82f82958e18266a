"""Sizes, element types and tensor types, and the unification that infers them.

Assumes nothing of graphs or operations. Promises that a size keeps the place it came from
(`origin`), which takes no part in equality, so that an error can say where each of two
conflicting sizes was fixed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from .errors import Span

MAX_ELEMENTS = 10**9
"""Arrays of a diagram may have at most this many elements per example."""
MAX_RANK = 32
"""How many axes an array may have per example; numpy has room for 64."""


class Origin(NamedTuple):
    """Where a size was fixed: in words (`size D = 784`), and in the source."""

    text: str
    span: Span | None


class Dim:
    """A size: a polynomial over symbolic sizes with whole coefficients, such as 784 or 2*T + 1.

    Immutable; equality and hash ignore `origin`.
    """

    __slots__ = ("origin", "terms")
    terms: tuple[tuple[tuple[str, ...], int], ...]
    origin: Origin | None

    def __init__(self, terms: Iterable[tuple[tuple[str, ...], int]], origin: Origin | None = None) -> None:
        self.terms = tuple(sorted(t for t in terms if t[1]))
        self.origin = origin

    @staticmethod
    def of(value: int | Dim, origin: Origin | None = None) -> Dim:
        """The size that a whole number stands for."""
        if isinstance(value, Dim):
            return value if origin is None else Dim(value.terms, origin)
        return Dim([((), int(value))], origin)

    @staticmethod
    def symbol(name: str, origin: Origin | None = None) -> Dim:
        """A size known only when data arrive."""
        return Dim([((name,), 1)], origin)

    @property
    def value(self) -> int | None:
        """The number if it is known, else None."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            return self.terms[0][1]
        return None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbolic sizes it depends on, in order of name."""
        return tuple(sorted({name for mono, _ in self.terms for name in mono}))

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value with the symbolic sizes given."""
        total = 0
        for mono, factor in self.terms:
            for name in mono:
                factor *= sizes[name]
            total += factor
        return total

    def with_origin(self, origin: Origin | None) -> Dim:
        return Dim(self.terms, origin)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return self.value == other
        return isinstance(other, Dim) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.terms)

    def __add__(self, other: Dim | int) -> Dim:
        total = dict(self.terms)
        for mono, factor in Dim.of(other).terms:
            total[mono] = total.get(mono, 0) + factor
        return Dim(total.items())

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return Dim((mono, -factor) for mono, factor in self.terms)

    def __sub__(self, other: Dim | int) -> Dim:
        return self + -Dim.of(other)

    def __rsub__(self, other: Dim | int) -> Dim:
        return Dim.of(other) - self

    def __mul__(self, other: Dim | int) -> Dim:
        total: dict[tuple[str, ...], int] = {}
        for mono_a, a in self.terms:
            for mono_b, b in Dim.of(other).terms:
                mono = tuple(sorted(mono_a + mono_b))
                total[mono] = total.get(mono, 0) + a * b
        return Dim(total.items())

    __rmul__ = __mul__

    def divide(self, other: Dim | int) -> Dim | None:
        """The exact quotient, or None where it does not come out whole."""
        by = Dim.of(other)
        if len(by.terms) != 1:
            return Dim.of(1) if self == by else None
        mono_b, b = by.terms[0]
        out = []
        for mono, a in self.terms:
            rest = list(mono)
            for name in mono_b:
                if name not in rest:
                    return None
                rest.remove(name)
            if a % b:
                return None
            out.append((tuple(rest), a // b))
        return Dim(out)

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        parts = []
        for mono, factor in sorted(self.terms, key=lambda t: (-len(t[0]), t[0])):
            names = "*".join(mono)
            parts.append(str(factor) if not mono else names if factor == 1 else f"{factor}*{names}")
        return " + ".join(parts).replace("+ -", "- ")

    __repr__ = __str__


class Unknown:
    """A size that is to be inferred (`_`, or the width of an undeclared weight)."""

    __slots__ = ("number", "origin")
    _count = 0

    def __init__(self, origin: Origin | None = None) -> None:
        Unknown._count += 1
        self.number = Unknown._count
        self.origin = origin

    value = None

    def __str__(self) -> str:
        return "_"

    __repr__ = __str__


ONE = Dim.of(1)

Size: TypeAlias = Dim | Unknown
Shape: TypeAlias = tuple[Size, ...]

# ---------------------------------------------------------------------------------------
# Element types and tensor types


@dataclass(frozen=True, slots=True)
class Elem:
    """real, int, bool, or class(K): a whole number 0..K-1, perhaps with names for the classes.

    And key, which no user sees: what the random draws of one call are made from.
    """

    kind: str
    classes: Size | None = None
    names: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"class({self.classes})" if self.kind == "class" else self.kind


REAL, INT, BOOL, KEY = Elem("real"), Elem("int"), Elem("bool"), Elem("key")
RANK = {"bool": 0, "class": 1, "int": 1, "real": 2}


def promote(elems: Iterable[Elem]) -> Elem:
    """The kind of a sum of such values: bool counts as int, class as int, and real wins."""
    return REAL if any(e.kind == "real" for e in elems) else INT


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and shape of a value; a single number has the empty shape."""

    elem: Elem
    shape: Shape = ()

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.elem}{shape_text(self.shape)}" if self.shape else str(self.elem)


@dataclass(frozen=True, slots=True)
class TupleType:
    """The type of a node with several results; `item` nodes take them apart."""

    items: tuple[TensorType, ...]

    def __str__(self) -> str:
        return f"({', '.join(str(t) for t in self.items)})"


Type: TypeAlias = TensorType | TupleType


def shape_text(shape: Sequence[Size]) -> str:
    """`[3, T]`, as users write shapes; `a single number` is the caller's word for `[]`."""
    return "[" + ", ".join(str(d) for d in shape) + "]"


def describe(type: Type) -> str:
    """A type in words for a message: `[3, 4]`, `a single number`, `class(3)`."""
    if isinstance(type, TupleType):
        return f"{len(type.items)} values"
    if not type.shape:
        return "a single number" if type.elem.kind == "real" else f"a single {type.elem}"
    return shape_text(type.shape) if type.elem.kind == "real" else f"{type.elem}{shape_text(type.shape)}"


def element_count(shape: Sequence[Size]) -> int:
    """How many elements such an array has, symbolic sizes counted as 1 (in Python integers)."""
    total = 1
    for size in shape:
        total *= 1 if size.value is None else size.value
    return total


# ---------------------------------------------------------------------------------------
# Unification


class Mismatch(Exception):
    """Two sizes, or an operand and a rule, do not agree.

    `blame` pairs an operand's position with what is to be said of it.
    """

    def __init__(
        self,
        message: str,
        *,
        blame: Sequence[tuple[int, str]] = (),
        help: str = "",
        code: str = "E0310",
        sizes: Sequence[Size] = (),
    ) -> None:
        self.message, self.blame, self.help, self.code = message, tuple(blame), help, code
        self.sizes = tuple(sizes)
        super().__init__(message)


class NotYetKnown(Exception):
    """A rule needs a size that is still unknown; it is tried again when more is known."""

    def __init__(self, size: Unknown) -> None:
        self.size = size
        super().__init__("size not yet known")


class Unifier:
    """What is known of the unknown sizes so far. Each `Unknown` is bound at most once."""

    def __init__(self) -> None:
        self.bound: dict[Unknown, Size] = {}

    def resolve(self, size: Size) -> Size:
        """The size itself, or what an unknown turned out to be."""
        while isinstance(size, Unknown) and size in self.bound:
            size = self.bound[size]
        return size

    def known(self, size: Size) -> Dim:
        """The size as a `Dim`. Raises NotYetKnown."""
        found = self.resolve(size)
        if isinstance(found, Unknown):
            raise NotYetKnown(found)
        return found

    def shape(self, shape: Shape) -> Shape:
        return tuple(self.resolve(d) for d in shape) if shape else shape

    def type(self, type: Type) -> Type:
        """The type with everything known filled in."""
        if not self.bound:
            return type
        if isinstance(type, TupleType):
            return TupleType(tuple(self.tensor(t) for t in type.items))
        return self.tensor(type)

    def tensor(self, type: TensorType) -> TensorType:
        elem = type.elem
        if isinstance(elem.classes, Unknown):
            elem = Elem("class", self.resolve(elem.classes), elem.names)
        if not type.shape and elem is type.elem:
            return type
        return TensorType(elem, self.shape(type.shape))

    def unify(self, a: Size, b: Size) -> Size:
        """Make two sizes one. Raises Mismatch where both are known and differ."""
        a, b = self.resolve(a), self.resolve(b)
        if a is b:
            return a
        if isinstance(a, Unknown):
            self.bound[a] = b
            return b
        if isinstance(b, Unknown):
            self.bound[b] = a
            return a
        if a == b:
            return a if a.origin else b
        raise Mismatch(f"{a} is not {b}", sizes=(a, b))

    def broadcast(self, shapes: Sequence[Shape]) -> Shape:
        """NumPy's rule: aligned at the last axis, 1 goes with anything.

        An unknown size is taken to be the other's. Raises Mismatch.
        """
        first = next((s for s in shapes if s), ())
        if not self.bound and all(s is first or not s for s in shapes):
            return first
        out: list[Size] = []
        for axis in range(-max(map(len, shapes), default=0), 0):
            size: Size = ONE
            for shape in shapes:
                if len(shape) < -axis:
                    continue
                other = self.resolve(shape[axis])
                if size == 1:
                    size = other
                elif other != 1:
                    size = self.unify(size, other)
            out.append(size)
        return tuple(out)
