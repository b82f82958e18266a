"""The one maker of identifiers: every name in emitted code comes from here.

Assumes that names of the Flow language match `[A-Za-z][A-Za-z0-9_]*` and checks it all the
same. Promises ASCII Python identifiers, unique within a `Namer`, never a keyword, a builtin
or a name that the emitted code itself uses.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")

KEYWORDS = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)
BUILTINS = frozenset(n for n in dir(builtins) if not n.startswith("_"))

CODE_NAMES = frozenset(
    [
        "np",
        "ENTRIES",
        "PACKED",
        "torch",
        "nn",
        "F",
        "math",
        "OrderedDict",
        "base64",
        "copy",
        "sparse",
        "zlib",
        "init",
        "forward",
        "loss",
        "loss_and_grad",
        "jvp",
        "hvp",
        "metrics",
        "Trainer",
        "Forward",
        "PARAMS",
        "BUFFERS",
        "init_buffers",
        "params",
        "self",
        "train",
        "rng",
        "buffers",
        "tangents",
        "vector",
        "seed",
        "model",
        "make_optimizer",
        "train_step",
    ]
)
"""Names with a meaning in emitted modules."""

ARGUMENT_NAMES = frozenset(
    [
        "params",
        "self",
        "train",
        "rng",
        "buffers",
        "tangents",
        "vector",
        "np",
        "torch",
        "nn",
        "F",
        "float",
        "len",
        "max",
        "min",
        "dict",
        "tuple",
        "range",
        "None",
        "True",
        "False",
        "forward",
        "loss",
        "metrics",
        "batch_mean",
        "batch_sum",
        "divmod",
        "epochs",
        "log",
        "loss_module",
        "optimizer",
        "steps",
    ]
)
"""What an input or target cannot be called: its name is a parameter of every emitted function."""

MODULE_NAMES = frozenset(
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "metrics",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "xpu",
        "zero_grad",
        "reset_parameters",
    ]
)
"""What `torch.nn.Module`, or the emitted module, keeps for itself."""


def is_identifier(name: str) -> bool:
    """Whether a name may stand for a thing of a diagram."""
    return IDENTIFIER.match(name) is not None


def identifier(text: str) -> str:
    """A Python identifier close to `text`: `h.0.attn` becomes `h_0_attn`."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "value"
    return f"v_{name}" if name[0].isdigit() else name


def class_name(diagram: str) -> str:
    """`mlp_2_3_2` becomes `Mlp232`: the diagram's name as a Python class."""
    name = "".join(part[:1].upper() + part[1:] for part in identifier(diagram).split("_"))
    return f"{name}Model" if name in KEYWORDS or name in BUILTINS or name in CODE_NAMES else name


class Namer:
    """Hands out names, each once."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._used = set(reserved)
        self._next: dict[str, int] = {}

    def unique(self, wanted: str, apart: str = "_") -> str:
        """`wanted` itself, or with `_2`, `_3`, ... where it is taken; apart: what comes before the 2."""
        name = wanted
        while name in self._used:
            number = self._next.get(wanted, 1) + 1
            self._next[wanted] = number
            name = f"{wanted}{apart}{number}"
        self._used.add(name)
        return name

    def reserve(self, name: str) -> None:
        """Keep a name from being handed out."""
        self._used.add(name)

    def variable(self, wanted: str) -> str:
        """A unique Python variable for a name of the diagram."""
        name = identifier(wanted)
        if name in KEYWORDS or name in BUILTINS or name in CODE_NAMES:
            name += "_"
        return self.unique(name)


def docstring_text(text: str) -> str:
    """User text made safe to stand inside a triple-quoted docstring, on one line or several."""
    safe = comment_text(text, keep="\n")
    return safe.replace("\\", "\\\\").replace('"""', '\\"\\"\\"') + ("" if not text.endswith('"') else " ")


def comment_text(text: str, keep: str = "") -> str:
    """User text made safe to stand in a comment: whatever could end the line is a space."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)
