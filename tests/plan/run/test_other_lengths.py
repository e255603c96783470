"""Plans that a network keeps for other numbers of time steps: a network that changes between lengths gives what fresh ones give."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import nncore as nn

LENGTHS = (5, 9, 3, 6)


def sequence(seed=0, **options):
    return nn.Sequential(nn.GRU(2, 4, **options), nn.Dropout(0.3), nn.Linear(4, 1), seed=seed)


def batch(steps, rows=4, seed=0):
    rng = np.random.default_rng([seed, steps])
    return rng.normal(size=(rows, steps, 2)).astype("f4"), rng.normal(size=(rows, 1)).astype("f4")


def made(model):
    """How often the core made a plan, as the trial plans of a network show."""
    counted = []
    network = model._network
    original = network._trial_plan
    network._trial_plan = lambda *given: (counted.append(given[0]), original(*given))[1]
    return counted


@pytest.mark.parametrize(
    "optimizer", [lambda: nn.optim.Adam(lr=0.05), lambda: nn.optim.SGD(lr=0.05, momentum=0.9, ema_momentum=0.9)]
)
def test_training_that_alternates_is_as_if_each_plan_were_new(optimizer, tmp_path):
    """Against a model that is loaded from a file before each step, and so keeps no plans: the same to the bit."""
    model = sequence().build((5, 2))
    model.compile(loss="mse", optimizer=optimizer())
    fresh = pickle.loads(pickle.dumps(model))
    for n, steps in enumerate([5, 9, 5, 3, 9, 6, 5, 3, 6, 9, 5]):
        x, y = batch(steps, seed=n)
        fresh.save(tmp_path / "m.safetensors")
        fresh = nn.load(tmp_path / "m.safetensors")
        assert model.train_on_batch(x, y) == fresh.train_on_batch(x, y), (n, steps)
        np.testing.assert_array_equal(model.predict(x), fresh.predict(x))
        np.testing.assert_array_equal(model(x[:2]), fresh(x[:2]))
    for own, other in zip(model.state_dict().values(), fresh.state_dict().values(), strict=True):
        np.testing.assert_array_equal(own, other)


def test_lengths_that_were_seen_need_no_new_plan():
    model = sequence().build((5, 2))
    model.compile(loss="mse", optimizer="sgd")
    for steps in LENGTHS:
        model.train_on_batch(*batch(steps))
    counted = made(model)
    for steps in (*LENGTHS, *LENGTHS[::-1]):
        x, y = batch(steps)
        model.train_on_batch(x, y)
        model.predict(x)
        model.evaluate(x, y, verbose=0) if False else model.evaluate(x, y)
        model(x)
        model.forward(x)
        assert model.input_shapes == [(steps, 2)]
    assert not counted
    model.predict(batch(7)[0])
    assert counted


def test_only_so_many_plans_are_kept():
    """64 and 64 MB."""
    model = sequence().build((2, 2))
    for steps in range(2, 100):
        model.predict(batch(steps)[0])
    counted = made(model)
    model.predict(batch(98)[0])
    model.predict(batch(40)[0])
    assert not counted
    model.predict(batch(20)[0])
    assert counted
    large = nn.Sequential(nn.GRU(2, 64), seed=0).build((4000, 2))
    large.forward(np.zeros((8, 4000, 2), "f4"))  # some 40 MB
    large.forward(np.zeros((8, 3999, 2), "f4"))
    large.forward(np.zeros((8, 3998, 2), "f4"))
    counted = made(large)
    large.forward(np.zeros((8, 3999, 2), "f4"))
    assert not counted
    large.forward(np.zeros((8, 4000, 2), "f4"))
    assert counted


def test_memory_does_not_grow():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    model = nn.Sequential(nn.GRU(8, 64), nn.Linear(64, 1), seed=0).build((50, 8))
    model.compile(loss="mse", optimizer="sgd")

    def go(first):
        for steps in range(first, first + 60):
            model.train_on_batch(np.zeros((16, steps, 8), "f4"), np.zeros((16, 1), "f4"))
        gc.collect()

    go(50)
    go(110)
    before = resident()
    for first in (200, 350, 500):
        go(first)
    assert resident() - before < 160 << 20  # 64 MB are kept; the last plans are larger than the first


def test_compile_forgets_the_plans_with_other_losses():
    model = sequence().build((5, 2))
    model.compile(loss="mse", optimizer="sgd")
    model.train_on_batch(*batch(9))
    model.train_on_batch(*batch(5))
    model.compile(loss="mae", optimizer=nn.optim.Adam(lr=0.0))
    twin = sequence().build((9, 2))
    twin.load_state_dict(model.state_dict())
    twin.compile(loss="mae", optimizer=nn.optim.Adam(lr=0.0))
    x, y = batch(9)
    assert model.evaluate(x, y) == twin.evaluate(x, y) == pytest.approx(np.abs(twin.predict(x) - y).mean(), rel=1e-5)


def test_weights_that_are_set_reach_every_plan():
    model, other = sequence().build((5, 2)), sequence(seed=1).build((5, 2))
    for steps in LENGTHS:
        model.predict(batch(steps)[0])
    model.load_state_dict(other.state_dict())
    for steps in LENGTHS:
        np.testing.assert_array_equal(model.predict(batch(steps)[0]), other.predict(batch(steps)[0]))
    model[0].weight_ih_l0[...] = 0
    other[0].weight_ih_l0[...] = 0
    for steps in LENGTHS:
        np.testing.assert_array_equal(model(batch(steps)[0]), other(batch(steps)[0]))


def test_models_that_share_layers_alternate():
    """The second model moves the parameters of the first one into a pool, where each of its plans must find them."""
    x = nn.Input((5, 2))
    h = nn.GRU(2, 4)(x)
    one = nn.Model(x, nn.Linear(4, 1)(h), seed=0)
    one.predict(batch(9)[0])
    one.predict(batch(5)[0])
    two = nn.Model(x, nn.Linear(4, 2)(h), seed=1)
    one.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    twin_input = nn.Input((5, 2))
    twin = nn.Model(twin_input, nn.Linear(4, 1)(nn.GRU(2, 4)(twin_input)), seed=0)
    twin.load_state_dict(dict(zip(twin.state_dict(), one.state_dict().values(), strict=True)))
    twin.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    for steps in (9, 5, 3, 9, 5, 3):
        assert one.train_on_batch(*batch(steps)) == twin.train_on_batch(*batch(steps))
        two.predict(batch(steps)[0])
    for own, other in zip(one.state_dict().values(), twin.state_dict().values(), strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_have_plans_of_their_own(again):
    model = sequence().build((5, 2))
    model.compile(loss="mse", optimizer="adam")
    for steps in LENGTHS:
        model.train_on_batch(*batch(steps))
    other = again(model)
    for steps in LENGTHS:
        assert model.train_on_batch(*batch(steps)) == other.train_on_batch(*batch(steps))
    del model
    gc.collect()
    other.train_on_batch(*batch(9))


def test_states_of_stateful_layers_go_along():
    """One series, cut into pieces of different lengths, is one series."""
    model = nn.Sequential(nn.GRU(2, 3, stateful=True, return_sequences=True), seed=0).build((5, 2))
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0))
    whole = nn.Sequential(nn.GRU(2, 3, return_sequences=True), seed=0).build((28, 2))
    x = np.random.default_rng(0).normal(size=(2, 28, 2)).astype("f4")
    expected, at = whole.predict(x), 0
    for _ in range(2):
        model.reset_states()
        at = 0
        for steps in (5, 9, 5, 9):
            piece, target = x[:, at : at + steps], expected[:, at : at + steps]
            assert model.train_on_batch(piece, target) == pytest.approx(0, abs=1e-12)
            at += steps
    model.reset_states()
    model.train_on_batch(x[:, :5], expected[:, :5])
    model.reset_states()
    assert model.train_on_batch(x[:, :9], expected[:, :9]) == pytest.approx(0, abs=1e-12)


def test_backward_belongs_to_the_last_forward():
    model, alone = (nn.Sequential(nn.GRU(2, 3), seed=0).build((steps, 2)) for steps in (5, 9))
    grad = np.ones((4, 3), "f4")
    alone.forward(batch(9)[0])
    model.forward(batch(5)[0])
    model.forward(batch(9)[0])
    model.predict(batch(5)[0])
    model.predict(batch(7)[0])
    np.testing.assert_array_equal(model.backward(grad), alone.backward(grad))


def test_accuracy_over_lengths():
    """Metrics of sequences: their sums do not depend on the number of steps."""
    model = nn.Sequential(nn.GRU(2, 4, return_sequences=True), nn.Linear(4, 3), nn.Softmax(), seed=0).build((5, 2))
    model.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.SGD(lr=0.0), metrics=["accuracy"])
    for steps in (5, 9, 5, 9, 5):
        x = batch(steps)[0]
        y = np.random.default_rng(steps).integers(0, 3, (4, steps))
        p = model.predict(x)
        loss = -np.log(np.take_along_axis(p, y[..., None], 2)).mean()
        accuracy = (p.argmax(-1) == y).mean()
        assert model.train_on_batch(x, y) == pytest.approx([loss, accuracy], rel=1e-4)
        assert model.evaluate(x, y) == pytest.approx([loss, accuracy], rel=1e-4)


def test_an_output_as_wide_as_the_sequence_is_long():
    """What is last in its shape is the number of steps: the trainer must see it anew."""
    x = nn.Input((5, 2))
    model = nn.Model(x, nn.Reshape(-1)(nn.GRU(2, 1, return_sequences=True)(x)), seed=0)
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0), metrics=["mae"])
    for steps in (5, 9, 5, 9):
        data, y = batch(steps)[0], np.zeros((4, steps), "f4")
        p = model.predict(data)
        assert model.evaluate(data, y) == pytest.approx([np.square(p).mean(), np.abs(p).mean()], rel=1e-5)


def test_several_inputs_and_indices():
    words, more = nn.Input((5,)), nn.Input((5, 2))
    model = nn.Model([words, more], nn.GRU(5, 2)(nn.concatenate([nn.Embedding(7, 3)(words), more])), seed=0)
    rng = np.random.default_rng(0)
    data = {n: [rng.integers(0, 7, (3, n)), rng.normal(size=(3, n, 2)).astype("f4")] for n in LENGTHS}
    expected = {n: model.predict(data[n]) for n in LENGTHS}
    counted = made(model)
    for n in (*LENGTHS, *LENGTHS[::-1]):
        np.testing.assert_array_equal(model.predict(data[n]), expected[n])
    assert not counted
    with pytest.raises(nn.errors.IndexRangeError):
        model.predict([data[9][0] + 7, data[9][1]])


def test_threads_that_predict_different_lengths():
    model = sequence().build((5, 2))
    expected = {steps: model.predict(batch(steps)[0]) for steps in LENGTHS}
    wrong = []

    def work(steps):
        x = batch(steps)[0]
        for _ in range(200):
            found = model.predict(x)
            if not np.array_equal(found, expected[steps]):
                wrong.append(steps)

    threads = [threading.Thread(target=work, args=(steps,)) for steps in LENGTHS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_layers_in_python_see_each_shape():
    """They learn the shape of their input when a plan is made; their networks keep none."""
    seen = []

    class Look(nn.PythonLayer):
        timewise = True

        def build(self, input_shape):
            seen.append(input_shape[0])

        def forward(self, x):
            assert self._input_shapes == [x.shape[1:]]
            return x

    model = nn.Sequential(Look(), nn.GRU(2, 3), seed=0).build((5, 2))
    for steps in (5, 9, 5, 9):
        model.predict(batch(steps)[0])
    assert seen[-1] == 9


def test_layers_that_compute_as_at_inference_do_so_for_every_length():
    """Whether a layer is in training mode belongs to the layer, not to a plan."""
    model = nn.Sequential(nn.Dropout(0.5), nn.GRU(2, 3), seed=0).build((5, 2))
    for steps in (9, 5, 3):
        model.predict(batch(steps)[0])
    for at_inference in (True, False, True):
        model[0].training = not at_inference
        for steps in (9, 5, 3):
            x = batch(steps)[0]
            assert np.array_equal(model.forward(x, training=True), model.predict(x)) == at_inference
