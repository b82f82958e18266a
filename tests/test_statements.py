"""The emitted backward pass is about as long as one written by hand, and computes the same."""

from __future__ import annotations

import handwritten
import numpy as np
import pytest
import statements
from running import LECTURE, example, execute, initial

TRAINED = [name for name in LECTURE if example(name).graph.results_of("loss")]


def test_every_trained_lecture_example_is_counted() -> None:
    assert [name for name, _, _ in statements.rows()] == TRAINED


@pytest.mark.parametrize("name", TRAINED)
def test_at_most_a_fifth_longer(name: str) -> None:
    assert statements.emitted(example(name)) <= statements.AIM * statements.by_hand(name)


@pytest.mark.parametrize("name", TRAINED)
def test_the_handwritten_one_is_right(name: str) -> None:
    diagram = example(name)
    run = diagram.run()
    params = {n: np.asarray(a + 0.1, dtype=np.float32) for n, a in initial(diagram).items()}
    examples = dict(run.data.columns)
    loss, grads = execute(diagram.compile("numpy"))["loss_and_grad"](params, **examples)
    expected, slopes = getattr(handwritten, name)(params, **examples)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert list(grads) == list(slopes)
    for key, grad in grads.items():
        scale = np.abs(slopes[key]).max() + 1e-6
        np.testing.assert_allclose(grad / scale, slopes[key] / scale, atol=1e-5)
