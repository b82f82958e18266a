"""Writes word2vec.csv, chars.csv and matrix_factorisation.csv, the same bytes each time.

    python examples/models/make_data.py examples/models

The words are those of made-up sentences about animals, people and weather; each row is a word,
one at most two places away, and five drawn from all words at random. A row of chars.csv are the first
letters of some of these sentences, `_` between the words and `.` after the last, and for each letter
the next one. The listeners of the other file like one of three kinds of songs best; each row is how
often one has listened to a song.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

SLOTS = {
    "animal": ["cat", "cow", "dog", "sheep"],
    "person": ["baker", "child", "farmer", "miller"],
    "weather": ["hail", "rain", "snow"],
    "food": ["bread", "corn", "grass", "milk"],
    "place": ["field", "hill", "town"],
    "eats": ["eats", "wants"],
    "sells": ["buys", "sells"],
    "falls": ["drifts", "falls"],
    "sees": ["fears", "sees"],
}
SENTENCES = ["animal eats food", "person sells food", "weather falls on the place", "person sees the animal"]
WINDOW, NOISE = 2, 5
LETTERS = 32
USERS, SONGS, KINDS = 40, 24, 3


def pick(rng: random.Random, items: list[str]) -> str:
    """One of the items; by `random()` alone, whose numbers no version of Python changes."""
    return items[int(rng.random() * len(items))]


def sentence(rng: random.Random) -> list[str]:
    words = pick(rng, SENTENCES).split()
    return [pick(rng, SLOTS[word]) if word in SLOTS else word for word in words]


def pairs(sentences: int = 120) -> list[str]:
    """Rows of word2vec.csv."""
    rng = random.Random(0)
    text = [sentence(rng) for _ in range(sentences)]
    words = [word for line in text for word in line]
    rows = ["word,context," + ",".join(f"noise{i}" for i in range(NOISE))]
    for line in text:
        for i, word in enumerate(line):
            for j in range(max(0, i - WINDOW), min(len(line), i + WINDOW + 1)):
                if i != j:
                    rows.append(",".join([word, line[j], *(pick(rng, words) for _ in range(NOISE))]))
    return rows


def letters(texts: int = 360) -> list[str]:
    """Rows of chars.csv. The letter before the first one of a text is the end of a sentence."""
    rng = random.Random(2)
    rows = [",".join(f"{name}{i}" for name in ("ids", "next") for i in range(LETTERS))]
    for _ in range(texts):
        text = "."
        while len(text) <= LETTERS:
            text += "_".join(sentence(rng)) + "."
        rows.append(",".join(text[:LETTERS] + text[1 : LETTERS + 1]))
    return rows


def plays() -> list[str]:
    """Rows of matrix_factorisation.csv: the count is 0 or, of a song liked, about 4."""
    rng = random.Random(1)
    rows = ["user,song,plays"]
    for user in range(USERS):
        for song in range(SONGS):
            is_liked = user % KINDS == song % KINDS
            heard = rng.random() < (0.8 if is_liked else 0.1)
            count = 1 + int(-math.log(1 - rng.random()) * (4 if is_liked else 1)) if heard else 0
            rows.append(f"{user},{song},{count}")
    return rows


def main() -> None:
    folder = Path(sys.argv[1])
    made = {"word2vec.csv": pairs(), "chars.csv": letters(), "matrix_factorisation.csv": plays()}
    for name, rows in made.items():
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
