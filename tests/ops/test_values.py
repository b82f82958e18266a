"""Values and rules worked out by hand: what the documentation of each operation promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from op_cases import Run, backward

from flowgraph.graph import Builder, Graph
from flowgraph.ops import OPS
from flowgraph.ops.base import Arg, Sample, Value, apply, fn, klass, real
from flowgraph.ops.init import INITS, FanUniform, fans
from flowgraph.ops.optimiser import OPTIMISERS, SCHEDULES
from flowgraph.types import BOOL, INT, REAL, Dim, Elem, Mismatch, NotYetKnown, TensorType, Unifier, Unknown


def value(name, *arrays, **attrs):
    """An operation's value on numbers and lists; whole numbers stay whole."""
    arrays = [np.asarray(a) for a in arrays]
    kinds = {"f": "real", "i": "int", "b": "bool"}
    sample = Sample(*(Arg(a.shape, kind=kinds[a.dtype.kind]) for a in arrays), **attrs)
    return np.asarray(Run(OPS[name], sample).value(arrays)).tolist()


def gradient(name, *arrays, wrt=0, kinds=(), **attrs):
    """The gradient of the sum of an operation's value."""
    arrays = [np.asarray(a) for a in arrays]
    args = [kinds[i] if i < len(kinds) and kinds[i] else Arg(a.shape) for i, a in enumerate(arrays)]
    run = Run(OPS[name], Sample(*args, **attrs))
    ones = run.input(run.result.type)
    back = backward(run, ones)[wrt]
    shape = tuple(d.value for d in run.result.type.shape)
    return run.values([*arrays, np.ones(shape)])[back.name].tolist()


def test_step_is_one_at_zero():
    assert value("step", [-0.5, 0.0, 0.5]) == [0, 1, 1]


def test_sign_is_zero_at_zero():
    assert value("sign", [-2.0, 0.0, 3.0]) == [-1, 0, 1]


def test_rounding_halves_go_to_the_even_number():
    assert value("round", [0.5, 1.5, 2.5, -0.5]) == [0, 2, 2, 0]


def test_remainder_has_the_sign_of_the_divisor():
    assert value("mod", [7, -7], 3) == [1, 2]
    assert value("mod", [7.5, -7.5], -2.0) == [-0.5, -1.5]


def test_powers_are_of_reals():
    assert value("pow", [2, 3], 2) == [4.0, 9.0]
    assert gradient("pow", [0.0, 2.0], [0.0, 3.0]) == [0, 12]


@pytest.mark.parametrize(("name", "want"), [("relu", [0, 0, 1]), ("abs", [-1, 0, 1]), ("relu6", [0, 0, 1])])
def test_derivatives_at_a_kink(name, want):
    assert gradient(name, [-1.0, 0.0, 1.0]) == want


def test_ties_go_to_the_first():
    assert value("argmax", [1.0, 3.0, 3.0]) == 1
    assert value("argmin", [2.0, 1.0, 1.0]) == 1
    assert gradient("max", [1.0, 3.0, 3.0]) == [0, 1, 0]
    assert gradient("min", [[1.0, 3.0], [1.0, 1.0]]) == [[1, 0], [0, 0]]
    assert gradient("maximum", [2.0], [2.0]) == [1]
    assert gradient("maximum", [2.0], [2.0], wrt=1) == [0]


def test_the_perceptron_gradient_at_a_tie_is_the_textbook_one():
    labels = (None, klass(3))
    assert value("perceptron", [1.0, 4.0, 2.0], 2) == 2
    assert gradient("perceptron", [4.0, 4.0, 2.0], 1, kinds=labels) == [1, -1, 0]
    assert gradient("perceptron", [4.0, 4.0, 2.0], 0, kinds=labels) == [0, 0, 0]


def test_variance_divides_by_n():
    assert value("var", [1.0, 2.0, 3.0, 4.0]) == 1.25
    assert value("var", [1.0, 2.0, 3.0, 4.0], correction=1) == pytest.approx(5 / 3)
    assert value("std", [1.0, 3.0]) == 1
    assert gradient("std", [2.0, 2.0]) == [0, 0]


def test_the_gradient_of_norm_at_zero_is_zero():
    assert value("norm", [3.0, 4.0]) == 5
    assert gradient("norm", [3.0, 4.0]) == pytest.approx([0.6, 0.8])
    assert gradient("norm", [0.0, 0.0]) == [0, 0]


def test_the_gradient_of_a_product_with_zeros():
    assert gradient("prod", [2.0, 0.0, 3.0]) == [0, 6, 0]
    assert gradient("prod", [0.0, 0.0, 3.0]) == [0, 0, 0]


def test_reductions_of_truth_values_count():
    assert value("sum", [True, False, True]) == 2
    assert value("mean", [True, False, True, True]) == 0.75


def test_padding_names_the_last_axis_first():
    assert value("pad", [[1.0]], widths=(1, 0, 0, 2)) == [[0, 1], [0, 0], [0, 0]]


def test_split_by_sizes_and_by_number():
    run = Run(OPS["split"], Sample(real(5), parts=(2, 3)))
    assert [p.tolist() for p in run.value([np.arange(5.0)])] == [[0, 1], [2, 3, 4]]
    run = Run(OPS["split"], Sample(real(4), parts=2))
    assert [p.tolist() for p in run.value([np.arange(4.0)])] == [[0, 1], [2, 3]]


def test_indices_count_from_the_end_too():
    rows = [[1, 2], [3, 4], [5, 6]]
    assert value("index", rows, items=(-1, 0)) == 5
    assert value("index", rows, items=(("slice", 1, None), ("slice", None, -1))) == [[3], [5]]


def test_einsum_without_a_result_takes_the_letters_that_occur_once():
    assert value("einsum", [[1.0, 2.0], [3.0, 4.0]], subscripts="ii") == 5
    assert value("einsum", [[1.0, 2.0]], [[3.0], [4.0]], subscripts="ij, jk") == [[11.0]]


def test_losses_by_hand():
    assert value("mse", [1.0, 3.0], [0.0, 1.0]) == 2.5
    assert value("mae", [1.0, 3.0], [0.0, 1.0]) == 1.5
    assert value("huber", [0.5, 3.0], [0.0, 0.0]) == (0.125 + 2.5) / 2
    assert value("huber", 3.0, 0.0, delta=2.0) == 4
    assert value("hinge", [2.0, 0.5], [1.0, -1.0]) == 0.75
    assert value("bce", 0.25, 1.0) == pytest.approx(math.log(4))
    assert value("nll", [-0.5, -2.0], 1) == 2
    assert value("cross_entropy", [0.0, 0.0], 1) == pytest.approx(math.log(2))
    assert value("cross_entropy", [0.0, 0.0], [0.25, 0.75]) == pytest.approx(math.log(2))
    assert value("kl_div", [math.log(0.5), math.log(0.5)], [1.0, 0.0]) == pytest.approx(math.log(2))


def test_the_gradient_of_cross_entropy_is_softmax_minus_one_hot():
    got = gradient("cross_entropy", [0.0, math.log(3.0)], 1, kinds=(None, klass(2)))
    assert got == pytest.approx([0.25, -0.25])


def test_accuracy_in_each_of_its_ways():
    assert value("accuracy", [0.2, 0.5, 0.3], 1) == 1
    assert value("accuracy", [0.5, 0.5, 0.3], 1) == 0
    assert value("accuracy", [0.2, 0.5], [0.0, 1.0]) == 1
    assert value("accuracy", 0.5, 1) == 1
    assert value("accuracy", 0.4, 1.0) == 0
    assert value("accuracy", 0.4, 1, how="logit") == 1
    assert value("accuracy", 0.0, 1, how="logit") == 0
    assert value("accuracy", 2, 2) == 1
    assert value("accuracy", [[1.0, 0.0], [1.0, 0.0]], [0, 1]) == 0.5


def test_top_k_counts_ties_in_order():
    assert value("top_k", [3.0, 1.0, 3.0], 2, k=1) == 0
    assert value("top_k", [3.0, 1.0, 3.0], 2, k=2) == 1
    assert value("top_k", [3.0, 1.0, 3.0], 1, k=2) == 0


# ---------------------------------------------------------------------------------------
# Types


def result(name, *types, **attrs):
    return OPS[name](**attrs).result_type(list(types))


def of(*shape, elem=REAL):
    return TensorType(elem, tuple(d if isinstance(d, (Dim, Unknown)) else Dim.of(d) for d in shape))


T = Dim.symbol("T")


def test_element_types():
    label = Elem("class", Dim.of(3))
    assert result("add", of(elem=label), of(elem=label)).elem == INT
    assert result("add", of(elem=INT), of()).elem == REAL
    assert result("div", of(elem=INT), of(elem=INT)).elem == REAL
    assert result("equal", of(elem=label), of(elem=INT)).elem == BOOL
    assert result("argmax", of(5)).elem == Elem("class", Dim.of(5))
    assert result("one_hot", of(T, elem=label)) == of(T, 3)
    assert result("max", of(4, elem=INT)).elem == INT


def test_symbolic_sizes():
    assert result("reshape", of(T, 6), shape=(-1, 3)) == of(2 * T, 3)
    assert result("flatten", of(T, 6)) == of(6 * T)
    assert result("concat", of(T), of(2)) == of(T + 2)
    assert result("index", of(T, 3), items=(("slice", 1, None),)) == of(T - 1, 3)
    assert result("index", of(T, 3), items=(("slice", None, -1), 0)) == of(T - 1)
    assert result("matmul", of(T, 3), of(3, T)) == of(T, T)
    assert result("pad", of(T), widths=(T, 1)) == of(2 * T + 1)
    assert result("stack", of(T), of(T)) == of(2, T)
    assert result("zeros", shape=(T, 2)) == of(T, 2)


def test_symbolic_sizes_in_forms():
    op = OPS["index"](items=(("slice", 0, T - 1), -1))
    got = op.evaluate([np.arange(12.0).reshape(4, 3)], [of(T, 3)], {"T": 4})
    assert got.tolist() == [2, 5, 8]
    padded = OPS["pad"](widths=(T, 0)).evaluate([np.ones(2)], [of(T)], {"T": 2})
    assert padded.tolist() == [0, 0, 1, 1]


def test_unknown_sizes_are_inferred():
    u, columns = Unifier(), Unknown()
    OPS["matmul"]().rule(u, of(4, columns), of(7))
    assert u.resolve(columns) == 7
    u, width = Unifier(), Unknown()
    OPS["add"]().rule(u, of(width), of(5))
    assert u.resolve(width) == 5
    u, classes = Unifier(), Unknown()
    OPS["cross_entropy"]().rule(u, of(classes), of(elem=Elem("class", Dim.of(10))))
    assert u.resolve(classes) == 10
    with pytest.raises(NotYetKnown):
        OPS["reshape"](shape=(2, -1)).rule(Unifier(), of(Unknown()))


def test_the_message_of_a_product_that_does_not_fit():
    with pytest.raises(Mismatch) as caught:
        result("matmul", of(128, 784), of(100))
    error = caught.value
    assert error.message == "shapes do not agree"
    assert error.blame == ((0, "is [128, 784]"), (1, "is [100]"))
    # The names of the operands are put in where the error is reported.
    assert error.help == "`@` needs the last size of {a} (784) to be the size of {b} (100)"
    assert [str(s) for s in error.sizes] == ["784", "100"]


def test_an_index_out_of_range_has_its_code():
    with pytest.raises(Mismatch) as caught:
        result("index", of(3), items=(3,))
    assert caught.value.code == "E0305" and "0 to 2" in caught.value.help


# ---------------------------------------------------------------------------------------
# Batching as one would write it by hand


def batched(op, *args):
    """The operations that batching makes; args that are pairs (arg, False) stay fixed."""
    given = [a if isinstance(a, tuple) else (a, True) for a in args]
    run = Run(
        type(op), Sample(*(a for a, _ in given), **op.values), [i for i, (_, b) in enumerate(given) if b]
    )
    return [n.op.name for n in run.graph if n.op.name != "input"]


def test_products_read_as_by_hand():
    product = OPS["matmul"]()
    assert batched(product, (real(2, 3), False), real(3)) == ["transpose_last", "matmul"]
    assert batched(product, real(3), (real(3, 2), False)) == ["matmul"]
    assert batched(product, (real(3), False), real(3)) == ["matmul"]
    assert batched(product, real(3), real(3)) == ["mul", "sum"]
    assert batched(product, real(4, 3), (real(3, 2), False)) == ["matmul"]


def test_a_layer_stays_one_operation():
    linear = OPS["linear"](out=Dim.of(2))
    assert batched(linear, real(3), (real(2, 3), False), (real(2), False)) == ["linear"]


def test_elementwise_operands_are_aligned():
    assert batched(OPS["add"](), real(3), (real(3), False)) == ["add"]
    assert batched(OPS["add"](), real(), (real(3), False)) == ["unsqueeze", "add"]


# ---------------------------------------------------------------------------------------
# Layers, initialisers, optimisers


def test_the_parameters_of_linear():
    weight, bias = OPS["linear"](out=Dim.of(3)).parameters(Unifier(), of(4))
    assert (weight.name, weight.shape) == ("weight", (Dim.of(3), Dim.of(4)))
    assert (bias.name, bias.shape) == ("bias", (Dim.of(3),))
    assert weight.init == FanUniform(fan_in=4)
    assert len(OPS["linear"](out=Dim.of(3), bias=False).parameters(Unifier(), of(4))) == 1
    with pytest.raises(Mismatch, match="size known at compile time"):
        OPS["linear"](out=Dim.of(3)).parameters(Unifier(), of(T))


def test_the_parameters_of_bilinear():
    weight, bias = OPS["bilinear"](out=Dim.of(2)).parameters(Unifier(), of(4), of(5))
    assert weight.shape == (2, 4, 5) and bias.shape == (2,)
    assert weight.init == FanUniform(fan_in=4)


def test_fans():
    assert fans((3, 4)) == (4, 3)
    assert fans((8, 2, 3, 5)) == (30, 120)


@pytest.mark.parametrize(
    ("name", "attrs", "mean", "std"),
    [
        ("zeros", {}, 0, 0),
        ("ones", {}, 1, 0),
        ("constant", {"value": 0.5}, 0.5, 0),
        ("normal", {"std": 0.5}, 0, 0.5),
        ("uniform", {"a": 1.0, "b": 3.0}, 2, 2 / math.sqrt(12)),
        ("glorot", {}, 0, math.sqrt(2 / 700)),
        ("he", {}, 0, math.sqrt(2 / 400)),
        ("lecun", {}, 0, math.sqrt(1 / 400)),
    ],
)
def test_initialisers_have_the_moments_they_promise(name, attrs, mean, std):
    drawn = INITS[name](**attrs).draw(np.random.default_rng(1), (300, 400))
    assert drawn.dtype == np.float64 and drawn.shape == (300, 400)
    assert drawn.mean() == pytest.approx(mean, abs=0.01)
    assert drawn.std() == pytest.approx(std, rel=0.01, abs=1e-12)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (2, 3, 2)])
def test_orthogonal(shape):
    drawn = INITS["orthogonal"](gain=2.0).draw(np.random.default_rng(0), shape)
    flat = drawn.reshape(shape[0], -1) / 2
    square = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    assert square == pytest.approx(np.eye(len(square)), abs=1e-12)


def test_torch_initialisers_draw_from_the_same_distribution():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for name, init in INITS.items():
        if not init.public:
            continue
        made = init(**({"value": 0.5} if name == "constant" else {}))
        tensor = torch.empty(300, 400)
        torch.manual_seed(0)
        eval(type(made).torch, {"nn": torch.nn, "tensor": tensor, **made.values})
        drawn = made.draw(np.random.default_rng(0), (300, 400))
        assert float(tensor.mean()) == pytest.approx(drawn.mean(), abs=0.01), name
        assert float(tensor.std()) == pytest.approx(drawn.std(), rel=0.02, abs=1e-6), name


def test_initialisers_say_what_does_not_fit():
    assert "axes" in INITS["glorot"]().misfit((3,))
    assert INITS["zeros"]().misfit(()) == ""
    with pytest.raises(ValueError, match="axes"):
        INITS["he"]().draw(np.random.default_rng(0), (3,))


def test_declared_values_are_immutable_and_compare_by_value():
    tanh = OPS["gelu"](tanh=True)
    assert tanh == OPS["gelu"](tanh=True) and hash(tanh) == hash(OPS["gelu"](tanh=True))
    assert tanh != OPS["gelu"](tanh=False)
    assert OPS["full"](shape=(), value=1) != OPS["full"](shape=(), value=1.0)
    with pytest.raises(AttributeError, match="immutable"):
        tanh.tanh = False
    assert repr(INITS["normal"](std=0.1)) == "normal(std=0.1)"


def test_optimisers_know_their_ranges():
    assert set(OPTIMISERS) == {"sgd", "adam", "adamw", "rmsprop", "adagrad"}
    assert set(SCHEDULES) == {"constant", "staircase", "cosine", "warmup"}
    assert OPTIMISERS["sgd"](lr=0.1, momentum=0.9).problems() == []
    assert "momentum" in OPTIMISERS["sgd"](momentum=1.0).problems()[0]
    assert "lr" in OPTIMISERS["adam"](lr=-1.0).problems()[0]
    assert "betas" in OPTIMISERS["adamw"](betas=(0.9, 1.0)).problems()[0]
    assert "nesterov" in OPTIMISERS["sgd"](nesterov=True).problems()[0]
    assert "steps" in SCHEDULES["cosine"](lr=0.1, steps=0).problems()[0]
    assert OPTIMISERS["adam"](lr=SCHEDULES["constant"](lr=0.1)).problems() == []


def test_values_build_nodes_by_operators():
    graph = Graph("g")
    builder = Builder(graph)
    x = Value(builder, builder.apply(OPS["input"](type=of(3)), ()))
    y = -(2 * x + 1) / (x - 3) ** 2
    assert [n.op.name for n in graph if n.op.name not in ("const", "input")] == [
        "mul",
        "add",
        "neg",
        "sub",
        "pow",
        "div",
    ]
    assert y.type == of(3)
    assert (1 - x).type == of(3) and fn.sum(x > 0).type == TensorType(INT)
    assert apply(OPS["where"](), x > 0, x, 0).type == of(3)
