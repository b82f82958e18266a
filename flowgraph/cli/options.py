"""Options that several commands share, and the little languages of `--set` and `--in`."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any

import click

from .output import Output

Command = Callable[..., Any]
NAME = r"[A-Za-z][A-Za-z0-9_]*"
SETTING = re.compile(rf"\s*({NAME})\s*=\s*(.*?)\s*\Z", re.DOTALL)
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
MAX_DIGITS = 300
MAX_DEPTH = 32


class FileName(click.Path):
    """The name of a file, taken as it is: whether it can be used is said in our own words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "" and isinstance(param, click.Option):  # of a variable that is not set, in a script
            self.fail("the name is empty", param, ctx)
        return value


FILE = FileName()


def number(text: str) -> int | float | None:
    """A number as it is written in a diagram, or None; a whole one is an int."""
    if len(text) > MAX_DIGITS or not NUMBER.match(text):
        return None
    plain = text.lstrip("+-").isdigit()
    value = int(text) if plain else float(text)
    return value if plain or math.isfinite(value) else None


# ---------------------------------------------------------------------------------------
# --set


def _settings(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """`H=256` as a dict. Raises BadParameter."""
    settings: dict[str, Any] = {}
    for text in given:
        match = SETTING.match(text)
        value = None if match is None else number(match[2])
        if match is None or value is None:
            raise click.BadParameter(f"{text[:60]!r} is not NAME=NUMBER, such as H=256")
        if match[1] in settings:
            raise click.BadParameter(f"{match[1]} is set twice")
        settings[match[1]] = value
    return settings


def settings_option(flag: str, name: str, help: str) -> Callable[[Command], Command]:
    """An option of sizes and consts that override a file's, passed on as a dict of that name."""
    return click.option(flag, name, multiple=True, metavar="NAME=NUMBER", callback=_settings, help=help)


set_option = settings_option("--set", "settings", "Override a size or a scalar const. May be repeated.")

# ---------------------------------------------------------------------------------------
# --in


class InputText:
    """`x1=0,x2=[1,2],y=setosa`: names with numbers, words, strings or nested lists of them."""

    TOKEN = re.compile(
        r"\s*(?:(?P<string>\"[^\"]*\"|'[^']*')|(?P<word>[^\s\[\],=\"']+)|(?P<sign>[\[\],=]))\s*"
    )

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = self.TOKEN.match(text, at)
            if match is None:
                raise click.BadParameter(f"{text[at : at + 20]!r} cannot be read; write x1=0,x2=[1,2]")
            kind = str(match.lastgroup)
            self.tokens.append((kind, match.group(kind)))
            at = match.end()
        self.at = 0

    def items(self) -> list[tuple[str, Any]]:
        """The names with their values, in order. Raises BadParameter."""
        found = []
        while True:
            kind, name = self.take()
            if kind != "word" or not re.fullmatch(NAME, name):
                self.refuse(f"a name is missing before {name!r}")
            if self.take() != ("sign", "="):
                self.refuse(f"`=` is missing after {name!r}")
            found.append((name, self.value()))
            token = self.take()
            if token == ("end", ""):
                return found
            if token != ("sign", ","):
                self.refuse(f"`,` is missing before {token[1]!r}")

    def take(self) -> tuple[str, str]:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        self.at += 1
        return token

    def value(self) -> Any:
        """A number, a word or a list, read with a stack of the lists still open."""
        stack: list[list[Any]] = []
        while True:
            token = self.take()
            if token == ("sign", "["):
                stack.append([])
                if len(stack) > MAX_DEPTH:
                    self.refuse("lists are nested too deeply")
                if self.at < len(self.tokens) and self.tokens[self.at] != ("sign", "]"):
                    continue
                token = self.take()
            elif token[0] in ("word", "string"):
                value = self.atom(*token)
                if not stack:
                    return value
                stack[-1].append(value)
                token = self.take()
            else:
                self.refuse(f"a value is missing before {token[1]!r}" if token[1] else "a value is missing")
            while token == ("sign", "]"):
                done = stack.pop()
                if not stack:
                    return done
                stack[-1].append(done)
                token = self.take()
            if token != ("sign", ","):
                self.refuse(
                    "a list is not closed" if token[0] == "end" else f"`,` is missing before {token[1]!r}"
                )

    def atom(self, kind: str, text: str) -> Any:
        if kind == "string":
            return text[1:-1]
        words = {"true": True, "false": False, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf}
        if text in words:
            return words[text]
        value = number(text)
        if value is None and not re.fullmatch(r"[A-Za-z_][\w.-]*", text):
            self.refuse(f"{text[:40]!r} is neither a number nor a word")
        if isinstance(value, int) and abs(value) >= 2**63:
            self.refuse(f"{text[:40]!r} is too large")
        return text if value is None else value

    def refuse(self, message: str) -> None:
        raise click.BadParameter(f"{message} in {self.text[:60]!r}; write x1=0,x2=[1,2]")


def _inputs(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for text in given:
        for name, value in InputText(text).items():
            if name in inputs:
                raise click.BadParameter(f"{name} is given twice")
            inputs[name] = value
    return inputs


in_option = click.option(
    "--in",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE,...",
    callback=_inputs,
    help="Values in place of data: x1=0,x2=1 or x=[1,2]; a list of values is a batch. May be repeated.",
)

# ---------------------------------------------------------------------------------------
# --params and what goes with it


def _patterns(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns of names that can be read. Raises BadParameter."""
    from ..params.pattern import Pattern, Rename

    try:
        for text in given:
            Rename(text) if param.name == "rename" else Pattern(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return given


def params_options(command: Command) -> Command:
    """`--params`, `--rename`, `--transpose` and `--ignore`, which a command takes as one `params`."""

    @functools.wraps(command)
    def combined(
        *arguments: Any,
        params: str | None,
        rename: tuple[str, ...],
        transpose: tuple[str, ...],
        ignore: tuple[str, ...],
        **others: Any,
    ) -> Any:
        given = {"rename": rename, "transpose": transpose, "ignore": ignore}
        if params is None:
            for name in (name for name, patterns in given.items() if patterns):
                raise click.UsageError(f"--{name} is about the file that --params names, and there is none")
            return command(*arguments, params=None, **others)
        from ..params import Weights

        return command(*arguments, params=Weights(params, **given), **others)

    for option in reversed(_PARAMS_OPTIONS):
        combined = option(combined)
    return combined


_PARAMS_OPTIONS = (
    click.option(
        "--params", type=FILE, metavar="FILE", help="Weights: safetensors, npz, or pt, pth, bin of PyTorch."
    ),
    click.option(
        "--rename",
        multiple=True,
        metavar="PATTERN=PATTERN",
        callback=_patterns,
        help="Names in the weights' file, and what they are here: 'old.*=new.*'. May be repeated.",
    ),
    click.option(
        "--transpose",
        multiple=True,
        metavar="PATTERN",
        callback=_patterns,
        help="Parameters that the file holds transposed: 'h.*.weight'. May be repeated.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        metavar="PATTERN",
        callback=_patterns,
        help="Names in the weights' file that are not wanted. May be repeated.",
    ),
)

# ---------------------------------------------------------------------------------------
# The rest


def _json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    output = ctx.find_object(Output)
    if value and output is not None:
        output.json = True


json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_json,
    help="Print diagnostics as JSON lines.",
)

max_nodes_option = click.option(
    "--max-nodes",
    type=click.IntRange(min=1),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Refuse diagrams of more nodes.",
)
