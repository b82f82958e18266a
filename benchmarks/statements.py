"""How long the emitted backward pass is: statements of `loss_and_grad`, beside one written by hand.

    python benchmarks/statements.py

A statement is one of Python's, the docstring left out. Every lecture example with a loss is counted;
the emitted module is that of -O1. The aim is at most 1.2 times what is written by hand.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path

import handwritten

from flowgraph.diagram import Diagram, load

LECTURE = Path(__file__).parent.parent / "examples" / "lecture"
AIM = 1.2


def statements(function: ast.FunctionDef) -> int:
    """The number of statements in a function, however deep, without its docstring."""
    count = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
    return count - (ast.get_docstring(function) is not None)


def function_in(text: str, name: str) -> ast.FunctionDef:
    """A function of a module's text."""
    found = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == name]
    return found[0]


def emitted(diagram: Diagram, level: int = 1) -> int:
    """The statements of a diagram's emitted `loss_and_grad`."""
    return statements(function_in(diagram.compile("numpy", level=level), "loss_and_grad"))


def by_hand(name: str) -> int:
    """The statements of the same function written by hand."""
    return statements(function_in(textwrap.dedent(inspect.getsource(getattr(handwritten, name))), name))


def rows() -> list[tuple[str, int, int]]:
    """Name, statements by hand and emitted, of every lecture example with a loss."""
    found = []
    for path in sorted(LECTURE.glob("*.flow")):
        diagram = load(path)
        if diagram.graph.results_of("loss"):
            found.append((path.stem, by_hand(path.stem), emitted(diagram)))
    return found


def main() -> None:
    print(f"{'example':<16} {'by hand':>8} {'emitted':>8} {'ratio':>6}")
    for name, hand, ours in rows():
        print(f"{name:<16} {hand:>8} {ours:>8} {ours / hand:>6.2f}")


if __name__ == "__main__":
    main()
