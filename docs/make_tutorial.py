"""The tutorial: runs the cells of docs/tutorial.ipynb and keeps what they show.

    python docs/make_tutorial.py            runs every cell and writes the notebook with its outputs
    python docs/make_tutorial.py --check    says what is not current, and exits with 1 if anything is

Needs IPython and the extra `draw`, no Jupyter: cells run in this process, in a shell that a diagram takes for
a notebook's. What they print must be what the notebook holds, numbers up to a small difference. A picture
must be of the same letters and colours where matplotlib and pygraphviz are the versions that it was made
with; an image of points, such as a loss curve, has to be there. Cells marked `torch` are not compared where
PyTorch is missing.
"""

from __future__ import annotations

import argparse
import builtins
import importlib.util
import json
import math
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

NOTEBOOK = Path(__file__).resolve().parent / "tutorial.ipynb"
ENGINES = ("matplotlib", "pygraphviz")
"""What draws: another version may draw other letters."""
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")
CLOSE = {"rel_tol": 0.02, "abs_tol": 0.002}
"""How near a number must be to the one that is kept: machines round differently, and training adds it up."""
LETTER = re.compile(r'href="#([A-Z][^"]*)"')
COLOUR = re.compile(r"#[0-9a-f]{6}\b")

Output = dict[str, Any]
"""An output of a cell, as the format of notebooks has it."""


# ---------------------------------------------------------------------------------------
# Running cells


class _Publisher(DisplayPublisher):
    """Keeps what is displayed, and changes it where it is displayed anew."""

    def publish(
        self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False, **_: Any
    ) -> None:
        name = (transient or {}).get("display_id")
        output = {"output_type": "display_data", "data": dict(data), "metadata": metadata or {}}
        if update and name in self.shell.named:
            self.shell.named[name].update(output)
            return
        self.shell.outputs.append(output)
        if name is not None:
            self.shell.named[name] = output


class _Hook(DisplayHook):
    """Keeps the value of a cell's last line."""

    def write_output_prompt(self) -> None:
        pass

    def finish_displayhook(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        count = self.shell.execution_count
        self.shell.outputs.append(
            {"output_type": "execute_result", "data": dict(format_dict), "metadata": md_dict or {},
             "execution_count": count}
        )  # fmt: skip


class _Stream:
    """Keeps what is printed, in its order among the pictures."""

    def __init__(self, shell: Shell, name: str) -> None:
        self.shell, self.name = shell, name

    def write(self, text: str) -> int:
        outputs = self.shell.outputs
        if not (outputs and outputs[-1].get("name") == self.name):
            outputs.append({"output_type": "stream", "name": self.name, "text": ""})
        outputs[-1]["text"] += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


class Shell(InteractiveShell):
    """A shell that keeps what cells show. Use it by `shell()`."""

    kernel = "this process"

    def __init__(self, **settings: Any) -> None:
        self.outputs: list[Output] = []
        self.named: dict[str, Output] = {}
        super().__init__(displayhook_class=_Hook, display_pub_class=_Publisher, **settings)
        self.display_formatter.active_types = self.display_formatter.format_types

    def run(self, source: str) -> tuple[list[Output], bool]:
        """Run a cell: what it shows, and whether it ended without an error."""
        self.outputs = []
        with redirect_stdout(_Stream(self, "stdout")), redirect_stderr(_Stream(self, "stderr")):
            result = self.run_cell(source, store_history=True)
        return [output for output in self.outputs if output.get("text") != ""], bool(result.success)

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        self.outputs.append(
            {"output_type": "error", "ename": etype.__name__, "evalue": str(evalue), "traceback": list(stb)}
        )


@contextmanager
def shell() -> Iterator[Shell]:
    """A fresh shell that leaves nothing behind: no file, no name, no shell for others to find."""
    before = {name: builtins.__dict__.get(name) for name in ("display", "__IPYTHON__")}
    config = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"warn_venv": False}})
    with tempfile.TemporaryDirectory() as folder:
        made = Shell.instance(config=config, ipython_dir=folder, user_module=ModuleType("tutorial"))
        try:
            yield made
        finally:
            made.restore_sys_module_state()
            Shell.clear_instance()
            for name, value in before.items():
                if value is None:
                    builtins.__dict__.pop(name, None)


# ---------------------------------------------------------------------------------------
# The notebook


def read() -> dict[str, Any]:
    """The notebook as it is kept."""
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return notebook


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Its cells that run, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def is_torch(cell: dict[str, Any]) -> bool:
    """Whether what a cell shows depends on PyTorch being installed."""
    return "torch" in cell["metadata"].get("tags", [])


def run_cell(found: Shell, cell: dict[str, Any]) -> list[Output]:
    """What a cell shows. Raises RuntimeError, with all of it, where it fails."""
    source = "".join(cell["source"])
    outputs, succeeded = found.run(source)
    if not succeeded:
        raise RuntimeError(f"a cell fails:\n{source}\n\n{json.dumps(outputs, indent=1, ensure_ascii=False)}")
    return outputs


def engines() -> str:
    """The versions of what draws."""
    return ", ".join(f"{name} {version(name)}" for name in ENGINES)


def text(notebook: dict[str, Any], outputs: list[list[Output]]) -> str:
    """The file of a notebook whose cells show this."""
    for count, (cell, shown) in enumerate(zip(code_cells(notebook), outputs, strict=True), 1):
        cell["execution_count"] = count
        cell["outputs"] = [_kept(output, count) for output in shown]
    notebook["metadata"]["flowgraph"] = {"drawn_with": engines()}
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _kept(output: Output, count: int) -> Output:
    """An output as a file holds it: texts as lists of lines."""
    kept = dict(output)
    if "text" in kept:
        kept["text"] = kept["text"].splitlines(keepends=True)
    if "data" in kept:
        kept["data"] = {
            mime: data if mime == "image/png" else data.splitlines(keepends=True)
            for mime, data in kept["data"].items()
        }
    if "execution_count" in kept:
        kept["execution_count"] = count
    return kept


# ---------------------------------------------------------------------------------------
# Comparing


def stale(notebook: dict[str, Any], outputs: list[list[Output]]) -> list[str]:
    """What of the notebook is not what its cells show now, one line each."""
    has_torch = importlib.util.find_spec("torch") is not None
    same_engines = notebook["metadata"].get("flowgraph", {}).get("drawn_with") == engines()
    found = []
    for count, (cell, shown) in enumerate(zip(code_cells(notebook), outputs, strict=True), 1):
        if is_torch(cell) and not has_torch:
            continue
        kept, now = ([_facts(output, same_engines) for output in each] for each in (cell["outputs"], shown))
        if len(kept) != len(now) or not all(_same(a, b) for a, b in zip(kept, now, strict=True)):
            found.append(f"cell {count} shows something else: {''.join(cell['source'][:1]).strip()}")
    return found


def _facts(output: Output, pictures: bool) -> dict[str, Any]:
    """What is compared of an output, by name; texts as strings."""
    if "text" in output:
        return {output["name"]: "".join(output["text"])}
    facts: dict[str, Any] = {mime: "".join(data) for mime, data in output["data"].items()}
    if "image/png" in facts:
        return {"image/png": Counter()}
    if "image/svg+xml" in facts:
        svg = facts["image/svg+xml"]
        letters = Counter(LETTER.findall(svg)) + Counter(set(COLOUR.findall(svg)))
        facts["image/svg+xml"] = letters if pictures else Counter()
    return facts


def _same(kept: dict[str, Any], now: dict[str, Any]) -> bool:
    if kept.keys() != now.keys():
        return False
    return all(
        same_text(kept[name], now[name]) if isinstance(kept[name], str) else kept[name] == now[name]
        for name in kept
    )


def same_text(kept: str, now: str) -> bool:
    """Whether texts are the same words, and numbers that are close."""
    if [NUMBER.sub("0", word) for word in kept.split()] != [NUMBER.sub("0", word) for word in now.split()]:
        return False
    pairs = zip(NUMBER.findall(kept), NUMBER.findall(now), strict=True)
    return all(math.isclose(_number(a), _number(b), **CLOSE) for a, b in pairs)


def _number(word: str) -> float:
    return float(word.replace("−", "-"))


def main(arguments: list[str] | None = None) -> int:
    """The command. 1 where --check finds something, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and say what is not current")
    is_check = parser.parse_args(arguments).check
    notebook = read()
    with shell() as running:
        outputs = [run_cell(running, cell) for cell in code_cells(notebook)]
    if not is_check:
        NOTEBOOK.write_text(text(notebook, outputs), encoding="utf-8", newline="\n")
        print(f"{len(outputs)} cells")
        return 0
    missing = stale(notebook, outputs)
    for line in missing:
        print(f"{line}: run `python docs/make_tutorial.py`", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
