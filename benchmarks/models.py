"""How long the command takes for GPT-2, over the time of `import torch`.

    python benchmarks/models.py

Twelve layers, 124 million parameters: `flowc check` and `flowc compile` for both targets, each run
in alternation with `python -c "import torch"`, all as processes from start to end. Medians of the
ratios, which are to be at most 1.5, and the number of lines that are emitted.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

GPT2 = str(Path(__file__).resolve().parents[1] / "examples" / "models" / "gpt2.flow")
COMMANDS = (
    ("check", GPT2),
    ("compile", GPT2, "--target", "torch"),
    ("compile", GPT2, "--target", "numpy"),
)
RUNS = 7


def run(command: list[str]) -> tuple[float, str]:
    """Seconds of a process, and what it prints."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return time.perf_counter() - start, done.stdout


def main() -> None:
    base = [sys.executable, "-c", "import torch"]
    run(base)
    print("| command | s | `import torch`, s | ratio (at most 1.5) | lines |\n|---|---:|---:|---:|---:|")
    for words in COMMANDS:
        ours = [sys.executable, "-m", "flowgraph", *words]
        _, text = run(ours)
        pairs = [(run(ours)[0], run(base)[0]) for _ in range(RUNS)]
        seconds, of_torch = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        title = " ".join(["flowc", words[0], "gpt2.flow", *words[2:]])
        lines = text.count("\n") if words[0] == "compile" else ""
        print(f"| `{title}` | {seconds:.2f} | {of_torch:.2f} | {ratio:.2f} | {lines} |")


if __name__ == "__main__":
    main()
