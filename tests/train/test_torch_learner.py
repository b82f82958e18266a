"""Training by the emitted torch module, in one process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
from running import HAS_TORCH, initial

from flowgraph import loads
from flowgraph.errors import FlowError
from flowgraph.execute import execute
from flowgraph.naming import class_name
from flowgraph.train import place
from flowgraph.train.distributed import guarded, processes
from flowgraph.train.plan import Plan
from flowgraph.train.torch_learner import TorchLearner

pytestmark = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")

TEXT = """
input x : [3]
target y : class(3)
hidden = linear(x, 4)
h = tanh(hidden)
z = linear(h, 3)
loss cross_entropy(z, y)
loss penalty = 0.01 * sum(hidden.weight ^ 2)
metric accuracy(z, y)
"""
OPTIMISERS = [
    "sgd(lr=0.1)",
    "sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=0.01)",
    "adam(lr=warmup(cosine(0.1, steps=8), steps=3)), clip=0.5",
    "adamw(lr=0.05)",
    "rmsprop(lr=0.01, momentum=0.5)",
    'adagrad(lr=staircase(0.1, every=2)), freeze="hidden.bias"',
]


def batches(count: int, rows: int = 5, seed: int = 0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"y": rng.integers(0, 3, rows), "x": rng.normal(size=(rows, 3))} for _ in range(count)]


def learner(train: str = "sgd(lr=0.1)", dtype: str = "float32", text: str = TEXT, **options) -> TorchLearner:
    diagram = loads(f"{text}\ntrain {train}, steps=4\n")
    plan = Plan("torch", dtype, diagram.training, 5, 4, None, 0)
    emitted = diagram.compile("torch", dtype=dtype)
    return TorchLearner(emitted, diagram.name, initial(diagram), plan, **options)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Assert that two states are the same bit for bit, in the same order."""
    assert list(one) == list(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype and array.tobytes() == other[name].tobytes(), name


def test_steps_are_those_of_the_emitted_file_alone() -> None:
    import torch

    diagram = loads(f"{TEXT}\ntrain adam(lr=0.1), clip=0.5, steps=4\n")
    module = execute(diagram.compile("torch"))
    first = {n: np.asarray(v, np.float32) for n, v in initial(diagram).items()}
    model = module[class_name(diagram.name)]()
    model.load_state_dict({n: torch.tensor(v) for n, v in first.items()})
    loss_module = module[f"{class_name(diagram.name)}Loss"](model)
    optimizer = module["make_optimizer"](model)
    ours = learner("adam(lr=0.1), clip=0.5")
    for batch in batches(4):
        x, y = torch.tensor(batch["x"], dtype=torch.float32), torch.tensor(batch["y"])
        assert ours.step(batch) == float(module["train_step"](loss_module, optimizer, x, y))
    same(ours.params(), {n: t.numpy() for n, t in model.state_dict().items()})
    assert ours.step_count == 4


def test_params_have_the_diagrams_names_and_order_and_are_copies() -> None:
    ours = learner(dtype="float64")
    params = ours.params()
    assert list(params) == ["hidden.weight", "hidden.bias", "z.weight", "z.bias"]
    assert {a.dtype for a in params.values()} == {np.dtype(np.float64)}
    before = params["z.weight"].copy()
    ours.step(batches(1)[0])
    np.testing.assert_array_equal(params["z.weight"], before)
    assert not np.array_equal(ours.params()["z.weight"], before)


@pytest.mark.parametrize("train", OPTIMISERS, ids=lambda t: t.split("(")[0] + str(len(t)))
@pytest.mark.parametrize("at", [0, 3])
def test_a_restored_run_goes_on_bit_for_bit(train: str, at: int) -> None:
    through = learner(train)
    stopped = learner(train)
    given = batches(6)
    for batch in given[:at]:
        assert through.step(batch) == stopped.step(batch)
    state = stopped.state()
    stopped.step(given[5])  # what is handed out must not change with the learner
    again = learner(train)
    again.step(given[0])  # nor must anything of an earlier life remain
    again.load_state(state)
    same(again.state(), state)
    assert again.step_count == at
    losses = [(through.step(batch), again.step(batch)) for batch in given[at:]]
    assert all(one == other for one, other in losses)
    same(through.state(), again.state())


def test_a_schedule_counts_on_after_a_restore() -> None:
    once = learner("sgd(lr=staircase(0.1, every=1, factor=0.5))")
    for batch in batches(3):
        once.step(batch)
    assert once.state()["t"] == 3 and once.state()["step"] == 3


def test_frozen_params_stay() -> None:
    ours = learner('sgd(lr=0.1, weight_decay=0.1), freeze="hidden.*"')
    before = ours.params()
    ours.step(batches(1)[0])
    after = ours.params()
    assert np.array_equal(before["hidden.weight"], after["hidden.weight"])
    assert not np.array_equal(before["z.weight"], after["z.weight"])


def test_evaluating_gives_loss_and_metrics_and_changes_nothing() -> None:
    ours = learner(dtype="float64")
    diagram = loads(TEXT)
    numpy = execute(diagram.compile("numpy", dtype="float64"))
    batch = batches(1, rows=20)[0]
    before = ours.state()
    found = ours.evaluate(batch)
    same(before, ours.state())
    assert list(found) == ["loss", "accuracy"]
    assert found["loss"] == pytest.approx(numpy["loss"](ours.params(), **batch), rel=1e-12)
    assert found["accuracy"] == pytest.approx(numpy["metrics"](ours.params(), **batch)["accuracy"])


def test_an_empty_batch_has_the_loss_of_the_penalty() -> None:
    ours = learner(dtype="float64")
    empty = {name: a[:0] for name, a in batches(1)[0].items()}
    penalty = 0.01 * np.sum(ours.params()["hidden.weight"] ** 2)
    assert ours.evaluate(empty) == {"loss": pytest.approx(penalty), "accuracy": 0.0}


def test_one_process_stops_when_it_wants() -> None:
    ours = learner()
    assert ours.stop(True) and not ours.stop(False)
    assert ours.is_writer and not ours.is_distributed


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("params/z.bias", None, "does not hold `params/z.bias`"),
        ("exp_avg/z.bias", None, "does not hold `exp_avg/z.bias`"),
        ("step/z.bias", None, "does not hold `step/z.bias`"),
        ("step", None, "does not hold `step`"),
        ("params/z.bias", np.zeros(2, np.float32), "`params/z.bias` of the checkpoint is [2], not [3]"),
        ("params/w", np.zeros(2, np.float32), "holds more than this run has: `params/w`"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_whole(name: str, change: np.ndarray | None, said: str) -> None:
    ours = learner("adam(lr=0.1)")
    ours.step(batches(1)[0])
    before = ours.state()
    other = dict(before)
    other["params/hidden.weight"] = before["params/hidden.weight"] + 1
    if change is None:
        del other[name]
    else:
        other[name] = change
    with pytest.raises(FlowError, match="E0802") as error:
        ours.load_state(other)
    assert said in str(error.value)
    same(before, ours.state())


# ---------------------------------------------------------------------------------------
# Devices


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cuda:x", "cpu:1", "", "CUDA", "mps:3", "meta"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: str) -> None:
    with pytest.raises(FlowError, match="E0806") as error:
        place.find_device(device or " ")
    assert "cpu" in str(error.value)


def test_the_cpu_is_a_device() -> None:
    assert str(place.find_device("cpu")) == "cpu"


class Gpus:
    """A machine with so many GPUs, as far as `find_device` looks."""

    def __init__(self, count: int) -> None:
        self.count = count

    @contextlib.contextmanager
    def there(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        import torch

        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, "is_available", lambda: True)
            patch.setattr(torch.cuda, "device_count", lambda: self.count)
            yield


def test_each_process_of_a_machine_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with Gpus(2).there(monkeypatch):
        at = place.Place(rank=5, world=8, local_rank=1)
        assert str(place.find_device(None, at=at)) == "cuda:1"
        assert str(place.find_device("cuda", at=at)) == "cuda:1"
        assert str(place.find_device(None)) == "cuda:0"
        assert str(place.find_device("cuda:1")) == "cuda:1"
        assert str(place.find_device("cpu", at=at)) == "cpu"


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Gpus(2).there(monkeypatch):
        with pytest.raises(FlowError, match="number 2 on its machine"):
            place.find_device(None, at=place.Place(2, 3, 2))
        with pytest.raises(FlowError, match="is one GPU, and 2 processes"):
            place.find_device("cuda:1", at=place.Place(0, 2, 0))


def test_a_device_that_is_full_is_told_with_a_cure() -> None:
    import torch

    with pytest.raises(FlowError, match="E0806") as error, guarded():
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    assert "smaller --batch" in str(error.value)
    with pytest.raises(RuntimeError, match="a bug"), guarded():
        raise RuntimeError("a bug of ours")


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FlowError, match=r"E0605") as error:
        place.find_device("cpu")
    assert "pip install 'flowgraph[torch]'" in str(error.value)


def test_a_model_split_over_one_process_trains_the_same() -> None:
    plain = learner("adam(lr=0.1), clip=0.5", "float64")
    with processes("cpu", fsdp=True) as group:
        split = learner("adam(lr=0.1), clip=0.5", "float64", group=group, fsdp=True)
        for batch in batches(4):
            assert split.step(batch) == pytest.approx(plain.step(batch), rel=1e-12)
        assert split.evaluate(batches(1)[0]) == pytest.approx(plain.evaluate(batches(1)[0]))
        found = split.state()
    expected = plain.state()
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-12)


def test_a_single_number_cannot_be_split() -> None:
    text = "input x : [3]\nparam s = 1.0\nloss mean((s * x) ^ 2)\n"
    with (
        processes("cpu", fsdp=True) as group,
        pytest.raises(FlowError, match="--fsdp cannot split the parameter `s`"),
    ):
        learner("sgd()", text=text, group=group, fsdp=True)
