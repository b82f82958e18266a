"""Every operation, called from Flow text, in the code that both targets emit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
from op_cases import Run, cases, draw, items, rng
from running import EMITTED, HAS_TORCH, SIMULATOR, initial, same

from flowgraph.diagram import loads
from flowgraph.emit.helpers import paste, with_callees
from flowgraph.ops import OPS
from flowgraph.ops.base import Arg, Op, Sample
from flowgraph.ops.describe import setting_text

DOUBLE = [e for e in EMITTED if e.dtype == "float64" and (e.target != "torch" or HAS_TORCH)]


def program(cls: type[Op], sample: Sample) -> str:
    """A diagram whose output is the operation of its inputs."""
    own = (*cls.params, *cls.ambient)
    passed = [(i, o) for i, o in enumerate(slots(cls, sample)) if o not in own]
    lines = [f"input in{i} : {declared(sample.args[i])}" for i, _ in passed]
    attrs = [f"{name}={setting_text(value)}" for name, value in sample.attrs.items()]
    given = [f"in{i}" for i, _ in passed]
    if cls.attrs_first:
        given, attrs = [setting_text(sample.attrs["subscripts"]), *given], []
    call = f"{cls.name}({', '.join([*given, *attrs])})"
    names = ", ".join(f"r{i}" for i, _ in enumerate(items(Run(cls, sample).result.type)))
    return "\n".join([*lines, f"{names} = {call}", f"output {names}"]) + "\n"


def slots(cls: type[Op], sample: Sample) -> list[str]:
    names = [o.rstrip("?") for o in cls.operands if not o.startswith("*")]
    return [*names, *("x" for _ in range(len(sample.args) - len(names)))][: len(sample.args)]


def declared(arg: Arg) -> str:
    shape = f"[{', '.join(map(str, arg.shape))}]" if arg.shape else ""
    kind = {"real": "", "class": f"class({arg.classes})"}.get(arg.kind, arg.kind)
    return f"{kind}{shape}" or "real"


CALLABLE = [
    pytest.param(cls, sample, name, id=name) for cls, sample, name in cases() if cls.group and sample.args
]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0")  # torch.var of an empty batch
@pytest.mark.parametrize(("cls", "sample", "name"), CALLABLE)
def test_the_emitted_code_gives_the_same(cls, sample, name):
    if cls.draws == "always":
        return  # no inputs, and PyTorch draws from its own generator
    text = program(cls, sample)
    diagram = loads(text, "case.flow")
    params = initial(diagram) if diagram.graph.params or diagram.graph.buffers else {}
    slot_of = {f"in{i}": i for i in range(len(sample.args))}
    for count in (3, 0):
        drawn = draw(sample, rng(name), dict.fromkeys(range(len(sample.args)), count))
        inputs = {n: drawn[slot_of[n]] for n in diagram.graph.inputs}
        expected = SIMULATOR.run(diagram, params, inputs, {})
        for engine in DOUBLE:
            same(engine.run(diagram, params, inputs, {}), expected, rtol=1e-9, atol=1e-12)
    assert np.isfinite(np.asarray(expected.outputs[0])).all()


def test_the_emitted_code_is_formatted_and_clean(tmp_path):
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for cls, sample, name in (p.values for p in CALLABLE):
        diagram = loads(program(cls, sample), "case.flow")
        for target in ("numpy", "torch"):
            for level in (0, 1):
                file = tmp_path / f"{name.replace('-', '_')}_{target}_{level}.py"
                file.write_text(diagram.compile(target, level=level), encoding="utf-8")
    for command in (["format", "--diff"], ["check"]):
        done = subprocess.run([ruff, *command, "--isolated", str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_pasted_is_narrow():
    """The functions that emitted modules take over, docstrings and comments too."""
    forms = [f for cls in OPS.values() for f in (cls.numpy, cls.torch) if isinstance(f, FunctionType)]
    assert len(forms) > 50
    lines = {line for form in with_callees(forms) for line in paste(form, {})}
    assert [line for line in lines if len(line) > 88] == []
