"""The entry point of `flowc`, its commands by name, and what becomes of every error.

Exit codes: 0 fine, 1 the user's file or data is wrong, 2 wrong command line, 70 our own bug,
130 interrupted, 141 nobody reads the output any more.

Assumes nothing but click: a command's module is loaded when the command runs, and the compiler
when the command needs it, so that `--help` is quick.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from ..version import __version__
from .output import Output

COMMANDS = {
    "check": "Parse and type files; report every error and warning.",
    "compile": "Compile a file to a numpy or PyTorch module, or print a stage.",
    "run": "Simulate a file on data or on the values given.",
    "train": "Train a file on its data, in numpy or PyTorch.",
    "verify": "Compare simulator, numpy, PyTorch and central differences.",
    "draw": "Draw a file: circles and arrows, layers and blocks.",
    "explain": "Print the equations, forward and backward.",
    "bench": "Time training steps and forward passes, numpy against PyTorch.",
    "diff": "Say what differs between two files, renames recognised.",
    "fmt": "Bring files into the canonical form.",
    "ops": "List the operations, or describe one.",
}
"""Each command's summary; the command itself is `flowgraph.cli.NAME_command`."""

OK, WRONG, USAGE, BUG, INTERRUPTED, NO_READER = 0, 1, 2, 70, 130, 141


class LazyGroup(click.Group):
    """A group that loads a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{cmd_name}_command", __package__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from ..errors import did_you_mean, shorten

            cure = did_you_mean(name, COMMANDS) or f"commands are {', '.join(COMMANDS)}"
            ctx.fail(f"there is no command `{shorten(name)}`; {cure}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="flowc %(version)s")
@click.option("--json", "as_json", is_flag=True, help="Print diagnostics as JSON lines.")
@click.pass_obj
def cli(output: Output, as_json: bool) -> None:
    """Compile and simulate neural-network diagrams written in the Flow language.

    Exit codes: 0 fine, 1 your file or data is wrong, 2 wrong command line, 70 a bug of ours.
    """
    output.json = output.json or as_json


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; nothing but SystemExit is raised."""
    output = Output()
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments), output)
        output.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER


def _run(arguments: list[str], output: Output) -> int:
    try:
        result: Any = cli.main(arguments, prog_name="flowc", standalone_mode=False, obj=output)
        return result if isinstance(result, int) else OK
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except MemoryError:
        sys.stderr.write("flowc: there is not enough memory for this diagram and its data\n")
        return WRONG
    except Exception as error:
        from ..errors import FlowError

        if isinstance(error, FlowError):
            output.diagnostics(error.diagnostics)
            return WRONG
        return _report_bug(error, arguments)


def _report_bug(error: Exception, arguments: Sequence[str]) -> int:
    """Say what to report, and keep the traceback in a file: a user can do nothing with it."""
    import platform
    import shlex
    import tempfile
    import traceback

    said = [
        f"flowc {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"flowc {shlex.join(arguments)}",
        "",
        *traceback.format_exception(error),
    ]
    with tempfile.NamedTemporaryFile(
        "w", prefix="flowc-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.write("\n".join(said))
    summary = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    sys.stderr.write(
        f"flowc: internal error: {summary}\n"
        "This is a bug in flowgraph, not in your file. Please report it, with the diagram and this\n"
        f"file, which holds the version, the command and where it happened: {file.name}\n"
    )
    return BUG


def run() -> None:
    """The console script `flowc`."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the shell: a file opened later would be taken for it
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    # Start-up makes many objects and no garbage: collecting meanwhile would be a tenth of it.
    gc.disable()
    sys.exit(main())
