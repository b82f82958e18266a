"""Parameters from wherever they come: first values, arrays by name, files of weights; and to files.

Assumes a typed graph whose parameters have fixed sizes. Promises for every parameter its numbers
in float64, exactly those that were given, or all reasons why not in one report; nothing is
transposed, renamed or left out that was not asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.arrays import unusable_reported
from ..data.weights import Entry, read_entries, value_entry, write_weights
from ..errors import Diagnostics, fail, shorten
from ..graph import Graph, Node
from ..types import Dim, TensorType
from .misfit import FEW, Fit, report_misfits, turned
from .pattern import Pattern, Rename


@dataclass(frozen=True)
class Weights:
    """Weights whose names or layout are not the diagram's. Raises ValueError for a bad pattern.

    path: a safetensors, npz, pt, pth or bin file; or arrays or tensors by name. ignore: patterns of
    names in the file that are not wanted. rename: `PATTERN=PATTERN`, from names in the file to those
    of the diagram; of several the first that matches a name counts. transpose: patterns of the
    diagram's names; the last two axes of what they match are swapped. `params_pattern` says what
    a pattern is.
    """

    path: str | Path | Mapping[str, Any]
    rename: Sequence[str] = ()
    transpose: Sequence[str] = ()
    ignore: Sequence[str] = ()
    renames: tuple[Rename, ...] = field(init=False, repr=False, compare=False)
    transposed: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)
    ignored: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("rename", "transpose", "ignore"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        object.__setattr__(self, "renames", tuple(map(Rename, self.rename)))
        object.__setattr__(self, "transposed", tuple(map(Pattern, self.transpose)))
        object.__setattr__(self, "ignored", tuple(map(Pattern, self.ignore)))

    @property
    def origin(self) -> str:
        """Where they come from, in words."""
        return "the values given" if isinstance(self.path, Mapping) else str(self.path)

    def entries(self, found: Diagnostics) -> dict[str, Entry] | None:
        """What is there, by the names it has there; None with E0501 or E0605 reported."""
        if isinstance(self.path, Mapping):
            return {str(name): value_entry(value) for name, value in self.path.items()}
        return read_entries(Path(self.path), found)


COUNT = "num_batches_tracked"
"""What PyTorch keeps beside running statistics, for averages of another kind: it says nothing here."""

Params = str | Path | Mapping[str, Any] | Weights
"""What a caller may give for parameters."""


def find_params(
    graph: Graph, params: Params | None, seed: int, found: Diagnostics, dtype: str = "float64"
) -> tuple[dict[str, np.ndarray], str]:
    """The parameters in float64 by node, and where they come from in words.

    params: None for first values. dtype: what they will be computed with. What does not fit, or is
    too large for it, is reported (E0501, E0505, E0605); there are no values then.
    """
    if params is None:
        values = initial_params(graph, seed)
        for node in _too_large(values, dtype)[:FEW]:
            said = f"the first value of `{graph[node].hint}` is too large for {dtype}"
            found.report("E0404", said, graph[node].span, "made here", help="compute with float64")
        return values, f"initial values, seed {seed}"
    weights = params if isinstance(params, Weights) else Weights(params)
    entries = weights.entries(found)
    if entries is None:
        return {}, weights.origin
    values = fit_params(graph, weights, entries, found)
    large = _too_large(values, dtype)
    for node in large[:FEW]:
        said = f"the parameter `{graph[node].hint}` holds numbers that are too large for {dtype}"
        found.report("E0505", said, help="compute with float64", path=_place(weights))
    return ({} if large else values), weights.origin


def _too_large(values: Mapping[str, np.ndarray], dtype: str) -> list[str]:
    """The names of arrays with a finite number that the dtype cannot hold."""
    largest = float(np.finfo(dtype).max)
    return [n for n, a in values.items() if bool(np.any(np.isfinite(a) & (np.abs(a) > largest)))]


def _place(weights: Weights) -> str:
    """What diagnostics point at."""
    return "params" if isinstance(weights.path, Mapping) else str(weights.path)


def initial_params(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    """Every parameter's first value, float64, by node: the streams of the emitted `init`."""
    values = {}
    for node in graph:
        if node.op.name in ("param", "buffer"):
            rng = np.random.default_rng([seed, *str(node.hint).encode()])
            values[node.name] = node.op.init.draw(rng, _shape(node.type))
    return values


def save_params(path: str | Path, params: Mapping[str, Any]) -> None:
    """Write arrays by name as a safetensors file, whole or not at all.

    numpy, PyTorch (`safetensors.torch.load_file`, then `load_state_dict`) and every `params=` read
    it. Raises FlowError (E0701).
    """
    if Path(path).suffix.lower() != ".safetensors":
        cure = "name it with the ending .safetensors"
        raise fail("E0701", "parameters are written as .safetensors files only", help=cure, path=str(path))
    arrays = {name: np.asarray(value) for name, value in params.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            said = f"`{shorten(name)}` holds {array.dtype}, not numbers"
            raise fail("E0701", said, help="give arrays of numbers by name", path=str(path))
    write_weights(path, arrays)


# ---------------------------------------------------------------------------------------
# Fitting


def fit_params(
    graph: Graph, weights: Weights, entries: Mapping[str, Entry], found: Diagnostics
) -> dict[str, np.ndarray]:
    """Entries as float64 values by node; all that does not fit is reported (E0505), and nothing is read then.

    entries: those of `weights`, by the names they have there.
    """
    fit = Fit(_place(weights))
    nodes = {str(graph[name].hint): graph[name] for name in (*graph.params, *graph.buffers)}
    counts = {f"{str(graph[b].hint).rpartition('.')[0]}.{COUNT}" for b in graph.buffers}
    named = {name: e for name, e in _renamed(weights, entries, fit).items() if name not in counts}
    swapped = {name for name in nodes if any(p.matches(name) for p in weights.transposed)}
    for pattern in weights.transposed:
        if not any(pattern.matches(name) for name in nodes):
            fit.unused(f"--transpose {pattern.text}", "parameter of the diagram")
    fit.extra = {name: entry.shape for name, entry in named.items() if name not in nodes}
    for name, node in nodes.items():
        _check(name, _shape(node.type), named.get(name), name in swapped, fit)
    if report_misfits(fit, found):
        return {}
    if isinstance(weights.path, Mapping):
        return _read(nodes, named, swapped)
    with unusable_reported(Path(weights.path), found):
        return _read(nodes, named, swapped)
    return {}


def _renamed(weights: Weights, entries: Mapping[str, Entry], fit: Fit) -> dict[str, Entry]:
    """The entries that are wanted, by the diagram's names."""
    named: dict[str, Entry] = {}
    came_from: dict[str, str] = {}
    matching: dict[Rename, Rename] = {}
    """Each rename that some name matches, and the one that took that name."""
    for old, entry in entries.items():
        if any(p.matches(old) for p in weights.ignored):
            continue
        matches = [rename for rename in weights.renames if rename.left.matches(old)]
        for rename in matches:
            if rename is matches[0] or rename not in matching:
                matching[rename] = matches[0]
        news = matches[0].names(old) if matches else [old]
        if len(news) > 1:
            fit.undecided(matches[0].text, old, news)
        elif news[0] in named:
            fit.clash(came_from[news[0]], old, news[0])
        else:
            named[news[0]], came_from[news[0]] = entry, old
    for rename in weights.renames:
        if rename not in matching:
            fit.unused(f"--rename {rename.text}", "entry of the file")
        elif matching[rename] is not rename:
            fit.unused(f"--rename {rename.text}", "entry that is left", matching[rename].text)
    return named


def _check(name: str, shape: tuple[int, ...], entry: Entry | None, is_turned: bool, fit: Fit) -> None:
    """Note what keeps an entry from being the parameter of this name and shape."""
    if entry is None:
        fit.missing[name] = shape
    elif entry.read is None:
        fit.numberless[name] = entry.holds
    elif is_turned and len(entry.shape) < 2:
        fit.flat[name] = entry.shape
    else:
        have = turned(entry.shape) if is_turned else entry.shape
        if have != shape:
            fit.misshapen[name] = (have, shape, is_turned)
            return
        fit.fitting += 1
        if len(shape) == 2 and shape[0] == shape[1] > 1 and not is_turned:
            fit.square.append(name)


def _read(nodes: Mapping[str, Node], named: Mapping[str, Entry], swapped: set[str]) -> dict[str, np.ndarray]:
    """The numbers of entries that fit, by node."""
    values = {}
    for name, node in nodes.items():
        read = named[name].read
        assert read is not None
        array = np.swapaxes(read(), -1, -2) if name in swapped else read()
        values[node.name] = np.array(array, np.float64, order="C")
    return values


def _shape(type: TensorType) -> tuple[int, ...]:
    """A parameter's shape in numbers."""
    sizes = [d.value if isinstance(d, Dim) else None for d in type.shape]
    assert None not in sizes, "parameters have fixed sizes"
    return tuple(n for n in sizes if n is not None)
