"""Which nodes become torch modules: single layers, and sequences of them.

Assumes the naming of design 1.4: a layer's parameters share the prefix that is its module's
path. Promises that every parameter of the graph is either inside a module found here or left
to be an nn.Parameter of its own name.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from keyword import iskeyword

from ..graph import Graph, Node, renamed
from ..ops.scan import Scan
from .template import call

MODULE_DICT = frozenset(["clear", "items", "keys", "pop", "update", "values"])
"""What nn.ModuleDict keeps for itself."""


@dataclass
class Layers:
    """modules: constructor by attribute name. calls: the path a node calls. operands: what it
    is called with. covered: the parameters that live in a module; started: those of them that its
    constructor does not start as the diagram says."""

    modules: dict[str, ast.expr] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    operands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    inside: dict[str, Layers] = field(default_factory=dict)
    """Of each scan those of its step, whose modules are among these."""
    dtype: Sequence[ast.keyword] = ()


def find_layers(graph: Graph, *, sequences: bool, dtype: Sequence[ast.keyword] = ()) -> Layers:
    """The modules of a graph. sequences: whether chains become an nn.Sequential. dtype: what makes
    arrays of the module's dtype, where that is not PyTorch's default."""
    found = Layers(dtype=dtype)
    tree: dict[str, dict[str, ast.expr]] = {}
    paths: dict[str, str] = {}
    for node in graph:
        path = _path(graph, node)
        if path is not None:
            paths[node.name] = path
    under = below(graph)
    chains = _chains(graph, paths, under) if sequences else []
    inside = {name for chain in chains for name in chain}
    for node in graph:
        if node.name not in paths:
            continue
        path = paths[node.name]
        own = _own_params(node)
        found.covered.update(node.operands[i] for i in own)
        if not node.op.torch_layer_starts():
            found.started += [node.operands[i] for i in own if node.operands[i] not in found.started]
        if node.name in inside:
            continue
        found.calls[node.name] = path
        unpassed = _unpassed(node)
        found.operands[node.name] = tuple(o for i, o in enumerate(node.operands) if i not in unpassed)
        head, _, rest = path.partition(".")
        tree.setdefault(head, {})[rest] = _constructor(graph, node, found.dtype)
    for chain in chains:
        _add_chain(graph, chain, paths, found)
    for node in graph:
        if isinstance(node.op, Scan):
            _add_step(graph, node, found)
    for head, parts in tree.items():
        whole = parts.pop("", None)
        if whole is None and not any("." in rest for rest in parts) and _are_keys(graph, under.get(head, ())):
            found.modules[head] = _nested(parts)
            continue
        if whole is None:
            found.modules |= {f"{head}.{rest}": made for rest, made in parts.items()}
            continue
        found.modules[head] = whole
        found.modules |= {f"{head}.{rest}": made for rest, made in parts.items()}
    return found


def _add_step(graph: Graph, scan: Node, found: Layers) -> None:
    """Find the layers of a scan's step, the parameters of which are those of the graph around it."""
    step = scan.op.graph
    outside = dict(zip(step.inputs, (graph[o] for o in scan.operands), strict=True))
    view = step.like()
    for node in step:
        param = outside.get(node.name)
        view.add(node if param is None or param.op.name != "param" else renamed(param, name=node.name))
    view.close((), (), (), step.results)
    inner = find_layers(view, sequences=False, dtype=found.dtype)
    found.inside[scan.name] = inner
    found.modules |= inner.modules
    found.covered.update(outside[name].name for name in inner.covered)
    found.started += [outside[name].name for name in inner.started]


def _own_params(node: Node) -> list[int]:
    """The slots of a layer's operands that hold its own parameters."""
    return [
        i for i, o in enumerate(node.op.operands[: len(node.operands)]) if o.rstrip("?") in node.op.params
    ]


def _unpassed(node: Node) -> set[int]:
    """The slots of operands that a module is not called with: its own, and what the call gives."""
    names = (*node.op.params, *node.op.ambient)
    return {i for i, o in enumerate(node.op.operands[: len(node.operands)]) if o.rstrip("?") in names}


def _path(graph: Graph, node: Node) -> str | None:
    """The module path that a layer's parameters share, if it can be a torch module."""
    slots = _own_params(node)
    if not slots or not node.op.torch_layer([graph[o].type for o in node.operands]):
        return None
    prefixes = set()
    for slot in slots:
        param = graph[node.operands[slot]]
        suffix = "." + node.op.operands[slot].rstrip("?")
        if param.op.name not in ("param", "buffer") or not str(param.hint).endswith(suffix):
            return None
        prefixes.add(str(param.hint).removesuffix(suffix))
    return prefixes.pop() if len(prefixes) == 1 else None


def _constructor(graph: Graph, node: Node, dtype: Sequence[ast.keyword]) -> ast.expr:
    text = node.op.torch_layer([graph[o].type for o in node.operands])
    attrs = {k: v for k, v in node.op.values.items() if isinstance(v, (int, float))}
    tree = ast.parse(text, mode="eval").body
    for each in ast.walk(tree):
        if isinstance(each, ast.Call):
            each.args = [_filled(a, attrs) for a in each.args]
            for keyword in each.keywords:
                keyword.value = _filled(keyword.value, attrs)
    if _own_params(node):
        assert isinstance(tree, ast.Call)
        tree.keywords += dtype
    return tree


def _filled(node: ast.expr, attrs: dict[str, float]) -> ast.expr:
    return ast.Constant(attrs[node.id]) if isinstance(node, ast.Name) and node.id in attrs else node


def is_key(part: str) -> bool:
    """Whether a part of a name can be a key of an nn.ModuleDict, and the attribute that it is reached by."""
    return part not in MODULE_DICT and not iskeyword(part)


def below(graph: Graph) -> dict[str, list[str]]:
    """The params, and then the buffers, below every dotted name that there is something below."""
    found: dict[str, list[str]] = {}
    for node in (*graph.params, *graph.buffers):
        parts = str(graph[node].hint).split(".")
        for count in range(1, len(parts)):
            found.setdefault(".".join(parts[:count]), []).append(node)
    return found


def _are_keys(graph: Graph, own: Sequence[str]) -> bool:
    """Whether all that lies below a name, and what lies below that, can be in an nn.ModuleDict."""
    return all(is_key(str(graph[p].hint).split(".")[1]) for p in own)


def _nested(parts: dict[str, ast.expr]) -> ast.expr:
    keys: list[ast.expr | None] = [ast.Constant(p) for p in parts]
    return call("nn.ModuleDict", ast.Dict(keys, list(parts.values())))


def _chains(graph: Graph, paths: dict[str, str], under: dict[str, list[str]]) -> list[list[str]]:
    """Runs of nodes that only feed each other and end in a named node: an nn.Sequential each.

    Two steps at least, one of them a layer; the layers' paths lie under the last node's name.
    """
    chains = []
    for last in graph:
        if last.hint is None or not _is_step(graph, last, paths, last.hint):
            continue
        chain = [last.name]
        node = graph[last.operands[0]]
        while (
            node.hint is None
            and node.operands
            and graph.use_count(node.name) == 1
            and _is_step(graph, node, paths, last.hint)
        ):
            chain.append(node.name)
            node = graph[node.operands[0]]
        params = [p for p in under.get(last.hint, ()) if graph[p].op.name == "param"]
        if len(chain) > 1 and any(n in paths for n in chain) and _owns_all(graph, chain, params):
            chains.append(chain[::-1])
    return chains


def _owns_all(graph: Graph, chain: list[str], params: Sequence[str]) -> bool:
    """Whether every parameter under the owner's name is the chain's: another statement may share it."""
    own = {o for name in chain for o in graph[name].operands}
    return own.issuperset(params)


def _is_step(graph: Graph, node: Node, paths: dict[str, str], owner: str) -> bool:
    alone = len(node.operands) - len(_unpassed(node)) == 1
    if node.name in paths:
        holder, _, part = paths[node.name].rpartition(".")
        return alone and holder == owner and is_key(part)
    return (
        alone
        and node.op.name != "identity"
        and bool(node.op.torch_layer([graph[o].type for o in node.operands]))
    )


def _add_chain(graph: Graph, chain: list[str], paths: dict[str, str], found: Layers) -> None:
    owner = str(graph[chain[-1]].hint)
    counts: dict[str, int] = {}
    steps = []
    for name in chain:
        node = graph[name]
        counts[node.op.name] = counts.get(node.op.name, 0) + 1
        label = node.op.name if counts[node.op.name] == 1 else f"{node.op.name}_{counts[node.op.name]}"
        if name in paths:
            label = paths[name].split(".", 1)[1]
        steps.append(ast.keyword(label, _constructor(graph, node, found.dtype)))
    ordered = ast.Call(ast.Name("OrderedDict", ast.Load()), [], steps)
    found.modules[owner] = call("nn.Sequential", ordered)
    found.calls[chain[-1]] = owner
    found.operands[chain[-1]] = (graph[chain[0]].operands[0],)
