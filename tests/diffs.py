"""What the tests of differences share: small diagrams, and the report of two texts."""

from __future__ import annotations

from running import ROOT

from flowgraph.diagram import loads

XOR = "input x1, x2\nh1 = step(0.5 - x1 - x2)\nh2 = step(-1.5 + x1 + x2)\nf = step(0.5 - h1 - h2)\n"
WIRED = (
    "input x1, x2\nnode h1, h2, f : step\n1 -[0.5]-> h1\nx1, x2 -[-1]-> h1\n"
    "1 -[-1.5]-> h2\nx1, x2 -[1]-> h2\n1 -[0.5]-> f\nh1, h2 -[-1]-> f\n"
)
"""The same network, circle by circle."""
LEARNED = "input x : [2]\ntarget y\nnode h[2], f : tanh\n1, x -> h\n1, h -> f\nloss mse(f, y)\n"
MLP = "size H = 3\ninput x : [2]\nh = relu(linear(x, H))\nf = linear(h, 1)\n"
BLOCKS = (
    "input x : [4]\nblock mix(x : [d], n) -> [d] {\n  y = relu(linear(x, n))\n  return linear(y, d)\n}\n"
    "u = x\nrepeat 3 as h {\n  z = mix(u, 8)\n  u = u + z\n}\nf = sum(u)\n"
)
GPT2 = ROOT / "examples" / "models" / "gpt2.flow"


def lines(old: str, new: str, **settings: float) -> list[str]:
    """The report of two texts without its blanks and its count; settings: of the second."""
    text = loads(old).diff(loads(new, settings=settings)).text()
    return [" ".join(line.split()) for line in text.splitlines() if line][:-1]


def same(old: str, new: str) -> bool:
    """Whether two texts do not differ, whichever comes first."""
    return not loads(old).diff(loads(new)) and not loads(new).diff(loads(old))
