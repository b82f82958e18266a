"""The emitted text of every example, as it was last read and found good.

`pytest --update-golden tests/test_golden.py` rewrites the files under `tests/golden`; read the
diff before committing it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import GOLDEN, Golden
from running import EXAMPLES, ROOT, example

from flowgraph.text import print_graph

CASES = [(name, target, level) for name in EXAMPLES for target in ("numpy", "torch") for level in (0, 1)]


@pytest.mark.parametrize(("name", "target", "level"), CASES, ids=[f"{n}-{t}-O{v}" for n, t, v in CASES])
def test_code(name: str, target: str, level: int, golden: Golden) -> None:
    golden(example(name).compile(target, level=level), suffix=".py")


@pytest.mark.parametrize("name", ["xor_learned", "cubic", "mlp_2_3_2", "digits"])
def test_fast_code(name: str, golden: Golden) -> None:
    """-O2."""
    golden(example(name).compile(level=2), suffix=".py")


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_code_in_float64(target: str, golden: Golden) -> None:
    golden(example("perceptron").compile(target, dtype="float64"), suffix=".py")


@pytest.mark.parametrize("name", ["xor_wires", "perceptron", "mlp_2_3_2"])
def test_typed(name: str, golden: Golden) -> None:
    golden(print_graph(example(name).graph))


@pytest.mark.parametrize("name", ["xor_wires", "perceptron", "mlp_2_3_2"])
def test_batched(name: str, golden: Golden) -> None:
    golden(print_graph(example(name).batched()))


def test_no_golden_file_is_left_over(leftover_golden: list[Path]) -> None:
    assert not leftover_golden, "these belong to no test; `--update-golden` deletes them"


def test_golden_code_is_formatted_and_clean() -> None:
    """With ruff's own defaults: 88 columns, and the rules it has on unless told otherwise."""
    files = [str(GOLDEN / folder) for folder in ("code", "code_in_float64", "fast_code")]
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", *files]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["code", "code_in_float64", "fast_code"])
def test_golden_code_is_narrow(folder: str) -> None:
    """Also where the formatter does not look: docstrings and comments."""
    wide = [
        f"{file.name}:{number}: {line}"
        for file in sorted((GOLDEN / folder).glob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 88
    ]
    assert wide == []


EMIT_ALL = """
from flowgraph.diagram import load
for path in {paths}:
    for target in ("numpy", "torch"):
        for level in (0, 1):
            print(load(path).compile(target, level=level))
"""


def test_text_does_not_depend_on_the_hash_seed() -> None:
    paths = [str(EXAMPLES[name]) for name in ("xor_wires", "perceptron", "one_hot_error", "iris")]
    texts = set()
    for seed in ("0", "1", "2024"):
        done = subprocess.run(
            [sys.executable, "-c", EMIT_ALL.format(paths=paths)],
            capture_output=True,
            check=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        )
        texts.add(done.stdout)
    assert len(texts) == 1
    assert texts.pop().count(b"Compiled from") == 16
