"""einsum: products of arrays with named axes, summed over the names that the result lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..types import REAL, Mismatch, Size, TensorType, Type, Unifier, describe
from .base import OPS, Batching, Op, Sample, Value, apply, beside, fn, need_equal, real

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Einsum(Op):
    """The sum of products that the subscripts describe: `einsum("ij,j->i", a, b)` is `a @ b`.

    One letter names one axis; letters that the result lacks are summed over. Without `->` the
    result has, in the order of the alphabet, the letters that occur once.
    """

    group = "products"
    operands = ("*xs",)
    attrs_first = True
    subscripts: str
    formula = "Σ over the letters that the result lacks of the product of the operands"
    numpy = "np.einsum(subscripts, *xs)"
    into = "np.einsum(subscripts, *xs, out=out)"
    torch = "torch.einsum(subscripts, *xs)"
    samples = [
        Sample(real(2, 3), real(3), subscripts="ij,j->i"),
        Sample(real(2, 3), real(3, 4), subscripts="ij,jk"),
        Sample(real(2), real(3), subscripts="i,j->ji"),
        Sample(real(2, 3), subscripts="ij->j"),
        Sample(real(3, 3), subscripts="ii"),
        Sample(real(3, 3), subscripts="ii->i"),
        Sample(real(2, 3), real(3, 2), real(2), subscripts="ij,jk,k->i"),
        Sample(real(3), real(), subscripts="i,->i"),
    ]
    bad_samples = [
        Sample(real(2, 3), real(2), subscripts="ij,j->i"),
        Sample(real(2, 3), subscripts="ij,j->i"),
        Sample(real(2, 3), subscripts="i->i"),
        Sample(real(2), subscripts="i->j"),
        Sample(real(2), subscripts="i->ii"),
        Sample(real(2), subscripts="...i->i"),
    ]
    example = 's = einsum("ij,j->i", a, b)'

    def canonical(self, types: Sequence[Any]) -> Op:
        terms, out = self.parsed()
        return self.with_attrs(subscripts=joined(terms, out))

    def parsed(self) -> tuple[list[str], str]:
        """The letters of each operand and of the result. Raises Mismatch (E0404)."""
        left, arrow, right = self.subscripts.replace(" ", "").partition("->")
        terms = left.split(",")
        letters = "".join(terms)
        if arrow:
            out = right
        else:
            out = "".join(c for c in sorted(set(letters)) if letters.count(c) == 1)
        strange = sorted({c for c in letters + out if c not in LETTERS})
        if strange:
            raise self._refused(f"`{strange[0]}` is not a letter", "name each axis by one letter")
        missing = [c for c in out if c not in letters]
        if missing:
            raise self._refused(f"`{missing[0]}` is in the result only", "name it in an operand too")
        if len(set(out)) != len(out):
            raise self._refused("the result names an axis twice", "name each axis of the result once")
        return terms, out

    def _refused(self, message: str, cure: str) -> Mismatch:
        return Mismatch(f"subscripts of `einsum`: {message}", help=cure, code="E0404")

    def rule(self, u: Unifier, *types: TensorType) -> Type:
        terms, out = self.parsed()
        if len(terms) != len(types):
            operands = "1 operand" if len(types) == 1 else f"{len(types)} operands"
            said = f"{'1 term' if len(terms) == 1 else f'{len(terms)} terms'} for {operands}"
            raise self._refused(said, "give one term for each, by commas")
        sizes: dict[str, tuple[int, Size]] = {}
        for slot, (term, t) in enumerate(zip(terms, types, strict=True)):
            if len(term) != t.rank:
                raise Mismatch(
                    f"`{term}` names {len(term)} axes of an array with {t.rank}",
                    blame=[(slot, f"is {describe(t)}")],
                    help="name each of its axes by one letter",
                )
            for letter, size in zip(term, t.shape, strict=True):
                if letter not in sizes:
                    sizes[letter] = (slot, size)
                    continue
                first, known = sizes[letter]
                blame = [(first, f"is {describe(u.tensor(types[first]))}")]
                if first != slot:
                    blame.append((slot, f"is {describe(u.tensor(t))}"))
                cure = (
                    f"axes named `{letter}` must have one size, not {u.resolve(known)} and {u.resolve(size)}"
                )
                need_equal(self, u, known, size, blame=blame, help=cure)
        return TensorType(REAL, tuple(u.resolve(sizes[c][1]) for c in out))

    def batch(self, b: Batching, values: Sequence[Value], types: Sequence[TensorType]) -> Value:
        terms, out = self.parsed()
        used = {*"".join(terms)}
        lead = next(c for c in "n" + LETTERS if c not in used)
        terms = [lead + t if b.has(v) else t for t, v in zip(terms, values, strict=True)]
        return b.apply(Einsum(subscripts=joined(terms, lead + out)), *values)

    def jvp(self, tangents: Sequence[Value | None], y: Value, *xs: Value) -> Value | None:
        total: Value | None = None
        for slot, tangent in enumerate(tangents):
            if tangent is not None:
                term = apply(self, *xs[:slot], tangent, *xs[slot + 1 :])
                total = term if total is None else total + term
        return total

    def vjp(self, cotangent: Value, y: Value, *xs: Value) -> list[Value | None]:
        return [self._through(slot, cotangent, xs) for slot in range(len(xs))]

    def _through(self, slot: int, cotangent: Value, xs: Sequence[Value]) -> Value:
        """The cotangent of one operand: the product of the result's and all the others."""
        terms, out = self.parsed()
        own, x = terms[slot], xs[slot]
        factors = [cotangent, *xs[:slot], *xs[slot + 1 :]]
        names = [out, *terms[:slot], *terms[slot + 1 :]]
        free = [c for c in LETTERS if c not in "".join(terms)]
        wanted = ""
        for letter, size in zip(own, x.shape, strict=True):
            if letter not in wanted:
                wanted += letter
                continue
            # An axis named twice is a diagonal: its cotangent stands on the diagonal alone.
            other = free.pop(0)
            factors.append(beside(x, OPS["eye"](n=size)))
            names.append(letter + other)
            wanted += other
        have = "".join(names)
        kept = "".join(c for c in wanted if c in have)
        found = apply(Einsum(subscripts=joined(names, kept)), *factors)
        alone = [i - len(wanted) for i, c in enumerate(wanted) if c not in have]
        if not alone:
            return found
        # A letter of this operand alone was summed over: every entry has the same cotangent.
        return fn.expand(fn.unsqueeze(found, axis=tuple(alone)), shape=x.shape)


def joined(terms: Sequence[str], out: str) -> str:
    return f"{','.join(terms)}->{out}"
