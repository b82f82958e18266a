"""The examples whose parameters are tables of vectors: word2vec and matrix_factorisation."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
from comparisons import MODELS
from running import ROOT, execute

from flowgraph.diagram import load

NAMES = ("word2vec", "matrix_factorisation")
FILES = ("word2vec", "chars", "matrix_factorisation")


def maker() -> ModuleType:
    """The program that wrote the data."""
    spec = importlib.util.spec_from_file_location("make_data", MODELS / "make_data.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(name: str) -> list[list[str]]:
    with (MODELS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def test_the_program_writes_the_data() -> None:
    made = maker()
    for name, lines in zip(FILES, (made.pairs(), made.letters(), made.plays()), strict=True):
        assert (MODELS / f"{name}.csv").read_bytes() == ("\n".join(lines) + "\n").encode()


def test_the_data_are_small() -> None:
    assert all((MODELS / f"{name}.csv").stat().st_size < 50_000 for name in FILES)


def test_the_readme_names_them() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"examples/models/{name}.flow" not in text] == []


# ---------------------------------------------------------------------------------------
# Word vectors


def test_every_word_has_the_same_number_in_each_column() -> None:
    """Names are numbered by what occurs in a column: all words occur in all."""
    pairs = rows("word2vec")
    words = {row[0] for row in pairs}
    assert {row[1] for row in pairs} == words
    assert {word for row in pairs for word in row[2:]} == words
    graph = load(MODELS / "word2vec.flow").graph
    assert [d.value for d in graph[graph.params[0]].type.shape] == [len(words), 8]


def test_skip_gram_by_hand() -> None:
    """-log s(u_c · v_w) - Σ log s(-u_n · v_w), s the sigmoid."""
    module = execute(load(MODELS / "word2vec.flow").compile("numpy", dtype="float64"))
    params, rng = module["init"](0), np.random.default_rng(0)
    word, context, noise = (rng.integers(0, 28, shape) for shape in (6, 6, (6, 5)))
    v, u = params["vector.weight"], params["around.weight"]

    def log_sigmoid(x: float) -> float:
        return -float(np.log1p(np.exp(-x)))

    expected = [
        -log_sigmoid(u[c] @ v[w]) - sum(log_sigmoid(-u[n] @ v[w]) for n in drawn)
        for w, c, drawn in zip(word, context, noise, strict=True)
    ]
    loss = module["loss"](params, word=word, context=context, noise=noise)
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-12)


def test_words_of_a_kind_end_up_close() -> None:
    """The nearest word is one of the same slot of a sentence, for nearly all words."""
    diagram = load(MODELS / "word2vec.flow")
    trained = diagram.train()
    assert trained.loss < 0.6 * trained.losses[0]
    vectors = trained.params["vector.weight"]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    words = sorted({row[0] for row in rows("word2vec")})
    slots = {word: slot for slot, members in maker().SLOTS.items() for word in members}
    closeness = vectors @ vectors.T - 2 * np.eye(len(words))
    nearest = {word: words[closeness[i].argmax()] for i, word in enumerate(words)}
    right = [slots.get(nearest[word]) == slots[word] for word in slots]
    assert len(right) == 26 and sum(right) >= 22


# ---------------------------------------------------------------------------------------
# Matrix factorisation


def test_logistic_matrix_factorisation_by_hand() -> None:
    """-alpha r log p - log(1 - p), and alpha is 0.5, the penalty's factor 0.02 / 2."""
    module = execute(load(MODELS / "matrix_factorisation.flow").compile("numpy", dtype="float64"))
    params, rng = module["init"](0), np.random.default_rng(0)
    params = {name: value + 0.3 * rng.normal(size=value.shape) for name, value in params.items()}
    user, song, plays = rng.integers(0, 40, 9), rng.integers(0, 24, 9), rng.integers(0, 5, 9)
    u, s = params["u.weight"][user], params["s.weight"][song]
    score = np.sum(u * s, axis=1) + params["user_bias"][user] + params["song_bias"][song]
    p = 1 / (1 + np.exp(-score))
    np.testing.assert_allclose(module["forward"](params, user, song), p, rtol=1e-12)
    likelihood = 0.5 * plays * np.log(p) + np.log(1 - p)
    penalty = 0.01 * np.sum(u * u + s * s, axis=1)
    loss = module["loss"](params, user=user, song=song, plays=plays)
    np.testing.assert_allclose(loss, np.mean(penalty - likelihood), rtol=1e-12)


def test_liked_songs_come_first(tmp_path: Path) -> None:
    """Of songs not seen in training, one that was heard scores above one that was not: 4 times in 5."""
    diagram = load(MODELS / "matrix_factorisation.flow")
    trained = diagram.train(out=tmp_path / "run")
    assert trained.loss < 0.75 * trained.losses[0]
    assert trained.metrics["right"] > 0.7
    table = np.array(rows("matrix_factorisation"), dtype=int)
    kept = np.ones(len(table), dtype=bool)
    drawn = np.random.default_rng(0).permutation(len(table))
    kept[drawn[: round(0.8 * len(table))]] = False
    user, song, plays = table[kept].T
    module = execute(diagram.compile("numpy"))
    likes = module["forward"](trained.params, user, song)
    heard, not_heard = likes[plays > 0], likes[plays == 0]
    assert np.mean(heard[:, None] > not_heard) > 0.8
