"""Verify a diagram: every engine computes the same values and derivatives, and the right ones.

Assumes a checked diagram. The simulator is the reference; the emitted modules are executed at
every level, PyTorch's autograd and central differences are second opinions on derivatives. A
difference above its tolerance is looked into before it is called one: whether rounding does as
much to this very diagram, and whether the point is on a kink, where derivatives are a matter of
convention. Both are said in the report, neither counts as agreement.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data.load import load_data
from ..data.table import Table
from ..errors import Diagnostics, FlowError
from ..graph import Graph
from ..lower.program import DEFAULT_TRAINING, Program, Training
from ..params import Params, find_params
from ..passes.learn import staying
from ..passes.simulate import ShapeClash, simulate
from .cases import EXAMPLES, beside, data_case, random_case
from .compare import (
    NOISE,
    NOISE_SINGLE,
    TIMES,
    VALUES,
    WRITTEN,
    Arrays,
    Quantities,
    group_of,
    largest_difference,
    meant,
    scale_of,
    tolerance_of,
)
from .culprits import Emit, culprits
from .differences import compare_differences
from .engines import Case, Engine, Simulator, asked
from .modes import has_modes, least_rows
from .modules import NumpyModule, TorchModule
from .report import NEAR, Row, Verification
from .training import Steps

TRIES = 6
"""How often errors are drawn, to see what rounding does."""

ROWS = 32
"""Rows of the data that are looked at unless more are asked for."""


def verify_program(
    program: Program,
    graph: Graph,
    batched: Graph,
    path: str,
    compile: Callable[..., str],
    emit: Emit,
    *,
    levels: Sequence[int] = (0, 1),
    dtypes: Sequence[str] = ("float64", "float32"),
    data: str | Path | Table | None = None,
    params: Params | None = None,
    seed: int = 0,
    rows: int = ROWS,
) -> Verification:
    """Compare all engines on random values and on data. Raises FlowError.

    graph, batched: of one example, and over a batch. compile: `Diagram.compile`. emit: the text
    of any batched graph for a target. levels, dtypes: what is emitted. data, params: as
    `Diagram.run` takes them; without data, random values alone. rows: how many rows of the data are
    looked at.
    """
    found = Diagnostics()
    by_node, params_from = find_params(graph, params, seed, found)
    table = data if isinstance(data, Table) else _read(program, path, data, seed, found)
    found.raise_errors()
    verifier = _Verifier(graph, batched, emit, seed)
    first, buffers = (
        {str(graph[n].hint): by_node[n] for n in nodes} for nodes in (graph.params, graph.buffers)
    )
    cases = verifier.cases(first, buffers, table, rows, params_from, path)
    engines = verifier.engines(compile, levels, dtypes)
    if params is None:
        verifier.compare_init(engines, first)
    for case in cases:
        verifier.compare(case, engines)
    verifier.compare_training(program.training or DEFAULT_TRAINING, cases, engines)
    verifier.blame()
    return verifier.report


def _read(
    program: Program, path: str, data: str | Path | None, seed: int, found: Diagnostics
) -> Table | None:
    """The examples in a file, or else the file's own; None if it has none."""
    if data is None and program.data is None:
        return None
    return load_data(program, Path(path).parent, found, path=data, seed=seed)


class _Verifier:
    def __init__(self, graph: Graph, batched: Graph, emit: Emit, seed: int) -> None:
        self.graph, self.batched, self.emit, self.seed = graph, batched, emit, seed
        self.simulator = Simulator(batched, graph)
        self.report = Verification()
        self._rough_case: Case | None = None
        self._rough: dict[float, dict[str, float]] = {}
        """What errors of every operation, of a size, do to the quantities of the case asked for last."""
        self.wrong: Case | None = None
        """The first case on which engines differ."""

    # -- what is compared

    def cases(
        self, params: Arrays, buffers: Arrays, table: Table | None, rows: int, params_from: str, path: str
    ) -> list[Case]:
        """Random values, then the data; each in training too where that differs."""
        head, found = self.report.head, []
        drawn = random_case(self.graph, params, self.seed, self._has_numbers, buffers)
        name = Path(path).name
        if drawn is None:
            head.append(f"{name}: no sizes were found that meet its requirements: nothing random was tried.")
        else:
            beside = " with parameters beside the first ones" if params else ""
            head.append(f"{name}: {EXAMPLES} random examples{beside}.")
            found.append(drawn)
        if table is not None and table.count:
            case = data_case(self.graph, params, table, rows, self.seed, buffers)
            some = (
                f"{len(case.rows)} of {table.count}" if len(case.rows) < table.count else f"all {table.count}"
            )
            values = f" with {params_from}" if params else ""
            head.append(f"{name}: {some} rows of the data{values}.")
            if not case.has_targets and self.graph.results_of("loss"):
                head.append("The data have no targets: on them, outputs alone are compared.")
            found.append(case)
        if not self.graph.results_of("loss"):
            head.append("There is no loss: values alone are compared.")
        if has_modes(self.batched):
            least = least_rows(self.graph)
            found += [case.in_training() for case in found if len(case.rows) >= least]
        for case in found:
            self._note_numbers(case, path)
        return found

    def _has_numbers(self, case: Case) -> bool:
        try:
            return not self._without_numbers(case)
        except IndexError:
            return False

    def _without_numbers(self, case: Case) -> list[str]:
        found = self.simulator.quantities(case)
        return [name for name, value in found.items() if not np.all(np.isfinite(value))]

    def _note_numbers(self, case: Case, path: str) -> None:
        try:
            names = self._without_numbers(case)
        except ShapeClash as clash:
            raise clash.refusal("E0504", path) from None
        if names:
            some = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            self.report.head.append(f"On {case.title}, there are infinities or non-numbers in {some}.")

    def engines(
        self, compile: Callable[..., str], levels: Sequence[int], dtypes: Sequence[str]
    ) -> list[Engine]:
        """The emitted modules that can be had."""
        derived = bool(self.graph.results_of("loss"))
        found: list[Engine] = []
        has_torch = importlib.util.find_spec("torch") is not None
        if not has_torch:
            self.report.head.append("PyTorch is not installed: the torch target and autograd are skipped.")
        for dtype in dtypes:
            for level in levels:
                extras = ("jvp", "hvp", "per_example_grad") if derived else ()
                text = compile("numpy", level=level, dtype=dtype, extras=extras)
                found.append(NumpyModule(self.batched, text, level, dtype))
            for level in levels if has_torch else ():
                try:
                    text = compile("torch", level=level, dtype=dtype, extras=("vjp",) if derived else ())
                except FlowError as error:
                    why = error.diagnostics[0].message
                    self.report.add(Row("outputs", f"torch -O{level}", None, None, "skipped", why))
                    continue
                found.append(TorchModule(self.batched, text, level, dtype))
        return found

    def compare_init(self, engines: Sequence[Engine], first: Arrays) -> None:
        """The emitted `init` draws the numbers that the simulator draws."""
        nowhere = Case("init", {}, {}, {}, (), False)
        want = {f"init {n}": a for n, a in first.items()}
        for engine in engines:
            if isinstance(engine, NumpyModule) and first:
                self._compare_group("init", engine, nowhere, want, engine.init(self.seed))

    def compare(self, case: Case, engines: Sequence[Engine]) -> None:
        """Every engine on a case, and the derivatives against differences."""
        want = self.simulator.quantities(case)
        for engine in engines:
            got = self._answer(engine, case)
            if got is None:
                continue
            for group in dict.fromkeys(map(group_of, (*want, *got))):
                if group not in engine.lacks and group not in engine.skipped:
                    self._compare_group(group, engine, case, want, got)
            for group, why in engine.skipped.items():
                self._add(Row(group, engine.name, None, None, "skipped", f"PyTorch: {why}"), case)
        if asked(case, self.graph)[1]:
            for row in compare_differences(self.simulator, case, self.seed):
                self._add(row, case)

    def compare_training(self, training: Training, cases: Sequence[Case], engines: Sequence[Engine]) -> None:
        """A few steps of training, on the cases that have a loss with a gradient."""
        frozen = staying(self.graph, training.freeze)
        if len(frozen) == len(self.graph.params):
            return
        for case in cases:
            if case.train or not asked(case, self.graph)[1]:
                continue
            steps = Steps(self.simulator, training, frozen, case, self.seed)
            least = least_rows(self.graph)
            if any(len(rows) < least for batch in steps.batches(case) for rows in batch.values()):
                self.report.head.append(f"On {case.title}, training has a batch of fewer than {least} rows.")
                continue
            self.report.head += steps.remarks()
            rows = [row for engine in engines for row in steps.rows(engine)]
            for row in rows:
                self._add(row, case)
            if any(row.status == "DIFFERS" for row in rows) and not self.report.blamed:
                self.report.blamed += steps.culprits()

    def _answer(self, engine: Engine, case: Case) -> Quantities | None:
        """What an engine gives; what it raises is a disagreement, since the simulator raised nothing."""
        try:
            return engine.quantities(case)
        except Exception as error:
            said = f"{engine.name} raises {type(error).__name__} on {case.title}: {error}"
            self._add(Row("outputs", engine.name, np.inf, VALUES, "DIFFERS", said), case)
            return None

    def _add(self, row: Row, case: Case) -> None:
        self.report.add(row)
        if row.status == "DIFFERS" and self.wrong is None:
            self.wrong = case

    # -- one group of quantities

    def _compare_group(
        self, group: str, engine: Engine, case: Case, want: Quantities, got: Quantities
    ) -> None:
        tolerance = tolerance_of(group, engine.single, isinstance(engine, TorchModule))
        plain = Row(group, engine.name, 0.0, tolerance, "ok")
        given = [n for n in got if group_of(n) == group]
        missing = [n for n in want if group_of(n) == group and n not in got]
        if missing or any(meant(n) not in want for n in given):
            said = (
                f"{engine.name} gives {', '.join(given) or 'nothing'}, and not {', '.join(missing) or 'that'}"
            )
            self._add(replace(plain, difference=np.inf, status="DIFFERS", note=said), case)
            return
        for name in given:
            difference, place = self._difference(name, case, want, got)
            row = replace(plain, difference=difference)
            self._add(row if difference <= tolerance else self._judged(row, name, place, engine, case), case)

    def _difference(self, name: str, case: Case, want: Quantities, got: Quantities) -> tuple[float, str]:
        """The largest difference of a quantity relative to its scale, and its place."""
        same = meant(name)
        return largest_difference(got[name], want[same], scale_of(same, want, case.way))

    def _judged(self, row: Row, name: str, place: str, engine: Engine, case: Case) -> Row:
        """A difference above the tolerance, with what explains it or where it is."""
        where = f"{meant(name)}{place} on {case.title}"
        if row.quantity == "init":
            return replace(row, status="DIFFERS", note=where)
        assert row.difference is not None
        rounding = self._rounding(name, case, NOISE_SINGLE if engine.single else NOISE)
        if row.difference <= TIMES * rounding:
            return replace(
                row, status="rounding", note=f"{where}: rounding alone changes it by {rounding:.1e}"
            )
        why = self._slopes(name, row, engine)
        if why and self._agrees_beside(name, row, engine, case):
            return replace(row, status="kink", note=f"{where}: a kink, {why}; beside it both agree")
        note = f"{where}{self._example(name, row, place, engine, case)}"
        return replace(row, status="DIFFERS", note=note)

    @staticmethod
    def _slopes(name: str, row: Row, engine: Engine) -> str:
        """Why an engine may have another derivative than the simulator at a kink, or nothing."""
        if not row.quantity.startswith(("gradient", "jvp", "hvp")):
            return ""
        if engine.single:
            return NEAR
        is_autograd = isinstance(engine, TorchModule) and not name.endswith(WRITTEN)
        return "where PyTorch takes another slope" if is_autograd else ""

    def _rounding(self, name: str, case: Case, noise: float) -> float:
        """How much an error of every operation changes a quantity, relative to its scale."""
        if self._rough_case is not case:
            self._rough_case, self._rough = case, {}
        if noise not in self._rough:
            want, found = self.simulator.quantities(case), dict[str, float]()
            for seed in range(TRIES):
                rough = self.simulator.quantities(case, noise, seed)
                for each in want:
                    found[each] = max(found.get(each, 0.0), self._difference(each, case, want, rough)[0])
            self._rough[noise] = found
        return self._rough[noise][meant(name)]

    def _agrees_beside(self, name: str, row: Row, engine: Engine, case: Case) -> bool:
        """Whether an engine agrees at points a little away."""
        return all(not self._differs(name, row, engine, near) for near in beside(case, self.seed))

    def _differs(self, name: str, row: Row, engine: Engine, case: Case) -> bool:
        assert row.tolerance is not None
        found = self._difference(name, case, self.simulator.quantities(case), engine.quantities(case))
        return found[0] > row.tolerance

    def _example(self, name: str, row: Row, place: str, engine: Engine, case: Case) -> str:
        """Which example it is, or the first on which the quantity differs by itself."""
        if row.quantity in ("outputs", "gradient per example") and place.startswith("["):
            index = int(place.strip("[]").split(",")[0])
            return f", example {case.rows[index]}" if index < len(case.rows) else ""
        if case.train and self.simulator.couples:
            return ""
        for index, number in enumerate(case.rows):
            if self._differs(name, row, engine, case.only(index)):
                return f", on example {number} by itself"
        return ", on no example by itself"

    # -- blame

    def blame(self) -> None:
        """Where engines differ, look for the operations that are wrong by themselves."""
        if self.wrong is not None:
            known = simulate(self.batched, self.simulator.values(self.wrong, self.batched))
            self.report.blamed += culprits(self.batched, known, self.emit)
