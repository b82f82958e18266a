"""A diagram, from text to code: the road of a program, one method a verb.

The Python side of every command. Everything a user can get wrong raises `FlowError`, which
carries diagnostics; `Diagram.warnings` holds what compiles and yet cannot be meant.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .compiling import DTYPES, LEVELS, TARGETS, compiled
from .display import Displayed
from .errors import Diagnostic, Diagnostics, FlowError, InternalError, Source, fail
from .graph import Graph, with_subgraphs
from .lower import DEFAULT_MAX_NODES, Program, lower
from .lower.early import refuse_early
from .lower.echo import without_echoes
from .lower.program import DEFAULT_TRAINING, Training
from .ops.derivative import REQUESTS
from .parse import parse, paused_collector, read_source
from .passes.base import Observer, Pipeline, Shared
from .passes.batch import Batch
from .passes.check import Check
from .passes.coupling import Coupling
from .passes.expand_grad import ExpandDerivatives
from .passes.infer import InferTypes
from .passes.inline import Inline
from .passes.learn import Learn
from .passes.need_sizes import NeedSizes
from .pipelines import derivative_pipeline, fast_pipeline, pipeline
from .reading import read_edges, read_used
from .syntax import File
from .version import __version__

if TYPE_CHECKING:
    import numpy as np

    from .diff import Difference
    from .draw.drawing import Drawing
    from .params import Params
    from .run import Run
    from .train.report import Trained
    from .verify.report import Verification

STAGES = ("ast", "graph", "typed", "batched", "grad", "optimised", "plan", "code")

UNNAMED = ("", "-", "<stdin>", "<cell>")
"""Paths that give a diagram no name."""


class Diagram(Displayed):
    """A checked diagram.

    file: its syntax tree. program: what it comes to. graph: the typed graph of one example, with
    the derivatives it asks for as requests; expanded: with their computation in their place.
    """

    def __init__(
        self,
        source: Source,
        *,
        settings: Mapping[str, Any] | None = None,
        max_nodes: int = DEFAULT_MAX_NODES,
        wires: Mapping[str, Any] | None = None,
    ) -> None:
        self.source = source
        with paused_collector():
            self._read(settings or {}, max_nodes, wires or {})

    def _read(self, settings: Mapping[str, Any], max_nodes: int, wires: Mapping[str, Any]) -> None:
        refuse_early(self.source, max_nodes)
        found = Diagnostics()
        self.file: File = parse(self.source, found)
        broken = found.has_errors
        rest = Diagnostics()
        name = Path(self.source.path).stem if self.source.path not in UNNAMED else "diagram"
        try:
            self.program: Program = lower(
                self.file, rest, name=name, settings=settings, max_nodes=max_nodes, read=read_used,
                read_edges=partial(read_edges, Path(self.source.path).parent, wires),
            )  # fmt: skip
            is_whole = not rest.has_errors and not broken
            typed = Pipeline((InferTypes(rest), NeedSizes(), Check(rest))).run(self.program.graph)
            if is_whole:
                self._check_data(rest)
            if not rest.has_errors and not broken:
                learn = Learn(rest, self.training.freeze)
                passes = (Inline(), Coupling(rest), ExpandDerivatives(rest), learn)
                self.expanded: Graph = Pipeline(passes).run(typed)
        except FlowError as error:
            rest = Diagnostics(list(error.diagnostics))
        found.items += without_echoes(rest.items, found.items, self.file) if broken else rest.items
        found.raise_errors()
        if self.program.is_partial:
            raise InternalError("a statement was left out of the graph without an error")
        self.graph: Graph = typed
        self._warnings = found.sorted()

    def _check_data(self, found: Diagnostics) -> None:
        if self.program.data is not None:
            from .data import check_data

            check_data(self.program, found)

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def training(self) -> Training:
        """What the `train` statement says, or the default."""
        return self.program.training or DEFAULT_TRAINING

    @property
    def _file_name(self) -> str:
        return Path(self.source.path).name

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(self._warnings)

    def check(self) -> tuple[Diagnostic, ...]:
        """The warnings; errors were raised when the diagram was loaded."""
        return self.warnings

    # -- stages

    def batched(self, observe: Observer | None = None) -> Graph:
        """The graph over a batch of examples, as written."""
        return Pipeline((Batch(),)).run(self.expanded, observe)

    def written(
        self, level: int, function: str = "", *, packed: bool = True, shared: Shared | None = None
    ) -> Graph:
        """The graph that numpy code is written from: of all without derivatives, or of a function with them.

        Repeats stay loops where they can. packed: whether weights of single wires lie in arrays, in what
        a Trainer calls. shared: what was done for other functions.
        """
        if not function:
            made = pipeline(level, rounds=True, packed=packed)
            return made.run(self.graph if self.has_blocks else self.expanded, shared=shared)
        expanded = self.with_loss(f"`{function}`")
        is_gradient = function == "loss_and_grad"
        in_rounds = self.has_blocks and is_gradient
        made = derivative_pipeline(level, function, rounds=in_rounds, packed=packed and is_gradient)
        return made.run(self.graph if in_rounds else expanded, shared=shared)

    def planned(self, function: str, *, without: Collection[str] = ()) -> Graph:
        """The graph that a class of level 2 is planned from. function: "loss_and_grad", or "outputs".

        without: as for `compile`. Raises FlowError (E0603) where there is no loss.
        """
        if function == "loss_and_grad":
            self.with_loss("`Trainer`")
        plain = self.training.is_plain
        return fast_pipeline(function, scaled=plain, without=without).run(self.expanded)

    def optimised(self, level: int = 1, observe: Observer | None = None) -> Graph:
        """The graph that is emitted at a level."""
        return pipeline(level).run(self.expanded, observe)

    def differentiated(
        self, level: int = 1, function: str = "loss_and_grad", observe: Observer | None = None
    ) -> Graph:
        """The graph from which a function with derivatives is emitted at a level.

        function: one of DERIVED. Raises FlowError (E0603) where there is no loss.
        """
        return derivative_pipeline(level, function).run(self.with_loss(f"`{function}`"), observe)

    @property
    def has_blocks(self) -> bool:
        """Whether blocks are called, with no derivative asked for that would go through them."""
        asked = any(node.op.name in REQUESTS for graph in with_subgraphs(self.graph) for node in graph)
        return not asked and any(node.op.subgraphs() for node in self.graph)

    def with_loss(self, what: str) -> Graph:
        """The expanded graph, which must have a loss. Raises FlowError (E0603)."""
        if not self.graph.results_of("loss"):
            raise fail(
                "E0603",
                f"{what} needs a loss, and the diagram has none",
                path=self.source.path,
                help="add a statement such as `loss mse(f, y)`",
            )
        return self.expanded

    def compile(
        self,
        target: str = "numpy",
        *,
        level: int = 1, dtype: str = "float32",
        extras: Sequence[str] = (),
        training: Training | None = None,
        sparse: str = "",
        without: Collection[str] = (),
    ) -> str:  # fmt: skip
        """The text of a Python module for the target. Raises FlowError, ValueError.

        extras: further functions, of those in EXTRAS for the target. training: in place of what the
        file's `train` statement says. sparse: "scipy" for lists of wires by its CSR, in numpy. without:
        optimisations of level 2 to leave out, of `pipelines.OPTIMISATIONS`.
        """
        return compiled(
            self, self._file_name, target, level=level, dtype=dtype, extras=extras, training=training,
            sparse=sparse, without=without,
        )  # fmt: skip

    def stage(
        self,
        name: str,
        *,
        target: str = "numpy",
        level: int = 1,
        dtype: str = "float32",
        extras: Sequence[str] = (),
        spans: bool = False,
        without: Collection[str] = (),
    ) -> str:
        """A stage on the way to the code as text, by its name in STAGES. Raises ValueError.

        spans: whether the graphs' nodes say the line of the file they come from. without: of the code
        and the plan, as for `compile`.
        """
        from .stages import stage_text

        return stage_text(self, name, target, level, dtype, extras, spans, without)

    def explain(
        self, *, backward: bool = False, saved: bool = False, expand: bool = False,
        inputs: Mapping[str, Any] | None = None, params: Params | None = None, seed: int = 0,
        format: str = "text",
    ) -> str:  # fmt: skip
        """The equations of one example, and with `backward` the chain rule. Raises FlowError, ValueError.

        saved: also what the forward pass keeps for the backward pass. expand: write out blocks and
        repeats. inputs: values of one example to fill in, with params and seed as `run` takes them.
        format: "text", "latex" or "markdown".
        """
        from .explain import explain

        expanded = self.with_loss("the backward pass") if backward else self.expanded
        return explain(
            self.program, self.graph, expanded, self.source.path, backward=backward, saved=saved,
            expand=expand, inputs=inputs, params=params, seed=seed, format=format,
        )  # fmt: skip

    def draw(
        self, *, depth: int | None = None, scale: str = "auto", theme: str = "light", metrics: bool = False,
        inputs: Mapping[str, Any] | None = None, params: Params | None = None, grad: bool = False,
        seed: int = 0,
    ) -> Drawing:  # fmt: skip
        """A picture, with `save(path)`, `to_bytes(format)` and `scene`. Raises FlowError, ValueError.

        depth: how many levels of blocks are unfolded, None as many as stay readable. scale: "auto",
        "circles" or "layers". theme: "light" or "dark". metrics: draw them too. inputs: values of one example
        to fill in, targets among them or not; params: weights to show on the wires; both, and seed, as `run`
        takes them. grad: the backward flow in place of the forward one.
        """
        from .draw.drawing import draw
        from .draw.overlay import Overlay, Wishes

        if grad:
            self.with_loss("the backward flow")
        overlay = Overlay(self.program, self.graph, self.source.path, Wishes(inputs, params, grad, seed))
        return draw(self.graph, depth=depth, scale=scale, theme=theme, metrics=metrics, overlay=overlay)

    def diff(self, other: Diagram) -> Difference:
        """What differs in another diagram: true if anything does, and `text()` tells it."""
        from .diff import difference

        return difference(self, other)

    def run(
        self,
        inputs: Mapping[str, Any] | None = None,
        data: Any = None,
        params: Params | None = None,
        seed: int = 0,
    ) -> Run:
        """Simulate in float64: values by name, and a table. Raises FlowError.

        inputs: by name, of one example or several. data: a file or a `flowgraph.data.Table`, in
        place of the file's own data. params: a file of weights, arrays by name, or `Weights`; else
        they are drawn as the emitted `init(seed)` draws them.
        """
        from .run import run_program

        return run_program(self.program, self.expanded, self.source.path, inputs, data, params, seed)

    def params(
        self, source: Params | None = None, seed: int = 0, *, dtype: str = "float32"
    ) -> dict[str, np.ndarray]:
        """The parameters by name, as emitted numpy modules take them. Raises FlowError.

        source, seed: as `run` takes `params` and `seed`.
        """
        from .params import find_params

        found = Diagnostics()
        by_node, _ = find_params(self.graph, source, seed, found, dtype)
        found.raise_errors()
        return {str(self.graph[node].hint): by_node[node].astype(dtype) for node in self.graph.params}

    def train(
        self, data: str | Path | None = None, *, target: str = "numpy", params: Params | None = None,
        epochs: int | None = None, steps: int | None = None, batch: int | str | None = None,
        lr: float | None = None, seed: int | None = None, dtype: str = "float32",
        out: str | Path | None = None, resume: bool = False, device: str | None = None,
        log: int | None = None, save_every: int | None = None, split: float | None = None,
        allow_nan: bool = False, stream: bool | None = None, detect_anomaly: bool = False,
        fsdp: bool = False, level: int = 1, progress: bool = False,
    ) -> Trained:  # fmt: skip
        """Train on the file's data, or on those of another file. Raises FlowError, ValueError.

        epochs, steps, batch (or "all"), lr, seed: in place of the `train` statement's; lr goes into
        a schedule. params: first parameters, as `run` takes them. out: a folder for parameters,
        log and checkpoints; resume: go on with the run there. log, save_every: steps between two
        rows of the log, and two checkpoints. split: the share of the rows for training, 1 for all.
        allow_nan: let nan in the data pass. stream: leave the rows in their file; None: where it
        is large. device, fsdp: of the torch target. detect_anomaly: look at all parameters after
        every step. progress: show it on standard error, in a notebook as a curve.
        """
        if target not in TARGETS or dtype not in DTYPES or level not in LEVELS:
            raise ValueError(f"no target {target!r}, dtype {dtype!r} or level {level!r}")
        from .train.progress import Silent, reporter_for
        from .train.start import Wishes, start

        wishes = Wishes(
            data, target, params, epochs, steps, batch, lr, seed, dtype, out, resume, device, log,
            save_every, split, allow_nan, stream, detect_anomaly, fsdp, level,
        )  # fmt: skip
        return start(self, wishes, reporter_for(sys.stderr) if progress else Silent())

    def verify(
        self,
        data: Any = None,
        params: Params | None = None,
        seed: int = 0,
        *,
        rows: int = 32,
        dtypes: Sequence[str] = ("float64", "float32"),
    ) -> Verification:
        """Compare simulator, emitted code and central differences. Raises FlowError.

        data, params: as `run` takes them. rows: how many rows of the data are looked at. The
        result's `ok` says whether all agree, its `table()` what was compared and how well.
        """
        from .emit import Header, emit
        from .verify import verify_program

        def alone(graph: Graph, target: str) -> str:
            return emit(graph, Header(self._file_name, __version__, target, 0, "float64"))

        return verify_program(
            self.program, self.expanded, self.batched(), self.source.path, self.compile, alone,
            levels=LEVELS, dtypes=dtypes, data=data, params=params, seed=seed, rows=rows,
        )  # fmt: skip


def load(
    path: str | Path, *, settings: Mapping[str, Any] | None = None, max_nodes: int = DEFAULT_MAX_NODES,
    wires: Mapping[str, Any] | None = None,
) -> Diagram:  # fmt: skip
    """The diagram in a file. Raises FlowError with every error of the file.

    settings: values for sizes and scalar consts, as `--set` gives them. wires: what tables are read from
    in place of their files, by the names of their weights: paths, or networkx DiGraphs.
    """
    found = Diagnostics()
    source = read_source(str(path), found)
    found.raise_errors()
    if source is None:
        raise fail("E0001", "the file cannot be read", path=str(path))
    return Diagram(source, settings=settings, max_nodes=max_nodes, wires=wires)


def loads(text: str, name: str = "diagram.flow", **options: Any) -> Diagram:
    """The diagram in a string. Raises FlowError."""
    return Diagram(Source(name, text), **options)
