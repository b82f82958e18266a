"""What -O2 emits: code that a formatter and a linter leave alone, the same every time, with numpy alone."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest
from planned import PATHS, small
from programs import random_program
from running import ROOT
from sketches import sketch_text

from flowgraph.diagram import loads
from flowgraph.pipelines import OPTIMISATIONS

LONG_NAMES = ("bert", "resnet18", "sparse")
"""Where names leave no room for what stands beside them, or an entry is taken from what a long call gives:
there a formatter breaks lines at other places than we do, at every level."""


def texts() -> dict[str, str]:
    found = {name: small(name).compile(level=2) for name in PATHS if name not in LONG_NAMES}
    found |= {
        f"{name}_plain": small(name).compile(level=2, without=OPTIMISATIONS) for name in ("vae", "digits")
    }
    for seed in range(40):
        found[f"random_{seed}"] = loads(random_program(random.Random(seed)), "random.flow").compile(level=2)
    for seed in range(16):
        found[f"sketch_{seed}"] = loads(sketch_text(seed), "sketch.flow").compile(level=2)
    return {name: text for name, text in found.items() if "np." in text}


@pytest.fixture(scope="module")
def emitted_texts() -> dict[str, str]:
    return texts()


def test_it_is_formatted_and_clean(emitted_texts: dict[str, str], tmp_path: Path) -> None:
    for name, text in emitted_texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    for command in (["check"], ["format", "--check", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_narrow(emitted_texts: dict[str, str]) -> None:
    wide = [
        f"{name}:{number}: {line}"
        for name, text in emitted_texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > 88
    ]
    assert wide == []


def test_it_imports_numpy_and_python_alone(emitted_texts: dict[str, str]) -> None:
    for name, text in emitted_texts.items():
        nodes = list(ast.walk(ast.parse(text)))
        imported = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
        imported |= {str(n.module) for n in nodes if isinstance(n, ast.ImportFrom)}
        assert imported <= {"numpy", "math", "base64", "zlib"}, name
        assert "flowgraph" not in text.replace("flowc", ""), name


EMIT = """
from flowgraph.diagram import load
for path in {paths}:
    print(load(path).compile(level=2))
"""


def test_it_does_not_depend_on_the_hash_seed() -> None:
    paths = [str(PATHS[name]) for name in ("xor_learned", "cubic", "digits", "vae", "contractive")]
    found = set()
    for seed in ("0", "2024"):
        done = subprocess.run(
            [sys.executable, "-c", EMIT.format(paths=paths)],
            capture_output=True,
            check=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        )
        found.add(done.stdout)
    assert len(found) == 1
    assert found.pop().count(b"class Trainer") == len(paths)


def test_a_second_compile_gives_the_same_text() -> None:
    for name in ("xor_learned", "digits", "lstm_chars"):
        assert small(name).compile(level=2) == small(name).compile(level=2)
