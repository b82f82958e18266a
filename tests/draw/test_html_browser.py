"""`flowc draw -o OUT.html` in a headless Chromium: what a reader does with the mouse and the keyboard."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, path_of_browser

import flowgraph
from flowgraph.draw.names import runs
from flowgraph.draw.scene import Scene

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {
    "lecture/xor": {"inputs": {"x1": 0, "x2": 1}},
    "lecture/layers": {},
    "lecture/regression": {"inputs": {"x": [1, 2], "y": 2}, "grad": True},
    "digits/digits": {},
    "models/gpt2": {},
    "models/resnet18": {},
    "models/unet": {"grad": True},
}
OUTER, ATTN = "u_2", "u_2/attn"
"""The blocks of the gpt2 example: the repeated one, which is unfolded at first, and attention in it."""

pytest.importorskip("pygraphviz", reason="Graphviz comes with the extra `draw`")
pytestmark = pytest.mark.skipif(path_of_browser() is None, reason="no Chromium on the path")


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    """The browser; no test may leave an error in its console, or have asked for anything but its page."""
    window.errors.clear()
    window.requests.clear()
    window.ask("Emulation.setEmulatedMedia", media="", features=[])
    yield window
    window.run("1")
    assert window.errors == []
    assert {url.partition(":")[0] for url in window.requests} <= {"file", "data"}
    assert len([url for url in window.requests if url.startswith("file")]) == 1


def shown(browser: Browser, folder: Path, name: str, **how: Any) -> Scene:
    """Open an example; returns the scene that is seen first."""
    drawing = flowgraph.load(ROOT / "examples" / f"{name}.flow").draw(**how)
    drawing.save(folder / "page.html")
    browser.open(folder / "page.html")
    return drawing.scene


def on(selector: str) -> str:
    """The ids of all elements of a selector in the picture that is seen, as an expression."""
    return f"[...document.querySelectorAll('#stage {selector}')].map(e => e.dataset.id)"


def card(browser: Browser) -> str:
    """The details that are shown."""
    return str(
        browser.run("document.getElementById('card').hidden ? '' : document.getElementById('card').innerText")
    )


def view(browser: Browser) -> list[float]:
    return [
        float(n) for n in browser.run("document.querySelector('#stage svg').getAttribute('viewBox')").split()
    ]


def item(id: str) -> str:
    return f'#stage [data-id="{id}"].item'


def frame(id: str) -> str:
    return f'#stage [data-id="{id}"].frame'


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_text_is_there_as_large_as_it_was_measured(browser: Browser, tmp_path: Path, name: str) -> None:
    scene = shown(browser, tmp_path, name, **EXAMPLES[name])
    texts = browser.run(
        "[...document.querySelectorAll('#stage svg text')].map(t => {const b = t.getBBox(), s = t.firstChild;"
        "return [+s.getAttribute('x'), +s.getAttribute('y'), b.width, t.textContent]})"
    )
    found = {said.replace(" ", "") for *_, said in texts}
    for text in scene.texts:
        assert "".join(run.text for run in runs(text.tex)).replace(" ", "") in found
    assert len(texts) == len(scene.texts)
    for x, y, rendered, said in texts:
        own = min(scene.texts, key=lambda text: math.dist((text.x, text.y), (x, y)))
        measured = own.rect.width
        assert rendered == pytest.approx(measured, abs=3 + 0.05 * measured), said


def test_hovering_and_focus_show_what_is_known(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "lecture/xor", inputs={"x1": 0, "x2": 1})
    assert card(browser) == ""
    browser.hover(f"{item('h1')} circle")
    for said in ("h₁", "neuron", "step(0.5 − x₁ − x₂)", "xor.flow:10", "−0.5", "a single number"):
        assert said in card(browser).replace("-0.5", "−0.5")
    browser.hover('#stage [data-id="x2->h2"] .head')
    assert card(browser).startswith("x₂ → h₂") and "weight" in card(browser)
    browser.mouse("Moved", 2, 2)
    browser.mouse("Moved", *browser.place("header"))
    assert card(browser) == ""
    browser.run(f"document.querySelector('{item('x1')}').focus()")
    assert card(browser).startswith("x₁") and "input" in card(browser)


def test_the_details_do_not_cover_what_they_are_of(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "models/gpt2")
    for id in browser.run(on(".item")):
        browser.mouse("Moved", *browser.place("header"))  # a pointer that jumps on the card enters nothing
        browser.hover(f"{item(id)} .shape")
        x, y = browser.place(f"{item(id)} .shape")
        assert browser.run(f"document.elementFromPoint({x}, {y}).closest('[data-id]').dataset.id") == id
        assert card(browser)


def test_a_click_on_a_circle_shows_the_paths_through_it(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "lecture/xor")
    browser.click(f"{item('h1')} circle")
    assert set(browser.run(on(".item.on"))) == {"x1", "x2", "1@0", "h1", "f"}
    assert set(browser.run(on(".wire.on"))) == {"x1->h1", "x2->h1", "1@0->h1", "h1->f"}
    faint = browser.run(f"getComputedStyle(document.querySelector('{item('h2')}')).opacity")
    assert float(faint) < 0.5
    browser.click(f"{item('h1')} circle")
    assert browser.run(on(".on")) == [] and not browser.run("document.querySelector('svg.traced') !== null")
    browser.click('#stage [data-id="1@1->f"] .head')
    assert set(browser.run(on(".item.on"))) == {"1@1", "f"}
    browser.key("Escape")
    assert browser.run(on(".on")) == []


def test_details_of_what_was_clicked_stay_and_can_be_reached(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "lecture/xor")
    browser.click(f"{item('h1')} circle")
    browser.hover("#card dd")
    x, y = browser.place("#card dd")
    assert card(browser).startswith("h₁")
    assert browser.run(f"document.elementFromPoint({x}, {y}).closest('#card') !== null")


def test_a_block_unfolds_and_folds_by_a_click(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "models/gpt2")
    assert browser.run(on(".frame")) == [OUTER]
    browser.click(f"{item(ATTN)} rect")
    assert set(browser.run(on(".frame"))) == {OUTER, ATTN}
    assert browser.run(on(f'.item[data-id^="{ATTN}/"]'))
    assert "unfolded" in browser.run("document.getElementById('said').textContent")
    x, y = browser.place(f'#stage .label[data-id="{ATTN}"] text')
    browser.click_at(x, y)
    assert browser.run(on(".frame")) == [OUTER]
    browser.click('[data-does="fold"]')
    assert browser.run(on(".frame")) == []
    browser.click('[data-does="unfold"]')
    assert len(browser.run(on(".frame"))) == 3


def test_every_block_unfolds_wherever_it_is_met(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "models/resnet18")
    for block in ("layer2", "layer3"):
        (id,) = (i for i in browser.run(on('.item[aria-expanded="false"]')) if block in i)
        browser.click(f"{item(id)} rect")
        assert id in browser.run(on(".frame"))


def test_the_keyboard_folds_and_keeps_its_place(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "models/gpt2")
    browser.run(f"document.querySelector('{item(ATTN)}').focus()")
    browser.key("Enter")
    assert ATTN in browser.run(on(".frame"))
    assert browser.run("document.activeElement.dataset.id") == ATTN
    browser.key("Enter")
    assert browser.run(on(".frame")) == [OUTER]
    browser.key("p")
    assert browser.run("document.querySelector('svg.traced') !== null")
    browser.key("[")
    assert browser.run(on(".frame")) == []


def test_the_wheel_zooms_at_the_pointer_and_dragging_moves(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "lecture/xor")
    whole = view(browser)
    x, y = browser.place(f"{item('f')} circle")
    browser.mouse("Wheel", x, y, deltaX=0, deltaY=-300)
    near = view(browser)
    assert near[2] < whole[2]
    assert browser.place(f"{item('f')} circle") == pytest.approx((x, y), abs=1)
    left, top = browser.run("(b => [b.x, b.y])(document.getElementById('stage').getBoundingClientRect())")
    browser.drag((left + 20, top + 20), (left + 80, top + 60))
    assert browser.place(f"{item('f')} circle") == pytest.approx((x + 60, y + 40), abs=2)
    assert browser.run(on(".on")) == []
    browser.key("0")
    assert view(browser) == pytest.approx(whole)
    browser.key("+")
    browser.key("ArrowRight")
    assert view(browser)[2] < whole[2]
    browser.click('[data-does="fit"]')
    assert view(browser) == pytest.approx(whole)


def test_two_fingers_pinch(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "lecture/xor")
    whole = view(browser)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        found = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        browser.ask("Input.dispatchTouchEvent", type=kind, touchPoints=found)

    touch("touchStart", (400, 300))
    touch("touchStart", (400, 300), (500, 300))
    for step in range(1, 6):
        touch("touchMove", (400 - 10 * step, 300), (500 + 10 * step, 300))
    touch("touchEnd")
    assert view(browser)[2] == pytest.approx(whole[2] / 2, rel=0.1)


def test_search_finds_shows_and_unfolds(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "models/gpt2")
    browser.key("/")
    for letter in "qkv":
        browser.key(letter)
    assert f"{ATTN}/qkv" in browser.run(on(".hit"))
    assert browser.run("document.getElementById('hits').textContent").startswith("1 of")
    assert card(browser).startswith("qkv")
    x, y = browser.place(f"{item(f'{ATTN}/qkv')} rect")
    assert (x, y) == pytest.approx(browser.place("#stage"), abs=1)
    browser.key("Enter")
    for letter in "zzz":
        browser.key(letter)
    assert browser.run("document.getElementById('hits').textContent") == "none"
    browser.key("Escape")
    assert browser.run(on(".hit")) == []


def test_text_can_be_selected(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "digits/digits")
    before = view(browser)
    x, y, width = browser.run(
        "(b => [b.x, b.y + b.height / 2, b.width])"
        "([...document.querySelectorAll('#stage text')].find(t => t.textContent.includes('cross_entropy'))"
        ".getBoundingClientRect())"
    )
    browser.drag((x + 1, y), (x + 0.95 * width, y))
    assert "entropy" in browser.run("String(getSelection())")
    assert view(browser) == before and browser.run(on(".on")) == []


def test_a_light_drawing_follows_the_system_and_the_button(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "lecture/xor")
    page = "getComputedStyle(document.body).backgroundColor"
    assert browser.run(page) == "rgb(255, 255, 255)"
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.ask("Emulation.setEmulatedMedia", media="", features=dark)
    assert browser.run(page) == "rgb(20, 23, 28)"
    browser.click('[data-does="theme"]')
    assert browser.run(page) == "rgb(255, 255, 255)"


def test_a_dark_drawing_is_dark_and_printed_light(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "lecture/xor", theme="dark")
    page = "getComputedStyle(document.body).backgroundColor"
    assert browser.run(page) == "rgb(20, 23, 28)"
    browser.ask("Emulation.setEmulatedMedia", media="print", features=[])
    assert browser.run(page) == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.getElementById('bar')).display") == "none"


def test_all_of_the_picture_is_printed(browser: Browser, tmp_path: Path) -> None:
    shown(browser, tmp_path, "lecture/xor")
    browser.key("+")
    moved = view(browser)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    width, height = browser.run("(d => [+d.width, +d.height])(document.querySelector('#stage svg').dataset)")
    assert view(browser) == [0, 0, width, height]
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert view(browser) == pytest.approx(moved)


def test_no_text_of_a_file_runs(browser: Browser, tmp_path: Path) -> None:
    doc = "</title></script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
    file = tmp_path / "d.flow"
    file.write_text(f'diagram d "{doc}"\ninput x # {doc}\nf = step(x - 1) # {doc}\n', encoding="utf-8")
    flowgraph.load(file).draw().save(tmp_path / "d.html")
    browser.open(tmp_path / "d.html")
    browser.hover(f"{item('f')} circle")
    assert doc in card(browser) and doc in browser.run("document.querySelector('h1').textContent")
    assert browser.run("window.hit === undefined && document.querySelector('img') === null")


def test_without_a_script_the_picture_is_there(browser: Browser, tmp_path: Path) -> None:
    flowgraph.load(ROOT / "examples" / "lecture" / "xor.flow").draw().save(tmp_path / "x.html")
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(tmp_path / "x.html")
        assert browser.run("document.querySelector('#stage circle').getBoundingClientRect().width") > 10
        assert browser.run("getComputedStyle(document.getElementById('bar')).display") == "none"
        assert len(browser.run(on(".item"))) == 7
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)
