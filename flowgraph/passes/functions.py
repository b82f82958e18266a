"""What PyTorch has one function for, and the diagram says in several operations.

The mean over the batch of a loss that is a mean over the example becomes the loss averaged over both:
`F.cross_entropy(z, y)`. A product with a transposed matrix plus a vector becomes `linear`: `F.linear`.
`where(c, 1, 0)` becomes a cast, and all entries along an axis, taken one by one, an `unbind`.
Assumes a graph over batches, of which PyTorch takes the derivatives: an empty batch is the
business of the form. Equal to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..graph import Builder, Graph, Node, renamed
from ..ops import OPS
from ..ops.loss import Averaged
from ..ops.select import FULL
from ..types import REAL, Dim, TensorType, TupleType
from .base import Pass
from .dce import Dce
from .rewrite import fresh, rewrite


@dataclass(frozen=True)
class Functions(Pass):
    """Fewer operations, each a function of PyTorch's."""

    name: ClassVar[str] = "functions"
    is_fast: bool = False
    """Whether also those that round more than the operation, or want a newer PyTorch: at level 2."""

    def run(self, graph: Graph) -> Graph:
        unbound: dict[tuple[str, int], str] = {}
        """What takes an array apart along an axis, by both."""

        def rule(out: Graph, node: Node) -> Node | str:
            if self.is_fast and node.op.name in FAST:
                return renamed(node, op=OPS[FAST[node.op.name]](**node.op.values))
            if node.op.name == "index":
                return _entry(graph, out, node, unbound)
            found = RULES.get(node.op.name)
            return node if found is None else found(graph, out, node)

        return Dce().run(_joined(rewrite(graph, rule)))


def _joined(graph: Graph) -> Graph:
    """The graph with one mean over the batch for all losses of which such a mean is left."""
    means = [r for r in graph.results_of("loss") if graph[r.node].op.name == "batch_mean"]
    if len(means) < 2 or any(graph[r.node].hint is not None for r in means):
        return graph
    out = graph.like()
    for node in graph:
        out.add(node)
    builder = Builder(out, [n.name for n in graph])
    total = graph[means[0].node].operands[0]
    for result in means[1:]:
        total = builder.apply(OPS["add"](), (total, graph[result.node].operands[0]), span=result.span)
    first = replace(means[0], node=builder.apply(OPS["batch_mean"](), (total,), span=means[0].span))
    results = [first if r is means[0] else r for r in graph.results if r not in means[1:]]
    return out.close(graph.inputs, graph.targets, graph.params, results)


def _is_only(graph: Graph, name: str) -> bool:
    """Whether a value has no name and one user, so that it may vanish in that."""
    return graph[name].hint is None and graph.use_count(name) == 1


def _whole_loss(graph: Graph, out: Graph, node: Node) -> Node:
    """The mean over the batch of a mean over all positions of the example, as one mean."""
    loss = out[node.operands[0]]
    while _is_same(loss, out) and graph.use_count(loss.name) == 1:
        loss = out[loss.operands[0]]
    if not (isinstance(loss.op, Averaged) and loss.op.torch_whole and graph.use_count(loss.name) == 1):
        return node
    types = [out[o].type for o in loss.operands]
    positions = loss.op.positions(types)
    if len(loss.op.mean_axes(types)) != positions - 1:
        return node
    op = loss.op.with_attrs(axis=tuple(range(-positions, 0))).canonical(types)
    return renamed(node, op=op, operands=loss.operands)


def _is_same(node: Node, out: Graph) -> bool:
    """Whether a value is that of its operand: a mean over no axes."""
    return node.op.name == "mean" and node.type == out[node.operands[0]].type


def _linear(graph: Graph, out: Graph, node: Node) -> Node:
    """x Wᵀ + b, in either order, where W is a matrix and b has an entry for each of its rows."""
    for place, other in ((0, 1), (1, 0)):
        product, bias = out[node.operands[place]], out[node.operands[other]]
        if product.op.name != "matmul" or not _is_only(graph, product.name):
            continue
        x, turned = (out[o] for o in product.operands)
        weight = out[turned.operands[0]] if turned.op.name == "transpose_last" else None
        if weight is None or weight.type.rank != 2 or x.type.rank < 2:
            continue
        if not isinstance(bias.type, TensorType) or bias.type.shape != weight.type.shape[:1]:
            continue
        op = OPS["linear"](out=weight.type.shape[0], bias=True)
        return renamed(node, op=op, operands=(x.name, weight.name, bias.name))
    return node


def _truth(graph: Graph, out: Graph, node: Node) -> Node:
    """1 where something is true and 0 elsewhere, as the truth cast: real where all that use it are."""
    condition, *numbers = (out[o] for o in node.operands)
    if [n.op.value if n.op.name == "const" else None for n in numbers] != [1, 0]:
        return node
    if not isinstance(condition.type, TensorType) or condition.type.shape != node.type.shape:
        return node
    users = graph.users(node.name)
    becomes_real = users and all(u.op.name == "cast" and u.op.kind == "real" for u in users)
    if any(r.node == node.name for r in graph.results) or not becomes_real:
        return renamed(node, op=OPS["cast"](kind=node.type.elem.kind), operands=(condition.name,))
    real = TensorType(REAL, node.type.shape)
    return renamed(node, op=OPS["cast"](kind="real"), operands=(condition.name,), type=real)


def _cast(graph: Graph, out: Graph, node: Node) -> Node | str:
    """Nothing, where a value has the type already."""
    given = out[node.operands[0]]
    if given.type != node.type:
        return node
    return given.name if node.hint is None else renamed(node, op=OPS["identity"]())


def _entry(graph: Graph, out: Graph, node: Node, unbound: dict[tuple[str, int], str]) -> Node:
    """An entry of an array of which all are taken: autograd goes back through `unbind` in one step."""
    axis, whole = _place(node)[0], graph[graph[node.name].operands[0]]
    if axis is None or whole.type.rank < 3 or whole.op.name in ("input", "target", "param", "const"):
        return node
    places = [_place(user) for user in graph.users(whole.name) if user.op.name == "index"]
    count = whole.type.shape[axis].value
    if count is None or count < 2 or sorted(p for a, p in places if a == axis) != list(range(count)):
        return node
    made = unbound.get((whole.name, axis))
    if made is None:
        op = OPS["unbind"](axis=axis).canonical([whole.type])
        made = unbound[whole.name, axis] = fresh(out, f"{whole.name}_unbind")
        parts = TupleType((node.type,) * count)
        out.add(Node(made, op, node.operands, parts, None, node.span))
    return renamed(node, op=OPS["item"](index=_place(node)[1], count=count), operands=(made,))


def _place(node: Node) -> tuple[int | None, int]:
    """The axis along which an index takes one entry of all there is besides, and which; None for others."""
    items = node.op.items
    numbers = [axis for axis, item in enumerate(items) if not isinstance(item, tuple)]
    if len(numbers) != 1 or any(item != FULL for item in items if isinstance(item, tuple)):
        return None, 0
    place = Dim.of(items[numbers[0]]).value
    return (None, 0) if place is None else (numbers[0], place)


FAST = {"bce_with_logits": "fused_bce_with_logits", "attention": "grouped_attention"}
"""What stands for operations at level 2."""

RULES = {"batch_mean": _whole_loss, "add": _linear, "where": _truth, "cast": _cast}
"""What may become something else, by the name of its operation."""
