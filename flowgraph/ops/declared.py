"""Things declared as a class whose annotated fields are its static settings.

Operations, initialisers, optimisers and schedules are all such: immutable values, equal to
another of the same class and settings, with a signature that calls are bound to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

# The kinds of attrs that are not Python's own. An attr's annotation is read as text.
Axis: TypeAlias = Any
"""One axis: a whole number, or None where the operation says so."""
Axes: TypeAlias = Any
"""None, a whole number, or a tuple of them."""
Ints: TypeAlias = Any
"""A tuple of whole numbers."""
PerAxis: TypeAlias = Any
"""A whole number, or a tuple with one for each axis that a window slides along."""
Padding: TypeAlias = Any
"""The same, "same" or "valid"; a pair for an axis with more after it than before."""
Size: TypeAlias = Any
"""A Dim, or a whole number."""
Shape: TypeAlias = Any
"""A tuple of sizes; -1 where the operation gives it a meaning."""


class OpDefinitionError(Exception):
    """Something is declared wrongly: its author's mistake, found at import."""


@dataclass(frozen=True)
class Attr:
    """One static setting; kind is the annotation's text."""

    name: str
    kind: str
    default: Any = ...

    @property
    def required(self) -> bool:
        return self.default is ...


class Declared:
    """A class of values with attrs; subclasses annotate their fields."""

    name: ClassVar[str] = ""
    attrs: ClassVar[tuple[Attr, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = [
            Attr(name, kind, cls.__dict__.get(name, ...))
            for name, kind in cls.__dict__.get("__annotations__", {}).items()
            if not kind.startswith("ClassVar")
        ]
        table: dict[str, Attr] = {}
        for base in reversed(cls.__mro__[1:]):
            table |= {a.name: a for a in base.__dict__.get("attrs", ())}
        table |= {a.name: a for a in own}
        cls.attrs = tuple(sorted(table.values(), key=lambda a: not a.required))

    def __init__(self, **attrs: Any) -> None:
        for attr in type(self).attrs:
            value = attrs.pop(attr.name, attr.default)
            if value is ...:
                raise OpDefinitionError(f"{self.name} needs {attr.name}")
            object.__setattr__(self, attr.name, value)
        if attrs:
            raise OpDefinitionError(f"{self.name} has no {', '.join(attrs)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"declared values are immutable: {self.name}.{name}")

    @property
    def values(self) -> dict[str, Any]:
        """The attrs by name."""
        return {a.name: getattr(self, a.name) for a in type(self).attrs}

    def _key(self) -> tuple[Any, ...]:
        # repr tells 1 from True and 1.0, and nan equals itself.
        return (type(self), *(repr(getattr(self, a.name)) for a in type(self).attrs))

    @cached_property
    def _hash(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        is_like = isinstance(other, Declared) and type(self) is type(other) and self._hash == other._hash
        return is_like and self._key() == other._key()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.values.items())})"

    def with_attrs(self, **attrs: Any) -> Any:
        """The same thing with some attrs changed."""
        return type(self)(**(self.values | attrs))
