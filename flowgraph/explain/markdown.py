r"""An explanation as Markdown with `$$` blocks, as GitHub and Jupyter set it.

Promises that every block is one `aligned` environment, since both set no other, and that words stand
outside of the blocks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .equations import Said
from .latex import blocks
from .page import Page, Row, Section

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|$])")


def write_markdown(page: Page) -> str:
    """The page, with a heading for every section."""
    head = [f"# {_escaped(page.title)}", *([_escaped(page.doc)] if page.doc else [])]
    return "\n\n".join([*head, *(_section(section) for section in page.sections)]) + "\n"


def _section(section: Section) -> str:
    parts = [f"## {_escaped(section.heading)}"]
    for block in blocks(section, _marker, said_markdown):
        if isinstance(block, str):
            parts.append(block)
        else:
            parts.append("$$\n\\begin{aligned}\n" + " \\\\\n".join(block) + "\n\\end{aligned}\n$$")
    return "\n\n".join(parts)


def _marker(row: Row) -> str:
    """The number of an equation, or of the one whose chain rule it is; `aligned` has no tags."""
    if row.of is not None and row.of.mark is not None:
        return rf" && \text{{from ({row.of.mark})}}"
    return "" if row.mark is None else rf" && \text{{({row.mark})}}"


def said_markdown(said: Sequence[Said], steps: int = 0) -> str:
    """Words and formulas on a line."""
    return "".join(_escaped(part) if isinstance(part, str) else f"${part.latex()}$" for part in said)


def _escaped(text: str) -> str:
    return SPECIAL.sub(r"\\\1", text)
