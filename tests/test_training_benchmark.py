"""What `benchmarks/training.py` compares computes the same, step by step."""

from __future__ import annotations

import pytest
import training

CASES = training.cases()


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_all_contestants_see_the_same_losses(case: training.Case) -> None:
    training.check_same(case, steps=20)
