"""GPT-2, Llama, BERT and the encoder of `examples/models` against independent implementations, and more.

`benchmarks/comparisons.py` has the other implementations and says what an error is. Without
`transformers` (`pip install 'flowgraph[models]'`) what needs it is skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comparisons
import numpy as np
import pytest
from comparisons import Case
from conftest import Golden
from running import ROOT
from shown import shown_commands, words_of
from transformer_files import FILES, NETWORKS, need, network

from flowgraph.cli.main import main
from flowgraph.diagram import load

BOUNDS = {"float64": 1e-9, "float32": 1e-5}
CASES = [case for case in comparisons.CASES if case.model in NETWORKS]


def first_of_each() -> list[Case]:
    return [next(c for c in CASES if c.model == model) for model in NETWORKS]


def titles(cases: list[Case]) -> list[str]:
    return [f"{case.model}-batch{case.batch}-T{case.length}" for case in cases]


# ---------------------------------------------------------------------------------------
# Against other implementations


def assert_agree(case: Case, dtype: str) -> None:
    """Outputs, and the gradient of every parameter, in both targets."""
    need(case.model)
    for target in comparisons.ANSWERS:
        found = comparisons.compare(case, target, dtype)
        assert found.outputs <= BOUNDS[dtype], target
        assert found.gradients <= BOUNDS[dtype], target


USUAL, ODD = first_of_each(), [c for c in CASES if c.length == 1]
REST = [c for c in CASES if c not in USUAL and c not in ODD]


@pytest.mark.parametrize("case", USUAL, ids=titles(USUAL))
@pytest.mark.parametrize("dtype", BOUNDS)
def test_agrees(case: Case, dtype: str) -> None:
    assert_agree(case, dtype)


@pytest.mark.parametrize("case", ODD, ids=titles(ODD))
def test_agrees_for_one_row_of_one_token(case: Case) -> None:
    """With prime numbers of tokens and prime widths."""
    assert_agree(case, "float64")


@pytest.mark.slow
@pytest.mark.parametrize("case", [*REST, *ODD], ids=titles([*REST, *ODD]))
@pytest.mark.parametrize("dtype", BOUNDS)
def test_agrees_at_odd_sizes(case: Case, dtype: str) -> None:
    assert_agree(case, dtype)


def test_every_model_has_odd_cases() -> None:
    for model in comparisons.BUILDERS:
        cases = [c for c in comparisons.CASES if c.model == model]
        assert any(c.batch == 1 and c.length == 1 for c in cases)
        assert len(cases) >= 3


@pytest.mark.parametrize("model", ["llama"])
def test_the_angles_in_double_precision_are_theirs(model: str) -> None:
    """What stands in for Llama's own angles and norms in float64 computes the same, more accurately."""
    need(model)
    import torch

    case = next(c for c in CASES if c.model == model)
    single = comparisons.build(case, "float32").module
    double = comparisons.build(case, "float32").module.double()
    comparisons.in_double(double)
    ids = torch.arange(22).reshape(2, 11)
    with torch.no_grad():
        np.testing.assert_allclose(single(ids).logits, double(ids).logits, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------------------
# The files


@pytest.mark.parametrize("name", NETWORKS)
def test_no_warnings(name: str) -> None:
    assert [w.message for w in network(name).warnings] == []
    assert load(FILES[name]).warnings == ()


@pytest.mark.parametrize("name", NETWORKS)
def test_canonical(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check", str(FILES[name])]) == 0, capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_verified(name: str) -> None:
    found = network(name).verify()
    assert found.ok, found.table()


COMMANDS = [(name, line) for name in NETWORKS for line in shown_commands(FILES[name])]


def save_theirs(name: str, path: Path) -> None:
    """Weights with their names, as they are published."""
    from safetensors.torch import save_file

    module: Any = comparisons.build(Case(name, {"K": 2, **NETWORKS[name]}, 1, 1), "float32").module
    if name == "gpt2":  # published without its head, with the masks of attention
        module = module.transformer
    state = {k: v.contiguous() for k, v in module.state_dict().items()}
    save_file(state, path)


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[f"{n}-{c.split()[1]}" for n, c in COMMANDS])
def test_commands_at_the_head_of_the_file(
    name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = words_of(line, FILES[name])
    if "--params" in words and words[0] == "run":
        need(name)
        save_theirs(name, tmp_path / "model.safetensors")
    if "--set" not in words:
        words += [f"--set={k}={v}" for k, v in NETWORKS[name].items()]
    if words[0] == "train":
        words += ["--steps", "2"]
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0


def test_every_large_one_shows_how_to_read_published_weights() -> None:
    assert {n for n, c in COMMANDS if "--params model.safetensors" in c} == {"gpt2", "llama", "bert"}


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("gpt2", {}, 124_439_808),
        (
            "llama",
            {"V": 128256, "D": 4096, "L": 32, "H": 32, "G": 8, "F": 14336, "base": 500000},
            8_030_261_248,
        ),
        ("bert", {}, 109_483_778),
    ],
)
def test_as_many_parameters_as_the_published_ones(name: str, settings: dict[str, int], expected: int) -> None:
    graph = load(FILES[name], settings=settings).graph
    shapes = [[d.value for d in graph[p].type.shape] for p in graph.params]
    assert sum(int(np.prod(shape)) for shape in shapes) == expected


def test_gpt2_has_the_published_names() -> None:
    graph = load(FILES["gpt2"]).graph
    names = [str(graph[p].hint) for p in graph.params]
    assert len(names) == 2 + 12 * 12 + 2
    layer = [n.removeprefix("h.7.") for n in names if n.startswith("h.7.")]
    parts = ["ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"]
    assert layer == [f"{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    assert [n for n in names if not n.startswith("h.")] == [
        "wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias",
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------
# What they do


def test_gpt2_and_llama_look_back_only() -> None:
    """What comes later changes no score of what came before."""
    rng = np.random.default_rng(0)
    for name in ("gpt2", "llama"):
        diagram = network(name)
        module = comparisons.emitted(diagram, "numpy", "float64")
        params = module["init"](0)
        ids = rng.integers(0, 97, (2, 9))
        later = ids.copy()
        later[:, 6:] = (later[:, 6:] + 1) % 97
        before, after = (module["forward"](params, i) for i in (ids, later))
        np.testing.assert_allclose(before[:, :6], after[:, :6], rtol=1e-12, atol=1e-12)
        assert np.abs(before[:, 6:] - after[:, 6:]).max() > 1e-3


def test_bert_does_not_see_the_filling() -> None:
    """A text has the same scores however long the row is that it stands in, whatever fills it."""
    diagram = network("bert")
    module = comparisons.emitted(diagram, "numpy", "float64")
    params = module["init"](0)
    rng = np.random.default_rng(0)
    ids, segments = rng.integers(0, 97, (3, 12)), rng.integers(0, 2, (3, 12))
    seen = np.arange(12) < 7
    hidden, z = module["forward"](params, ids, segments, np.tile(seen, (3, 1)))
    short, z_short = module["forward"](params, ids[:, :7], segments[:, :7], np.ones((3, 7), dtype=bool))
    np.testing.assert_allclose(hidden[:, :7], short, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(z, z_short, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_rows_longer_than_the_places_are_refused(name: str) -> None:
    diagram = load(FILES[name], settings={**NETWORKS[name], "P": 4})
    module = comparisons.emitted(diagram, "numpy", "float32")
    batch = comparisons.batch_of(Case(name, {}, 2, 5), diagram)
    with pytest.raises(AssertionError, match="no place is left"):
        module["forward"](module["init"](0), **{k: batch[k] for k in diagram.graph.inputs})


def test_gpt2_in_numpy(golden: Golden) -> None:
    """Twelve layers are a function in a loop, and back: at most 500 lines, with gradients and training."""
    text = load(FILES["gpt2"]).compile("numpy")
    assert text.count("\n") <= 500
    assert "for i in range(12):" in text and "for i in reversed(range(12)):" in text
    golden(text, suffix=".py")


def test_heads_must_divide_the_width() -> None:
    from flowgraph.errors import FlowError

    for name, message in (("gpt2", "the heads must divide the width"), ("llama", "heads of queries")):
        sizes = {**NETWORKS[name], "H": 5} if name == "gpt2" else {**NETWORKS[name], "G": 3}
        with pytest.raises(FlowError, match=message):
            load(FILES[name], settings=sizes)


def test_the_classifier_learns_palindromes() -> None:
    """From guessing to nearly all, of words that training never saw."""
    diagram = load(FILES["transformer_classifier"], settings={"D": 16, "F": 32, "H": 2})
    trained = diagram.train(epochs=8, split=0.8)
    assert trained.validation is not None
    assert trained.losses[0] > 0.6 > 0.3 > trained.loss
    assert trained.metrics["accuracy"] > 0.9


def test_the_readme_names_all_of_them() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in NETWORKS if f"examples/models/{name}.flow" not in text] == []
