"""The model: building, parameters and state dicts as torch has them, forward and backward by hand, copies, and its errors."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import nncore as nn

LAYERS = [
    "Linear(5, 7)",
    "ReLU()",
    "Dropout(0.5)",
    "Linear(7, 4, bias=False)",
    "Tanh()",
    "Linear(4, 3)",
    "LogSoftmax(dim=-1)",
]


def network(dtype="float64", seed=0):
    return nn.Sequential(*[eval(f"nn.{layer}") for layer in LAYERS], seed=seed, dtype=dtype)


def torch_network():
    torch = pytest.importorskip("torch")
    return torch.nn.Sequential(*[eval(layer, vars(torch.nn)) for layer in LAYERS]).double()


def small(**options):
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), **{"seed": 0, **options})


# What it looks like ------------------------------------------------------------------------------------------------------------


def test_repr_is_that_of_torch():
    torch = pytest.importorskip("torch")
    layers = [layer for layer in LAYERS if "Dropout" not in layer]  # torch shows inplace
    ours = nn.Sequential(*[eval(f"nn.{layer}") for layer in layers])
    assert repr(ours) == repr(torch.nn.Sequential(*[eval(layer, vars(torch.nn)) for layer in layers]))


def test_one_list_is_as_good_as_many_arguments():
    layers = [nn.Linear(3, 2), nn.ReLU()]
    assert nn.Sequential(layers).layers == tuple(layers)
    assert list(nn.Sequential(tuple(map(copy.copy, layers)))) != layers


def test_sequence_protocol():
    model = small()
    assert len(model) == 3
    assert model[0] is model.layers[0]
    assert model[-1] is model.layers[2]
    assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU, nn.Linear]
    assert model[1] in model
    with pytest.raises(IndexError):
        model[3]


def test_slice_is_a_copy(rng):
    model, x = small(), rng.normal(size=(5, 3)).astype(np.float32)
    front = model[:2]
    np.testing.assert_array_equal(model[2:](front(x)), model(x))
    front[0].weight = np.zeros((4, 3))
    assert model[0].weight.any()


def test_seed_is_drawn_and_told():
    a, b = small(seed=None), small(seed=None)
    assert a.seed != b.seed
    again = small(seed=a.seed)
    np.testing.assert_array_equal(again[0].weight, a[0].weight)


def test_dtype(dtype):
    for name in (dtype, dtype.name, dtype.type):
        model = small(dtype=name)
        assert model.dtype == dtype
        assert model[0].weight.dtype == model([[1, 2, 3]]).dtype == model.gradients["0.weight"].dtype == dtype


def test_output_activations():
    assert small().output_activations == [("", ())]
    assert nn.Sequential(nn.Linear(2, 1), nn.Hardtanh(-2, 2)).output_activations == [("hardtanh", (-2.0, 2.0))]
    assert nn.Sequential(nn.Linear(2, 1), nn.GELU("tanh")).output_activations == [("gelu_tanh", ())]


# Building ----------------------------------------------------------------------------------------------------------------------


def test_built_at_construction_where_the_layers_say_the_shape():
    model = nn.Sequential(nn.Dropout(0.1), nn.Identity(), nn.Linear(3, 2))
    assert model.built
    assert model.input_shapes == [(3,)]
    assert model.output_shapes == [(2,)]


def test_built_on_first_use(rng):
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2), seed=3)
    assert not model.built
    assert model.dtype == np.float32
    for what in ("input_shapes", "output_shapes", "gradients", "output_activations"):
        with pytest.raises(nn.errors.NotBuiltError, match=rf"Sequential.{what}: .*model.build\(input_shape\)"):
            getattr(model, what)
    for what in ("state_dict", "parameters", "named_parameters", "parameter_options", "summary"):
        with pytest.raises(nn.errors.NotBuiltError, match=f"Sequential.{what}: "):
            getattr(model, what)()
    with pytest.raises(nn.errors.NotBuiltError):
        model.backward([[1.0, 1.0]])
    assert "Flatten" in repr(model)
    x = rng.normal(size=(4, 2, 3)).astype(np.float32)
    out = model(x)
    assert model.built
    assert model.input_shapes == [(2, 3)]
    # The same weights as if it had been built at once.
    np.testing.assert_array_equal(out, nn.Sequential(nn.Flatten(), nn.Linear(6, 2), seed=3).build((2, 3))(x))


def test_a_failed_build_leaves_the_model_open():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(nn.errors.ShapeError, match=r"layer 1 \(Linear\).*\[\*, 6\].*\[\*, 5\].*layer 0 \(Flatten\)"):
        model(np.zeros((1, 5)))
    assert not model.built
    assert model(np.zeros((1, 6))).shape == (1, 2)


def test_a_failed_initializer_leaves_the_model_open(rng):
    fails = [True]

    def scheme(shape, rng):
        if fails.pop():
            raise RuntimeError("no luck")
        return np.ones(shape)

    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1, weight_init=scheme))
    x = np.ones((1, 2), np.float32)
    with pytest.raises(RuntimeError, match="no luck"):
        model(x)
    assert not model.built
    fails.append(False)
    np.testing.assert_array_equal(model(x), [[2]])


def test_building_again_keeps_the_weights(rng):
    model, x = small(), rng.normal(size=(2, 5, 3)).astype(np.float32)
    rows = model(x.reshape(10, 3))
    with pytest.raises(nn.errors.ShapeError, match=r"model.build\(\(5, 3\)\)"):
        model(x)
    assert model.build((5, 3)) is model
    np.testing.assert_allclose(model(x), rows.reshape(2, 5, 2), rtol=1e-6)
    assert model.output_shapes == [(5, 2)]
    with pytest.raises(nn.errors.ShapeError, match=r"\[\*, 5, 4\]"):
        model.build((5, 4))
    np.testing.assert_allclose(model(x), rows.reshape(2, 5, 2), rtol=1e-6)  # as it was
    weight = model[0].weight
    model.build((5, 3))
    assert model[0].weight is weight or np.shares_memory(model[0].weight, weight)


def test_building_a_compiled_model_again(rng):
    model, x = nn.Sequential(nn.Linear(3, 1), seed=0), rng.normal(size=(4, 5, 3)).astype(np.float32)
    model.compile(loss="mse", optimizer="sgd")
    model.build((5, 3))
    model.forward(x)
    model.backward(np.ones((4, 5, 1)))
    before = model[0].bias.copy()
    model.apply_gradients()
    np.testing.assert_allclose(model[0].bias, before - 0.01 * 20, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0,), (2.5,), (None, 3), "3", 3])
def test_bad_input_shape(shape):
    with pytest.raises(nn.errors.ArgumentError, match="input_shape"):
        nn.Sequential(nn.Flatten()).build(shape)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Sequential(), nn.errors.ArgumentError, "at least one layer"),
        (lambda: nn.Sequential([]), nn.errors.ArgumentError, "at least one layer"),
        (lambda: nn.Sequential(nn.Linear(2, 1), nn.ReLU), nn.errors.ArgumentError, r"layer 1 is the class ReLU; call it: ReLU\("),
        (lambda: nn.Sequential(nn.Linear(2, 1), "relu"), nn.errors.ArgumentError, "layer 1 is no layer but 'relu'"),
        (lambda: nn.Sequential(small()), nn.errors.ArgumentError, "layer 0 is a model"),
        (lambda: nn.Sequential(nn.Linear(2, 1), seed=-1), nn.errors.ArgumentError, "seed must be a whole number of at least 0"),
        (lambda: nn.Sequential(nn.Linear(2, 1), seed=0.5), nn.errors.ArgumentError, "seed must be"),
        (lambda: nn.Sequential(nn.Linear(2, 1), dtype="float16"), nn.errors.DTypeError, '"float32" or "float64", not'),
        (lambda: nn.Sequential(nn.Linear(2, 1), dtype=None), nn.errors.DTypeError, "not None"),
        (lambda: nn.Sequential(nn.Linear(2**40, 2**40)), nn.errors.SizeError, r"layer 0 \(Linear\)"),
        (lambda: nn.Model([nn.Linear(2, 1)], None), TypeError, r"input 0 is Linear, not a value .* nn.Sequential\(\.\.\.\)"),
        (
            lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 2)),
            nn.errors.ShapeError,
            r"layer 2 \(Linear\).*\[\*, 5\].*\[\*, 4\]",
        ),
    ],
)
def test_what_cannot_be_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_layers_of_a_failed_model_are_free():
    layer = nn.Linear(3, 4)
    with pytest.raises(nn.errors.ShapeError):
        nn.Sequential(layer, nn.Linear(5, 2))
    assert nn.Sequential(layer, nn.Linear(4, 2)).built


def test_a_model_is_freed():
    model = small()
    model[0](np.ones((2, 3)))  # the private model of a layer must not keep it
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


# Parameters --------------------------------------------------------------------------------------------------------------------


def test_state_dict_has_the_keys_and_shapes_of_torch():
    ours, theirs = network().state_dict(), torch_network().state_dict()
    assert list(ours) == list(theirs)
    assert [v.shape for v in ours.values()] == [tuple(v.shape) for v in theirs.values()]


def test_state_dict_is_a_contiguous_copy():
    model = network()
    state = model.state_dict()
    before = model[0].weight.copy()
    for name, value in state.items():
        assert value.flags.c_contiguous, name
        assert value.flags.owndata, name
        value[...] = 7
    np.testing.assert_array_equal(model[0].weight, before)


def test_parameters_are_live_views():
    model = small()
    assert [p.shape for p in model.parameters()] == [(4, 3), (4,), (2, 4), (2,)]
    for (name, view), parameter in zip(model.named_parameters(), model.parameters(), strict=True):
        assert np.shares_memory(view, parameter)
        index, role = name.split(".")
        assert np.shares_memory(view, getattr(model[int(index)], role))
        assert not np.shares_memory(view, model.gradients[name])
        assert np.shares_memory(model.gradients[name], model[int(index)].grads[role])
    model.parameters()[3][...] = 5
    model.parameters()[2][...] = 0
    np.testing.assert_array_equal(model([[1, 2, 3]]), [[5, 5]])


def test_padding_is_not_seen():
    """Leading dimensions that would be a multiple of 4 KB are padded inside."""
    model = nn.Sequential(nn.Linear(3, 1024), nn.Linear(1024, 2048), seed=0)
    assert [v.shape for v in model.state_dict().values()] == [(1024, 3), (1024,), (2048, 1024), (2048,)]
    again = nn.Sequential(nn.Linear(3, 1024), nn.Linear(1024, 2048), seed=1)
    again.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again([[1, 2, 3]]), model([[1, 2, 3]]))
    for name, value in again._buffers().items():
        used = np.concatenate([p.reshape(-1) for p in (model.parameters() if name == "parameters" else model.gradients.values())])
        assert np.count_nonzero(value) == np.count_nonzero(used)


def test_load_state_dict_of_torch(rng):
    torch = pytest.importorskip("torch")
    theirs, ours = torch_network(), network()
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    x = rng.normal(size=(6, 5))
    np.testing.assert_allclose(ours(x), theirs.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-12)
    ours.load_state_dict(dict(theirs.named_parameters()))  # tensors that require gradients
    theirs.load_state_dict({name: torch.tensor(value) for name, value in network(seed=5).state_dict().items()})


def test_load_state_dict_converts_types():
    source, target = network("float64"), network("float32", seed=1)
    target.load_state_dict(source.state_dict())
    np.testing.assert_array_equal(target[0].weight, source[0].weight.astype(np.float32))


def test_load_state_dict_is_all_or_nothing():
    model, state = small(), small(seed=1).state_dict()
    before = model.state_dict()

    def refused(error, message, changes, drop=(), **options):
        with pytest.raises(error, match=message):
            model.load_state_dict({k: v for k, v in {**state, **changes}.items() if k not in drop}, **options)
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    refused(nn.errors.StateDictError, r"missing keys \['2.bias'\], unexpected keys \[\]", {}, drop=["2.bias"])
    refused(nn.errors.StateDictError, r"missing keys \[\], unexpected keys \['9.weight'\]", {"9.weight": [1.0]})
    shapes = r"2.weight is \(2, 4\) here and \(4, 2\) there; 2.bias is \(2,\) here and \(\) there"
    refused(nn.errors.ShapeError, shapes, {"2.weight": np.ones((4, 2)), "2.bias": np.float32(1)})
    refused(nn.errors.ShapeError, "0.bias", {"0.bias": np.ones(5)}, strict=False)
    refused(nn.errors.ArgumentError, "2.bias: values must be real numbers", {"2.bias": np.array(["a", "b"])})
    with pytest.raises(nn.errors.ArgumentError, match="a mapping"):
        model.load_state_dict([1, 2])
    result = model.load_state_dict({"2.bias": [3, 4], "x": 1}, strict=False)
    assert result.missing_keys == ["0.weight", "0.bias", "2.weight"]
    assert result.unexpected_keys == ["x"]
    np.testing.assert_array_equal(model[2].bias, [3, 4])


def test_weights_as_lists():
    model, other = small(), small(seed=1)
    other.set_weights(model.get_weights())
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(nn.errors.StateDictError, match="3 arrays for the 4 parameters"):
        model.set_weights(model.get_weights()[:3])
    with pytest.raises(nn.errors.ShapeError, match=r"2.bias is \(2,\) here"):
        model.set_weights([*model.get_weights()[:3], np.ones(3)])


def test_parameter_options():
    model = nn.Sequential(nn.Linear(3, 4, l1=0.1, l2=0.2), nn.ReLU(), nn.Linear(4, 2, trainable=False))
    assert [(o.trainable, o.l1, o.l2) for o in model.parameter_options()] == [
        (True, 0.1, 0.2),
        (True, None, None),  # what compile says
        (False, None, None),
        (False, None, None),
    ]


# Forward and backward ----------------------------------------------------------------------------------------------------------


def test_forward_and_backward_against_torch(rng):
    torch = pytest.importorskip("torch")
    theirs, ours = torch_network().eval(), network()
    ours.load_state_dict(theirs.state_dict())
    x, grad = rng.normal(size=(6, 5)), rng.normal(size=(6, 3))
    tx = torch.tensor(x, requires_grad=True)
    out = theirs(tx)
    out.backward(torch.tensor(grad))
    np.testing.assert_allclose(ours.forward(x), out.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours.backward(grad), tx.grad.numpy(), rtol=1e-10, atol=1e-14)
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(ours.gradients[name], parameter.grad.numpy(), rtol=1e-10, atol=1e-14, err_msg=name)


def test_backward_overwrites(rng):
    model, x = small(dtype="float64"), rng.normal(size=(5, 3))
    for _ in range(2):
        model.forward(x)
        model.backward(np.ones((5, 2)))
    np.testing.assert_array_equal(model.gradients["2.bias"], [5, 5])


def test_forward_is_call_but_for_training(rng):
    model = nn.Sequential(nn.Linear(3, 50), nn.Dropout(0.5), nn.Linear(50, 2), seed=1)
    x = rng.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.forward(x), model(x))
    assert not np.allclose(model.forward(x, training=True), model(x))


def test_dropout_mask_follows_the_seed_and_the_step():
    x = np.ones((100, 300), np.float32)

    def masks(seed, steps=2):
        model = nn.Sequential(nn.Dropout(0.3), seed=seed)
        model.compile(loss="mse", optimizer="sgd")
        found = []
        for _ in range(steps):
            found.append(model.forward(x, training=True) == 0)
            np.testing.assert_array_equal(model.backward(x) == 0, found[-1])  # the mask of forward
            model.apply_gradients()
        return found

    first, second = masks(0)
    assert (first != second).any()
    np.testing.assert_array_equal(masks(0)[1], second)
    assert (masks(1)[0] != first).any()
    for mask in (first, second):  # five standard deviations of a binomial share
        assert abs(mask.mean() - 0.3) < 5 * np.sqrt(0.21 / mask.size)


def test_a_step_by_hand_is_train_on_batch(rng):
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    by_hand, at_once = small(dtype="float64"), small(dtype="float64")
    for model in (by_hand, at_once):
        model.compile(loss="mse", optimizer=nn.optim.Adam(lr=lambda step: 0.1 / (step + 1)))
    for _ in range(3):
        out = by_hand.forward(x, training=True)
        by_hand.backward(2 * (out - y) / out.size)
        by_hand.apply_gradients()
        at_once.train_on_batch(x, y)
    assert by_hand.step == at_once.step == 3
    for a, b in zip(by_hand.parameters(), at_once.parameters(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_apply_gradients_needs_an_optimizer():
    with pytest.raises(nn.errors.NotCompiledError, match="compile"):
        small().apply_gradients()


def test_backward_needs_forward_and_its_shape(rng):
    model = small()
    with pytest.raises(nn.errors.NotBuiltError, match="forward"):
        model.backward(np.ones((5, 2)))
    model.forward(rng.normal(size=(5, 3)))
    with pytest.raises(nn.errors.ShapeError, match=r"grad_output has shape \(5, 3\).*\[\*, 2\]"):
        model.backward(np.ones((5, 3)))
    with pytest.raises(nn.errors.ShapeError, match=r"\(5, 2\).*\(4, 2\)"):
        model.backward(np.ones((4, 2)))
    assert model.backward(np.ones((5, 2))).shape == (5, 3)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(),
        lambda x: x.astype(np.float64),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.astype(">f4"),
        lambda x: x.astype(object),
    ],
    ids=["list", "float64", "fortran", "strided", "reversed", "big-endian", "object"],
)
def test_whatever_holds_the_numbers(convert, rng):
    model, x = small(), rng.normal(size=(6, 3)).astype(np.float32)
    given = convert(x)
    np.testing.assert_array_equal(model(given), model(x))
    np.testing.assert_array_equal(model.forward(given), model(x))


@pytest.mark.parametrize("kind", ["int8", "uint16", "int64", "bool", "float16"])
def test_numbers_of_any_kind(kind):
    x = np.array([[1, 0, 1], [0, 1, 1]]).astype(kind)
    np.testing.assert_array_equal(small()(x), small()(x.astype(np.float32)))


def test_input_is_not_changed(rng):
    """Even where the first layer could work in place."""
    model, x = nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), rng.normal(size=(4, 3)).astype(np.float32)
    before = x.copy()
    model(x)
    model.forward(x, training=True)
    np.testing.assert_array_equal(x, before)


def test_no_rows():
    model = small()
    assert model(np.zeros((0, 3))).shape == (0, 2)
    with pytest.raises(nn.errors.EmptyDataError, match="no rows"):
        model.forward(np.zeros((0, 3)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(3), r"x has shape \(3,\).*\[\*, 3\]; for one sample, add the batch dimension: x\[None\]"),
        (np.ones((2, 4)), r"x has shape \(2, 4\).*\[\*, 3\]"),
        (np.float32(1), "single number"),
        (np.ones((2, 1, 3)), r"\(2, 1, 3\).*model.build\(\(1, 3\)\)"),
    ],
)
def test_shapes_that_do_not_fit(x, message):
    for use in (small(), small().forward):
        with pytest.raises(nn.errors.ShapeError, match=message):
            use(x)


def test_a_vector_for_one_feature():
    with pytest.raises(nn.errors.ShapeError, match=r"x\[:, None\]"):
        nn.Sequential(nn.Linear(1, 2))(np.ones(5))


def test_text_is_refused():
    with pytest.raises(nn.errors.DTypeError, match="x has dtype"):
        small()([["a", "b", "c"]])


# Copies ------------------------------------------------------------------------------------------------------------------------

DUPLICATES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "oldest pickle": lambda model: pickle.loads(pickle.dumps(model, protocol=2)),
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_copies_are_equal_and_independent(duplicate, dtype, rng):
    model, x = network(dtype.name), rng.normal(size=(4, 5)).astype(dtype)
    model[3].trainable = False
    again = duplicate(model)
    assert type(again) is nn.Sequential
    assert repr(again) == repr(model)
    assert (again.seed, again.dtype, again[3].trainable) == (model.seed, model.dtype, False)
    np.testing.assert_array_equal(again(x), model(x))
    before = model(x)
    again[0].weight = np.zeros((7, 5))
    np.testing.assert_array_equal(model(x), before)


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_copies_train_on_independently(duplicate, rng):
    model, x, y = small(), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    model.compile(loss="mse", optimizer="adam")
    model.train_on_batch(x, y)
    again = duplicate(model)
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    assert again.step == model.step == 2
    again.train_on_batch(x, y)
    assert model.step == 2


def test_copy_of_a_model_that_is_not_built():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), seed=2)
    again = copy.deepcopy(model)
    assert not again.built
    x = np.ones((1, 2, 2))
    np.testing.assert_array_equal(again(x), model(x))


def test_copy_of_a_model_built_for_another_shape():
    again = pickle.loads(pickle.dumps(small().build((5, 3))))
    assert again.input_shapes == [(5, 3)]


class Regressor(nn.Sequential):
    """A subclass with a constructor of its own."""

    def __init__(self, width):
        super().__init__(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1), seed=0)


def test_subclass():
    model = Regressor(3)
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is Regressor
    assert repr(model).startswith("Regressor(\n  (0): Linear")
    np.testing.assert_array_equal(again([[1, 2]]), model([[1, 2]]))


# Threads -----------------------------------------------------------------------------------------------------------------------


def test_results_do_not_depend_on_the_number_of_threads(rng):
    x = rng.normal(size=(300, 64)).astype(np.float32)
    found = []
    for n in (1, 2, 3):
        with nn.threads(n):
            model = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 64), seed=0)
            found.append((model(x), model.forward(x), model.backward(x), *model.gradients.values()))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_inference_from_several_threads(rng):
    model, x = small(), rng.normal(size=(2000, 3)).astype(np.float32)
    expected, wrong = model(x), []

    def work():
        wrong.extend(i for i in range(20) if not np.array_equal(model(x), expected))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_thread_settings():
    before = nn.get_num_threads()
    with nn.threads(3):
        assert nn.get_num_threads() == 3
        with pytest.raises(RuntimeError, match="inside"), nn.threads(2):
            raise RuntimeError("inside")
        assert nn.get_num_threads() == 3
    assert nn.get_num_threads() == before
    for bad in (-1, 1.5, True, "2"):
        with pytest.raises(nn.errors.ArgumentError, match="n must be a whole number"):
            nn.set_num_threads(bad)


def test_show_config(capsys):
    nn.show_config()
    out = capsys.readouterr().out
    assert nn.__version__ in out
    assert np.__version__ in out
    assert f"threads          {nn.get_num_threads()}" in out


# The package -------------------------------------------------------------------------------------------------------------------


def test_everything_exported_exists():
    for name in nn.__all__:
        assert hasattr(nn, name), name
    missing = [name for name in nn.layers.__all__ if name not in ("Activation", "Merge") and name not in nn.__all__]
    assert missing == []
