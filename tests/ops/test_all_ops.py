"""Every operation on every one of its samples: the declaration holds together.

Types, forms, batching and derivatives are checked against each other and against central
differences; an operation needs nothing but its declaration to be tested here.
"""

from __future__ import annotations

import builtins
import dis
import importlib.util
import inspect
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser
from op_cases import (
    BATCH_ONLY,
    Run,
    as_torch,
    backward,
    batchable,
    cases,
    close,
    draw,
    expanded,
    forward,
    items,
    real_slots,
    rng,
)

from flowgraph.codes import CODES
from flowgraph.emit.helpers import with_callees
from flowgraph.emit.template import helper_name
from flowgraph.formula.make import infix
from flowgraph.formula.make import name as formula_name
from flowgraph.formula.read import read
from flowgraph.ops import OPS
from flowgraph.ops.base import Composite
from flowgraph.ops.init import INITS
from flowgraph.ops.notation import written
from flowgraph.types import Dim, Mismatch

ALL = [pytest.param(cls, sample, name, id=name) for cls, sample, name in cases()]
BAD = [pytest.param(cls, sample, id=name) for cls, sample, name in cases("bad_samples")]
has_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
SEVERAL = (list, tuple)
"""What a form gives whose operation has several results."""
DTYPES = {"real": np.float64, "int": np.int64, "class": np.int64, "bool": np.bool_}


def sizes_of(type: Any) -> tuple[int, ...]:
    return tuple(d.value for d in type.shape)


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_the_inferred_type_is_that_of_the_value(cls, sample, name):
    run = Run(cls, sample)
    got = run.value(draw(sample, rng(name)))
    parts = got if isinstance(got, SEVERAL) else [got]
    for part, want in zip(parts, items(run.result.type), strict=True):
        assert np.shape(part) == sizes_of(want)
        assert np.asarray(part).dtype == DTYPES[want.elem.kind]


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_forms_keep_single_precision(cls, sample, name):
    run = Run(cls, sample)
    arrays = [a.astype(np.float32) if a.dtype == np.float64 else a for a in draw(sample, rng(name))]
    got = run.value(arrays, dtype=np.float32)
    for part, want in zip(got if isinstance(got, SEVERAL) else [got], items(run.result.type), strict=True):
        if want.elem.kind == "real":
            assert np.asarray(part).dtype == np.float32


@has_torch
@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_the_torch_form_gives_the_same(cls, sample, name):
    if cls.draws == "always":
        return  # from its own generator
    run = Run(cls, sample)
    arrays = draw(sample, rng(name))
    got = run.value([as_torch(a) for a in arrays], "torch")
    want = run.value(arrays)
    for part, type in zip(got if isinstance(want, SEVERAL) else [got], items(run.result.type), strict=True):
        assert np.asarray(part).dtype == DTYPES[type.elem.kind]
    assert close(list(got) if isinstance(want, SEVERAL) else got, want)


@pytest.mark.parametrize("size", [3, 1, 0])
@pytest.mark.parametrize(("cls", "sample", "name"), [c for c in ALL if c.values[0].name not in BATCH_ONLY])
def test_a_batch_equals_a_loop_over_its_examples(cls, sample, name, size):
    one = Run(cls, sample)
    for batched in batchable(cls, sample):
        run = Run(cls, sample, batched)
        arrays = draw(sample, rng(name), dict.fromkeys(batched, size))
        got = run.value(arrays)
        several = isinstance(got, SEVERAL)
        for part, type in zip(got if several else [got], items(run.result.type), strict=True):
            assert np.shape(part) == tuple(d.at({"N": size}) for d in type.shape)
            assert np.asarray(part).dtype == DTYPES[type.elem.kind]
        for i in range(size):
            example = [a[i] if slot in batched else a for slot, a in enumerate(arrays)]
            want = one.value(example)
            assert close([p[i] for p in got] if several else got[i], want), f"operands {batched}"


@has_torch
@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0")  # torch.var of an empty batch
@pytest.mark.parametrize(("cls", "sample", "name"), [c for c in ALL if c.values[0].name not in BATCH_ONLY])
def test_a_batch_in_torch_gives_the_same(cls, sample, name):
    for batched in batchable(cls, sample):
        for size in (2, 0):
            run = Run(cls, sample, batched)
            arrays = draw(sample, rng(name), dict.fromkeys(batched, size))
            want = run.value(arrays)
            got = run.value([as_torch(a) for a in arrays], "torch")
            assert close(list(got) if isinstance(want, SEVERAL) else got, want), f"operands {batched}"


@has_torch
@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_the_torch_module_gives_the_same(cls, sample, name):
    import torch
    from torch import nn

    given = cls.operands[: len(sample.args)]
    own = (*cls.params, *cls.ambient)
    inputs = tuple(i for i, o in enumerate(given) if o.rstrip("?") not in own)
    if not sample.args or cls.name in BATCH_ONLY:
        return
    run = Run(cls, sample, inputs)
    arrays = draw(sample, rng(name), dict.fromkeys(inputs, 2))
    node = run.graph[run.result.name]
    if not isinstance(node.op, cls):
        return  # over a batch another operation does it
    text = node.op.torch_layer([run.graph[o].type for o in node.operands])
    if not text:
        return
    module = eval(text, {"nn": nn, **node.op.values}).double().eval()
    known = run.values([as_torch(a) for a in arrays], "torch")
    operands = [known[o] for o in node.operands]
    for slot, operand in enumerate(cls.operands[: len(operands)]):
        if operand.rstrip("?") in cls.params:
            getattr(module, operand.rstrip("?")).data = operands[slot]
    passed = dict(zip([o.rstrip("?") for o in cls.operands], operands, strict=False))
    with torch.no_grad():
        if cls.torch_call:
            got = eval(f"module({cls.torch_call})", {"module": module, **passed})
        else:
            got = module(*(operands[i] for i in inputs))
    assert close(got, run.value(arrays), 1e-9)


# ---------------------------------------------------------------------------------------
# Derivatives

SMOOTH = [
    c
    for c in ALL
    if real_slots(c.values[1])
    and c.values[0].name not in ("input", "target", "param")
    and c.values[0].differentiable
]


def along(arrays: list[Any], direction: dict[int, Any], step: float) -> list[Any]:
    return [a + step * direction[i] if i in direction else a for i, a in enumerate(arrays)]


def flat(value: Any) -> np.ndarray:
    parts = value if isinstance(value, SEVERAL) else [value]
    return np.concatenate([np.asarray(p, dtype=np.float64).ravel() for p in parts])


@pytest.mark.parametrize(("cls", "sample", "name"), SMOOTH)
def test_derivatives_match_central_differences(cls, sample, name):
    """jvp against differences of values; vjp against jvp; jvp of vjp against differences of vjp."""
    run = expanded(Run(cls, sample))
    generator = rng(name)
    arrays = draw(sample, generator)
    slots = real_slots(sample)
    direction = {i: generator.uniform(-1, 1, arrays[i].shape) for i in slots}
    step = 1e-5
    high, low = run.value(along(arrays, direction, step)), run.value(along(arrays, direction, -step))
    want = (flat(high) - flat(low)) / (2 * step)

    results = items(run.result.type)
    several = len(results) > 1 or isinstance(run.value(arrays), SEVERAL)
    cotangents = [run.input(t) for t in results]
    tangents = {run.inputs[i].name: run.input(sample.args[i].type) for i in slots}
    ways = [generator.uniform(-1, 1, sizes_of(t)) for t in results]
    rates = [direction[i] for i in slots]

    for name_, one in tangents.items():
        (alone,) = forward(run, {name_: one}, [run.result.name])
        assert alone is None or alone.type == run.result.type
    (tangent,) = forward(run, tangents, [run.result.name])
    assert tangent is not None
    back = backward(run, cotangents if several else cotangents[0])
    assert all(b is None or b.shape == v.shape for b, v in zip(back, run.inputs, strict=True))
    through = [back[i] for i in slots]
    known = run.values([*arrays, *ways, *rates])
    got = flat(known[tangent.name])
    assert got == pytest.approx(want, rel=1e-6, abs=1e-7)
    pulled = sum(
        np.sum(known[b.name] * direction[i]) for b, i in zip(through, slots, strict=True) if b is not None
    )
    assert pulled == pytest.approx(np.dot(got, flat(ways)), rel=1e-10, abs=1e-12)

    moved = [b for b in through if b is not None]
    second = forward(run, tangents, [b.name for b in moved])
    known = run.values([*arrays, *ways, *rates])
    up = run.values([*along(arrays, direction, step), *ways, *rates])
    down = run.values([*along(arrays, direction, -step), *ways, *rates])
    for first, rate in zip(moved, second, strict=True):
        want = (up[first.name] - down[first.name]) / (2 * step)
        got = np.zeros_like(want) if rate is None else known[rate.name]
        assert np.broadcast_to(got, want.shape) == pytest.approx(want, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_what_has_no_derivative_passes_none(cls, sample, name):
    if cls.differentiable or not sample.args:
        return
    run = Run(cls, sample)
    node = run.graph[run.result.name]
    xs = run.inputs
    assert node.op.jvp(xs, run.result, *xs) is None
    assert node.op.vjp(run.result, run.result, *xs) == [None] * len(xs)


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_a_composite_equals_its_expansion(cls, sample, name):
    if not issubclass(cls, Composite):
        return
    run = Run(cls, sample)
    arrays = draw(sample, rng(name))
    assert close(expanded(run).value(arrays), run.value(arrays))


# ---------------------------------------------------------------------------------------
# What is said


@pytest.mark.parametrize(("cls", "sample"), BAD)
def test_bad_operands_are_refused_with_a_cure(cls, sample):
    with pytest.raises(Mismatch) as caught:
        Run(cls, sample)
    error = caught.value
    assert error.message and error.help
    assert error.code in CODES
    assert all(0 <= slot < len(sample.args) and text for slot, text in error.blame)
    if error.code == "E0310":
        assert error.blame
    assert all(isinstance(size, Dim) for size in error.sizes)


CALLABLE = [cls for cls in OPS.values() if cls.group]


@pytest.mark.parametrize("cls", CALLABLE, ids=lambda cls: cls.name)
def test_every_operation_is_documented_and_sampled(cls):
    assert cls.__doc__.strip().splitlines()[0].endswith((".", ";", ":"))
    assert cls.formula and "\n" not in cls.formula
    assert cls.latex
    assert cls.samples


@pytest.mark.parametrize("cls", list(OPS.values()), ids=lambda cls: cls.name)
def test_the_latex_of_every_declaration_is_read(cls):
    names = {o.strip("*?") for o in cls.operands} | {a.name for a in cls.attrs}
    assert {place.partition("[")[0] for place in read(cls.latex).slots()} <= names
    assert read(cls.called).latex().startswith(r"\operatorname{")


@pytest.mark.parametrize(("cls", "sample", "name"), ALL)
def test_its_formula_is_set_by_mathtext_and_leaves_nothing_out(cls, sample, name):
    run = Run(cls, sample)
    node = run.graph[run.result.name]
    types = [run.graph[o].type for o in node.operands]
    letters = [formula_name(f"q{i}") for i in range(len(types))]
    said = written(node.op, types, letters)
    for style in (said, written(node.op, types, [infix("+", q, q) for q in letters])):
        MathTextParser("path").parse(f"${style.latex()}$")
    ambient = [o in node.op.ambient for o in node.op.operands]
    for slot, letter in enumerate(letters[:5]):
        is_shown = slot >= len(ambient) or not ambient[slot]
        assert (letter.text() in said.text()) == is_shown or node.op.name in SILENT, said.text()


SILENT = ("zeros_like",)
"""Operations of whose operand the shape alone counts."""


NAMES = (
    "step sign sigmoid tanh relu leaky_relu elu selu gelu silu mish softplus softsign hard_sigmoid hard_tanh "
    "hard_swish relu6 softmax log_softmax "
    "abs exp expm1 log log1p sqrt square reciprocal sin cos tan asin acos atan sinh cosh erf floor ceil "
    "round clip minimum maximum where "
    "sum mean prod max min argmax argmin logsumexp var std norm cumsum "
    "reshape flatten permute expand squeeze concat stack split pad flip take one_hot outer einsum "
    "zeros ones full eye arange linspace tril triu "
    "linear bilinear layernorm rmsnorm groupnorm attention rotary rnn_cell gru_cell lstm_cell "
    "mse mae huber cross_entropy nll bce bce_with_logits hinge perceptron kl_div accuracy top_k "
    "add sub mul div pow mod matmul neg equal not_equal less less_equal greater greater_equal "
    "logical_and logical_or logical_not "
)
"""Design 1.6, and the operators behind the syntax of Flow."""


@pytest.mark.parametrize("name", NAMES.split())
def test_the_standard_set_is_complete(name):
    assert OPS[name].group


def pasted() -> list[Any]:
    """Every function that is a form, of an operation or an initialiser, with those it calls."""
    forms = [
        type_.__dict__.get(key) for type_ in (*OPS.values(), *INITS.values()) for key in ("numpy", "torch")
    ]
    for cls, sample, _ in cases():
        run = Run(cls, sample)
        node = run.graph[run.result.name]
        types = [run.graph[o].type for o in node.operands]
        forms += [node.op.form("numpy", types), node.op.form("torch", types)]
    functions = [getattr(f, "__func__", f) for f in forms if callable(f) or isinstance(f, staticmethod)]
    return with_callees(dict.fromkeys(functions))


PASTED = pasted()


@pytest.mark.parametrize("function", PASTED, ids=lambda f: f.__name__)
def test_pasted_functions_are_plain_and_documented(function):
    """They stand in users' modules as they are: untyped, with a docstring of one line."""
    assert not function.__annotations__
    assert function.__doc__.count("\n") == 0 and function.__doc__.endswith(".")
    allowed = {"np", "torch", "F", "math", *dir(builtins), *(f.__name__ for f in PASTED)}
    named = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
    assert named <= allowed
    assert helper_name(function) not in {"np", "torch", "F", "numpy", *dir(builtins)}


def test_pasted_functions_are_formatted_as_emitted_code_is(tmp_path):
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    sources = [textwrap.dedent(inspect.getsource(f)).replace("@staticmethod\n", "").rstrip() for f in PASTED]
    head = "import math\n\nimport numpy as np\nimport torch\n\n\n"
    module = tmp_path / "pasted.py"
    module.write_text(head + "\n\n\n".join(sources) + "\n", encoding="utf-8")
    done = subprocess.run(
        [ruff, "format", "--isolated", "--line-length", "88", "--diff", str(module)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
