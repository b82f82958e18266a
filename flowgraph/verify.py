"""Verify a diagram: every engine computes the same values and derivatives, and the right ones.

Assumes a checked diagram. The simulator is the reference; the emitted modules are executed at
every level, PyTorch's autograd and central differences are second opinions on derivatives. A
difference above its tolerance is looked into before it is called one: whether rounding does as
much to this very diagram, and whether the point is on a kink, where derivatives are a matter of
convention. Both are said in the report, neither counts as agreement.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .data.load import load_data
from .data.table import Table
from .errors import Diagnostics
from .graph import Graph
from .lower.program import Program
from .run import initial_params, read_or_draw_params
from .verify_cases import data_case, direction, groups, random_case
from .verify_culprits import culprits
from .verify_engines import Case, Engine, NumpyModule, Quantities, Simulator, TorchModule
from .verify_slopes import one_sided, slope

Compile = Callable[..., str]
"""`Diagram.compile`."""

VALUES, DERIVATIVES, AUTOGRAD, DIFFERENCES, SINGLE = 1e-11, 1e-10, 1e-7, 1e-6, 2e-5
"""Tolerances, relative to the largest entry: of values and derivatives in float64; of PyTorch's
derivatives, which has a constant of hardsigmoid in single precision; of central differences; of
float32."""

NOISE = {"float64": 2.0**-50, "float32": 2.0**-21}
"""The relative error given to every operation to see what rounding does: a few units."""

NEARBY = 3
"""How many points beside a kink must agree."""
