"""Makes `docs/errors.md`: every code with its meaning, an example and what it prints.

The examples are the files of `tests/errors`; of several that show a code the shortest is taken,
files with a single error first. A code without one is listed with its meaning alone.
"""

from __future__ import annotations

import re
from pathlib import Path

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
    "E09": "Limits",
    "W01": "Warnings: names and nodes",
    "W02": "Warnings: wires",
    "W03": "Warnings: what cannot learn",
    "W04": "Warnings: derivatives",
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
    return "\n".join(lines)


def _examples(folder: Path) -> dict[str, tuple[str, str]]:
    """For each code the shortest example: the program, and what is printed of that code."""
    best: dict[str, tuple[tuple[int, int, str], str, str]] = {}
    for file in sorted(folder.glob("*.err")):
        program = file.with_suffix(".flow").read_text(encoding="utf-8")
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
