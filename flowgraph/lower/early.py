"""A drawing with more nodes than the limit, told before it is parsed.

Parsing a file of a million circles takes long and much memory, only to refuse it. The circles that
`node` statements list and the lines that begin as equations are each at least one node, so that
counting them never refuses what lowering would accept.
"""

from __future__ import annotations

import re

from ..errors import Source, Span, fail

SMALLEST = 4
"""Characters that a node takes at least: a shorter file than the limit times this holds fewer."""

BEGINS = re.compile(r"^[ \t]*(?:(?P<node>node)[ \t]|[A-Za-z]\w*[ \t]*=[^=\n])", re.MULTILINE)
"""The beginning of a `node` statement, or of an equation."""


def refuse_early(source: Source, limit: int) -> None:
    """Raise FlowError (E0905) if the text alone shows more than `limit` nodes."""
    if len(source.text) < limit * SMALLEST or "{" in source.text:
        return  # the equations of data and of blocks are no nodes of the diagram
    count = 0
    for match in BEGINS.finditer(source.text):
        count += _listed(source.text, match.end()) if match["node"] else 1
        if count > limit:
            raise fail(
                "E0905",
                f"the diagram has more than {limit} nodes",
                Span(source, match.start(), match.end()),
                "the limit is reached in this statement",
                help="raise the limit with --max-nodes if that is meant",
            )


def _listed(text: str, start: int) -> int:
    """How many circles a `node` statement lists from here on; a line that ends in a comma goes on."""
    count = 1
    while True:
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else len(text)].rstrip()
        names = line.partition(":")[0].partition(";")[0].partition("#")[0]
        count += names.count(",")
        if end < 0 or names != line or not line.endswith(","):
            return count - names.rstrip().endswith(",")
        start = end + 1
