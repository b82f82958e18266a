"""Patterns of names: what `*` matches, and what becomes of it."""

from __future__ import annotations

import numpy as np
import pytest

from flowgraph import Weights
from flowgraph.params.pattern import Pattern, Rename


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.bc", False),
        ("a.b", "aXb", False),
        ("a.*", "a.b.c", True),
        ("a.*", "a.", True),
        ("a.*", "b.a.c", False),
        ("*", "", True),
        ("*.bias", "h.0.bias", True),
        ("*.bias", "h.0.bias.x", False),
        ("h.*.attn.bias", "h.0.attn.bias", True),
        ("h.*.attn.bias", "h.0.attn.c_attn.bias", False),
        ("h.*.b*.w", "h.0.b1.w", True),
        ("a*a", "a", False),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("[ab]", "a", False),
        ("a?", "ab", False),
        ("*", "n" * 2000, False),
    ],
)
def test_a_star_is_any_text_and_the_rest_itself(pattern: str, name: str, matches: bool) -> None:
    assert Pattern(pattern).matches(name) is matches


@pytest.mark.parametrize(
    ("rename", "name", "becomes"),
    [
        ("a=b", "a", ["b"]),
        ("a=b", "ab", []),
        ("transformer.*=*", "transformer.wte.weight", ["wte.weight"]),
        ("*=net.*", "fc.bias", ["net.fc.bias"]),
        ("transformer.h.*.attn.*=h.*.attn.*", "transformer.h.11.attn.c_attn.bias", ["h.11.attn.c_attn.bias"]),
        ("layer*.*.w=l.*.*.w", "layer3.7.w", ["l.3.7.w"]),
    ],
)
def test_what_the_stars_stand_for_goes_to_the_right_in_order(
    rename: str, name: str, becomes: list[str]
) -> None:
    assert Rename(rename).names(name) == becomes


def test_a_name_that_fits_in_two_ways_is_open_only_where_they_differ() -> None:
    assert Rename("*.b.*=*.b.*").names("a.b.b.c") == ["a.b.b.c"]
    assert set(Rename("*.b.*=*-*").names("a.b.b.c")) == {"a-b.c", "a.b-c"}


def every_way(olds: list[str], news: list[str], name: str) -> set[str]:
    """What a rename can make of a name, by trying every length of every star."""
    if not name.startswith(olds[0]):
        return set()
    rest = name[len(olds[0]) :]
    if len(olds) == 1:
        return set() if rest else {news[0]}
    cuts = range(len(rest) + 1)
    return {f"{news[0]}{rest[:i]}{end}" for i in cuts for end in every_way(olds[1:], news[1:], rest[i:])}


def test_every_way_to_fill_the_stars_counts() -> None:
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(3000):
        olds = ["".join(rng.choice(list("ab"), rng.integers(1, 3))) for _ in range(rng.integers(1, 4))]
        olds[0] *= rng.integers(0, 2)
        olds[-1] *= rng.integers(0, 2)
        news = [rng.choice([old, "", "c"]) if i in (0, len(olds) - 1) else "c" for i, old in enumerate(olds)]
        if not "*".join(olds) or not "*".join(news) or "**" in "*".join(olds) + " " + "*".join(news):
            continue
        name = "".join(rng.choice(list("ab"), rng.integers(0, 9)))
        expected = every_way(olds, news, name)
        got = Rename(f"{'*'.join(olds)}={'*'.join(news)}").names(name)
        assert len(got) == len(set(got)) == min(len(expected), 2) and set(got) <= expected
        assert Pattern("*".join(olds)).matches(name) is bool(expected)
        counts.append(len(got))
    assert min(counts.count(n) for n in (0, 1, 2)) > 100


def test_long_names_and_many_stars_take_no_time() -> None:
    rename = Rename("*".join("abcdefgh") + "=" + "*".join("abcdefgh"))
    name = "abcdefgh" * 120
    assert rename.names(name) == [name]


@pytest.mark.parametrize("text", ["", " a", "a**b"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError):
        Pattern(text)


@pytest.mark.parametrize("text", ["a", "a=b=c", "=b", "a=", "a.*=b", "a=b.*", "a.*.*=b.*", "**=*"])
def test_what_is_no_rename(text: str) -> None:
    with pytest.raises(ValueError):
        Rename(text)
    with pytest.raises(ValueError):
        Weights("w.npz", rename=(text,))
