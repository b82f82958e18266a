"""Golden files: text that must stay as it is until somebody says otherwise.

A test takes the fixture `golden` and calls `golden(text)`. The file's path follows from the
test's name: `test_code[xor-numpy-O0]` has `tests/golden/code/xor-numpy-O0.txt`. A file that is
missing fails the test; `pytest --update-golden` writes it. Under CI (the variable `CI` is set)
nothing is ever written.
"""

from __future__ import annotations

import os

# Before numpy and torch are loaded: the tests run side by side, and threads of BLAS that wait for
# each other's core slow a small network up to a hundred times.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import re  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from running import ENGINES, HAS_TORCH, Engine  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "--update-golden"
PATHS = pytest.StashKey[dict[Path, str]]()
"""The golden paths, without suffix, of all tests collected, and whose they are."""

Golden = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        UPDATE, action="store_true", help="write the golden files instead of comparing with them"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption(UPDATE) and os.environ.get("CI"):
        raise pytest.UsageError(f"{UPDATE} is refused under CI: golden files are written and read by people")


def golden_path(item: pytest.Item) -> Path:
    """Where a test's golden file lies, without its suffix."""
    function, _, rest = item.name.partition("[")
    folder = GOLDEN / function.removeprefix("test_")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", rest.rstrip("]"))
    return folder / name if name else folder / function.removeprefix("test_")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note every golden path, before `-k` and `-m` leave tests out."""
    paths: dict[Path, str] = {}
    for item in items:
        if "golden" not in getattr(item, "fixturenames", ()):
            continue
        path = golden_path(item)
        if path in paths:
            raise pytest.UsageError(f"{item.nodeid} and {paths[path]} have the same golden file")
        paths[path] = item.nodeid
    config.stash[PATHS] = paths


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(text, suffix=".txt")`: the text must be the golden file's."""
    path = golden_path(request.node)
    update = request.config.getoption(UPDATE)

    def compare(text: str, suffix: str = ".txt") -> None:
        file = path.with_name(path.name + suffix)
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            return
        if not file.exists():
            pytest.fail(f"there is no golden file {file}; look at the text, then run `pytest {UPDATE}`")
        assert text == file.read_text(encoding="utf-8"), (
            f"differs from {file}; if that is meant, run `pytest {UPDATE}` and read the diff"
        )

    return compare


@pytest.fixture
def leftover_golden(request: pytest.FixtureRequest) -> list[Path]:
    """Golden files that no test collected in this run has; deleted where files are updated.

    A folder of a test that exists and was not collected is left alone.
    """
    known = request.config.stash[PATHS]
    folders = {path.parent for path in known}
    sources = "".join(p.read_text(encoding="utf-8") for p in sorted(GOLDEN.parent.glob("**/test_*.py")))
    found = []
    for file in sorted(p for p in GOLDEN.glob("**/*") if p.is_file()):
        not_collected = file.parent not in folders and f"def test_{file.parent.name}(" in sources
        if file.with_suffix("") not in known and not not_collected:
            found.append(file)
    if request.config.getoption(UPDATE):
        for file in found:
            file.unlink()
        return []
    return found


@pytest.fixture(params=ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each way to run a diagram, in turn."""
    found: Engine = request.param
    if found.target == "torch" and not HAS_TORCH:
        pytest.skip("torch is not installed")
    return found
