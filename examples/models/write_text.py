"""Writes text with lstm_chars.flow or gru_chars.flow, once it is trained: letter by letter.

    flowc compile lstm_chars.flow -o lstm_chars.py
    flowc train lstm_chars.flow --out run
    python write_text.py lstm_chars.py run/model.safetensors

Each letter is drawn by the probabilities that the emitted module gives it after all the letters
before it, the first one after the end of a sentence.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.numpy import load_file

LETTERS = "._abcdefghiklmnoprstuwy"
"""Those of chars.csv, in the order in which they are numbered: sorted."""


def write(forward: Callable[..., Any], params: dict[str, np.ndarray], length: int, seed: int = 0) -> str:
    """A text of so many letters; `forward` and params are those of an emitted module."""
    rng = np.random.default_rng(seed)
    text = "."
    for _ in range(length):
        ids = np.array([[LETTERS.index(letter) for letter in text]])
        scores = forward(params, ids)[0, -1]
        chances = np.exp(scores - scores.max())
        text += LETTERS[rng.choice(len(LETTERS), p=chances / chances.sum())]
    return text[1:]


def main() -> None:
    module, params = runpy.run_path(sys.argv[1]), load_file(sys.argv[2])
    print(write(module["forward"], params, 300).replace("_", " ").replace(".", ".\n"))


if __name__ == "__main__":
    main()
