"""flowgraph: neural-network diagrams compiled to numpy and PyTorch code you can read and own.

    import flowgraph
    diagram = flowgraph.load("xor.flow")
    print(diagram.run().table())
    print(diagram.compile("torch"))

Importing the package loads nothing heavy: the compiler comes with the first name that is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .diagram import Diagram, load, loads
    from .errors import FlowError
    from .params import Weights, save_params
    from .version import __version__

_HOMES = {
    "Diagram": "diagram",
    "load": "diagram",
    "loads": "diagram",
    "FlowError": "errors",
    "Weights": "params",
    "save_params": "params",
    "__version__": "version",
    "load_ipython_extension": "notebook",
    "unload_ipython_extension": "notebook",
}

__all__ = ["Diagram", "FlowError", "Weights", "__version__", "load", "loads", "save_params"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
