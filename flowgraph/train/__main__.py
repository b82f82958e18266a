"""`python -m flowgraph.train FILE ...`: what torchrun starts, once for each process.

The same as `flowc train --target torch FILE ...`. A wrong command line is the same for all processes of
a machine, and the first of them says so.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time

from ..cli.main import USAGE, main
from .distributed import PATIENCE


def run() -> int:
    """The exit code of this process."""
    given = sys.argv[1:]
    # torchrun takes `--log` for one of its own options unless `--` stands before ours.
    arguments = ["train", "--target", "torch", *(given[1:] if given[:1] == ["--"] else given)]
    if os.environ.get("LOCAL_RANK", "0") == "0":
        return main(arguments)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(arguments)
    if code == USAGE:
        time.sleep(PATIENCE)  # the launcher ends all processes after the first that fails
        return code
    sys.stderr.write(said.getvalue())
    return code


if __name__ == "__main__":
    sys.exit(run())
