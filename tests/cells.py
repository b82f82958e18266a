"""Cells of a notebook, run in this process by the shell of `docs/make_tutorial.py`."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from running import ROOT

pytest.importorskip("IPython", reason="IPython comes with the extra `notebook`")

_SPEC = importlib.util.spec_from_file_location("make_tutorial", ROOT / "docs" / "make_tutorial.py")
assert _SPEC is not None and _SPEC.loader is not None
tutorial: Any = importlib.util.module_from_spec(_SPEC)
"""The script as a module."""
_SPEC.loader.exec_module(tutorial)


def said(outputs: list[dict[str, Any]], stream: str) -> str:
    """What was written to "stdout" or "stderr"."""
    return "".join(output["text"] for output in outputs if output.get("name") == stream)


def shown(outputs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What was displayed: of each thing its forms by their kind."""
    return [output["data"] for output in outputs if "data" in output]
