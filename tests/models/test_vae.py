"""The variational autoencoder of `examples/models`: its loss, its draws, and what it learns."""

from __future__ import annotations

import functools
import importlib
import warnings
from pathlib import Path
from typing import Any

import comparisons
import numpy as np
import pytest
from comparisons import MODELS, Arrays, tensors
from conftest import Golden
from running import HAS_TORCH, ROOT
from shown import shown_commands, words_of
from test_digits import parts
from trained import TARGETS

from flowgraph.cli.main import main
from flowgraph.diagram import load

FILE = MODELS / "vae.flow"
BOUNDS = {"float64": 1e-9, "float32": 1e-5}
SIZES = [({}, 7), ({"H": 37, "Z": 3}, 1), ({"H": 1, "Z": 1}, 2)]

needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


def batch_of(count: int, dtype: str = "float64") -> Arrays:
    """Images of random brightness, and labels."""
    rng = np.random.default_rng(1)
    return {"x": rng.integers(0, 17, (count, 64)).astype(dtype), "y": rng.integers(0, 10, count)}


def rng_of(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


@functools.cache
def module_of(dtype: str = "float64") -> dict[str, Any]:
    return comparisons.emitted(load(FILE), "numpy", dtype)


# ---------------------------------------------------------------------------------------
# The loss


def torch_answer(params: Arrays, batch: Arrays, drawn: np.ndarray) -> tuple[list[Any], float, Arrays]:
    """mu, logvar and the image made again, the loss, and its gradient, written with torch alone.

    drawn: the numbers that say which code is drawn. The divergence is PyTorch's own.
    """
    import torch
    from torch.distributions import Normal, kl_divergence
    from torch.nn import functional as F

    w = {k: torch.tensor(v.astype(np.float64), requires_grad=True) for k, v in params.items()}

    def layer(name: str, h: Any) -> Any:
        return F.linear(h, w[f"{name}.weight"], w[f"{name}.bias"])

    image = torch.tensor((batch["x"] >= 8).astype(np.float64))
    wide = layer("encoder.wide", image).relu()
    mu, logvar = layer("encoder.mu", wide), layer("encoder.logvar", wide)
    codes = Normal(mu, logvar.exp().sqrt())
    z = mu + codes.scale * torch.tensor(drawn.astype(np.float64))
    pixels = layer("decoder.pixels", layer("decoder.wide", z).relu())
    rest = F.binary_cross_entropy_with_logits(pixels, image, reduction="none").sum(dim=1)
    rest = rest + kl_divergence(codes, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(dim=1)
    reading = F.cross_entropy(layer("reader", mu.detach()), torch.tensor(batch["y"]))
    loss = rest.mean() + reading
    loss.backward()
    grads = {k: np.asarray(p.grad) for k, p in w.items()}
    return [o.detach().numpy() for o in (mu, logvar, pixels.sigmoid())], loss.item(), grads


def assert_agree(found: tuple[Any, float, Arrays], params: Arrays, batch: Arrays, dtype: str) -> None:
    """Outputs, loss and gradients as PyTorch's, for the code that was drawn."""
    (mu, logvar, z, remade, _), loss, grads = found
    outputs, their_loss, their_grads = torch_answer(params, batch, (z - mu) / np.exp(logvar / 2))
    errors = [comparisons.error(a, b) for a, b in zip((mu, logvar, remade), outputs, strict=True)]
    errors.append(abs(loss - their_loss) / their_loss)
    assert set(grads) == set(their_grads)
    largest = max(float(np.max(np.abs(g))) for g in their_grads.values())
    errors += [comparisons.error(g, their_grads[k], largest) for k, g in grads.items()]
    assert max(errors) <= BOUNDS[dtype]


@needs_torch
@pytest.mark.parametrize(("sizes", "count"), SIZES)
@pytest.mark.parametrize("dtype", BOUNDS)
def test_numpy_agrees_with_torch_distributions(sizes: dict[str, int], count: int, dtype: str) -> None:
    module = comparisons.emitted(load(FILE, settings=sizes), "numpy", dtype)
    params, batch = module["init"](3), batch_of(count, dtype)
    outputs = module["forward"](params, batch["x"], rng=rng_of())
    loss, grads = module["loss_and_grad"](params, **batch, rng=rng_of())
    assert loss == pytest.approx(module["loss"](params, **batch, rng=rng_of()), rel=1e-6)
    assert_agree((outputs, loss, grads), params, batch, dtype)


@needs_torch
@pytest.mark.parametrize(("sizes", "count"), SIZES)
@pytest.mark.parametrize("dtype", BOUNDS)
def test_torch_agrees_with_torch_distributions(sizes: dict[str, int], count: int, dtype: str) -> None:
    import torch

    diagram = load(FILE, settings=sizes)
    params = comparisons.emitted(diagram, "numpy", dtype)["init"](3)
    model, batch = comparisons.torch_model(diagram, dtype, params), batch_of(count, dtype)
    given = tensors(batch)
    torch.manual_seed(5)
    outputs = [o.detach().numpy() for o in model(given["x"])]
    torch.manual_seed(5)
    loss = model.loss(**given)
    loss.backward()
    grads = {k: p.grad.numpy() for k, p in model.named_parameters()}
    assert_agree((outputs, loss.item(), grads), params, batch, dtype)


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    """∫ q ln(q / p), summed up over a grid for each number of a code; and 0 where both are the same."""
    params = module_of()["init"](0)
    batch = batch_of(4)
    for factor in (0.0, 1.0, 3.0):
        for part in ("mu", "logvar"):
            for kind in ("weight", "bias"):
                params[f"encoder.{part}.{kind}"] = factor * module_of()["init"](0)[f"encoder.{part}.{kind}"]
        mu, logvar, _, remade, _ = module_of()["forward"](params, batch["x"], rng=rng_of())
        spread = np.exp(logvar / 2)
        steps = np.linspace(-12, 12, 20_001)
        at = mu[..., None] + spread[..., None] * steps
        ln_q = -0.5 * steps**2 - np.log(spread)[..., None]
        ln_p = -0.5 * at**2
        q_times_width = np.exp(-0.5 * steps**2) / np.sqrt(2 * np.pi) * (steps[1] - steps[0])
        divergence = np.sum(q_times_width * (ln_q - ln_p), axis=(1, 2))
        image = batch["x"] >= 8
        cost = -np.log(np.where(image, remade, 1 - remade)).sum(axis=1)
        bound = module_of()["metrics"](params, **batch, rng=rng_of())["bound"]
        assert -bound == pytest.approx(np.mean(cost + divergence), rel=1e-9)
        if factor == 0:
            np.testing.assert_allclose(divergence, 0, atol=1e-12)


# ---------------------------------------------------------------------------------------
# The draws


def test_draws_need_a_generator() -> None:
    with pytest.raises(ValueError, match=r"rng is needed.*normal"):
        module_of()["forward"](module_of()["init"](0), batch_of(2)["x"])


def test_every_image_and_every_call_has_its_own_draws() -> None:
    """Of the same image twice other codes, in training or not; the same from the same seed."""
    params, x = module_of()["init"](0), np.tile(batch_of(1)["x"], (2, 1))
    rng = rng_of()
    first = module_of()["forward"](params, x, rng=rng)
    second = module_of()["forward"](params, x, rng=rng)
    for drawn in (2, 3, 4):
        assert np.all(first[drawn][0] != first[drawn][1])
        assert np.all(first[drawn] != second[drawn])
    for given in (False, True):
        again = module_of()["forward"](params, x, train=given, rng=rng_of())
        for a, b in zip(first, again, strict=True):
            np.testing.assert_array_equal(a, b)


def test_codes_are_distributed_as_the_encoder_says() -> None:
    """Their mean and variance over 20,000 draws, to five standard errors."""
    params, count = module_of()["init"](0), 20_000
    x = np.tile(batch_of(1)["x"], (count, 1))
    mu, logvar, z, _, _ = module_of()["forward"](params, x, rng=rng_of())
    variance = np.exp(logvar[0])
    assert np.all(np.abs(z.mean(axis=0) - mu[0]) < 5 * np.sqrt(variance / count))
    assert np.all(np.abs(z.var(axis=0) / variance - 1) < 5 * np.sqrt(2 / count))


# ---------------------------------------------------------------------------------------
# What it learns


@functools.cache
def trained(target: str) -> Any:
    return load(FILE).train(target=target)


@pytest.mark.parametrize("target", TARGETS)
def test_the_bound_rises_above_that_of_single_pixels(target: str) -> None:
    """On the held-out fifth: by five nats over the exact likelihood of pixels that are independent."""
    found = trained(target)
    bounds = [row["val_bound"] for row in found.rows]
    assert bounds[-1] > bounds[0] + 5
    assert found.training.values["bound"] > found.validation.values["bound"] - 0.1
    training, held_out = (part["x"] >= 8 for part in parts())
    chance = (training.sum(axis=0) + 1) / (len(training) + 2)
    single = np.log(np.where(held_out, chance, 1 - chance)).sum(axis=1).mean()
    assert found.validation.values["bound"] > single + 5
    assert found.validation.values["accuracy"] > 0.7


def test_invented_digits_are_like_the_others() -> None:
    """Each pixel is black as often as in the data, and pixels go together as they do there."""
    training, _ = parts()
    image = (training["x"] >= 8).astype(np.float64)
    module = module_of("float32")
    *_, invented = module["forward"](trained("numpy").params, training["x"], rng=rng_of())
    assert np.abs(invented.mean(axis=0) - image.mean(axis=0)).max() < 0.1
    ours, theirs = (np.cov(a.T)[np.triu_indices(64, 1)] for a in (invented, image))
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9


# ---------------------------------------------------------------------------------------
# The file


@needs_torch
def test_compiles_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a break, from the same draws the same values."""
    import torch

    (tmp_path / "emitted_vae.py").write_text(load(FILE).compile("torch"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    model, batch = importlib.import_module("emitted_vae").Vae(), tensors(batch_of(3, "float32"))
    torch.manual_seed(5)
    expected = model.loss(**batch)
    torch._dynamo.reset()
    torch.manual_seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = torch.compile(model.loss, fullgraph=True, backend="aot_eager")(**batch)
        exported = torch.export.export(model, (), {"x": batch["x"]}).module()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(exported(x=batch["x"])[0], model(batch["x"])[0])


@pytest.mark.parametrize("target", ["numpy", "torch"])
def test_sampling_code(target: str, golden: Golden) -> None:
    golden(load(FILE).compile(target), suffix=".py")


def test_silent_and_canonical(capsys: pytest.CaptureFixture[str]) -> None:
    assert load(FILE).warnings == ()
    assert main(["fmt", "--check", str(FILE)]) == 0, capsys.readouterr().err


@pytest.mark.slow
def test_verified() -> None:
    found = load(FILE).verify()
    assert found.ok, found.table()


def test_commands_at_the_head_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in shown_commands(FILE):
        words = words_of(line, FILE)
        assert main([*words, *(["--steps", "2"] if words[0] == "train" else [])]) == 0


def test_the_readme_names_it() -> None:
    assert "examples/models/vae.flow" in (ROOT / "README.md").read_text(encoding="utf-8")
