"""The networks over tokens of `examples/models` against independent implementations: values and gradients.

    python benchmarks/comparisons.py

GPT-2, Llama and BERT are compared with the models of Hugging Face's `transformers`, built from a
config, the classifier with `torch.nn.TransformerEncoder`, the recurrent ones with `torch.nn.LSTM` and
`torch.nn.GRU`. Their parameters are drawn at random, given to
ours by name (`Weights`, as `--params` does), and both see the same batch. The table has the
largest relative error of the outputs and of the gradients of all parameters, for the emitted numpy
and torch in both dtypes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flowgraph import Weights
from flowgraph.diagram import Diagram, load
from flowgraph.naming import class_name

MODELS = Path(__file__).resolve().parents[1] / "examples" / "models"
ROUNDING = 1e-6
"""A gradient smaller than this share of the largest one is 0 but for rounding, as that of the bias of
attention's keys: what is left of it is compared with the largest one."""

Arrays = dict[str, np.ndarray]


_DIAGRAMS: dict[str, Diagram] = {}


@dataclass(frozen=True)
class Case:
    """A model at some sizes, and a batch for it: `batch` rows of `length` tokens."""

    model: str
    sizes: dict[str, int]
    batch: int
    length: int

    def __str__(self) -> str:
        sizes = " ".join(f"{k}={v}" for k, v in self.sizes.items())
        return f"{self.model} {sizes} batch={self.batch} T={self.length}"

    def diagram(self) -> Diagram:
        if str(self) not in _DIAGRAMS:
            _DIAGRAMS[str(self)] = load(MODELS / f"{self.model}.flow", settings=self.sizes)
        return _DIAGRAMS[str(self)]


CASES = [
    Case("gpt2", {"V": 97, "P": 64, "L": 2, "H": 4, "D": 32}, batch=3, length=11),
    Case("gpt2", {"V": 53, "P": 7, "L": 3, "H": 1, "D": 37}, batch=1, length=1),
    Case("gpt2", {"V": 101, "P": 13, "L": 1, "H": 3, "D": 33}, batch=2, length=13),
    Case("gpt2", {"V": 211, "P": 31, "L": 12, "H": 12, "D": 84}, batch=2, length=31),
    Case("llama", {"V": 97, "L": 2, "H": 4, "G": 2, "D": 32, "F": 53}, batch=3, length=11),
    Case("llama", {"V": 53, "L": 3, "H": 3, "G": 1, "D": 30, "F": 37}, batch=1, length=1),
    Case("llama", {"V": 31, "L": 1, "H": 7, "G": 7, "D": 14, "F": 29, "base": 500000}, batch=2, length=23),
    Case("bert", {"V": 97, "P": 64, "L": 2, "H": 4, "D": 32, "F": 53, "K": 2}, batch=3, length=11),
    Case("bert", {"V": 53, "P": 7, "L": 3, "H": 1, "D": 37, "F": 41, "K": 5}, batch=1, length=1),
    Case("bert", {"V": 101, "P": 13, "S": 3, "L": 1, "H": 3, "D": 33, "K": 7}, batch=2, length=13),
    Case("transformer_classifier", {"V": 8, "T": 8, "L": 2, "H": 4, "D": 32, "F": 64}, batch=3, length=8),
    Case("transformer_classifier", {"V": 2, "T": 1, "L": 3, "H": 1, "D": 37, "F": 41}, batch=1, length=1),
    Case("transformer_classifier", {"V": 5, "T": 13, "L": 1, "H": 3, "D": 33, "F": 7}, batch=2, length=13),
    Case("lstm_chars", {"V": 23, "D": 32, "L": 2}, batch=3, length=11),
    Case("lstm_chars", {"V": 53, "D": 37, "L": 3}, batch=1, length=1),
    Case("lstm_chars", {"V": 31, "D": 13, "L": 1}, batch=2, length=23),
    Case("lstm_chars", {"V": 97, "D": 128, "L": 2}, batch=5, length=64),
    Case("gru_chars", {"V": 23, "D": 32}, batch=3, length=11),
    Case("gru_chars", {"V": 53, "D": 37}, batch=1, length=1),
    Case("gru_chars", {"V": 31, "D": 13}, batch=2, length=23),
    Case("gru_chars", {"V": 97, "D": 128}, batch=5, length=64),
]


@dataclass
class Theirs:
    """A model that is not ours.

    module: with random parameters. run: outputs and loss, given the batch as tensors. names: how its
    names become ours.
    """

    module: Any
    run: Callable[[Any, Mapping[str, Any]], tuple[list[Any], Any]]
    names: dict[str, list[str]] = field(default_factory=dict)

    def weights(self, values: Mapping[str, Any]) -> Weights:
        """Values by their names, to be read by ours."""
        return Weights(values, **self.names)


@dataclass(frozen=True)
class Difference:
    """The largest relative error: of an output, and of a parameter's gradient."""

    outputs: float
    gradients: float


# ---------------------------------------------------------------------------------------
# The other implementations


def gpt2(sizes: Mapping[str, int]) -> Theirs:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=sizes["V"], n_positions=sizes["P"], n_embd=sizes["D"], n_layer=sizes["L"],
        n_head=sizes["H"], bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    names = {"rename": ["transformer.*=*"], "transpose": ["h.*.c_*.weight"]}
    return Theirs(GPT2LMHeadModel(config), next_token, names)


def llama(sizes: Mapping[str, int]) -> Theirs:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=sizes["V"], hidden_size=sizes["D"], intermediate_size=sizes["F"], rms_norm_eps=1e-5,
        num_hidden_layers=sizes["L"], num_attention_heads=sizes["H"], num_key_value_heads=sizes["G"],
        rope_parameters={"rope_type": "default", "rope_theta": float(sizes.get("base", 10000))},
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    return Theirs(LlamaForCausalLM(config), next_token, {"rename": ["model.*=*"]})


def bert(sizes: Mapping[str, int]) -> Theirs:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=sizes["V"], max_position_embeddings=sizes["P"], type_vocab_size=sizes.get("S", 2),
        hidden_size=sizes["D"], num_hidden_layers=sizes["L"], num_attention_heads=sizes["H"],
        intermediate_size=sizes.get("F", 4 * sizes["D"]), num_labels=sizes["K"], pad_token_id=None,
    )  # fmt: skip
    renames = ["bert.encoder.layer.*.output.*=encoder.*.out.*", "bert.encoder.layer.*=encoder.*", "bert.*=*"]

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        found = module(
            input_ids=batch["ids"], token_type_ids=batch["segments"], attention_mask=batch["seen"].long(),
            labels=batch["label"], output_hidden_states=True,
        )  # fmt: skip
        return [found.hidden_states[-1], found.logits], found.loss

    return Theirs(BertForSequenceClassification(config), run, {"rename": renames})


def next_token(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """The scores of a language model, and their mean cross-entropy."""
    logits = module(input_ids=batch["ids"], use_cache=False).logits
    return with_loss(logits, batch)


def with_loss(logits: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """The scores, and the mean cross-entropy of all places."""
    from torch.nn import functional as F

    return [logits], F.cross_entropy(logits.flatten(0, 1), batch["next"].flatten())


def transformer_classifier(sizes: Mapping[str, int]) -> Theirs:
    import torch
    from torch import nn

    layer = nn.TransformerEncoderLayer(sizes["D"], sizes["H"], sizes["F"], dropout=0, batch_first=True)
    module = nn.Module()
    module.embed = nn.Embedding(sizes["V"], sizes["D"])
    module.place = nn.Embedding(sizes["T"], sizes["D"])
    module.encoder = nn.TransformerEncoder(layer, sizes["L"], enable_nested_tensor=False)
    module.z = nn.Linear(sizes["D"], 2)

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        u = module.embed(batch["letters"]) + module.place(torch.arange(sizes["T"]))
        z = module.z(module.encoder(u).mean(dim=1))
        return [z.softmax(dim=-1)], nn.functional.cross_entropy(z, batch["palindrome"])

    renames = ["encoder.*.in_proj_*=*.in_proj.*", "encoder.*=*"]
    return Theirs(module, run, {"rename": renames})


def lstm_chars(sizes: Mapping[str, int]) -> Theirs:
    from torch import nn

    width, layers = sizes["D"], sizes["L"]
    module = nn.Module()
    module.embed = nn.Embedding(sizes["V"], width)
    module.lstm = nn.LSTM(width, width, layers, batch_first=True)
    module.logits = nn.Linear(width, sizes["V"])

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        h, _ = module.lstm(module.embed(batch["ids"]))
        return with_loss(module.logits(h), batch)

    return Theirs(module, run, {"rename": [f"lstm.*_l{i}=lstm.{i}.h.*" for i in range(layers)]})


def gru_chars(sizes: Mapping[str, int]) -> Theirs:
    import torch
    from torch import nn

    module = nn.Module()
    module.table = nn.Embedding(sizes["V"], sizes["D"])
    module.gru = nn.GRU(sizes["D"], sizes["D"], batch_first=True)
    module.bias = nn.Parameter(torch.zeros(sizes["V"]))

    def run(module: Any, batch: Mapping[str, Any]) -> tuple[list[Any], Any]:
        h, _ = module.gru(module.table(batch["ids"]))
        return with_loss(nn.functional.linear(h, module.table.weight, module.bias), batch)

    return Theirs(module, run, {"rename": ["gru.*_l0=h.*"]})


BUILDERS = {f.__name__: f for f in (gpt2, llama, bert, transformer_classifier, lstm_chars, gru_chars)}


def build(case: Case, dtype: str, seed: int = 0) -> Theirs:
    """The other implementation with random parameters: weights near 1 for norms, near 0 for others."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = BUILDERS[case.model](case.sizes)
    theirs.module.to(getattr(torch, dtype))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, param in theirs.module.named_parameters():
            start = 1.0 if "norm" in name.lower() or ".ln_" in name else 0.0
            shift = start if name.endswith("weight") else 0.0
            drawn = torch.randn(param.shape, generator=generator, dtype=torch.float64)
            param.copy_(shift + drawn / math.sqrt(max(param.shape[-1], 4)))
    theirs.module.eval()
    if case.model == "llama" and dtype == "float64":
        in_double(theirs.module)
    return theirs


def in_double(module: Any) -> None:
    """Let Llama compute in double precision what it always does in single: norms and angles.

    The norms become PyTorch's; the angles are the same formula. What turns a row by them is theirs.
    """
    import torch
    from torch import nn

    class Angles(nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.base = config.rope_parameters["rope_theta"]
            self.width = config.hidden_size // config.num_attention_heads

        def forward(self, x: Any, position_ids: Any) -> tuple[Any, Any]:
            steps = torch.arange(0, self.width, 2, dtype=torch.float64) / self.width
            angles = position_ids[..., None].double() / self.base**steps
            both = torch.cat((angles, angles), dim=-1)
            return both.cos(), both.sin()

    def double(norm: Any) -> Any:
        made = nn.RMSNorm(len(norm.weight), eps=norm.variance_epsilon)
        made.weight = norm.weight
        return made

    model = module.model
    model.rotary_emb = Angles(module.config)
    model.norm = double(model.norm)
    for layer in model.layers:
        layer.input_layernorm = double(layer.input_layernorm)
        layer.post_attention_layernorm = double(layer.post_attention_layernorm)


# ---------------------------------------------------------------------------------------
# Comparing


def batch_of(case: Case, diagram: Diagram, seed: int = 1) -> Arrays:
    """Random inputs and targets; a text is seen up to a place, at least its first."""
    rng = np.random.default_rng(seed)
    graph, found = diagram.graph, {}
    for name in (*graph.inputs, *graph.targets):
        type = graph[name].type
        shape = (case.batch, *(case.length for _ in type.shape))
        if type.elem.kind == "bool":
            ends = rng.integers(1, case.length + 1, case.batch)
            found[name] = np.arange(case.length) < ends[:, None]
        else:
            found[name] = rng.integers(0, type.elem.classes.value, shape)
    return found


def answer_of_theirs(case: Case, theirs: Theirs, diagram: Diagram, batch: Arrays) -> tuple[list[Any], Arrays]:
    """Outputs, and gradients by our names."""
    outputs, loss = theirs.run(theirs.module, tensors(batch))
    loss.backward()
    grads = {name: p.grad for name, p in theirs.module.named_parameters()}
    return [o.detach().numpy() for o in outputs], diagram.params(theirs.weights(grads), dtype="float64")


def answer_of_numpy(
    diagram: Diagram, dtype: str, params: Arrays, batch: Arrays
) -> tuple[list[np.ndarray], Arrays]:
    module = emitted(diagram, "numpy", dtype)
    outputs = module["forward"](params, **{k: batch[k] for k in diagram.graph.inputs})
    _, grads = module["loss_and_grad"](params, **batch)
    return list(outputs) if isinstance(outputs, tuple) else [outputs], grads


def answer_of_torch(
    diagram: Diagram, dtype: str, params: Arrays, batch: Arrays
) -> tuple[list[np.ndarray], Arrays]:
    model, given = torch_model(diagram, dtype, params), tensors(batch)
    outputs = model(**{k: given[k] for k in diagram.graph.inputs})
    model.loss(**given).backward()
    grads = {name: p.grad.numpy() for name, p in model.named_parameters()}
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    return [o.detach().numpy() for o in several], grads


ANSWERS = {"numpy": answer_of_numpy, "torch": answer_of_torch}


def tensors(batch: Arrays) -> dict[str, Any]:
    """The arrays of a batch as tensors."""
    import torch

    return {name: torch.tensor(value) for name, value in batch.items()}


def emitted(diagram: Diagram, target: str, dtype: str) -> dict[str, Any]:
    """The namespace of the emitted module."""
    space: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(diagram.compile(target, dtype=dtype), "emitted.py", "exec"), space)
    return space


def torch_model(diagram: Diagram, dtype: str, params: Mapping[str, np.ndarray]) -> Any:
    """The emitted module with these parameters."""
    import torch

    model = emitted(diagram, "torch", dtype)[class_name(diagram.name)]()
    state = {name: torch.tensor(value) for name, value in params.items()}
    model.load_state_dict(state, strict=True)
    return model


def error(ours: np.ndarray, theirs: np.ndarray, largest_of_all: float = 0.0) -> float:
    """The largest difference over the largest entry of theirs.

    largest_of_all: of all gradients, over which it is for those that are rounding only.
    """
    assert np.shape(ours) == np.shape(theirs)
    assert np.all(np.isfinite(ours))
    largest = float(np.max(np.abs(theirs)))
    if largest < ROUNDING * largest_of_all:
        largest = largest_of_all
    return float(np.max(np.abs(np.asarray(ours, dtype=np.float64) - theirs))) / largest


def compare(case: Case, target: str, dtype: str) -> Difference:
    """The emitted code of a target against the other implementation, both in a dtype."""
    diagram = case.diagram()
    theirs = build(case, dtype)
    params = diagram.params(theirs.weights(dict(theirs.module.named_parameters())), dtype=dtype)
    batch = batch_of(case, diagram)
    outputs, grads = answer_of_theirs(case, theirs, diagram, batch)
    our_outputs, our_grads = ANSWERS[target](diagram, dtype, params, batch)
    assert set(our_grads) == set(grads)
    largest = max(float(np.max(np.abs(g))) for g in grads.values())
    return Difference(
        max(error(a, b) for a, b in zip(our_outputs, outputs, strict=True)),
        max(error(our_grads[name], grads[name], largest) for name in grads),
    )


def main() -> None:
    print("| model | target | dtype | outputs | gradients |\n|---|---|---|---:|---:|")
    for case in CASES:
        for target in ANSWERS:
            for dtype in ("float64", "float32"):
                found = compare(case, target, dtype)
                print(f"| {case} | {target} | {dtype} | {found.outputs:.1e} | {found.gradients:.1e} |")


if __name__ == "__main__":
    main()
