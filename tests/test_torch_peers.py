"""`benchmarks/torch_peers.py`: what is measured there computes the same as what is written by hand."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import pytest
from running import HAS_TORCH

pytestmark = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


def case_of(title: str) -> Any:
    import torch_cases

    return next(case for case in torch_cases.CASES if title in case.title)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(
    "title",
    ["2-3-2", "digits", "single circles", "LeNet", "ResNet", "GPT", "Llama", "LSTM", "VAE", "Transformer"],
)
def test_ours_and_theirs_agree(title: str, level: int) -> None:
    import torch_peers

    case, options = case_of(title), torch_peers.Options(level=level)
    racing = torch_peers.contestants(case, options, torch_peers.plain, torch_peers.plain)
    torch_peers.check_same(case, racing, options)


def test_another_result_is_not_let_pass() -> None:
    import torch
    import torch_peers

    case, options = case_of("2-3-2"), torch_peers.Options()
    racing = torch_peers.contestants(case, options, torch_peers.plain, torch_peers.plain)
    with torch.no_grad():
        next(racing["theirs"].module.parameters()).add_(0.1)
    with pytest.raises(AssertionError, match="2-3-2"):
        torch_peers.check_same(case, racing, options)


def test_the_table_has_a_row_for_each_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    import torch_peers

    words = ["torch_peers", "--only", "2-3-2", "--rounds", "1", "--threads", "1", "--compile", "no"]
    monkeypatch.setattr(sys, "argv", words)
    threads = torch.get_num_threads()
    try:
        torch_peers.main()
    finally:
        torch.set_num_threads(threads)
    row = capsys.readouterr().out.splitlines()[2]
    assert row.startswith("| 2-3-2, batch 32 | eager | 1 |") and row.count("|") == 10


def test_without_a_compiler_the_table_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch_peers

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["torch_peers", "--only", "no such network", "--compile", "only"])
    torch_peers.main()
    assert "no C++ compiler here: not measured" in capsys.readouterr().out
