r"""An explanation as a LaTeX document, for pdflatex with amsmath.

Every section is one or more `align*` environments, so that the lines between `\begin{align*}` and
`\end{align*}` can be copied into a slide as they are; nothing but amsmath and amssymb is needed there.
Equations of the forward pass are numbered, and those of the chain rule say which of them they are from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..mathnames import latex_text
from .equations import Said
from .page import Entry, Page, Row, Section, Words

HEAD = r"""% The lines inside each align* can be copied as they are; they need amsmath and amssymb.
\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath, amssymb}
\usepackage[margin=2cm]{geometry}
\setlength{\parindent}{0pt}
\allowdisplaybreaks
\begin{document}
"""
Marker = Callable[[Row], str]
"""What stands at the end of an equation: its mark, or where it is from."""
Wording = Callable[[Sequence[Said], int], str]
"""Words and formulas as a line so many steps in."""


def write_latex(page: Page) -> str:
    """The document."""
    title = f"\\section*{{{latex_text(page.title)}}}\n"
    doc = f"{latex_text(page.doc)}\n" if page.doc else ""
    sections = [_section(section) for section in page.sections]
    return HEAD + "\n".join([title + doc, *sections]) + "\\end{document}\n"


def _section(section: Section) -> str:
    lines = [f"\\subsection*{{{latex_text(section.heading)}}}"]
    for block in blocks(section, marker, said_latex):
        if isinstance(block, str):
            lines.append(f"\n{block}")
        else:
            lines += ["\\begin{align*}", " \\\\\n".join(block), "\\end{align*}"]
    return "\n".join(lines) + "\n"


def marker(row: Row) -> str:
    """The number of an equation, or of the one whose chain rule it is."""
    if row.of is not None and row.of.mark is not None:
        return rf" \tag*{{from ({row.of.mark})}}"
    return "" if row.mark is None else rf" \tag{{{row.mark}}}"


def blocks(section: Section, mark: Marker, words: Wording) -> list[str | list[str]]:
    """What stands in a section: lines of words, and equations that are aligned with each other."""
    found: list[str | list[str]] = []
    steps = 0
    for row in section.rows:
        if isinstance(row, Words):
            found.append(words(row.said, row.steps))
            steps = row.steps + 1
            continue
        if row.steps < steps and found and not isinstance(found[-1], str):
            found.append(words(("and then",), row.steps))  # aligned equations cannot be indented
        steps = row.steps
        if not found or isinstance(found[-1], str):
            found.append([])
        last = found[-1]
        assert isinstance(last, list)
        last.append(equation(row) + mark(row))
    if section.entries:
        found.append([_entry(entry) for entry in section.entries])
    return found


def equation(row: Row) -> str:
    """A line of an alignment: left &= right, and the number behind it."""
    value = "" if row.value is None else f" && = {row.value.latex()}"
    return f"{row.left.latex()} &= {row.right.latex()}{value}"


def _entry(entry: Entry) -> str:
    """A line of a table as part of an alignment."""
    right = "&" if entry.other is None else f"&= {entry.other.latex()}"
    if entry.space is not None:
        right += rf" \in {entry.space.latex()}"
    else:
        right += rf" \quad \text{{{latex_text(entry.said)}}}"
    if entry.value is not None:
        right += f" && = {entry.value.latex()}"
    more = "".join(_in_math(part) for part in entry.more)
    return f"{entry.name.latex()} {right}" + (rf" \quad {more}" if more else "")


def _in_math(part: Said) -> str:
    return rf"\text{{{latex_text(part)}}}" if isinstance(part, str) else part.latex()


def said_latex(said: Sequence[Said], steps: int) -> str:
    """Words and formulas in text mode."""
    return "\\qquad " * steps + "".join(
        latex_text(part) if isinstance(part, str) else f"${part.latex()}$" for part in said
    )
