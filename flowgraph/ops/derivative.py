"""Derivatives asked for in the language: `grad(y, x)`, `jvp(y, x, v)`, and `stop_gradient(x)`.

`grad` and `jvp` are requests: nodes that say which derivative is wanted, with a type and no
value of their own. What they mean depends on how the graph computes y from x, so the pass
`expand-derivatives` puts that computation in their place before anything else looks at them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InternalError
from ..types import REAL, Elem, Mismatch, TensorType, Type, Unifier, describe
from .base import Arg, Batching, NonDifferentiable, Op, Sample, Value, klass, real


class Request(Op, abstract=True):
    """A derivative of the first operand with respect to the second."""

    differentiable = False

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        """Nothing is converted: a converted value is another one than that which y depends on."""
        return [None for _ in types]

    def check_kinds(self, y: TensorType, x: TensorType) -> None:
        """Raise Mismatch (E0311) where one of the two is not of real numbers."""
        if y.elem.kind != "real":
            raise Mismatch(
                f"`{self.name}` differentiates real numbers",
                blame=[(0, f"is {y.elem}")],
                help="labels, whole numbers and truth values change in steps: use what they are made from",
                code="E0311",
            )
        if x.elem.kind != "real":
            raise Mismatch(
                f"`{self.name}` is taken with respect to real numbers",
                blame=[(1, f"is {x.elem}")],
                help="take it with respect to a real input, param or node",
                code="E0311",
            )

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        raise InternalError(f"a request for `{self.name}` is left where batches begin")

    def form(self, target: str, types: Sequence[Any]) -> str:
        raise InternalError(f"a request for `{self.name}` is left where code is written")

    def evaluate(self, arrays: Sequence[Any], types: Sequence[Any], sizes: Mapping[str, int]) -> Any:
        raise InternalError(f"a request for `{self.name}` is left where values are computed")


class Grad(Request):
    """The gradient of y, one number of one example, with respect to x; of the shape of x.

    x is the name of an input, a param or a node, which counts as the variable.
    """

    operands = ("y", "x")
    example = "slope = grad(y, x)"
    formula = "g_i = ∂y / ∂x_i"
    latex = r"\frac{{\partial {y}}}{{\partial {x}}}"

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        y, x = types
        self.check_kinds(y, x)
        if y.rank:
            raise Mismatch(
                "`grad` is of a single number",
                blame=[(0, f"is {describe(u.tensor(y))}")],
                help="reduce it: `grad(sum(y), x)`, or take one entry: `grad(y[0], x)`",
                code="E0309",
            )
        return TensorType(REAL, u.shape(x.shape))


class Jvp(Request):
    """The derivative of y when x moves along v; of the shape of y.

    x is the name of an input, a param or a node, which counts as the variable; v has its shape.
    """

    operands = ("y", "x", "v")
    example = "rate = jvp(y, x, v)"
    formula = "d = Σ_i ∂y / ∂x_i v_i"
    latex = r"\frac{{\partial {y}}}{{\partial {x}}} {v}"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None, None, None if types[2].elem.kind == "real" else REAL]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        y, x, v = types
        self.check_kinds(y, x)
        blame = [(1, f"is {describe(u.tensor(x))}"), (2, f"is {describe(u.tensor(v))}")]
        help = "the direction has one entry for each of {x}"
        if x.rank != v.rank:
            raise Mismatch("shapes do not agree", blame=blame, help=help)
        for of_x, of_v in zip(x.shape, v.shape, strict=True):
            try:
                u.unify(of_x, of_v)
            except Mismatch as error:
                raise Mismatch("shapes do not agree", blame=blame, help=help, sizes=error.sizes) from None
        return TensorType(REAL, u.shape(y.shape))


REQUESTS: dict[str, type[Request]] = {"grad": Grad, "jvp": Jvp}
"""The requests by the name they are called by."""


class StopGradient(NonDifferentiable):
    """The value itself, taken as a constant by every derivative."""

    group = "derivatives"
    formula = "y = x, ∂y/∂x = 0"
    numpy = "x"
    torch = "x.detach()"
    samples = [Sample(real(2, 3)), Sample(real()), Sample(Arg((3,), kind="int")), Sample(klass(4))]
    example = "t = stop_gradient(h)"
    instead = "let a path lead around it"

    def wants(self, types: Sequence[TensorType]) -> list[Elem | None]:
        return [None]

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        return types[0]
