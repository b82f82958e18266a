"""The house: imports go down only, heavy libraries stay out, files stay small."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "flowgraph"

LEVELS = [
    {"version", "codes"},
    {"errors"},
    {"naming", "mathnames", "types", "syntax", "writing", "execute"},
    {"graph", "formula"},
    {"text", "tree"},
    {"ops"},
    {"passes"},
    {"parse", "format", "lower"},
    {"emit", "data"},
    {"params", "torch_params"},
    {"pipelines", "run"},
    {"explain", "draw"},
    {"diff", "verify", "train"},
    {"stages", "display", "reading"},
    {"compiling"},
    {"diagram"},
    {"bench"},
    {"cli", "__init__"},
    {"__main__", "notebook"},
]
"""Modules and packages of `flowgraph`, from the ground up; one may import what stands lower."""

HEAVY = {"torch", "matplotlib", "onnx", "rich", "scipy", "safetensors", "pyarrow", "pygraphviz", "IPython"}
"""Never imported at the top of a module: only where they are used."""

LONG = {
    "flowgraph/ops/base.py": "the whole contract of an operation is read in one place",
    "flowgraph/syntax.py": "the syntax tree is one list of dataclasses",
}
"""Files that may be longer than 400 lines, each with its reason."""


def level_of(module: str) -> int:
    """The level of a module of the package, by the first part of its name before `_`.

    What is started as a program stands above all, in whatever package.
    """
    parts = module.split(".")
    head = parts[-1] if parts[-1] == "__main__" else parts[0]
    for name in (head, head.split("_")[0]):
        for number, names in enumerate(LEVELS):
            if name in names:
                return number
    raise AssertionError(f"flowgraph.{module} has no level: add it to LEVELS in tests/test_layers.py")


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(path: Path) -> list[str]:
    """The modules of the package that a file imports, wherever in it."""
    own = module_name(path).split(".")
    inside = own if path.name == "__init__.py" and path.parent != PACKAGE else own[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = inside[: len(inside) - node.level + 1]
        if node.module:
            found.append(".".join([*base, node.module]))
        else:
            found += [".".join([*base, alias.name]) for alias in node.names]
    return found


def test_imports_go_down_only() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        own = module_name(path)
        for other in imports(path):
            same = own.split(".")[0].split("_")[0] == other.split(".")[0].split("_")[0]
            if not same and level_of(other) >= level_of(own):
                wrong.append(f"{own} imports {other}")
    assert not wrong, "move the shared piece down a level: " + "; ".join(wrong)


def test_heavy_libraries_are_imported_where_used() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            wrong += [f"{path.name}: {n}" for n in names if n.split(".")[0] in HEAVY]
    assert not wrong, f"import these inside the function that needs them: {wrong}"


def test_files_stay_small() -> None:
    long = {}
    for folder in ("flowgraph", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = len(path.read_text().splitlines())
            if lines > 400 and "golden" not in path.parts:
                long[str(path.relative_to(ROOT))] = lines
    new = {name: n for name, n in long.items() if name not in LONG}
    assert not new, f"split these, or give a reason in LONG: {new}"
    assert set(LONG) <= set(long), "a file in LONG is short by now: take it out"


def test_no_user_text_is_evaluated() -> None:
    """`eval` and `exec` stand only where the forms of operations are compiled, and where modules
    that were just emitted are run: both are our own text."""
    allowed = {"ops/base.py", "ops/init.py", "execute.py"}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("eval", "exec")
            ):
                found.add(str(path.relative_to(PACKAGE)))
    assert found <= allowed, found - allowed
