"""`python -m flowgraph.bench FOLDER`: the process in which one emitted module is measured.

Started by `flowgraph.bench`, which filled the folder and asks on standard input; see `worker`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .modules import contestant
from .worker import serve

if __name__ == "__main__":
    serve(lambda: contestant(Path(sys.argv[1])))
