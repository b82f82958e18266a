"""The emitted torch modules beside modules written by hand: time of a forward pass and of a training step.

    python benchmarks/torch_peers.py [--only NAME] [--rounds 101] [--threads 1 2] [-O 1]
                                     [--compile yes|no|only]
    python benchmarks/torch_peers.py --device cuda [--amp] [--cuda-graphs]

The networks are in `benchmarks/torch_cases.py`, the modules by hand in `torch_modules.py`. Both get the
same weights, and outputs and the losses of the first steps are compared before anything is timed. Then
they take turns in one process, each round in another order, at each number of threads; a time is the median
of the rounds (with one thread on a CPU of processor time), a ratio the median of the rounds' ratios of ours
to theirs. A training step is zero_grad, the loss, backward and the optimizer's step, and the schedule's
where there is one; forward is under no_grad, in eval mode. After eager mode comes
`torch.compile(fullgraph=True)`, where a C++ compiler is there; where PyTorch refuses to compile theirs
whole, it is compiled in parts. The aim is at most 1.02.

`--amp` runs the losses in bfloat16 by autocast; `--cuda-graphs` records forward and backward of the loss
in a CUDA graph. With `--device cuda`, GPT-2 is measured besides in tokens per second, next to that of
Hugging Face's `transformers`; `--tokens` does so on any device.
"""

from __future__ import annotations

import argparse
import copy
import functools
import shutil
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch_modules as hand
from torch import Tensor, nn
from torch_cases import ADAMW, CASES, GPT2_SIZES, Batch, Case, Loss, example, part, tokens

from flowgraph.execute import execute
from flowgraph.naming import class_name

BLOCK_SECONDS = 0.005
"""A round of one contestant takes about this long, and one call at least."""
CHECKED_STEPS = 4
AIM = 1.02

# ---------------------------------------------------------------------------------------
# The contestants


@dataclass(frozen=True)
class Options:
    device: str = "cpu"
    level: int = 1
    amp: bool = False
    graphs: bool = False


@dataclass
class Contestant:
    """A module and its loss as they are called, on a batch. step: one training step; returns the loss."""

    module: nn.Module
    forward: Callable[[], Any]
    step: Callable[[], Tensor]
    optimizer: Any
    kept: list[Any] = field(default_factory=list)

    def keep(self) -> None:
        """Keep parameters and the optimizer's state as they are now."""
        self.kept = [copy.deepcopy(holder.state_dict()) for holder in (self.module, self.optimizer)]

    def go_back(self) -> None:
        """To what was kept: thousands of steps on one batch would end in numbers too small to be fast."""
        for holder, state in zip((self.module, self.optimizer), self.kept, strict=True):
            holder.load_state_dict(copy.deepcopy(state))


class LossOf(nn.Module):
    """The loss by hand as a module, as CUDA graphs and torch.compile take it."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *batch: Tensor) -> Tensor:
        return self.loss(self.model, *batch)


Wrap = Callable[[nn.Module], Any]
"""What becomes of a module before it is called: torch.compile, or nothing."""


def contestants(case: Case, options: Options, ours_in: Wrap, theirs_in: Wrap) -> dict[str, Contestant]:
    """Ours and theirs, with the same weights."""
    torch.manual_seed(0)
    diagram = case.diagram()
    space = execute(diagram.compile("torch", level=options.level))
    title = class_name(diagram.graph.name)
    ours = space[title]().to(options.device)
    theirs = case.module().to(options.device)
    copy_weights(case, ours, theirs)
    batch = tuple(t.to(options.device) for t in case.batch())
    given = batch[: len(diagram.graph.inputs)]

    loss_module = space[f"{title}Loss"](ours)
    optimizer = space["make_optimizer"](ours)
    our_loss = recorded(ours_in(loss_module), batch, options)

    def our_step() -> Tensor:
        return space["train_step"](our_loss, optimizer, *batch)

    their_optimizer = case.optimizer(theirs.parameters())
    schedule = case.schedule(their_optimizer) if case.schedule else None
    is_plain = theirs_in is plain and not (options.amp or options.graphs)
    their_module = theirs if is_plain else recorded(theirs_in(LossOf(theirs, case.loss)), batch, options)
    their_loss = part(case.loss, theirs) if is_plain else their_module

    def their_step() -> Tensor:
        their_optimizer.zero_grad()
        loss = their_loss(*batch)
        loss.backward()
        their_optimizer.step()
        if schedule is not None:
            schedule.step()
        return loss.detach()

    return {
        "ours": Contestant(ours, part(ours_in(ours), *given), our_step, optimizer),
        "theirs": Contestant(theirs, part(theirs_in(theirs), *given), their_step, their_optimizer),
    }


def plain(module: nn.Module) -> nn.Module:
    """As it is, in eager mode."""
    return module


def whole(module: nn.Module) -> Any:
    return torch.compile(module, fullgraph=True, dynamic=False)


def in_parts(module: nn.Module) -> Any:
    """Where PyTorch would refuse to compile it whole."""
    return torch.compile(module, dynamic=False)


def recorded(loss: Any, batch: Batch, options: Options) -> Any:
    """The loss in bfloat16, and in a CUDA graph, where that is asked for."""
    if not (options.amp or options.graphs):
        return loss
    made = Cast(loss, options.device) if options.amp else loss
    if options.graphs:  # the graph holds the batch's place in memory; it is recorded after three runs
        return torch.cuda.make_graphed_callables(made, batch)
    return made


class Cast(nn.Module):
    """A loss in bfloat16 by autocast."""

    def __init__(self, loss: Any, device: str) -> None:
        super().__init__()
        self.loss, self.device = loss, torch.device(device).type

    def forward(self, *batch: Tensor) -> Tensor:
        # A CUDA graph must hold its casts itself: none may be kept from before.
        with torch.autocast(self.device, dtype=torch.bfloat16, cache_enabled=False):
            return self.loss(*batch)


@torch.no_grad()
def copy_weights(case: Case, ours: nn.Module, theirs: nn.Module) -> None:
    """Give their parameters the values of ours. Raises AssertionError if they are others."""
    mine, other = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert len(mine) == len(other), (list(mine), list(other))
    for (name, value), same_place in zip(mine.items(), other.values(), strict=True):
        for old, new in case.names:
            name = name.replace(old, new)
        target = other[name] if case.names else same_place
        assert target.shape == value.shape, (name, target.shape, value.shape)
        target.copy_(value)


def check_same(case: Case, racing: dict[str, Contestant], options: Options) -> None:
    """Outputs and the losses of the first steps agree. Raises AssertionError."""
    rtol = 2e-2 if options.amp else 1e-4
    found = {}
    for name, racer in racing.items():
        racer.module.eval()
        torch.manual_seed(1)
        with torch.no_grad():
            outputs = racer.forward()
        racer.module.train()
        losses = torch.stack([racer.step() for _ in range(CHECKED_STEPS)])
        found[name] = [*(outputs if isinstance(outputs, tuple) else [outputs]), losses]
        racer.keep()
    for mine, other in zip(found["ours"], found["theirs"], strict=True):
        torch.testing.assert_close(mine.float(), other.float(), rtol=rtol, atol=rtol / 10, msg=case.title)


# ---------------------------------------------------------------------------------------
# Measuring


def seconds_of(call: Callable[[], Any], count: int, device: str) -> float:
    """Of one call."""
    if device != "cpu":
        torch.cuda.synchronize()
    # With one thread the processor's time is the clock's, and leaves out what else the machine does.
    is_alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if is_alone else time.perf_counter
    start = clock()
    for _ in range(count):
        call()
    if device != "cpu":
        torch.cuda.synchronize()
    return (clock() - start) / count


def race(
    calls: dict[str, Callable[[], Any]], rounds: int, device: str, begin: Callable[[], None] = lambda: None
) -> tuple[float, float, float]:
    """Seconds of ours and of theirs, and the ratio: medians over rounds in alternating order.

    begin: what is done before each round.
    """
    for call in calls.values():
        seconds_of(call, 3, device)
    once = max(min(seconds_of(call, 5, device) for _ in range(3)) for call in calls.values())
    count = max(1, int(BLOCK_SECONDS / once))
    pairs = []
    for number in range(rounds):
        begin()
        for call in calls.values():
            call()
        order = list(calls) if number % 2 else list(calls)[::-1]
        found = {name: seconds_of(calls[name], count, device) for name in order}
        pairs.append((found["ours"], found["theirs"]))
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return ours, theirs, statistics.median(a / b for a, b in pairs)


def measure(racing: dict[str, Contestant], rounds: int, device: str) -> list[str]:
    """The cells of a row: forward, then a step, each of theirs and ours in µs, and the ratio."""
    cells = []

    def begin() -> None:
        for racer in racing.values():
            racer.go_back()

    for kind in ("forward", "step"):
        for racer in racing.values():
            racer.module.train(kind == "step")
        calls = {name: getattr(racer, kind) for name, racer in racing.items()}
        with torch.set_grad_enabled(kind == "step"):
            ours, theirs, ratio = race(calls, rounds, device, begin)
        mark = "" if ratio <= AIM else " **above**"
        cells += [f"{1e6 * theirs:.0f}", f"{1e6 * ours:.0f}", f"{ratio:.3f}{mark}"]
    return cells


def compiler() -> str | None:
    """The C++ compiler that torch.compile would call, if there is one."""
    return next((c for c in ("g++", "clang++", "c++") if shutil.which(c)), None)


def tables(cases: Sequence[Case], options: Options, args: argparse.Namespace) -> None:
    print(
        "| network | mode | threads | forward by hand, µs | ours | ratio | step by hand, µs | ours | ratio |"
        "\n|---|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    modes = [("eager", plain)] if args.compile != "only" else []
    if args.compile != "no" and (compiler() or options.device != "cpu"):
        modes.append(("compile", whole))
    elif args.compile != "no":
        print("| all | compile | – | no C++ compiler here: not measured | | | | | |")
    for case in cases:
        for mode, wrap in modes:
            torch.compiler.reset()
            theirs_in = wrap if case.can_be_whole or wrap is plain else in_parts
            racing = contestants(case, options, wrap, theirs_in)
            check_same(case, racing, options)
            for threads in args.threads:
                torch.set_num_threads(threads)
                cells = measure(racing, args.rounds, options.device)
                print(f"| {' | '.join([case.title, mode, str(threads), *cells])} |", flush=True)


# ---------------------------------------------------------------------------------------
# Tokens per second


def transformers_gpt2(sizes: dict[str, int]) -> nn.Module:
    """Hugging Face's GPT-2 without dropout, its loss by our interface."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=sizes["V"],
        n_positions=sizes["P"],
        n_embd=sizes["D"],
        n_layer=sizes["L"],
        n_head=sizes["H"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config)


def of_transformers(model: nn.Module, ids: Tensor, next: Tensor) -> Tensor:
    logits = model(ids).logits
    return nn.functional.cross_entropy(logits.view(-1, logits.shape[-1]), next.view(-1))


def tokens_per_second(options: Options, rounds: int, sizes: dict[str, int], rows: int) -> None:
    """A training step of GPT-2: ours, by hand, and that of transformers."""
    wrap = whole if options.device != "cpu" else plain
    shape = (rows, sizes["P"])
    by_hand = functools.partial(hand.Gpt, sizes["V"], sizes["P"], sizes["L"], sizes["H"], sizes["D"])
    batch = tokens(sizes["V"], *shape)
    diagram, optimizer = example("models/gpt2.flow", **sizes), part(ADAMW, lr=0.001)
    case = Case("GPT-2", diagram, by_hand, hand.of_tokens, optimizer, batch)
    racing = contestants(case, options, wrap, wrap)
    check_same(case, racing, options)
    model = transformers_gpt2(sizes).to(options.device)
    given = tuple(t.to(options.device) for t in batch())
    loss = recorded(wrap(LossOf(model, of_transformers)), given, options)
    their_optimizer = optimizer(model.parameters())

    def step() -> None:
        their_optimizer.zero_grad()
        loss(*given).backward()
        their_optimizer.step()

    model.train()
    calls: dict[str, Callable[[], Any]] = {name: racer.step for name, racer in racing.items()}
    ours, theirs, ratio = race(calls, rounds, options.device)
    _, of_hf, over_hf = race({"ours": calls["ours"], "theirs": step}, rounds, options.device)
    count = rows * sizes["P"]
    print("\n| GPT-2, a training step | tokens per second | time of ours over it |\n|---|---:|---:|")
    for name, seconds, over in (
        ("ours", ours, 1.0),
        ("by hand", theirs, ratio),
        ("transformers", of_hf, over_hf),
    ):
        print(f"| {name} | {count / seconds:,.0f} | {over:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose title has this in it")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("-O", dest="level", type=int, default=1)
    parser.add_argument("--compile", choices=["yes", "no", "only"], default="yes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", action="store_true", help="bfloat16 by autocast")
    parser.add_argument("--cuda-graphs", action="store_true")
    parser.add_argument("--tokens", action="store_true", help="tokens per second alone")
    args = parser.parse_args()
    if args.cuda_graphs and not args.device.startswith("cuda"):
        parser.error("--cuda-graphs needs --device cuda")
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    options = Options(args.device, args.level, args.amp, args.cuda_graphs)
    chosen = [case for case in CASES if args.only.lower() in case.title.lower()]
    if not args.tokens:
        tables(chosen, options, args)
    if args.tokens or args.device != "cpu":
        sizes = GPT2_SIZES if args.device == "cpu" else {"V": 50257, "P": 1024, "L": 12, "H": 12, "D": 768}
        tokens_per_second(options, args.rounds, sizes, rows=8)


if __name__ == "__main__":
    main()
