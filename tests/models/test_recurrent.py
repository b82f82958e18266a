"""The recurrent networks of `examples/models`: against torch.nn.LSTM and torch.nn.GRU, and what they learn.

`benchmarks/comparisons.py` has the other implementations and says what an error is.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import math
import runpy
import warnings
from pathlib import Path
from typing import Any

import comparisons
import numpy as np
import pytest
from comparisons import MODELS, Case
from conftest import Golden
from running import HAS_TORCH, ROOT, initial
from shown import shown_commands, words_of
from test_embeddings import maker, rows
from test_transformers import BOUNDS, assert_agree, titles
from test_transformers_torch import assert_compiles
from trained import TARGETS

from flowgraph.cli.main import main
from flowgraph.diagram import Diagram, load
from flowgraph.naming import class_name

NETWORKS = {"lstm_chars": {"V": 29, "D": 13, "L": 2}, "gru_chars": {"V": 29, "D": 13}}
FILES = {name: MODELS / f"{name}.flow" for name in NETWORKS}
CASES = [case for case in comparisons.CASES if case.model in NETWORKS]
USUAL = [case for case in CASES if case.length < 64]
LONG = [case for case in CASES if case not in USUAL]

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


@functools.cache
def network(name: str) -> Diagram:
    """One of them at its sizes for tests."""
    return load(FILES[name], settings=NETWORKS[name])


# ---------------------------------------------------------------------------------------
# Against torch.nn


@pytest.mark.parametrize("case", USUAL, ids=titles(USUAL))
@pytest.mark.parametrize("dtype", BOUNDS)
def test_agrees(case: Case, dtype: str) -> None:
    """One row of one letter among them, prime numbers of letters and prime widths."""
    assert_agree(case, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("case", LONG, ids=titles(LONG))
@pytest.mark.parametrize("dtype", BOUNDS)
def test_agrees_over_64_steps(case: Case, dtype: str) -> None:
    assert_agree(case, dtype)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_module_serves_every_length(name: str) -> None:
    """What comes later changes no score of what came before, so a short text has those of a longer one."""
    module = comparisons.emitted(network(name), "numpy", "float64")
    params = module["init"](0)
    ids, following = np.random.default_rng(0).integers(0, 29, (2, 3, 17))
    whole = module["forward"](params, ids)
    for length in (1, 2, 16):
        part = module["forward"](params, ids[:, :length])
        np.testing.assert_allclose(part, whole[:, :length], rtol=1e-12, atol=1e-15)
        loss, grads = module["loss_and_grad"](params, ids[:, :length], following[:, :length])
        assert math.isfinite(loss)
        assert {k: g.shape for k, g in grads.items()} == module["PARAMS"]


def test_the_table_is_used_twice() -> None:
    """Its gradient is that by the letters read and that by the scores: every row has one, read or not."""
    module = comparisons.emitted(network("gru_chars"), "numpy", "float64")
    ids = np.array([[3, 3, 3]])
    _, grads = module["loss_and_grad"](module["init"](0), ids, ids)
    assert np.all(np.any(grads["table.weight"] != 0, axis=1))
    assert [n for n in module["PARAMS"] if len(module["PARAMS"][n]) == 2] == [
        "table.weight", "h.weight_ih", "h.weight_hh",
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------
# What they learn


@functools.cache
def sentences() -> dict[str, float]:
    """Every sentence that make_data.py may write, as in chars.csv, and its probability."""
    made = maker()
    found: dict[str, float] = {}
    for pattern in made.SENTENCES:
        choices = [made.SLOTS.get(word, [word]) for word in pattern.split()]
        share = 1 / len(made.SENTENCES) / math.prod(len(c) for c in choices)
        found |= {"_".join(words) + ".": share for words in itertools.product(*choices)}
    assert sum(found.values()) == pytest.approx(1)
    return found


def least_loss(text: str) -> float:
    """The mean of -log p of each letter, by who knows how the sentences are made."""
    total, begun = 0.0, ""
    for letter in text:
        before = sum(p for s, p in sentences().items() if s.startswith(begun))
        begun += letter
        total -= math.log(sum(p for s, p in sentences().items() if s.startswith(begun)) / before)
        begun = "" if letter == "." else begun
    return total / len(text)


def held_out() -> list[str]:
    """The letters to come of the rows that `split 0.8` keeps back."""
    texts = ["".join(row[32:]) for row in rows("chars")]
    drawn = np.random.default_rng(0).permutation(len(texts))
    return [texts[i] for i in drawn[round(0.8 * len(texts)) :]]


@functools.cache
def trained(name: str, target: str = "numpy", seed: int = 0) -> Any:
    return load(FILES[name]).train(target=target, seed=seed)


RUNS = [("lstm_chars", TARGETS[-1]), ("gru_chars", "numpy")]
OTHERS = [run for run in itertools.product(NETWORKS, TARGETS) if run not in RUNS]


def assert_learns(name: str, target: str, seed: int = 0) -> None:
    """From guessing to within a tenth of what can be known, on texts that training never saw."""
    found = trained(name, target, seed)
    least = np.mean([least_loss(text) for text in held_out()])
    assert found.rows[0]["loss"] > 1.5
    assert found.validation.count == 72
    assert least < found.validation.values["loss"] < 1.1 * least


@pytest.mark.parametrize(("name", "target"), RUNS)
def test_learns_how_the_sentences_are_made(name: str, target: str) -> None:
    assert_learns(name, target)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target"), OTHERS)
def test_learns_in_the_other_target(name: str, target: str) -> None:
    assert_learns(name, target)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("name", NETWORKS)
def test_learns_from_other_seeds(name: str, seed: int) -> None:
    assert_learns(name, "numpy", seed)


def test_writes_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all sentences of a text drawn letter by letter are ones that could have been in the data."""
    script = runpy.run_path(str(MODELS / "write_text.py"))
    assert list(script["LETTERS"]) == sorted({c for row in rows("chars") for c in row})
    module = comparisons.emitted(load(FILES["gru_chars"]), "numpy", "float32")
    text = script["write"](module["forward"], trained("gru_chars").params, 250)
    assert text == script["write"](module["forward"], trained("gru_chars").params, 250)
    whole = text[: text.rindex(".")].split(".")
    assert len(whole) > 6
    assert sum(f"{s}." in sentences() for s in whole) >= 0.8 * len(whole)


# ---------------------------------------------------------------------------------------
# The emitted torch


def imported(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Any]]:
    """The emitted module from a file that is imported, as torch.compile reads it again, and a batch."""
    import torch

    diagram, title = network(name), f"emitted_{name}"
    (folder / f"{title}.py").write_text(diagram.compile("torch"), encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    model = getattr(importlib.import_module(title), class_name(diagram.name))()
    state = {k: torch.tensor(v, dtype=torch.float32) for k, v in initial(diagram).items()}
    model.load_state_dict(state, strict=True)
    batch = comparisons.batch_of(Case(name, NETWORKS[name], 3, 5), diagram)
    return model, comparisons.tensors(batch)


@needs_torch
@pytest.mark.parametrize("name", NETWORKS)
def test_compiles_without_a_break(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_compiles(*imported(name, tmp_path, monkeypatch), "aot_eager")


@needs_torch
@pytest.mark.parametrize("name", NETWORKS)
def test_exports_for_every_batch(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    model, batch = imported(name, tmp_path, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = {"ids": {0: torch.export.Dim.AUTO}}
        exported = torch.export.export(model, (), {"ids": batch["ids"]}, dynamic_shapes=free).module()
    for ids in (batch["ids"], batch["ids"][:2]):
        torch.testing.assert_close(exported(ids=ids), model(ids=ids))


@needs_torch
@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_there_and_back(name: str) -> None:
    params = {k: v.astype(np.float32) for k, v in initial(network(name), seed=3).items()}
    state = comparisons.torch_model(network(name), "float32", params).state_dict()
    assert list(state) == list(params)
    for k, value in params.items():
        np.testing.assert_array_equal(state[k].numpy(), value)


# ---------------------------------------------------------------------------------------
# The files


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_recurrence_code(target: str, golden: Golden) -> None:
    golden(load(FILES["gru_chars"]).compile(target), suffix=".py")


@pytest.mark.parametrize("name", NETWORKS)
def test_no_warnings(name: str) -> None:
    assert load(FILES[name]).warnings == network(name).warnings == ()


@pytest.mark.parametrize("name", NETWORKS)
def test_canonical(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check", str(FILES[name])]) == 0, capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_verified(name: str) -> None:
    found = network(name).verify()
    assert found.ok, found.table()


COMMANDS = [(name, line) for name in NETWORKS for line in shown_commands(FILES[name])]


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[f"{n}-{c.split()[1]}" for n, c in COMMANDS])
def test_commands_at_the_head_of_the_file(
    name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = words_of(line, FILES[name])
    if words[0] == "train":
        words += ["--steps", "2"]
    if "--params" in words:
        theirs = comparisons.build(Case(name, {"V": 23, "D": 64, "L": 2}, 1, 1), "float32")
        save_theirs(theirs.module, tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0


def save_theirs(module: Any, path: Path) -> None:
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, path)


def test_the_readme_names_all_of_them() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in NETWORKS if f"examples/models/{name}.flow" not in text] == []
