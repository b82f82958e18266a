"""What is loaded when: the command must be quick, and the package light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from running import EXAMPLES

import flowgraph
from flowgraph.cli.main import COMMANDS

RARE = {"matplotlib", "torch", "onnx", "rich", "scipy", "safetensors"}
HEAVY = RARE | {"lark", "numpy", "networkx"}
SHOW = """import json, sys, atexit
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
"""


def loaded(*arguments: str) -> set[str]:
    """The top-level modules that a Python process has loaded in the end."""
    command = [sys.executable, "-c", SHOW + arguments[0], *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


RUN = "from flowgraph.cli.main import run; run()"


def test_help_loads_nothing_heavy() -> None:
    for arguments in ((["--help"]), (["--version"]), *(([name, "--help"]) for name in COMMANDS)):
        assert not loaded(RUN, *arguments) & HEAVY, arguments


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded("import flowgraph") & HEAVY


def test_loading_a_diagram_needs_no_torch() -> None:
    script = "import flowgraph, sys\nd = flowgraph.load(sys.argv[1])\nd.run(); d.compile('torch')"
    assert not loaded(script, str(EXAMPLES["xor"])) & RARE


def test_check_does_not_load_what_only_people_need() -> None:
    assert not loaded(RUN, "check", str(EXAMPLES["xor"])) & RARE


def test_the_public_names() -> None:
    assert flowgraph.loads("input x\nf = x\n").run({"x": 2}).outputs["f"].tolist() == [2]
    assert issubclass(flowgraph.FlowError, Exception) and flowgraph.__version__
    assert {*flowgraph.__all__} <= {*dir(flowgraph)}
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        flowgraph.lod  # noqa: B018
