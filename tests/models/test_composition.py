"""What a model has: a network and a trainer; what subclasses may do around them; and what is made anew with other shapes."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors


def test_sums_of_metrics_follow_the_length_of_sequences(rng):
    """Where the last dimension of the output is time, each length has columns of its own."""
    model = nn.Sequential(nn.GRU(2, 4, return_sequences=True), nn.Linear(4, 1), nn.Flatten(), seed=0)
    model.compile("mse", nn.optim.SGD(lr=0.0), metrics=["mae"])
    x = rng.normal(size=(3, 7, 2)).astype(np.float32)
    for steps in (5, 2, 7, 3):
        part, y = np.ascontiguousarray(x[:, :steps]), np.zeros((3, steps), np.float32)
        loss, mae = model.train_on_batch(part, y)
        np.testing.assert_allclose(mae, np.abs(model.predict(part)).mean(), rtol=1e-5)
        np.testing.assert_allclose([loss, mae], model.evaluate(part, y), rtol=1e-5)


def test_repr_and_summary_show_the_shapes_of_now(rng):
    given = nn.Input((5, 2), name="x")
    model = nn.Model(given, nn.GRU(2, 3)(given))
    model.predict(rng.normal(size=(2, 7, 2)))
    assert "x: Input [*, 7, 2]" in repr(model)
    assert model.summary(show=False).rows[0].output_shape == (7, 2)


def test_a_subclass_may_call_predict_on_batch_from_its_call():
    class Sign(nn.Sequential):
        def __call__(self, x):
            return np.sign(self.predict_on_batch(x))

    model = Sign(nn.Linear(1, 1, weight_init="ones"))
    assert model([[-3.0]]).item() == -1.0
    assert model.predict_on_batch([[-3.0]]).item() == -3.0


def test_fit_resets_states_by_the_method_of_the_model(rng):
    class Counting(nn.Sequential):
        resets = 0

        def reset_states(self):
            self.resets += 1
            super().reset_states()

    model = Counting(nn.GRU(2, 3, stateful=True), nn.Linear(3, 1), seed=0)
    model.compile("mse", "sgd")
    model.fit(rng.normal(size=(4, 5, 2)), np.zeros((4, 1)), epochs=3, batch_size=2, shuffle=False, verbose=0)
    assert model.resets == 3


def test_weights_in_files_are_those_that_the_model_says(tmp_path):
    class Half(nn.Sequential):
        def state_dict(self):
            return {"0.weight": super().state_dict()["0.weight"]}

        def load_state_dict(self, state_dict, strict=True):
            return super().load_state_dict(state_dict, strict=False)

    model = Half(nn.Linear(2, 1))
    model.save_weights(tmp_path / "w.safetensors")
    assert Half(nn.Linear(2, 1)).load_weights(tmp_path / "w.safetensors").missing_keys == ["0.bias"]


def test_before_the_constructor_has_run():
    class Early(nn.Sequential):
        def __init__(self):
            self.seen = self.built, repr(self)
            for use in (lambda: self.fit([[1.0]], [[1.0]]), lambda: self([[1.0]]), lambda: self.layers):
                with pytest.raises(errors.NotBuiltError, match=r"Early: .* call super\(\).__init__"):
                    use()
            super().__init__(nn.Linear(1, 1))

    model = Early()
    assert model.seen[0] is False
    assert "Early object" in model.seen[1]
    assert model([[1.0]]).shape == (1, 1)


def test_a_learning_rate_function_is_asked_once_per_step(rng):
    asked = []

    def rate(step):
        asked.append(step)
        return 0.1

    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), seed=0)
    model.compile("mse", nn.optim.SGD(lr=rate))
    for shape in ((2, 2), (4,)):
        model.build(shape)
        for _ in range(3):
            model.train_on_batch(np.ones((2, *shape), np.float32), np.zeros((2, 1), np.float32))
    assert asked == [0, 1, 2, 0, 1, 2]


def test_prediction_of_no_batches_ends_before_it_is_refused():
    class Calls(nn.callbacks.Callback):
        def __init__(self):
            self.seen = []

        def on_predict_begin(self, logs=None):
            self.seen.append("begin")

        def on_predict_end(self, logs=None):
            self.seen.append("end")

    calls = Calls()
    with pytest.raises(errors.EmptyDataError, match="no batches"):
        nn.Sequential(nn.Linear(1, 1)).predict(iter(()), callbacks=calls)
    assert calls.seen == ["begin", "end"]


def test_a_call_with_several_outputs_takes_what_predict_takes(rng):
    given = nn.Input((2,))
    model = nn.Model(given, [nn.Linear(2, 1)(given), nn.Tanh()(given)])
    a, b = rng.normal(size=(3, 2)), rng.normal(size=(2, 2))
    for found, whole in zip(model(iter([a, b])), model(np.concatenate([a, b])), strict=True):
        np.testing.assert_array_equal(found, whole)
    with pytest.raises(TypeError, match="one input and one output"):
        model(nn.Input((2,)), out=np.empty((3, 1), np.float32))


@pytest.mark.parametrize("layer", [nn.ReLU(), nn.Flatten(), nn.Dropout(0.5)], ids=repr)
def test_a_layer_by_itself_refuses_no_columns(layer):
    with pytest.raises(errors.ArgumentError, match="each dimension of input_shape must be"):
        layer(np.zeros((3, 0)))


@pytest.mark.parametrize(
    ("old", "new"),
    [("quiet", "repr_defaults"), ("transparent", "init_looks_through"), ("takes", "input_count"), ("n_results", "output_count")],
)
def test_what_was_renamed_is_not_passed_over(old, new):
    with pytest.raises(errors.ArgumentError, match=f"Mine.{old} is called {new} now"):
        type("Mine", (nn.PythonLayer,), {old: (2, 2)})
