"""Huge and hostile input through the command: a clear error, exit 1, 5 s and 1 GiB at most.

Every case runs in a process of its own, whose own account of time (of the processor, so that a
busy machine does no harm) and memory is read when it ends. Big inputs are made here, not stored.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS = 5.0
MEBIBYTES = 1024
DEEP = 100_000
LONG = 20_000


@dataclass
class End:
    """How a command ended."""

    status: int
    out: str
    err: str
    seconds: float
    mebibytes: float


def flowc(folder: Path, *arguments: str) -> End:
    """Run the command; its output goes to files, so that no pipe can fill."""
    command = [sys.executable, "-m", "flowgraph", *arguments]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        started = [sys.executable, "-S", "-c", LAUNCHER, str(folder / "used"), *command]
        subprocess.run(started, stdout=out, stderr=err, stdin=subprocess.DEVNULL, check=True)
    texts = [(folder / name).read_text(encoding="utf-8") for name in ("out", "err")]
    status, seconds, kibibytes = json.loads((folder / "used").read_text(encoding="ascii"))
    return End(status, *texts, seconds, kibibytes / 1024)


LAUNCHER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as file:
    json.dump([process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
"""
"""Runs a command, and says what it used. What a process is seen to use at its peak is never less than what
the process that starts it has, so this is a small one, not the one that runs the tests."""


def assert_refused(end: End, codes: Sequence[str]) -> None:
    """An error of one of these codes, in bounds and without a traceback."""
    assert end.status == 1, end.err[-2000:]
    assert "Traceback" not in end.err and "internal" not in end.err.lower()
    assert any(f"error[{code}]" in end.err for code in codes), end.err[:2000]
    assert len(end.err) < 100_000
    assert end.seconds < SECONDS, f"{end.seconds:.1f} s"
    assert end.mebibytes < MEBIBYTES, f"{end.mebibytes:.0f} MiB"


def lines(form: str, count: int) -> str:
    """A line for each number."""
    return "".join(form.format(i) for i in range(count))


HUGE = {
    "parentheses": ("input x\ny = " + "(" * DEEP + "x" + ")" * DEEP, ["E0903"]),
    "parentheses, not closed": ("input x\ny = " + "(" * DEEP + "x\nz = 2", ["E0903"]),
    "lists": ("input x\ny = " + "[" * DEEP + "1" + "]" * DEEP, ["E0903"]),
    "calls": ("input x\ny = " + "relu(" * DEEP + "x" + ")" * DEEP, ["E0903"]),
    "blocks": ("repeat 2 as h { " * DEEP, ["E0903", "E0006"]),
    "signs before an error": ("input x\ny = " + "-" * DEEP + "(zz)", ["E0101"]),
    "negations": ("input x\ny = " + "not " * LONG + "x", ["E0303"]),
    "a sum": ("input x\ny = " + "x + " * LONG + "zz", ["E0101"]),
    "powers": ("input x\ny = " + "x ^ " * LONG + "zz", ["E0101"]),
    "members": ("input x : [2, 3]\ny = x" + ".T" * LONG + ".q", ["E0107"]),
    "unknown members": ("input x\ny = x" + ".q" * DEEP, ["E0107"]),
    "pipes": ("input x\ny = x" + " |> relu" * LONG + " |> rleu", ["E0104"]),
    "indices": ("input x : [3]\ny = x" + "[0]" * LONG, ["E0304"]),
    "a condition": ("size T\ninput x : [T]\nrequire " + "T > 1 or " * LONG + "T > 2\ny = x", ["E0903"]),
    "sums of sizes": ("size D = " + "1 + " * LONG + "0.5\ninput x : [D]\ny = x", ["E0302"]),
    "products of a size": ("size T\ninput x : [" + "T * " * LONG + "T]\ny = x", ["E0901"]),
    "schedules": (
        "input x\ny = x\ntrain sgd(lr=" + "warmup(" * 150 + "1" + ", steps=0)" * 150 + ")",
        ["E0404"],
    ),
    "a name": ("input x\ny = " + "x" * 10_000_000, ["E0902"]),
    "a name of an input": ("input " + "x" * 10_000_000, ["E0902"]),
    "a name of an operation": ("input x\ny = " + "x" * 10_000_000 + "(x)", ["E0902"]),
    "a comment and a typo": ("#" * 10_000_000 + "\ninput x\ny = z", ["E0101"]),
    "a string": ('diagram d "' + "x" * 10_000_000, ["E0005"]),
    "digits": ("input x\ny = x * " + "9" * 10_000, ["E0901"]),
    "more digits": ("input x\ny = x * " + "9" * 1_000_000, ["E0901"]),
    "an exponent": ("input x\ny = x * 1e" + "9" * 10_000, ["E0901"]),
    "a size": ("size D = 10 ^ 12\ninput x : [D]\ny = x", ["E0904"]),
    "a power of a size": ("size D = 9 ^ 9 ^ 9 ^ 9\ninput x : [D]\ny = x", ["E0901"]),
    "a matrix": ("size D = 10 ^ 6\ninput x : [D]\nparam W : [D, D] = glorot()\ny = W @ x", ["E0904"]),
    "an outer product": ("input x : [10 ^ 6]\ny = outer(x, x)", ["E0904"]),
    "zeros": ("input x\ny = sum(zeros([10 ^ 6, 10 ^ 6])) + x", ["E0904"]),
    "a fresh matrix": ("input x : [10 ^ 6]\nnode h[10 ^ 6]\nx -> h", ["E0904"]),
    "one_hot of many classes": ("input k : class(10 ^ 12)\ny = one_hot(k)", ["E0904"]),
    "circles of one layer": ("input x\nnode h[10 ^ 9] : relu\nx -> h", ["E0905"]),
    "circles of many layers": ("input x\n" + lines("node h{0}[1000]\nx -> h{0}\n", 1001), ["E0905"]),
    "unknown names": ("input x\n" + lines("y{0} = zz{0} + 1\n", 20_000), ["E0101"]),
    "misspelt names": ("input temperature\n" + lines("y{0} = temperatur + 1\n", 20_000), ["E0101"]),
    "declarations of one name": ("input x\n" * 20_000, ["E0102"]),
    "circles without wires": ("node " + ", ".join(f"h{i}" for i in range(20_000)), ["E0202"]),
    "wires from nowhere": ("node h\n" + "q -> h\n" * 20_000, ["E0101"]),
    "bad weights": ("input x, q\nnode h\n" + "x -[q]-> h\n" * 20_000, ["E0205"]),
    "shape errors": ("input x : [3]\n" + lines("y{0} = x @ [1, 2]\n", 20_000), ["E0310"]),
    "one long ring": (
        "node " + ", ".join(f"h{i}" for i in range(20_000)) + "\nh19999 -[1]-> h0\n"
        + "".join(f"h{i} -[1]-> h{i + 1}\n" for i in range(19_999)),
        ["E0201"],
    ),
    "many short rings": (
        "node " + ", ".join(f"h{i}" for i in range(20_000)) + "\n" + lines("h{0} -[1]-> h{0}\n", 20_000),
        ["E0201"],
    ),
    "all to all": (
        "node " + (names := ", ".join(f"h{i}" for i in range(200))) + f"\n{names} -[1]-> {names}",
        ["E0201"],
    ),
    "rings of sizes": ("size " + ", ".join(f"s{i} = s{i} + s{i + 1}" for i in range(20_000)), ["E0201"]),
    "syntax errors": ("y = = 3\n" * 20_000, ["E0004"]),
    "a long line with an error": ("input x\ny = " + "x * " * 20_000 + "zz", ["E0101"]),
    "settings": ("input x\ny = x\ntrain sgd(), " + ", ".join(f"a{i}=1" for i in range(20_000)), ["E0402"]),
}  # fmt: skip


@pytest.mark.parametrize("case", HUGE)
def test_huge_input_is_refused_in_bounds(case: str, tmp_path: Path) -> None:
    text, codes = HUGE[case]
    file = tmp_path / "huge.flow"
    file.write_text(text + "\n", encoding="utf-8")
    assert_refused(flowc(tmp_path, "check", str(file)), codes)


RAW = {
    "a zero byte": (b"input x\0\ny = x\n", ["E0002"]),
    "zero bytes": (b"\0" * 1_000_000, ["E0002"]),
    "UTF-16": ("input x\ny = x\n".encode("utf-16"), ["E0002"]),
    "Latin-1": ("# größe\ninput x\ny = x\n".encode("latin-1"), ["E0002"]),
    "half a character": (b"# \xc3", ["E0002"]),
    "a surrogate": (b"# \xed\xa0\x80\n", ["E0002"]),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ["E0002"]),
    "too many bytes": (b"# " + b"x" * (65 * 2**20), ["E0001"]),
}


@pytest.mark.parametrize("case", RAW)
def test_bytes_that_are_no_text_are_refused(case: str, tmp_path: Path) -> None:
    content, codes = RAW[case]
    file = tmp_path / "raw.flow"
    file.write_bytes(content)
    assert_refused(flowc(tmp_path, "check", str(file)), codes)


def test_paths_that_hold_no_file_are_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.flow"
    os.mkfifo(fifo)
    link = tmp_path / "link.flow"
    link.symlink_to(link)
    names = [str(tmp_path / "none.flow"), str(tmp_path), str(fifo), str(link), "x" * 5000, ""]
    end = flowc(tmp_path, "check", *names, *(p for p in ("/dev/zero", "/dev/stdin") if Path(p).exists()))
    assert_refused(end, ["E0001"])
    assert end.err.count("error[E0001]") >= len(names)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything is readable for this user")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret.flow"
    file.write_text("input x\n", encoding="utf-8")
    file.chmod(0)
    assert_refused(flowc(tmp_path, "check", str(file)), ["E0001"])


def test_the_limit_on_nodes_can_be_changed(tmp_path: Path) -> None:
    file = tmp_path / "a.flow"
    file.write_text("input x\nnode h[2000000] : relu\nx -[1]-> h\noutput h\n", encoding="utf-8")
    assert_refused(flowc(tmp_path, "check", str(file)), ["E0905"])
    assert flowc(tmp_path, "check", str(file), "--max-nodes", "2000001").status == 0
    small = tmp_path / "b.flow"
    small.write_text("input x\ny = (x + 1) * (x + 2)\n", encoding="utf-8")
    assert flowc(tmp_path, "check", str(small)).status == 0
    assert_refused(flowc(tmp_path, "check", str(small), "--max-nodes", "3"), ["E0905"])


@pytest.mark.parametrize("statement", ["node", "equation"])
def test_a_million_statements_are_refused_before_they_are_parsed(tmp_path: Path, statement: str) -> None:
    file = tmp_path / "a.flow"
    names = [f"h{i}" for i in range(1_000_001)]
    if statement == "node":
        text = "input x\nnode " + ",\n     ".join(names) + " : relu\n"
    else:
        text = "input x\n" + "".join(f"{name} = x\n" for name in names)
    file.write_text(text, encoding="utf-8")
    assert_refused(flowc(tmp_path, "check", str(file)), ["E0905"])


LARGE = {
    "signs": "input x\ny = " + "-" * 20_000 + "x",
    "a sum": "input x\ny = " + "x + " * 20_000 + "x",
    "a list": "input x\ny = [" + "x, " * 20_000 + "x]",
    "pipes": "input x\ny = x" + " |> relu" * 20_000,
    "sizes": "size " + ", ".join(f"s{i} = s{i + 1} + 1" for i in range(20_000))
    + ", s20000 = 3\ninput x : [s0]\ny = x",
    "wires": "input x\nnode h\n" + "x -> h\n" * 20_000,
    "losses": "input x\ntarget t\n" + "loss mse(x, t)\n" * 10_000,
}  # fmt: skip


@pytest.mark.parametrize("case", LARGE)
def test_what_is_large_but_right_is_taken(case: str, tmp_path: Path) -> None:
    file = tmp_path / "large.flow"
    file.write_text(LARGE[case] + "\n", encoding="utf-8")
    end = flowc(tmp_path, "check", str(file))
    assert end.status == 0, end.err[:2000]
    assert end.seconds < SECONDS and end.mebibytes < MEBIBYTES
