"""Makes `docs/errors.md`: every code with its meaning, an example and what it prints.

The examples are the files of `tests/errors`; of several that show a code the shortest is taken,
files with a single error first. Codes of the command and of data have a command line instead,
which is run. Every code has an example, or a remark on why there is none.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flowgraph.cli.main import main
from flowgraph.codes import CODES

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"

HEAD = """\
# Errors and warnings

Every message has a code, the place it is about, remarks on other places involved, and a line
`= help:` with the cure. All errors of a file are reported in one run, in the order of the file.
Codes beginning with `E` are errors, which end a command with exit code 1; those beginning with `W`
are warnings of what compiles and yet is hardly meant. `--json` prints them as JSON, one a line.

This page is made from `flowgraph/codes.py` and the files of `tests/errors` (`pytest
--update-golden` writes it), so every message below is what the program prints.
"""

CHAPTERS = {
    "E00": "Reading and syntax",
    "E01": "Names",
    "E02": "Statements and wires",
    "E03": "Types and shapes",
    "E04": "Calls and settings",
    "E05": "Data, and values given at run time",
    "E06": "Targets",
    "E07": "The command",
    "E08": "Training",
    "E09": "Limits",
    "W01": "Warnings: names and nodes",
    "W02": "Warnings: wires",
    "W03": "Warnings: what cannot learn",
    "W04": "Warnings: derivatives",
    "W08": "Warnings: training",
    "W09": "Warnings: pictures",
}


TRAINED = "input x\ntarget y\nparam a = 1\nf = a * x^3\nloss mse(f, y)\ntrain sgd(lr=10), steps=50\n"
SUMS = "data 5 { x = linspace(1, 2); y = x }\n"
VECTOR = "input x : [3]\ny = 2 * x\n"
PLAIN = "input x\ny = 2 * x\n"
FITTED = "input x\ntarget t\nparam w = 1.0\noutput y = w * x\nloss mse(y, t)\n"


@dataclass(frozen=True)
class Command:
    """A command line that shows a code, and the files it finds, of which `shown` are shown."""

    line: str
    files: dict[str, str | bytes] = field(default_factory=dict)
    shown: tuple[str, ...] = ()


def no_parameters() -> bytes:
    """A file of parameters with none in it."""
    file = io.BytesIO()
    np.savez(file)
    return file.getvalue()


COMMANDS = {
    "E0001": Command("flowc check none.flow"),
    "E0002": Command("flowc check latin.flow", {"latin.flow": "# größe\n".encode("latin-1")}),
    "E0501": Command("flowc run file.flow --data none.csv", {"file.flow": PLAIN}, ("file.flow",)),
    "E0504": Command("flowc run file.flow --in x=[1,2]", {"file.flow": VECTOR}, ("file.flow",)),
    "E0505": Command(
        "flowc run file.flow --in x=1 --params p.npz",
        {"file.flow": FITTED, "p.npz": no_parameters()},
        ("file.flow",),
    ),
    "E0603": Command("flowc compile file.flow --with jvp", {"file.flow": PLAIN}, ("file.flow",)),
    "E0701": Command("flowc compile file.flow -o none/file.py", {"file.flow": PLAIN}),
    "E0703": Command("flowc fmt --check file.flow", {"file.flow": "input   x\ny = 2*x\n"}, ("file.flow",)),
    "E0801": Command(
        "flowc train file.flow",
        {"file.flow": "input x\ntarget y\nf = 2 * x\nloss mse(f, y)\n" + SUMS},
        ("file.flow",),
    ),
    "E0804": Command("flowc train file.flow --out notes", {"file.flow": TRAINED + SUMS, "notes": "mine"}),
    "E0805": Command("flowc train file.flow", {"file.flow": TRAINED + SUMS}, ("file.flow",)),
    "E0902": Command("flowc check file.flow", {"file.flow": f"input {'x' * 201}\n"}),
    "E0903": Command("flowc check file.flow", {"file.flow": f"input x\ny = {'(' * 201}x{')' * 201}\n"}),
}

REMARKS = {
    "E0604": "Only `flowc verify` says this, of two ways to compute the same that do not agree.",
    "E0605": "PyTorch, pyarrow and scipy are optional: `pip install 'flowgraph[torch]'`,\n"
    "`'flowgraph[data]'` and `'flowgraph[sparse]'`.\n"
    "Weights in a `.pt` file need PyTorch 2.10 or later: [weights.md](weights.md).",
    "E0802": "`flowc train --resume` says this of a file that is damaged, cut, or no checkpoint at all;\n"
    "[checkpoints.md](checkpoints.md) says how that is found out. A good older one is used (W0801).",
    "E0803": "`flowc train --resume` says this, with the differences, where diagram, data or settings\n"
    "are not those of the run: [checkpoints.md](checkpoints.md).",
    "E0806": "`--device` names what the machine has not, or processes do not find each other:\n"
    "[scaling.md](scaling.md).",
    "W0801": "The newest checkpoint is damaged, and the one before it is used: the steps between are\n"
    "taken again.",
    "W0901": "`flowc draw` says what it folded because a page would hold it no longer, and which labels\n"
    "found no room. Nothing is left out without this warning.",
}


def page(folder: Path) -> str:
    """The text of the page, from the pairs of `.flow` and `.err` files in a folder."""
    examples = _examples(folder)
    lines = [HEAD]
    chapter = ""
    for code, meaning in CODES.items():
        if code[:3] != chapter:
            chapter = code[:3]
            lines.append(f"## {CHAPTERS[chapter]}\n")
        lines.append(f"### {code}: {meaning}\n")
        if code in examples:
            program, output = examples[code]
            lines.append(f"```flow\n{program.rstrip()}\n```\n\n```text\n{output.rstrip()}\n```\n")
        elif code in COMMANDS:
            lines.append(_session(code, COMMANDS[code]))
        else:
            lines.append(f"{REMARKS[code]}\n")
    return "\n".join(lines)


def _session(code: str, command: Command) -> str:
    """The files shown, the command line and what it prints."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, content in command.files.items():
            Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as printed:
            status = main(shlex.split(command.line)[1:])
    output = printed.getvalue()
    assert status == 1 and f"error[{code}]" in output, output
    shown = "".join(f"```flow\n{command.files[name]}```\n\n" for name in command.shown)
    return f"{shown}```console\n$ {command.line}\n{output.rstrip()}\n```\n"


def _examples(folder: Path) -> dict[str, tuple[str, str]]:
    """For each code the shortest example: the program, and what is printed of that code."""
    best: dict[str, tuple[tuple[int, int, str], str, str]] = {}
    for file in sorted(folder.glob("*.err")):
        program = file.with_suffix(".flow").read_text(encoding="utf-8")
        if "wires W from" in program:
            continue  # it shows little without its table
        parts = _messages(file.read_text(encoding="utf-8"))
        for part in parts:
            code = re.match(r"\w+\[(\w+)\]", part)
            assert code is not None, part
            rank = (len(parts), len(program) + len(part), file.stem)
            if code[1] not in best or rank < best[code[1]][0]:
                best[code[1]] = (rank, program, part.replace("$FILE", "file.flow"))
    return {code: (program, part) for code, (_, program, part) in best.items()}


def _messages(text: str) -> list[str]:
    """The messages of a rendering."""
    return re.split(r"\n(?=(?:error|warning)\[)", text.rstrip()) if text.strip() else []
