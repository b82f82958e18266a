"""The rendering of diagnostics, character by character, and the machinery behind it."""

from __future__ import annotations

import json

import pytest

from flowgraph.errors import (
    MAX_SHOWN,
    Diagnostic,
    Diagnostics,
    FlowError,
    Label,
    Source,
    Span,
    did_you_mean,
    fail,
    render,
    shorten,
)


def at(source: Source, text: str, nth: int = 0) -> Span:
    """The nth place of a text in a source."""
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def shown(source: Source, text: str, label: str = "here", **more: object) -> str:
    return render([Diagnostic("E0101", "wrong", at(source, text), label, **more)])  # type: ignore[arg-type]


def excerpt(rendered: str) -> list[str]:
    """The lines of the excerpt, without the gutter."""
    return [line.split("| ", 1)[1] for line in rendered.splitlines() if "| " in line]


def test_the_parts_of_a_message() -> None:
    source = Source("a.flow", "input x\ny = x + zz\n")
    assert shown(source, "zz", help="do this") == (
        "error[E0101]: wrong\n"
        "  --> a.flow:2:9\n"
        "   |\n"
        " 2 | y = x + zz\n"
        "   |         ^^ here\n"
        "   = help: do this\n"
    )


def test_without_a_label_or_a_cure() -> None:
    source = Source("a.flow", "zz\n")
    assert shown(source, "zz", "").splitlines()[-1] == "   | ^^"


def test_without_a_place() -> None:
    found = Diagnostic("E0001", "`a` cannot be read", path="a", help="check the path")
    assert render([found]) == "error[E0001]: `a` cannot be read\n  --> a\n  = help: check the path\n"
    assert render([Diagnostic("E0001", "no file")]) == "error[E0001]: no file\n"


def test_several_are_apart_by_an_empty_line() -> None:
    source = Source("a.flow", "a b\n")
    found = [Diagnostic("E0101", "one", at(source, "a")), Diagnostic("W0102", "two", at(source, "b"))]
    first, second = render(found).split("\n\n")
    assert first.startswith("error[E0101]: one\n") and second.startswith("warning[W0102]: two\n")
    assert render([]) == ""


def test_the_gutter_is_as_wide_as_the_largest_number() -> None:
    source = Source("a.flow", "x\n" * 9 + "first\n" + "x\n" * 89 + "second\n")
    label = Label(at(source, "first"), "made here")
    assert shown(source, "second", labels=(label,)) == (
        "error[E0101]: wrong\n"
        "    --> a.flow:100:1\n"
        "     |\n"
        "  10 | first\n"
        "     | ----- made here\n"
        "...\n"
        " 100 | second\n"
        "     | ^^^^^^ here\n"
    )


def test_neighbouring_lines_stand_without_dots() -> None:
    source = Source("a.flow", "first\nsecond\n")
    text = shown(source, "second", labels=(Label(at(source, "first"), "made here"),))
    assert "..." not in text


def test_marks_of_one_line_stand_below_each_other_the_error_first() -> None:
    source = Source("a.flow", "a = b + c\n")
    labels = (Label(at(source, "c"), "third"), Label(at(source, "a"), "second"))
    assert excerpt(shown(source, "b", "first", labels=labels)) == [
        "a = b + c",
        "    ^ first",
        "- second",
        "        - third",
    ]


def test_an_empty_place_gets_one_caret() -> None:
    source = Source("a.flow", "y = ")
    found = Diagnostic("E0004", "wrong", Span(source, 4, 4), "here")
    assert excerpt(render([found])) == ["y = ", "    ^ here"]


def test_the_end_of_the_text_is_a_place() -> None:
    source = Source("a.flow", "y =\n")
    text = render([Diagnostic("E0004", "wrong", Span(source, 4, 4), "here")])
    assert "a.flow:2:1" in text and text.endswith("   | ^ here\n")


def test_a_place_of_several_lines_is_marked_on_its_first() -> None:
    source = Source("a.flow", "y = (a\n  + b)\n")
    found = Diagnostic("E0004", "wrong", Span(source, 4, 14), "here")
    assert excerpt(render([found])) == ["y = (a", "    ^^ here"]


def test_tabs_are_four_columns() -> None:
    source = Source("a.flow", "\ty\t= zz\n")
    assert excerpt(shown(source, "zz")) == ["    y    = zz", "           ^^ here"]
    assert excerpt(shown(source, "\t=")) == ["    y    = zz", "     ^^^^^ here"]


def test_carriage_returns_are_not_shown() -> None:
    source = Source("a.flow", "input x\r\ny = zz\r\n")
    assert excerpt(shown(source, "zz")) == ["y = zz", "    ^^ here"]


def test_wide_characters_are_two_columns() -> None:
    source = Source("a.flow", '"神経" zz\n')
    assert excerpt(shown(source, "zz")) == ['"神経" zz', "       ^^ here"]
    assert excerpt(shown(source, "経")) == ['"神経" zz', "   ^^ here"]


def test_combining_marks_take_no_column() -> None:
    source = Source("a.flow", '"e\u0301e\u0301" zz\n')
    assert excerpt(shown(source, "zz")) == ['"e\u0301e\u0301" zz', "     ^^ here"]
    assert excerpt(shown(source, "\u0301"))[1] == "  ^ here"


def test_control_characters_are_not_printed() -> None:
    source = Source("a.flow", '"\x1b[31m\x07\u200b\u202e" zz\n')
    assert excerpt(shown(source, "zz")) == ['"?[31m???" zz', "           ^^ here"]


def test_long_lines_are_cut_around_the_error() -> None:
    source = Source("a.flow", "a" * 500 + "zz" + "b" * 500 + "\n")
    line, marks = excerpt(shown(source, "zz"))
    assert line == "..." + "a" * 80 + "zz" + "b" * 78 + "..."
    assert marks == " " * 83 + "^^ here"


def test_the_beginning_and_the_end_of_long_lines() -> None:
    source = Source("a.flow", "zz" + "b" * 500 + "qq\n")
    assert excerpt(shown(source, "zz")) == ["zz" + "b" * 158 + "...", "^^ here"]
    line, marks = excerpt(shown(source, "qq"))
    assert line == "..." + "b" * 80 + "qq" and marks == " " * 83 + "^^ here"


def test_marks_outside_the_part_shown_stand_under_the_dots() -> None:
    source = Source("a.flow", "left" + "a" * 500 + "zz" + "b" * 500 + "right\n")
    labels = (Label(at(source, "left"), "to the left"), Label(at(source, "right"), "to the right"))
    line, main, left, right = excerpt(shown(source, "zz", labels=labels))
    assert left == "--- to the left"
    assert right == " " * (len(line) - 3) + "--- to the right"
    assert main.index("^") == line.index("zz")


def test_a_place_longer_than_the_part_shown_is_marked_to_its_end() -> None:
    source = Source("a.flow", "z" * 1000 + "\n")
    line, marks = excerpt(shown(source, "z" * 1000))
    assert line == "z" * 160 + "..." and marks == "^" * 160 + " here"


def test_several_files() -> None:
    one, two = Source("one.flow", "x = lib.f(y)\n"), Source("two.flow", "# a\n# b\nblock f(x) {\n")
    text = shown(one, "lib.f", labels=(Label(at(two, "f(x)"), "declared here"),))
    assert text == (
        "error[E0101]: wrong\n"
        "  --> one.flow:1:5\n"
        "   |\n"
        " 1 | x = lib.f(y)\n"
        "   |     ^^^^^ here\n"
        "  ::: two.flow:3:7\n"
        "   |\n"
        " 3 | block f(x) {\n"
        "   |       ---- declared here\n"
    )


def test_colour_changes_nothing_but_colour() -> None:
    source = Source("a.flow", "a = b\n")
    found = [
        Diagnostic("E0101", "wrong", at(source, "b"), "here", (Label(at(source, "a"), "there"),), "do this"),
        Diagnostic("W0102", "odd", at(source, "a"), "here"),
    ]
    plain, coloured = render(found), render(found, color=True)
    assert "\x1b" not in plain and "\x1b[1;31merror[E0101]\x1b[0m" in coloured
    assert "\x1b[1;33mwarning[W0102]\x1b[0m" in coloured and "\x1b[34m- there\x1b[0m" in coloured
    for code in ("\x1b[1;31m", "\x1b[1;33m", "\x1b[34m", "\x1b[1m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_only_so_many_are_shown() -> None:
    source = Source("a.flow", "x\n" * 200)
    found = [Diagnostic("E0101", f"number {i}", Span(source, 2 * i, 2 * i + 1)) for i in range(120)]
    text = render(found)
    assert text.count("error[E0101]") == MAX_SHOWN and text.endswith(f"... and {120 - MAX_SHOWN} more\n")


# -- JSON


def test_json_has_every_part() -> None:
    source = Source("a.flow", "input x\ny = x +\n zz\n")
    found = Diagnostic(
        "E0101",
        'a "wrong" name\n',
        Span(source, 12, 19),
        "here",
        (Label(at(source, "x"), "there"),),
        "do this",
    )
    line = found.as_json()
    assert "\n" not in line and line.isascii()
    assert json.loads(line) == {
        "code": "E0101",
        "severity": "error",
        "message": 'a "wrong" name\n',
        "file": "a.flow",
        "line": 2,
        "column": 5,
        "end_line": 3,
        "end_column": 4,
        "label": "here",
        "labels": [
            {"file": "a.flow", "line": 1, "column": 7, "end_line": 1, "end_column": 8, "text": "there"}
        ],
        "help": "do this",
    }


def test_json_without_a_place() -> None:
    row = json.loads(Diagnostic("W0102", "odd", path="a.flow").as_json())
    assert row["file"] == "a.flow" and row["severity"] == "warning" and "line" not in row
    assert json.loads(Diagnostic("E0001", "odd").as_json())["file"] is None


# -- collecting


def test_errors_are_counted_and_warnings_are_not() -> None:
    found = Diagnostics()
    found.report("W0102", "odd")
    assert not found.has_errors
    found.raise_errors()
    found.report("E0101", "wrong")
    assert found.has_errors and found.error_count == 1 and len(found.warnings) == 1
    with pytest.raises(FlowError) as caught:
        found.raise_errors()
    assert [d.code for d in caught.value.diagnostics] == ["E0101", "W0102"]
    found.items += [Diagnostic("E0102", "added from outside")]
    assert found.error_count == 2


def test_the_same_is_not_said_twice() -> None:
    source = Source("a.flow", "a a\n")
    found = Diagnostics()
    for _ in range(2):
        found.report("E0101", "wrong", at(source, "a"))
        found.report("E0101", "wrong", at(source, "a", 1))
        found.report("E0101", "otherwise", at(source, "a"))
        found.report("E0001", "no file", path="a")
        found.report("E0001", "no file", path="b")
    assert len(found.items) == 5


def test_order_is_that_of_the_source() -> None:
    source = Source("a.flow", "a b c\n")
    found = Diagnostics()
    for text in "cab":
        found.report("E0101", text, at(source, text))
    found.report("E0704", "no place")
    assert [d.message for d in found.sorted()] == ["no place", "a", "b", "c"]


def test_labels_without_a_place_are_left_out() -> None:
    found = Diagnostics()
    found.report("E0101", "wrong", labels=[(None, "nowhere")])
    assert found.items[0].labels == ()


def test_unlisted_codes_are_our_mistake() -> None:
    with pytest.raises(ValueError, match="E9999"):
        Diagnostic("E9999", "wrong")


def test_a_flow_error_prints_what_it_carries() -> None:
    source = Source("a.flow", "zz\n")
    error = fail("E0101", "`zz` is not defined", at(source, "zz"), "not found", help="define it")
    assert str(error) == "\n" + render(error.diagnostics)


# -- words


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("sigmiod", ["sigmoid", "tanh"], "sigmoid"),
        ("sdg", ["sgd", "adam"], "sgd"),
        ("Relu", ["relu", "elu"], "relu"),
        ("relu", ["Relu"], "Relu"),
        ("axes", ["axis", "keepdims"], "axis"),
        ("temprature", ["temperature"], "temperature"),
        ("nothing", ["hinge", "tanh"], ""),
        ("x", ["y", "z"], ""),
        ("x3", ["x1", "x2"], ""),
        ("q", [], ""),
        ("z" * 100, ["z" * 99], ""),
    ],
)
def test_did_you_mean(name: str, known: list[str], expected: str) -> None:
    assert did_you_mean(name, known) == (f"did you mean `{expected}`?" if expected else "")


def test_suggestions_depend_on_no_order() -> None:
    names = ["alpha1", "alpha2", "alpha3"]
    assert (
        did_you_mean("alpha", names)
        == did_you_mean("alpha", names[::-1])
        == did_you_mean("alpha", set(names))
    )


def test_suggestions_among_very_many_names() -> None:
    known = [f"x{i}" for i in range(100_000)] + ["temperature"]
    assert did_you_mean("temperatur", known) == "did you mean `temperature`?"


def test_after_many_errors_nothing_is_suggested() -> None:
    found = Diagnostics()
    assert found.closest("sigmiod", ["sigmoid"])
    for i in range(MAX_SHOWN):
        found.report("E0101", f"number {i}")
    assert not found.closest("sigmiod", ["sigmoid"])


def test_shorten() -> None:
    assert shorten("abc") == "abc"
    assert shorten("a" * 60) == "a" * 60
    assert shorten("a" * 61) == "a" * 57 + "..."
    assert shorten("a\nb\x1b") == "a\\nb\\x1b"
    assert len(shorten("\n" * 100)) <= 60


# -- places


def test_positions_count_from_one() -> None:
    source = Source("a.flow", "ab\n\ncd")
    assert [source.position(i) for i in range(7)] == [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2), (3, 3)]
    assert [source.line(n) for n in (1, 2, 3)] == ["ab", "", "cd"]


def test_spans_join() -> None:
    source = Source("a.flow", "abc def\n")
    first, second = at(source, "abc"), at(source, "def")
    assert first.to(second).text == "abc def" and first.to(None) is first and second.line == 1
