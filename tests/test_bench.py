"""`flowgraph.bench` and `flowc bench`: what is measured on what, how it is told, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import EXAMPLES

import flowgraph.bench as bench_module
import flowgraph.bench.known as known
from flowgraph import bench as bench_package
from flowgraph.bench import bench, disagreements, first_values, job_of
from flowgraph.bench.modules import contestant
from flowgraph.bench.progress import Lines, watcher_for
from flowgraph.bench.report import Bench, Row, three_digits, time_text
from flowgraph.bench.turns import Failed, Times, Worker, take_turns
from flowgraph.cli.main import main
from flowgraph.diagram import LEVELS, load, loads
from flowgraph.errors import FlowError

Capture = pytest.CaptureFixture[str]
QUICK: dict[str, Any] = {"rounds": 2, "seconds": 0.004, "threads": 1}
SEQUENCE = "size T\ninput x : [T, 2]\ntarget y\nf = sum(mean(x, axis=0) |> linear(3))\nloss mse(f, y)\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowgraph.bench.turns.PAUSE", 0.0)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measuring finds no PyTorch, and one level is measured: that makes it quick."""
    monkeypatch.setattr(bench_module, "LEVELS", (0, 1))
    real = bench_module.importlib.util.find_spec
    monkeypatch.setattr(
        bench_module.importlib.util, "find_spec", lambda name: None if name == "torch" else real(name)
    )


# -- what is measured


def test_numpy_at_every_level_and_torch_are_measured_and_compared() -> None:
    found = bench(load(EXAMPLES["mlp_2_3_2"]), **QUICK)
    assert [row.name for row in found.rows] == [*(f"numpy -O{level}" for level in LEVELS[1:]), "torch"]
    assert found.batch == 4 and found.notes == []
    for row in found.rows:
        assert isinstance(row.step, Times) and isinstance(row.forward, Times)
        assert len(row.step.rounds) == len(row.forward.rounds) == 2 and row.forward.least > 0
        assert found.ratio(row.name, "step") is not None and found.ratio(row.name, "forward") is not None
    assert found.ratio("torch") == 1
    lines = found.table().splitlines()
    assert lines[0] == "mlp_2_3_2: a batch of 4, float32, 1 thread, medians of 2 rounds"
    assert lines[2].split() == ["step", "forward", "step", "/", "torch", "forward", "/", "torch"]


@pytest.mark.usefixtures("without_torch")
def test_without_torch_the_table_says_so_and_has_no_ratios() -> None:
    found = bench(load(EXAMPLES["mlp_2_3_2"]), **QUICK)
    assert "torch" not in [row.name for row in found.rows]
    assert found.ratio("numpy -O1") is None
    assert "/ torch" not in found.table() and "pip install 'flowgraph[torch]'" in found.table()


@pytest.mark.usefixtures("without_torch")
def test_without_a_loss_only_forward_passes_are_measured() -> None:
    found = bench(load(EXAMPLES["xor"]), **QUICK)
    assert all(row.step is None and isinstance(row.forward, Times) for row in found.rows)
    assert "no loss" in found.table()


@pytest.mark.usefixtures("without_torch")
def test_where_nothing_can_learn_only_forward_passes_are_measured() -> None:
    found = bench(loads("input x\ntarget y\nf = 2 * x\nloss mse(f, y)\n"), **QUICK)
    assert all(row.step is None and isinstance(row.forward, Times) for row in found.rows)
    assert "nothing to train" in found.table()


@pytest.mark.usefixtures("without_torch")
def test_a_diagram_without_inputs_is_measured() -> None:
    found = bench(loads("param w = normal()\nf = w * 2\nloss f^2\ntrain sgd(lr=0.1)\n"), **QUICK)
    assert found.table().startswith("diagram: no inputs, float32")
    assert all(isinstance(row.step, Times) and isinstance(row.forward, Times) for row in found.rows)


@pytest.mark.usefixtures("without_torch")
def test_the_steps_of_a_worker_are_those_of_the_emitted_trainer(tmp_path: Path) -> None:
    diagram = load(EXAMPLES["mlp_2_3_2"])
    first = first_values(diagram)
    batch = {"x": np.ones((4, 2), np.float32), "y": np.zeros((4, 2), np.float32)}
    job_of(diagram, "numpy", log=2).write(tmp_path, diagram.compile(), first, batch)
    made = contestant(tmp_path)
    assert made.train is not None
    losses = made.train(5)()
    assert len(losses) == 3 and losses[2] < losses[0]
    assert any(not np.array_equal(value, first[name]) for name, value in made.params().items())
    np.testing.assert_array_equal(made.train(5)(), losses)  # every run begins from the first parameters


# -- on what


def examples_of(text: str, batch: int | str | None = None, **settings: int) -> tuple[dict[str, Any], str]:
    diagram = loads(text, settings=settings)
    first = first_values(diagram)
    return bench_module._examples(diagram, None, batch, first, diagram.compile(), "float32", 0)


def test_without_data_examples_are_random_and_of_the_right_types() -> None:
    columns, said = examples_of(
        "input x : [3], ids : class(5)\ntarget y : class(2)\n"
        "z = linear(x, 2) * ids\nloss cross_entropy(z, y)\n"
    )
    assert said == "32 random examples"
    assert columns["x"].shape == (32, 3) and columns["x"].dtype == np.float32
    assert columns["ids"].dtype == np.int64 and columns["ids"].min() >= 0 and columns["ids"].max() < 5
    assert columns["y"].max() < 2


def test_random_examples_are_drawn_again_where_the_diagram_has_no_numbers_on_them() -> None:
    columns, _ = examples_of("input x : [4]\ntarget y\nf = sum(log(x))\nloss mse(f, y)\n")
    assert np.all(columns["x"] > 0)


def test_sizes_that_data_decide_are_told_and_can_be_set() -> None:
    columns, said = examples_of(SEQUENCE, 8)
    assert said == f"8 random examples with T = {columns['x'].shape[1]}"
    columns, said = examples_of(SEQUENCE, 8, T=7)
    assert columns["x"].shape == (8, 7, 2)


def test_a_batch_larger_than_the_data_repeats_their_rows() -> None:
    diagram = load(EXAMPLES["mlp_2_3_2"])
    first = first_values(diagram)
    columns, said = bench_module._examples(diagram, None, 6, first, diagram.compile(), "float32", 0)
    assert said == "a batch of 6, its 4 rows repeated"
    np.testing.assert_array_equal(columns["x"][4:], columns["x"][:2])


def test_data_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FlowError) as caught:
        bench(load(EXAMPLES["mlp_2_3_2"]), data=tmp_path / "none.csv", **QUICK)
    assert caught.value.diagnostics[0].code == "E0501"


def test_torch_compile_without_a_compiler_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_package, "has_compiler", lambda: False)
    with pytest.raises(FlowError) as caught:
        bench(load(EXAMPLES["mlp_2_3_2"]), compiled=True, **QUICK)
    assert caught.value.diagnostics[0].code == "E0605"


# -- taking turns


class Pretended:
    """Takes as many seconds a step as it is told, one after another; fails where there are no more."""

    def __init__(self, *seconds: float) -> None:
        self.left = list(seconds)

    def seconds(self, what: str, count: int) -> float:
        if not self.left:
            raise Failed("there is no memory")
        return self.left.pop(0) * count


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    ours, theirs = Times((1.0, 10.0, 1.5)), Times((2.0, 20.0, 1.0))
    assert ours.over(theirs) == 0.5 and ours.median == 1.5 and ours.least == 1.0


def test_contestants_take_turns_each_round_in_another_order() -> None:
    order: list[str] = []
    workers: Any = {name: Pretended(*[1.0] * 9) for name in "abc"}
    take_turns(workers, "train", 3, count=1, told=order.append)
    assert "".join(order) == "abcbcacab"


def test_a_contestant_that_fails_is_told_and_the_others_go_on() -> None:
    workers: Any = {"well": Pretended(*[1.0] * 9), "ill": Pretended(1.0, 1.0)}
    found = take_turns(workers, "train", 3, count=1)
    assert found["well"] == Times((1.0, 1.0, 1.0))
    assert isinstance(found["ill"], Failed) and str(found["ill"]) == "there is no memory"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('no luck')", "no luck"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9, which a lack of memory does"),
        ("from flowgraph.bench.worker import serve; serve(lambda: 1 / 0)", "ZeroDivisionError"),
    ],
)
def test_a_process_that_ends_says_why(program: str, said: str) -> None:
    worker = Worker("ill", ["-c", program], 1)
    with pytest.raises(Failed, match=said):
        worker.wait()
    worker.close()


def test_what_a_contestant_prints_does_not_disturb_its_answers() -> None:
    program = (
        "from flowgraph.bench.worker import Contestant, serve\n"
        "serve(lambda: (print('hello'), Contestant(forward=lambda: print('again')))[1])"
    )
    worker = Worker("loud", ["-c", program], 1)
    assert worker.wait() == {} and worker.seconds("forward", 3) > 0
    worker.close()


def test_threads_are_held_in_every_pool() -> None:
    program = (
        "import os; from flowgraph.bench.worker import Contestant, serve\n"
        "serve(lambda: Contestant(said={n: os.environ[n] for n in ('OMP_NUM_THREADS',"
        " 'OPENBLAS_NUM_THREADS', 'VECLIB_MAXIMUM_THREADS')}))"
    )
    worker = Worker("held", ["-c", program], 3)
    assert set(worker.wait().values()) == {"3"} and len(worker.wait()) == 3
    worker.close()


def test_parameters_that_differ_are_told(tmp_path: Path) -> None:
    for name, weight in (("a", 1.0), ("b", 1.0), ("c", 1.1), ("d", float("nan"))):
        np.savez(tmp_path / f"{name}.npz", **{"params/w": np.array([weight, 2.0])})
    assert disagreements("ab", tmp_path, 1e-3) == []
    for name in "cd":
        (said,) = disagreements(["a", name], tmp_path, 1e-3)
        assert said.startswith(f"{name} and a do not compute the same") and "`w`" in said


# -- how it is told


def report() -> Bench:
    times = Times((1e-5, 3e-5)), Times((4e-5, 4e-5))
    rows = [Row("numpy -O1", times[0], times[0]), Row("torch", times[1], Failed("no µs left"))]
    return Bench("net", "a batch of 4", 4, "float32", 2, 2, rows, ["All is well."])


def test_the_table_has_ratios_and_tells_who_failed() -> None:
    assert report().table() == (
        "net: a batch of 4, float32, 2 threads, medians of 2 rounds\n\n"
        "               step   forward   step / torch   forward / torch\n"
        "numpy -O1   20.0 µs   20.0 µs          0.500                 –\n"
        "torch       40.0 µs    failed           1.00                 –\n\n"
        "All is well.\n\ntorch failed: no µs left\n"
    )


def test_where_the_terminal_has_no_greek_the_table_has_none() -> None:
    times = Times((1e-5,))
    plain = Bench("net", "a batch of 4", 4, "float32", 2, 1, [Row("numpy -O1", None, times)])
    assert plain.table(ascii=True).isascii() and "10.0 us" in plain.table(ascii=True)


def test_json_holds_every_round() -> None:
    found = json.loads(report().as_json())
    ours, theirs = found["contestants"]
    assert ours["step"] == {"median": 2e-5, "least": 1e-5, "rounds": [1e-5, 3e-5]}
    assert ours["step_over_torch"] == 0.5 and ours["forward_over_torch"] is None
    assert theirs["forward"] == {"failed": "no µs left"}
    assert found["threads"] == 2 and found["notes"][0] == "All is well."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5.123e-6, "5.12 µs"), (9.996e-4, "1.00 ms"), (0.0125, "12.5 ms"), (0.9999, "1.00 s"), (75.0, "75.0 s")],
)
def test_times_have_three_digits(seconds: float, said: str) -> None:
    assert time_text(seconds) == said


def test_ratios_have_no_exponents() -> None:
    values = (0.0001, 0.0713, 0.413, 1.0, 12.44, 23450.0)
    assert [three_digits(v) for v in values] == ["<0.001", "0.071", "0.413", "1.00", "12.4", "23450"]


def test_progress_is_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    watcher = watcher_for(stream)
    assert isinstance(watcher, Lines)
    watcher.phase("net: training steps", 3)
    watcher.turn("torch")
    watcher.close()
    assert stream.getvalue() == "net: training steps\n"


# -- the command


@pytest.mark.usefixtures("without_torch")
def test_the_command_prints_a_table_and_its_progress_elsewhere(capsys: Capture) -> None:
    assert main(["bench", str(EXAMPLES["mlp_2_3_2"]), "--rounds", "1", "--batch", "5"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("mlp_2_3_2: a batch of 5, its 4 rows repeated, float32, ")
    assert "numpy -O1" in out and "training steps" in err


@pytest.mark.usefixtures("without_torch")
def test_the_command_prints_json_and_nothing_else(capsys: Capture) -> None:
    assert main(["bench", "--json", str(EXAMPLES["xor"]), "--rounds", "1", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["contestants"][0]["step"] is None and err == ""


@pytest.mark.usefixtures("without_torch")
def test_without_a_file_known_networks_are_measured(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "NAMES", ("xor_2_2_2", "digits_64_32_10"))
    assert main(["bench", "--rounds", "1"]) == 0
    out, _ = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert lines[3][:2] == ["xor_2_2_2", "4"] and lines[4][:2] == ["digits_64_32_10", "64"]
    assert out.count("PyTorch is not installed") == 1


@pytest.mark.parametrize(
    "arguments", [["--batch", "3"], ["--data", "a.csv"], ["--set", "H=3"], ["--params", "a.npz"]]
)
def test_options_about_a_file_need_one(arguments: list[str], capsys: Capture) -> None:
    assert main(["bench", *arguments]) == 2
    assert f"{arguments[0]} is about a FILE" in capsys.readouterr().err


def test_a_batch_of_no_rows_is_refused(capsys: Capture) -> None:
    assert main(["bench", str(EXAMPLES["xor"]), "--batch", "0"]) == 1
    assert "error[E0404]" in capsys.readouterr().err


def test_the_known_networks_are_formatted_and_have_no_warnings() -> None:
    files = sorted(known.FLOWS.glob("*.flow"))
    assert {*known.NAMES} < {path.stem for path in files}
    assert main(["fmt", "--check", *map(str, files)]) == 0
    assert all(load(path).warnings == () for path in files)
