"""Tables of wires: csv, npz and GraphML files, and networkx graphs.

A csv file has the columns source, target and, if the weights are known, weight; an npz file arrays of these
names, the ends as text; of a GraphML file, or a networkx DiGraph, the names of the nodes and the attribute
weight of the edges are read. Promises the wires in the order of the file, or errors that name file and row.
Memory holds names once and numbers, not the text.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Diagnostics, Span, did_you_mean, shorten
from ..lower.table_ends import Edges
from ..syntax import WiresStmt
from .arrays import read_arrays
from .csvfile import number_in, undecodable
from .files import check_file, report_unusable
from .table import MAX_PROBLEMS

FORMATS = (".csv", ".npz", ".graphml")
ENDS = ("source", "target")
COLUMNS = (*ENDS, "weight")
HEADER = "the columns are source, target and, if the weights are known, weight"
BLOCK = 65536


def read_edges(
    base: Path, given: Mapping[str, Any], statement: WiresStmt, found: Diagnostics
) -> Edges | None:
    """What the table of a statement says, or None with the errors (E0501 to E0503) reported.

    base: the folder that its path is relative to. given: by the name of a table's weights what is read in the
    place of its file, a path or a networkx DiGraph.
    """
    if statement.name in given and not isinstance(given[statement.name], (str, Path)):
        return _of_graph(given[statement.name], statement.name, found, None)
    path = Path(given[statement.name]) if statement.name in given else base / statement.path
    span = None if statement.name in given else statement.path_span
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        cure = f"wires are read from {', '.join(FORMATS)} files"
        report_unusable(found, str(path), f"`{shorten(suffix)}` is no format of wires", span, cure)
        return None
    if not check_file(path, found, span):
        return None
    if suffix == ".csv":
        return _read_csv(path, found, span)
    return _read_npz(path, found, span) if suffix == ".npz" else _read_graphml(path, found, span)


class _Codes(dict[str, int]):
    """A number for each name, by the order in which they are first seen."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self)
        return self[name]

    def of(self, names: Sequence[str]) -> np.ndarray:
        return np.fromiter(map(self.__getitem__, map(str.strip, names)), np.int64, len(names))


# ---------------------------------------------------------------------------------------
# csv


def _read_csv(path: Path, found: Diagnostics, span: Span | None) -> Edges | None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _Csv(path, found).read(csv.reader(file, strict=True))
    except OSError as error:
        report_unusable(found, str(path), str(error), span, "save it as comma-separated text")
    except UnicodeDecodeError:
        why = f"line {undecodable(path)} is not UTF-8"
        report_unusable(found, str(path), why, span, "save it as UTF-8 text")
    return None


class _Csv:
    """One file being read."""

    def __init__(self, path: Path, found: Diagnostics) -> None:
        self.path, self.found = path, found
        self.errors = 0

    def read(self, reader: Any) -> Edges | None:
        codes = _Codes()
        ends: dict[str, list[np.ndarray]] = {name: [] for name in ENDS}
        weights: list[np.ndarray] = []
        line = 1
        try:
            header = [name.strip() for name in next(reader, [])]
            line = reader.line_num + 1
            if not self._check_header(header):
                return None
            places = {name: header.index(name) for name in header}
            for first, rows in self._blocks(reader, len(header)):
                columns = list(zip(*rows, strict=True))
                for name in ENDS:
                    ends[name].append(codes.of(columns[places[name]]))
                if "weight" in places:
                    weights.append(self._numbers(columns[places["weight"]], first))
                line = reader.line_num + 1
                if self.errors >= MAX_PROBLEMS:
                    break
        except csv.Error as error:
            cure = "close every quote; inside of quotes, double them; separate values by commas"
            self._report(f"{self.path}:{line}", "E0503", f"a row from here on cannot be read: {error}", cure)
        if not self.errors and not ends["source"]:
            cure = "give one line for each wire, such as `x[0],h[2],0.5`"
            self._report(str(self.path), "E0503", "the table has no wires", cure)
        if self.errors:
            return None
        source, target = (np.concatenate(ends[name]) for name in ENDS)
        return Edges(list(codes), source, target, np.concatenate(weights) if weights else None, self.where)

    def _check_header(self, header: list[str]) -> bool:
        place = f"{self.path}:1"
        if not header:
            self._report(place, "E0502", "the file is empty", f"its first line names the columns: {HEADER}")
            return False
        for name in ENDS:
            if name not in header:
                cure = f"separate the columns by commas; {HEADER}" if len(header) == 1 else HEADER
                self._report(place, "E0502", f"there is no column `{name}`", cure)
        for name in dict.fromkeys(header):
            if header.count(name) > 1:
                self._report(place, "E0502", f"the column `{shorten(name)}` is there twice", HEADER)
            if name not in COLUMNS and not self.errors:
                cure = did_you_mean(name, COLUMNS) or HEADER
                self._report(place, "E0502", f"`{shorten(name)}` is no column of a table of wires", cure)
        return not self.errors

    def _blocks(self, reader: Any, width: int) -> Iterator[tuple[int, list[list[str]]]]:
        """Rows of the right width, each block with the number of its first row, blank ones not counted."""
        count = 0
        while block := list(itertools.islice(reader, BLOCK)):
            rows = [row for row in block if row]
            if not set(map(len, rows)) <= {width}:
                for place, row in enumerate(rows):
                    if len(row) != width and self.errors < MAX_PROBLEMS:
                        said = f"a row has {len(row)} values, where there are {width} columns"
                        self._row(count + place, said, "give one value for each column")
                return
            if rows:
                yield count, rows
            count += len(rows)

    def _numbers(self, texts: Sequence[str], first: int) -> np.ndarray:
        try:
            numbers = np.array(list(map(float, texts)))
        except ValueError:
            numbers = np.full(len(texts), np.nan)
        if not np.isfinite(numbers).all() or "_" in "".join(texts):
            for place, text in enumerate(texts):
                if number_in(text) is None and self.errors < MAX_PROBLEMS:
                    said = f"is `{shorten(text, 40)}`" if text.strip() else "is empty"
                    cure = "it must be a finite number; without a column `weight`, weights start at random"
                    self._row(first + place, f"the weight {said}", cure)
        return numbers

    def where(self, row: int) -> str:
        """The place of a wire; the lines are counted when this is asked."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            next(reader, None)
            wires = (reader.line_num for cells in reader if cells)
            return f"{self.path}:{next(itertools.islice(wires, row, None), 1)}"

    def _row(self, row: int, message: str, cure: str) -> None:
        self._report(self.where(row), "E0503", message, cure)

    def _report(self, place: str, code: str, message: str, cure: str) -> None:
        self.errors += 1
        self.found.report(code, message, help=cure, path=place)


# ---------------------------------------------------------------------------------------
# npz


def _read_npz(path: Path, found: Diagnostics, span: Span | None) -> Edges | None:
    arrays = read_arrays(path, found, span)
    if arrays is None:
        return None
    before = found.error_count
    for name in arrays:
        if name not in COLUMNS:
            cure = did_you_mean(name, COLUMNS) or "the arrays are source, target and weight"
            found.report("E0502", f"`{shorten(name)}` is no array of wires", help=cure, path=str(path))
    for name in ENDS:
        if name not in arrays:
            cure = f"the arrays are source, target and weight; the file has {', '.join(arrays) or 'none'}"
            found.report("E0502", f"there is no array `{name}`", help=cure, path=str(path))
        elif arrays[name].dtype.kind != "U" or arrays[name].ndim != 1:
            cure = 'save names, one for each wire: np.array(["x[0]", "h[2]"])'
            found.report("E0503", f"`{name}` is no list of names", help=cure, path=str(path))
    if found.error_count > before:
        return None
    return _edges(
        arrays["source"].tolist(), arrays["target"].tolist(), arrays.get("weight"), str(path), found
    )


def _edges(
    source: Sequence[str], target: Sequence[str], weights: np.ndarray | None, origin: str, found: Diagnostics
) -> Edges | None:
    """Wires of which no file has lines: a place is the number of a wire."""

    def where(row: int) -> str:
        return f"{origin}: wire {row}"

    counts = {len(source), len(target), len(source) if weights is None else len(weights)}
    if len(counts) > 1 or counts == {0}:
        said = "the table has no wires" if counts == {0} else "the arrays have different lengths"
        found.report("E0503", said, help="give each wire a source and a target", path=origin)
        return None
    if weights is not None:
        weights = weights.astype(np.float64) if weights.dtype.kind in "biuf" else np.full(len(source), np.nan)
        if weights.ndim != 1 or not np.isfinite(weights).all():
            bad = int(np.flatnonzero(~np.isfinite(weights.reshape(-1)))[0]) if weights.ndim == 1 else 0
            cure = "weights are finite numbers, one for each wire"
            found.report("E0503", "the weight is no number", help=cure, path=where(bad))
            return None
    codes = _Codes()
    ends = codes.of(source), codes.of(target)
    return Edges(list(codes), *ends, weights, where)


# ---------------------------------------------------------------------------------------
# Graphs


def _read_graphml(path: Path, found: Diagnostics, span: Span | None) -> Edges | None:
    import xml.etree.ElementTree as xml

    import networkx as nx

    try:
        graph = nx.read_graphml(path)
    except (xml.ParseError, nx.NetworkXError, ValueError, KeyError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        report_unusable(found, str(path), f"it is no GraphML: {why}", span, "write it by nx.write_graphml")
        return None
    return _of_graph(graph, str(path), found, span)


def _of_graph(graph: Any, origin: str, found: Diagnostics, span: Span | None) -> Edges | None:
    """The edges of a directed networkx graph; weights where all have one, or none."""
    is_directed = getattr(graph, "is_directed", None)
    if is_directed is None or not is_directed():
        why = "its edges have no direction" if is_directed is not None else "it is no networkx graph"
        report_unusable(found, origin, why, span, "wires go from a source to a target: use nx.DiGraph")
        return None
    edges = list(graph.edges(data="weight"))
    given = [weight for _, _, weight in edges if weight is not None]
    if given and len(given) < len(edges):
        bare = next(i for i, (_, _, weight) in enumerate(edges) if weight is None)
        source, target, _ = edges[bare]
        said = f"the edge from `{shorten(str(source))}` to `{shorten(str(target))}` has no weight"
        found.report("E0503", said, help="give every edge the attribute weight, or none", path=origin)
        return None
    weights = None
    if given:
        are_numbers = all(isinstance(w, (int, float, np.number)) for w in given)
        weights = np.array(given if are_numbers else [np.nan] * len(given), dtype=np.float64)
    return _edges([str(s) for s, _, _ in edges], [str(t) for _, t, _ in edges], weights, origin, found)
