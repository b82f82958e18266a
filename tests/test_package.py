"""What is shipped: the wheel, the sdist, and the two command lines of the README."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from running import ROOT

from flowgraph.version import __version__

README = (ROOT / "README.md").read_text(encoding="utf-8")
NEEDED = ["build", "hatchling", "pip"]
SETUP = [line for line in README.splitlines() if line.startswith("python3 -m venv")]


def clean(**more: str) -> dict[str, str]:
    """This process's environment without what Python and pytest put into it."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))} | more


def command(*arguments: object, cwd: Path, **more: str) -> str:
    """What a command prints; it must succeed."""
    words = [str(a) for a in arguments]
    done = subprocess.run(words, cwd=cwd, env=clean(**more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it, of what git would check out."""
    for name in NEEDED:
        pytest.importorskip(name, reason=f"{name} is not installed; it is in the dev extra")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    shutil.copytree(
        ROOT,
        source / "flowgraph",
        ignore=shutil.ignore_patterns(".git", ".venv", "dist", "*cache*", ".hypothesis", "*.egg-info"),
    )
    command(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, cwd=source / "flowgraph")
    return out


@pytest.mark.packaging
def test_the_sdist_holds_what_a_checkout_holds(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert file.name == f"flowgraph-{__version__}.tar.gz"
    assert {"grammar/flow.lark", "grammar/flow.tables.json", "flowgraph/cli/main.py", "LICENSE"} <= names
    assert {
        "README.md",
        "CHANGELOG.md",
        "examples/lecture/xor.flow",
        "tests/test_package.py",
        ".ci/run",
    } <= names
    assert not [n for n in names if "__pycache__" in n or n.startswith(".hypothesis")]


@pytest.mark.packaging
def test_the_wheel_runs_where_nothing_else_is(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {"flowgraph/grammar/flow.lark", "flowgraph/grammar/flow.tables.json"} <= set(names)
    assert {"flowgraph/draw/page.css", "flowgraph/draw/page.js"} <= set(names)
    assert not [n for n in names if n.startswith(("tests/", "examples/"))]
    command(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    # Its dependencies come from this environment, so that no network is needed.
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(command(python, "-c", ask, cwd=tmp_path).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["install", "--no-deps", "--no-index", "--quiet", wheel]
    command(sys.executable, "-m", "pip", "--python", python, *install, cwd=tmp_path)
    where = command(python, "-c", "import flowgraph; print(flowgraph.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(site)
    flow = tmp_path / "elsewhere"
    flow.mkdir()
    (flow / "a.flow").write_text("input x\nf = step(x - 1)\n")
    flowc = tmp_path / "venv" / "bin" / "flowc"
    assert command(flowc, "check", "a.flow", cwd=flow) == "a.flow: no errors\n"
    assert command(flowc, "run", "a.flow", "--in", "x=[0,1]", cwd=flow) == "x | f\n0 | 0\n1 | 1\n"
    assert command(python, "-m", "flowgraph", "--version", cwd=flow) == f"flowc {__version__}\n"
    stored = command(
        python,
        "-c",
        "from flowgraph.parse import grammar_path as g; from flowgraph.parse.tables import load_tables as t;"
        "print(g(), t(g()) is not None)",
        cwd=flow,
    )
    assert stored == f"{site / 'flowgraph' / 'grammar' / 'flow.lark'} True\n"


@pytest.mark.packaging
def test_completion_is_there(tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert f"_FLOWC_COMPLETE={shell}_source flowc" in README
        run = "from flowgraph.cli.main import run; run()"
        script = command(sys.executable, "-c", run, cwd=ROOT, _FLOWC_COMPLETE=f"{shell}_source")
        assert "_FLOWC_COMPLETE" in script and "flowc" in script


def test_the_readme_has_two_command_lines() -> None:
    assert len(SETUP) == 2
    first, second = SETUP
    assert (
        "flowc compile examples/lecture/xor.flow &&" in first
        and "run examples/lecture/xor.flow --trace" in first
    )
    assert second.endswith(".venv/bin/python -m pytest -n 2") and "'.[dev]'" in second
    files = [path for line in SETUP for path in re.findall(r"examples/\S+\.flow", line)]
    assert len(files) == 2 and all((ROOT / path).exists() for path in files)


def test_ci_runs_the_readmes_tests() -> None:
    script = ROOT / ".ci" / "run"
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines
    assert lines.count(SETUP[1]) == 1
    assert script.stat().st_mode & stat.S_IXUSR


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("body", "code"), [("pytest.skip('no')", 1), ("assert False", 1), ("assert pytest", 0)]
)
def test_ci_fails_where_no_test_ran(tmp_path: Path, body: str, code: int) -> None:
    """The same script in a checkout with one test: skipped, failing or passing."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "test_it.py").write_text(f"import pytest\n\n\ndef test_it():\n    {body}\n")
    # These stand for the environment that the line makes: to make it needs a network.
    script(tmp_path / ".venv" / "bin" / "python", f'exec {sys.executable} "$@"')
    script(tmp_path / "tools" / "apt-get", "exit 1")
    script(tmp_path / "tools" / "python3", f'case "$2" in venv|pip) ;; *) exec {sys.executable} "$@" ;; esac')
    environment = clean(PATH=f"{tmp_path / 'tools'}:{os.environ['PATH']}")
    run = [tmp_path / ".ci" / "run"]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == (code != 0), done.stdout + done.stderr
    assert ("no test ran" in done.stderr) == ("skip" in body)
    assert ("1 tests ran" in done.stdout) == (code == 0)


def test_the_tour_works(tmp_path: Path) -> None:
    """Every `flowc` line of the tour, and the Python beside it."""
    from flowgraph.cli.main import main

    tour = README.partition("## A tour")[2].partition("A mistake is said")[0]
    lines = [line.partition("#")[0].split() for line in tour.splitlines() if line.startswith("flowc ")]
    assert len(lines) >= 9
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    with contextlib.chdir(tmp_path):
        for line in lines:
            files = [
                str(p) for word in line[1:] for p in (sorted(Path().glob(word)) if "*" in word else [word])
            ]
            assert main(files) == 0, line
        code = README.partition("```python\n")[2].partition("```")[0]
        exec(compile(code, "README.md", "exec"), {})


def test_the_changelog_knows_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in text or f"## {__version__}" in text
    assert "Copyright (c) 2026 the flowgraph developers" in (ROOT / "LICENSE").read_text(encoding="utf-8")
