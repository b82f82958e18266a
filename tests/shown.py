"""The commands that the comment at the head of a file shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path


def shown_commands(path: Path) -> list[str]:
    """Lines that begin with `flowc`, indented in the comment, with the lines indented further after them."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^#     (flowc .*(?:\n#         .*)*)", text, re.MULTILINE)
    return [line.replace("\n#        ", "") for line in found]


def words_of(line: str, path: Path) -> list[str]:
    """The arguments of a command that is shown for a file, the file by its full path."""
    return [str(path) if word == path.name else word for word in shlex.split(line)[1:]]
