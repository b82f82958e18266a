"""Names and texts of the user in emitted code: Python's words, builtins, quotes and line breaks.

Every diagram here is compiled for all targets and levels, executed, and gives what the simulator
gives; nothing a user writes can break out of its place in the text.
"""

from __future__ import annotations

import ast
import builtins
import keyword

import numpy as np
import pytest
from running import Engine, initial, module_of, same

from flowgraph.diagram import Diagram, loads
from flowgraph.errors import FlowError
from flowgraph.naming import ARGUMENT_NAMES, CODE_NAMES, KEYWORDS, MODULE_NAMES
from flowgraph.parse.exprs import RESERVED

ENGINES = [Engine(target, level) for target in ("numpy", "torch") for level in (0, 1)]


def batch(diagram: Diagram, names: tuple[str, ...], seed: int = 0) -> dict[str, np.ndarray]:
    """Three random examples; every symbolic size is 4."""
    rng = np.random.default_rng(seed)
    values = {}
    for name in names:
        type = diagram.graph[name].type
        shape = (3, *(size.at(dict.fromkeys(size.symbols, 4)) for size in type.shape))
        is_class = type.elem.kind == "class"
        values[name] = rng.integers(0, type.elem.classes.value, shape) if is_class else rng.normal(size=shape)
    return values


def check(diagram: Diagram) -> None:
    """Every engine answers as the simulator does."""
    params = initial(diagram)
    inputs, targets = (batch(diagram, names) for names in (diagram.graph.inputs, diagram.graph.targets))
    expected = Engine("simulator").run(diagram, params, inputs, targets)
    for engine in ENGINES:
        same(engine.run(diagram, params, inputs, targets), expected, **engine.tolerance)


def refusal(text: str) -> str:
    """The message of the one error of a text."""
    with pytest.raises(FlowError) as caught:
        loads(text)
    assert len(caught.value.diagnostics) == 1
    assert caught.value.diagnostics[0].code == "E0602"
    return caught.value.diagnostics[0].message


BUILTINS = frozenset(n for n in dir(builtins) if n[0].islower() or n in ("None", "True", "False"))
MODULES = frozenset(["np", "torch", "nn", "F", "math", "OrderedDict", "real", "name", "value", "values"])
PYTHONS = KEYWORDS | frozenset(keyword.softkwlist) | BUILTINS | CODE_NAMES | MODULE_NAMES | MODULES
NAMES = [n for n in sorted(PYTHONS - RESERVED) if n[0].isalpha()]


def uses_of(name: str) -> dict[str, str]:
    """A diagram for each kind of thing that can have a name."""
    return {
        "input": f"input {name} : [3]\ny = softmax(relu({name})) * 2\n",
        "target": f"input x : [3]\ntarget {name} : [3]\noutput y = tanh(x)\nloss mse(y, {name})\n",
        "param": f"input x : [3]\nparam {name} : [2, 3] = normal(1)\ny = softmax({name} @ x)\n",
        "node": f"input x : [3]\nnode {name}[2] : softmax\nx -> {name}\ny = {name} + 1\n",
        "circle": f"input x\nnode {name} : sigmoid\nx -[0.5]-> {name}\n1 -[b]-> {name}\ny = {name} * 2\n",
        "equation": f"input x : [3]\n{name} = softmax(x)\ny = {name} * {name}\noutput y, {name}\n",
        "layer": f"input x : [3]\n{name} = linear(x, 2)\ny = relu({name})\n",
        "size": f"size {name} = 3\ninput x : [{name}]\nparam W : [2, {name}] = normal(1)\ny = W @ x\n",
        "symbolic": f"size {name}\ninput x : [{name}]\ny = sum(x) / {name}\n",
        "const": f"const {name} = 2.5\ninput x\ny = {name} * x\n",
        "array": f"const {name} = [1.5, 2]\ninput x : [2]\nparam b = 0.5\ny = softmax(x * {name}) + b\n",
        "metric": f"input x\ntarget t\noutput y = 2 * x\nloss mse(y, t)\nmetric {name} = mae(y, t)\n",
        "diagram": f"diagram {name}\ninput x : [3]\ntarget t\noutput y = linear(x, 1)\nloss mse(y[0], t)\n",
    }


MAY_BE_REFUSED = {
    "input": frozenset(ARGUMENT_NAMES | KEYWORDS),
    "target": frozenset(ARGUMENT_NAMES | KEYWORDS),
    "param": MODULE_NAMES,
    "layer": MODULE_NAMES,
}
"""Names that cannot be: arguments of functions, attributes of torch modules."""


@pytest.mark.parametrize("kind", uses_of("x"))
def test_every_name_works_or_is_refused(kind: str) -> None:
    for name in NAMES:
        text = uses_of(name)[kind]
        if name in MAY_BE_REFUSED.get(kind, ()):
            assert f"`{name}" in refusal(text)
            continue
        diagram = loads(text)
        for target in ("numpy", "torch"):
            ast.parse(diagram.compile(target))


HARD = [
    "lambda",
    "def",
    "print",
    "float",
    "len",
    "np",
    "torch",
    "F",
    "N",
    "self",
    "sum",
    "softmax",
    "relu",
    "name",
]


@pytest.mark.parametrize("kind", uses_of("x"))
def test_hard_names_compute(kind: str) -> None:
    for name in HARD:
        if name not in MAY_BE_REFUSED.get(kind, ()):
            check(loads(uses_of(name)[kind]))


def test_all_hard_names_together() -> None:
    names = HARD
    layers = ", ".join(f"{n}[2]" for n in names)
    check(
        loads(
            f"input x : [3]\nnode {layers} : softmax\nx -> {', '.join(names)}\n"
            f"y = {' + '.join(names)}\ntarget t : [2]\nloss mse(y, t)\noutput y\n"
        )
    )


TEXTS = [
    "plain", "it's", 'a "quoted" word', '"', "'", '""', '"""', "'''", '""""', "\\", "\\\\", '\\"', '"\\',
    "a\nb", "\n", "\t", '"""\nimport os\n"""', "'''\nimport os\n'''", "{x} %s {{", "# none",
    "ends in \\",
    'ends in "', "größe π 你好", "\u2028line\u2029", "\x0b\x0c\x1c\x85", "\x7f\x1b[31m", "…" * 200,
]  # fmt: skip


def quoted(text: str) -> str:
    """A text as a string of the language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_texts_stay_texts(text: str) -> None:
    others = ['"b"', '"c"']
    diagram = loads(
        f"diagram d {quoted(text)}\nsize T\ninput x : [T]\n"
        f"input k : class({', '.join([quoted(text), *others])})\n"
        f"target y : class({', '.join([*others, quoted(text)])})\n"
        f"require T > 1, {quoted(text)}\n"
        "z = [sum(x), mean(x), max(x)]\noutput z, one_hot(k)\n"
        "loss cross_entropy(z, y)\nmetric accuracy(z, y)\n"
    )
    assert diagram.graph.doc == text
    assert diagram.graph["y"].type.elem.names[2] == text
    check(diagram)
    for engine in ENGINES:
        tree = ast.parse(diagram.compile(engine.target, level=engine.level))
        imported = {
            a.name for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names
        }
        assert "os" not in imported


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_requirement_that_fails_says_its_text(text: str) -> None:
    diagram = loads(f"size T\ninput x : [T]\nrequire T > 3, {quoted(text)}\noutput x\n")
    with pytest.raises(AssertionError) as caught:
        module_of(diagram, "numpy", 1, "float64")["forward"]({}, x=np.zeros((1, 2)))
    assert caught.value.args == (text,)


def test_names_that_torch_keeps_are_known() -> None:
    torch = pytest.importorskip("torch")
    public = {n for n in dir(torch.nn.Module()) if not n.startswith("_")}
    assert not public - MODULE_NAMES, "add these to naming.MODULE_NAMES"
