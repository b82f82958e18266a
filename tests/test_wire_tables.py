"""`wires W from "edges.csv"`: wires that a table lists, in every format, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from running import EMITTED, HAS_TORCH, execute, initial

from flowgraph import load
from flowgraph.cli.main import main
from flowgraph.diagram import Diagram
from flowgraph.errors import FlowError
from flowgraph.format import format_source
from flowgraph.text import print_graph
from flowgraph.verify.report import Verification

HEAD = "input x : [3]\ninput s\ntarget y\nnode h[3] : tanh\nnode g[2]\nnode f\n"
TAIL = "output f, g\nloss mse(f, y)\n"
ROWS = (
    ("x[0]", "h[0]", 0.5), ("x[2]", "h[1]", -1.0), ("s", "h[2]", 2.0), ("1", "h[0]", 0.25),
    ("h[0]", "g[0]", 1.5), ("h[-1]", "g[1]", 1.0), ("x[1]", "g[1]", 0.75), ("h[1]", "f", -2.0),
    ("g[1]", "f", 0.125), ("s", "f", 3.0),
)  # fmt: skip
DRAWN = "".join(f"{s} -[{w!r}]-> {t}\n" for s, t, w in ROWS)
Inputs = Mapping[str, Any]
GIVEN = {"x": np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]]), "s": np.array([0.5, -2.0])}


def csv_of(rows: Any, columns: str = "source,target,weight") -> str:
    return f"{columns}\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def with_table(folder: Path, table: str, text: str = f'{HEAD}wires W from "edges.csv"\n{TAIL}') -> Diagram:
    (folder / "edges.csv").write_text(table, encoding="utf-8")
    (folder / "net.flow").write_text(text, encoding="utf-8")
    return load(folder / "net.flow")


def outputs(diagram: Diagram, params: Mapping[str, Any] | None = None) -> list[np.ndarray]:
    module = execute(diagram.compile(dtype="float64"))
    return list(module["forward"](module["init"]() if params is None else params, **GIVEN))


def test_a_table_is_the_wires_it_lists(tmp_path: Path) -> None:
    drawn = with_table(tmp_path, "", HEAD + DRAWN + TAIL)
    table = with_table(tmp_path, csv_of(ROWS))
    for a, b in zip(outputs(drawn), outputs(table), strict=True):
        assert b == pytest.approx(a, rel=1e-14)


def test_the_weights_are_one_param_in_the_order_of_the_table(tmp_path: Path) -> None:
    diagram = with_table(tmp_path, csv_of(ROWS))
    assert diagram.params()["W"].tolist() == [w for _, _, w in ROWS]


@pytest.mark.parametrize("engine", EMITTED, ids=str)
def test_every_engine_agrees(engine: Any, tmp_path: Path) -> None:
    if engine.target == "torch" and not HAS_TORCH:
        pytest.skip("torch is not installed")
    diagram = with_table(tmp_path, csv_of(ROWS))
    params = initial(diagram)
    made = engine.run(diagram, params, GIVEN, {"y": np.zeros(2)})
    for got, want in zip(made.outputs, outputs(diagram), strict=True):
        np.testing.assert_allclose(got, want, **engine.tolerance)


def test_gradients_reach_every_weight(tmp_path: Path) -> None:
    report: Verification = with_table(tmp_path, csv_of(reversed(ROWS))).verify(dtypes=("float64",))
    assert report.ok, report.table()


def test_fresh_weights_start_by_the_fan_in_of_their_circle_and_biases_at_0(tmp_path: Path) -> None:
    rows = [(s, t) for s, t, _ in ROWS]
    weights = with_table(tmp_path, csv_of(rows, "source,target")).params(seed=3)["W"]
    fans = {t: sum(1 for s, end in rows if end == t and s != "1") for _, t in rows}
    for (source, target), weight in zip(rows, weights, strict=True):
        assert abs(weight) <= fans[target] ** -0.5
        assert (weight == 0) == (source == "1")


def test_drawn_wires_count_for_the_fan_in(tmp_path: Path) -> None:
    text = 'input x : [8]\nnode h[1]\nx -> h\nwires W from "edges.csv"\n'
    diagram = with_table(tmp_path, csv_of([(f"x[{i}]", "h[0]") for i in range(4)], "source,target"), text)
    most = [np.abs(diagram.params(seed=seed)["W"]).max() for seed in range(50)]
    assert 0.9 * 12**-0.5 < max(most) <= 12**-0.5


def test_the_order_of_the_columns_and_blanks_do_not_matter(tmp_path: Path) -> None:
    turned = csv_of([(f" {w} ", t, f" {s}") for s, t, w in ROWS], "weight , target,source")
    for a, b in zip(
        outputs(with_table(tmp_path, csv_of(ROWS))), outputs(with_table(tmp_path, turned)), strict=True
    ):
        assert b == pytest.approx(a, rel=1e-14)


def test_a_table_adds_to_drawn_wires_and_to_other_tables(tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text(csv_of(ROWS[5:]), encoding="utf-8")
    text = f'{HEAD}x[0] -[0.5]-> h[0]\nwires W from "edges.csv"\nwires V from "more.csv"\n{TAIL}'
    diagram = with_table(tmp_path, csv_of(ROWS[1:5]), text)
    assert [p.hint for p in map(diagram.graph.__getitem__, diagram.graph.params)] == ["W", "V"]
    (tmp_path / "whole").mkdir()
    for a, b in zip(outputs(with_table(tmp_path / "whole", csv_of(ROWS))), outputs(diagram), strict=True):
        assert b == pytest.approx(a, rel=1e-14)


def test_the_weights_can_be_used_like_any_param(tmp_path: Path) -> None:
    diagram = with_table(tmp_path, csv_of(ROWS), f'{HEAD}wires W from "edges.csv"\n{TAIL}loss W @ W / 2\n')
    module = execute(diagram.compile(dtype="float64"))
    params = module["init"]()
    with_penalty = module["loss_and_grad"](params, **GIVEN, y=np.zeros(2))[1]["W"]
    plain = execute(with_table(tmp_path, csv_of(ROWS)).compile(dtype="float64"))
    without = plain["loss_and_grad"](params, **GIVEN, y=np.zeros(2))[1]["W"]
    assert with_penalty - without == pytest.approx(params["W"])


def test_a_wire_given_twice_adds(tmp_path: Path) -> None:
    text = 'input x\nnode h\nwires W from "edges.csv"\n'
    diagram = with_table(tmp_path, csv_of([("x", "h", 2), ("x", "h", 3)]), text)
    assert [w.code for w in diagram.warnings] == ["W0201"]
    module = execute(diagram.compile())
    assert module["forward"](module["init"](), [1.0]).tolist() == [5]


def test_the_path_is_relative_to_the_diagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_table(tmp_path, csv_of(ROWS))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(load("../net.flow").params()["W"]) == len(ROWS)


# ---------------------------------------------------------------------------------------
# Levels


def network(circles: int, wires: int) -> list[tuple[str, str, float]]:
    """A network without rings, all of its circles in one layer."""
    rng = np.random.default_rng(2)
    place = rng.permutation(circles)
    rows = [(f"x[{rng.integers(3)}]", f"h[{i}]", rng.normal()) for i in range(circles)]
    pairs = {tuple(sorted(rng.choice(circles, 2, replace=False))) for _ in range(wires)}
    rows += [(f"h[{place[a]}]", f"h[{place[b]}]", rng.normal()) for a, b in sorted(pairs)]
    return [*rows, ("h[0]", "f", 1.0), (f"h[{circles - 1}]", "f", 2.0)]


IN_ONE = (
    "input x : [3]\ntarget y\nnode h[{}] : tanh\nnode f\n"
    'wires W from "edges.csv"\noutput f, h\nloss mse(f, y)\n'
)


def test_circles_of_one_layer_may_feed_each_other(tmp_path: Path) -> None:
    rows = network(30, 60)
    diagram = with_table(tmp_path, csv_of(rows), IN_ONE.format(30))
    module = execute(diagram.compile(dtype="float64"))
    x = np.random.default_rng(3).normal(size=(4, 3))
    f, h = module["forward"](module["init"](), x)
    values = {f"x[{i}]": x[:, i] for i in range(3)}
    for circle in nx.topological_sort(nx.DiGraph([(s, t) for s, t, _ in rows])):
        if circle not in values:
            xi = sum(w * values[s] for s, t, w in rows if t == circle)
            values[circle] = xi if circle == "f" else np.tanh(xi)
    assert f == pytest.approx(values["f"], rel=1e-12)
    assert h == pytest.approx(np.stack([values[f"h[{i}]"] for i in range(30)], axis=-1), rel=1e-12)
    assert diagram.verify(dtypes=("float64",)).ok
    assert diagram.draw().to_bytes("svg")


def test_two_layers_may_feed_each_other(tmp_path: Path) -> None:
    rows = [("x", "h[0]", 1), ("h[0]", "g[0]", 2), ("g[0]", "h[1]", 3), ("h[1]", "g[1]", 4)]
    diagram = with_table(
        tmp_path, csv_of(rows), 'input x\nnode h[2], g[2]\nwires W from "edges.csv"\noutput h, g\n'
    )
    module = execute(diagram.compile())
    h, g = module["forward"](module["init"](), [1.0])
    assert (h.tolist(), g.tolist()) == ([[1, 6]], [[2, 24]])


# ---------------------------------------------------------------------------------------
# Other formats


def graph_of(rows: Any = ROWS) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_weighted_edges_from((s.replace("h[-1]", "h[2]"), t, w) for s, t, w in rows)
    return graph


def test_npz(tmp_path: Path) -> None:
    source, target, weight = (np.array(column) for column in zip(*ROWS, strict=True))
    np.savez(tmp_path / "edges.npz", source=source, target=target, weight=weight)
    diagram = with_table(tmp_path, "", f'{HEAD}wires W from "edges.npz"\n{TAIL}')
    assert diagram.params()["W"].tolist() == weight.tolist()


def test_graphml_and_a_graph_of_networkx(tmp_path: Path) -> None:
    nx.write_graphml(graph_of(), tmp_path / "edges.graphml")
    diagram = with_table(tmp_path, csv_of(ROWS), f'{HEAD}wires W from "edges.graphml"\n{TAIL}')
    given = load(tmp_path / "net.flow", wires={"W": graph_of()})
    by_path = load(tmp_path / "net.flow", wires={"W": tmp_path / "edges.csv"})
    for made in (given, by_path):
        for a, b in zip(outputs(diagram), outputs(made), strict=True):
            assert b == pytest.approx(a, rel=1e-14)


def test_a_graph_given_in_its_place_needs_no_file(tmp_path: Path) -> None:
    (tmp_path / "net.flow").write_text(f'{HEAD}wires W from "absent.csv"\n{TAIL}', encoding="utf-8")
    assert len(load(tmp_path / "net.flow", wires={"W": graph_of()}).params()["W"]) == len(ROWS)


def codes(folder: Path, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(FlowError) as caught:
        load(folder / "net.flow", **options)
    return [(d.code, d.message) for d in caught.value.diagnostics]


def test_what_is_wrong_with_a_graph_is_said(tmp_path: Path) -> None:
    (tmp_path / "net.flow").write_text(f'{HEAD}wires W from "absent.csv"\n{TAIL}', encoding="utf-8")
    ((code, message),) = codes(tmp_path, wires={"W": graph_of().to_undirected()})
    assert code == "E0501" and "no direction" in message
    ((code, message),) = codes(tmp_path, wires={"W": 3})
    assert code == "E0501" and "no networkx graph" in message
    bare = graph_of()
    del bare.edges["s", "f"]["weight"]
    ((code, message),) = codes(tmp_path, wires={"W": bare})
    assert code == "E0503" and "`s` to `f` has no weight" in message


def test_what_is_wrong_with_arrays_is_said(tmp_path: Path) -> None:
    (tmp_path / "net.flow").write_text(f'{HEAD}wires W from "e.npz"\n{TAIL}', encoding="utf-8")
    ends = {"source": np.array(["x[0]"]), "target": np.array(["h[0]"])}
    for arrays, code, words in (
        ({"source": ends["source"]}, "E0502", "no array `target`"),
        (ends | {"wieght": np.ones(1)}, "E0502", "`wieght` is no array"),
        (ends | {"source": np.array([0])}, "E0503", "`source` is no list of names"),
        (ends | {"weight": np.ones(2)}, "E0503", "different lengths"),
        (ends | {"weight": np.array([np.nan])}, "E0503", "no number"),
    ):
        np.savez(tmp_path / "e.npz", **arrays)
        ((found, message),) = codes(tmp_path)
        assert found == code and words in message


# ---------------------------------------------------------------------------------------
# What becomes of them


def large(folder: Path, wires: int, *, shuffled: bool = False) -> Diagram:
    rng = np.random.default_rng(0)
    ends = rng.integers(0, 200, (wires, 2))
    rows = [
        (f"x[{s}]", f"h[{t}]", f"{w:.4f}") for (s, t), w in zip(ends, rng.normal(size=wires), strict=True)
    ]
    rows += [("x[0]", f"h[{t}]", "0.1") for t in range(200)] + [("h[1]", "f", "1"), ("x[3]", "f", "1")]
    order = rng.permutation(len(rows)) if shuffled else range(len(rows))
    text = 'input x : [200]\ntarget y\nnode h[200] : tanh\nnode f\nwires W from "edges.csv"\nloss mse(f, y)\n'
    return with_table(folder, csv_of(rows[i] for i in order), text)


def test_a_table_is_one_node_for_each_layer(tmp_path: Path) -> None:
    few, many = large(tmp_path, 300), large(tmp_path, 6000)
    assert len(few.graph) == len(many.graph) < 25
    assert [n.op.name for n in many.graph].count("wired") == 2


def test_large_tables_are_short_in_the_emitted_code(tmp_path: Path) -> None:
    diagram = large(tmp_path, 20_000)
    for target in ("numpy", "torch"):
        text = diagram.compile(target)
        assert len(text) < 20_000 * 12 and max(map(len, text.splitlines())) <= 100
        compile(text, "emitted.py", "exec")


def test_the_order_of_rows_changes_no_value(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(3, 200))
    found = []
    for shuffled in (False, True):
        module = execute(large(tmp_path, 4000, shuffled=shuffled).compile(dtype="float64"))
        found.append(module["forward"](module["init"](), x))
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_first_values_are_those_of_the_table_in_both_dtypes(tmp_path: Path) -> None:
    diagram = large(tmp_path, 4000)
    for dtype in ("float32", "float64"):
        first = execute(diagram.compile(dtype=dtype))["init"]()["W"]
        assert first.tolist() == diagram.params(dtype=dtype)["W"].tolist()
        first[0] = 7  # a copy of its own
        assert execute(diagram.compile(dtype=dtype))["init"]()["W"][0] != 7


def test_scipy_is_asked_for_by_name(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    diagram = large(tmp_path, 4000, shuffled=True)
    texts = [diagram.compile(dtype="float64", sparse=sparse) for sparse in ("", "scipy")]
    assert ["scipy" in text for text in texts] == [False, True]
    x, y = np.random.default_rng(1).normal(size=(3, 200)), np.zeros(3)
    plain, csr = (m["loss_and_grad"](m["init"](), x, y) for m in map(execute, texts))
    assert csr[0] == pytest.approx(plain[0]) and csr[1]["W"] == pytest.approx(plain[1]["W"])


def test_the_command_asks_for_scipy_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    large(tmp_path, 500)
    assert main(["compile", str(tmp_path / "net.flow"), "--sparse", "scipy"]) == 0
    assert "from scipy import sparse\n" in capsys.readouterr().out
    assert main(["compile", str(tmp_path / "net.flow"), "--sparse", "scipy", "--target", "torch"]) == 2


def test_scipy_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowgraph.reading.find_spec", lambda name: None)
    with pytest.raises(FlowError) as caught:
        with_table(tmp_path, csv_of(ROWS)).compile(sparse="scipy")
    (error,) = caught.value.diagnostics
    assert error.code == "E0605" and "flowgraph[sparse]" in error.help


def test_torch_keeps_the_places_beside_its_state(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = execute(with_table(tmp_path, csv_of(ROWS)).compile("torch"))["Net"]()
    assert list(module.state_dict()) == ["W"]
    assert {b.dtype for b in module.buffers()} == {torch.int64, torch.float32}


def test_it_is_drawn_explained_and_formatted(tmp_path: Path) -> None:
    diagram = with_table(tmp_path, csv_of(ROWS))
    picture = diagram.draw().scene
    assert picture is not None
    assert "W" in diagram.explain(backward=True)
    assert 'wires W from "edges.csv"\n' in format_source(diagram.file)
    assert print_graph(diagram.graph).count(" wired(") == 3


def test_layers_that_are_elided_have_one_arrow_from_each_layer(tmp_path: Path) -> None:
    drawing = large(tmp_path, 300).draw()
    svg = drawing.to_bytes("svg").decode()
    assert svg.count("split") == 0 and "200" in svg
