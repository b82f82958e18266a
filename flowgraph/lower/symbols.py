"""What names mean while a file is lowered: symbols, circles whose wires are collected, layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import Span
from ..types import REAL, Dim, TensorType

if TYPE_CHECKING:
    from .scope import Scope


def real_type(*shape: Any) -> TensorType:
    """The type of a real array."""
    return TensorType(REAL, tuple(Dim.of(d) if isinstance(d, int) else d for d in shape))


@dataclass
class Symbol:
    """What a name stands for.

    kind: "size", "const", "input", "target", "param", "node" or "equation"; of what is called,
    "block", "layer", "file" or "callable". value: a static value, for sizes and consts, or what
    is called. node: the graph node, else. type: the declared type, if any.
    """

    kind: str
    name: str
    span: Span
    value: Any = None
    node: str = ""
    type: TensorType | None = None
    used: bool = False
    poisoned: bool = False
    """Whether its definition has an error, so that its uses are not reported too."""
    is_implied: bool = False
    """Whether a wire introduced it, with no declaration of its own."""


@dataclass
class Term:
    """One summand of an excitation: coefficient times a node, or a bias.

    place: where its wire stands in the text, which is the order of the sum.
    """

    factor: int | float
    node: str
    is_bias: bool = False
    place: int = 0


@dataclass
class Circle:
    """A `node`: a circle, or a layer of them, whose wires are still being collected.

    size: None for a single circle. xi: the node its excitation will have. terms: of the
    whole; cells: of the circles of a layer one by one; bias: sums of literal biases.
    """

    name: str
    span: Span
    size: Dim | None
    activation: Any
    xi: str
    terms: list[Term] = field(default_factory=list)
    bias: int | float | None = None
    cells: dict[int, list[Term]] = field(default_factory=dict)
    cell_bias: dict[int, int | float] = field(default_factory=dict)
    wires: dict[tuple[str, str], Span] = field(default_factory=dict)
    feeds: dict[str, Span] = field(default_factory=dict)
    """The first wire from each source, by the source's name."""
    fan_in: dict[int | None, int] = field(default_factory=dict)
    fresh: list[tuple[str, int | None]] = field(default_factory=list)
    """Params that wires of this circle made, each with the cell it ends in."""
    broken: bool = False
    """Whether a wire to it has an error, so that a lack of wires is no news."""

    @property
    def type(self) -> TensorType:
        return real_type(*(() if self.size is None else (self.size,)))


@dataclass
class Layer:
    """A call with its first arguments still to come, whose parameters all applications share.

    scope: where it is declared. params: their nodes there, by the names they have in the call.
    """

    name: str
    call: Any
    scope: Scope
    params: dict[str, str] = field(default_factory=dict)


def article(kind: str) -> str:
    """`an input`, `a size`."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
