"""docs/from_a_figure.md: every snippet is what it says it is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, ROOT, SIMULATOR, initial, same

from flowgraph.cli.main import main
from flowgraph.diagram import Diagram, loads
from flowgraph.errors import FlowError

PAGE = (ROOT / "docs" / "from_a_figure.md").read_text(encoding="utf-8")
BLOCKS = [(m[1].split(), m[2]) for m in re.finditer(r"^```flow *(.*)\n((?s:.)*?)^```$", PAGE, re.MULTILINE)]
WHOLE = [text for words, text in BLOCKS if not words]


def snippet(start: str) -> Diagram:
    """That of the section whose title holds these words, the first one in it."""
    section = next(s for s in PAGE.split("\n## ") if start in s.splitlines()[0])
    return loads(re.search(r"```flow\n((?s:.)*?)```", section)[1])  # type: ignore[index]


def names(diagram: Diagram) -> list[str]:
    return [str(diagram.graph[p].hint) for p in diagram.graph.params]


@pytest.mark.parametrize("text", WHOLE, ids=range(len(WHOLE)))
def test_compiles(text: str) -> None:
    diagram = loads(text)
    assert [w.message for w in diagram.warnings] == []
    for target in ("numpy", "torch"):
        compile(diagram.compile(target), "emitted.py", "exec")


@pytest.mark.parametrize("text", WHOLE, ids=range(len(WHOLE)))
def test_canonical_but_for_comments_in_columns(text: str, tmp_path: Path) -> None:
    """What `flowc fmt` makes of it differs in spaces only."""
    path = tmp_path / "snippet.flow"
    path.write_text(text, encoding="utf-8")
    assert main(["fmt", str(path)]) == 0
    assert re.sub(r"[ \n]+", " ", path.read_text(encoding="utf-8")) == re.sub(r"[ \n]+", " ", text)


def test_the_error_is_the_one_that_is_said() -> None:
    wrong = [(words, text) for words, text in BLOCKS if words]
    assert [words[0] for words, _ in wrong] == ["error"]
    for words, text in wrong:
        with pytest.raises(FlowError, match="the heads must divide the width") as caught:
            loads(text)
        assert [d.code for d in caught.value.diagnostics] == [words[1]]


def test_no_block_is_overlooked() -> None:
    assert PAGE.count("```") == 2 * (len(BLOCKS) + 1)  # and one of commands


def test_the_formula_is_the_operation() -> None:
    diagram = snippet("One box")
    inputs = {"x": np.random.default_rng(0).normal(size=(2, 7, 32))}
    answer = SIMULATOR.run(diagram, initial(diagram), inputs)
    np.testing.assert_allclose(answer.outputs[0], answer.outputs[1], rtol=1e-12)


def test_the_names_are_those_of_the_page() -> None:
    assert {"a.q.weight", "a.out.bias"} <= set(names(snippet("Inside the box")))
    frame = names(snippet("The frame"))
    assert {"layers.3.self_attn.q.weight", "layers.3.norm1.bias"} <= set(frame)
    assert len(frame) % 6 == 0


def test_the_gpt_in_every_engine() -> None:
    """At lengths that the file does not know."""
    diagram = snippet("A GPT")
    params, rng = initial(diagram), np.random.default_rng(0)
    for length in (1, 5):
        ids = {"ids": rng.integers(0, 1000, (2, length))}
        targets = {"next": rng.integers(0, 1000, (2, length))}
        expected = SIMULATOR.run(diagram, params, ids, targets)
        for engine in EMITTED:
            if engine.level == 1 and engine.dtype == "float64" and (engine.target != "torch" or HAS_TORCH):
                same(engine.run(diagram, params, ids, targets), expected, **engine.tolerance)


def test_the_table_and_scores_are_one_parameter() -> None:
    assert sum(name.startswith("token.") for name in names(snippet("A GPT"))) == 1


def test_the_commands_at_the_end_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for `verify`, which takes its time: what it does, the test above does for two lengths."""
    monkeypatch.chdir(tmp_path)
    Path("gpt.flow").write_text(WHOLE[-1], encoding="utf-8")
    (commands,) = re.findall(r"^```sh\n((?s:.)*?)^```$", PAGE, re.MULTILINE)
    lines = [shlex.split(line, comments=True) for line in commands.splitlines()]
    assert [words[1] for words in lines] == ["check", "verify", "compile", "compile"]
    assert [main(words[1:]) for words in lines if words[1] != "verify"] == [0, 0, 0]


def test_its_links_are_files() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    assert "docs/from_a_figure.md" in (ROOT / "README.md").read_text(encoding="utf-8")
