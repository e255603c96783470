"""Classifier and Regressor: any network under scikit-learn's contract, with sequences, frames and losses of all kinds."""

import copy
import pickle

import numpy as np
import pandas
import polars
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import check_estimator

import nncore as nn
from nncore.errors import ArgumentError, ShapeError
from nncore.estimators import Classifier, Regressor


def build(n_features, n_outputs, units=16, dropout=0.0):
    return nn.Sequential(nn.Linear(n_features, units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, n_outputs))


def graph(n_features, n_outputs):
    x = nn.Input((n_features,))
    return nn.Model(x, nn.Linear(32, n_outputs)(nn.ReLU()(nn.Linear(n_features, 32)(x))))


def recurrent(n_features, n_outputs):
    return nn.Sequential(nn.GRU(n_features, 8), nn.Linear(8, n_outputs))


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), y


@pytest.mark.parametrize("estimator", [Classifier(), Regressor(), Classifier(graph), Regressor(graph)], ids=repr)
def test_checks_of_scikit_learn(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert {each["check_name"]: each["exception"] for each in results if each["status"] == "failed"} == {}
    skipped = {each["check_name"] for each in results if each["status"] == "skipped"}
    assert skipped <= {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}


# Classes ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "Sigmoid", "Softmax"])
@pytest.mark.parametrize("units", [1, 2])
def test_two_classes_with_one_unit_and_with_two(end, units):
    """All ends that fit learn the same task, and their probabilities are those of the last layer."""
    X, y = load_breast_cancer(return_X_y=True)
    X, names = scale(X), np.array(["benign", "malignant"])[y]

    def head(n_features, n_outputs):
        assert n_outputs == 1
        return nn.Sequential(nn.Linear(n_features, units), *([getattr(nn, end)()] if end else []))

    net = Classifier(head, lr=0.01, epochs=30, random_state=0)
    if (end, units) in (("Sigmoid", 2), ("Softmax", 1)):
        with pytest.raises(ShapeError, match=r"the last layer, S.*\(.*y has two classes .* use nn\.(Softmax|Sigmoid)\(\)"):
            net.fit(X, names)
        return
    net.fit(X, names)
    assert net.score(X, names) > 0.97
    probabilities = net.predict_proba(X)
    z = X @ net.model_[0].weight.T + net.model_[0].bias
    truth = 1 / (1 + np.exp(-z[:, 0])) if units == 1 else np.exp(z[:, 1]) / np.exp(z).sum(axis=1)
    np.testing.assert_allclose(probabilities[:, 1], truth, rtol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(net.predict(X), names[[np.argmin(y), np.argmax(y)]][(truth > 0.5).astype(int)])
    np.testing.assert_allclose(net.predict_log_proba(X), np.log(probabilities))
    assert list(net.classes_) == ["benign", "malignant"]
    weights = np.linspace(1, 2, len(X))
    history = Classifier(head, epochs=1, batch_size=None, random_state=0, optimizer=nn.optim.SGD(lr=1e-12)).fit(X, names, weights)
    expected = log_loss(names, history.predict_proba(X), sample_weight=weights)
    np.testing.assert_allclose(history.loss_curve_[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "loss",
    ["auto", "categorical_crossentropy", "sparse_categorical_focal_crossentropy", "categorical_hinge", "squared_hinge", "mse",
     nn.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
     lambda y, z: (((z - y) ** 2).sum(axis=1), 2 * (z - y))],
)  # fmt: skip
def test_losses_of_three_classes(loss, iris):
    X, y = iris
    net = Classifier(build, loss=loss, lr=0.01, epochs=60, random_state=0).fit(X, y)
    assert net.score(X, y) > 0.93
    is_margin = loss in ("categorical_hinge", "squared_hinge", "mse") if isinstance(loss, str) else False
    assert hasattr(net, "predict_proba") is not is_margin
    assert hasattr(net, "decision_function") is is_margin
    if is_margin:
        np.testing.assert_array_equal(net.decision_function(X).argmax(axis=1), net.predict(X))


def test_a_margin_loss_of_two_classes(iris):
    X, y = iris
    net = Classifier(build, loss="hinge", lr=0.01, random_state=0).fit(X, y > 1)
    assert net.score(X, y > 1) > 0.93
    np.testing.assert_array_equal(net.decision_function(X) > 0, net.predict(X))
    assert not hasattr(Classifier(loss="hinge"), "predict_proba")
    assert hasattr(Classifier(loss="mse"), "predict_proba")


def test_several_labels_at_once():
    X, y = make_multilabel_classification(200, 10, n_classes=4, random_state=0)
    net = Classifier(build, lr=0.01, epochs=80, random_state=0).fit(scale(X), y)
    assert net.predict_proba(scale(X)).shape == y.shape
    assert (net.predict(scale(X)) == y).mean() > 0.85
    with pytest.raises(
        ShapeError, match=r"layer 0 \(Linear\).* gives \(N, 3\), but y has labels in 4 columns, so \(N, 4\) is needed"
    ):
        Classifier(nn.Sequential(nn.Linear(10, 3))).fit(X, y)


def test_class_weights_are_those_of_the_labels(iris):
    """The loss with class weights is the mean that scikit-learn's weights give."""
    X, y = iris[0], np.array(["a", "b", "c"])[iris[1]]
    still = Classifier(build, optimizer="sgd", lr=1e-12, batch_size=None, epochs=1, random_state=0)
    for weight, rows in (({"a": 1, "b": 3, "c": 0.5}, np.array([1, 3, 0.5])[iris[1]]), ("balanced", np.ones(150))):
        net = clone(still).set_params(class_weight=weight).fit(X, y)
        np.testing.assert_allclose(net.loss_curve_[0], log_loss(y, net.predict_proba(X), sample_weight=rows), rtol=1e-6)


# Numbers ----------------------------------------------------------------------------------------------------------------------


def test_one_target_several_and_targets_of_each_step(rng):
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)
    net = Regressor(build, lr=0.01, epochs=40, random_state=0).fit(X, y)
    assert net.score(X, y) > 0.5
    assert net.predict(X).shape == y.shape
    both = Regressor(build, lr=0.01, epochs=40, random_state=0).fit(X, np.column_stack([y, -y]))
    assert both.predict(X).shape == (len(X), 2)
    assert both.score(X, np.column_stack([y, -y])) > 0.5
    sequences = rng.normal(size=(60, 7, 2))
    sums = sequences.sum(axis=2, keepdims=True).cumsum(axis=1) / 4
    tagger = nn.Sequential(nn.GRU(2, 16, return_sequences=True), nn.Linear(16, 1))
    each_step = Regressor(tagger, lr=0.02, epochs=60, random_state=0).fit(sequences, sums)
    assert each_step.predict(sequences).shape == sums.shape
    assert each_step.score(sequences, sums) > 0.8


def test_losses_with_several_outputs_for_a_target(rng):
    X = rng.normal(size=(300, 1))
    y = 2 * X[:, 0] + rng.normal(size=300)
    spread = Regressor(nn.Sequential(nn.Linear(1, 2)), loss="gaussian_nll", lr=0.02, random_state=0).fit(X, y)
    np.testing.assert_allclose(spread.predict(X), 2 * X[:, 0], atol=0.4)
    quantiles = Regressor(nn.Sequential(nn.Linear(1, 3)), loss=nn.losses.Quantile([0.1, 0.5, 0.9]), lr=0.02, random_state=0)
    found = quantiles.fit(X, y).predict(X)
    np.testing.assert_allclose((y[:, None] < found).mean(axis=0), [0.1, 0.5, 0.9], atol=0.05)
    with pytest.raises(ShapeError, match=r"gives \(N, 1\), but y has the shape \(N,\) and gaussian_nll needs .*\(N, 2\) is needed"):
        Regressor(nn.Sequential(nn.Linear(1, 1)), loss="gaussian_nll").fit(X, y)


# Sequences --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(3)
    made = [rng.normal(size=(steps, 2)) for steps in rng.integers(3, 9, size=80)]
    return made, np.array(["up" if each[:, 0].sum() > 0 else "down" for each in made])


def test_a_list_of_sequences_is_padded_data_with_lengths_and_with_a_mask(sequences):
    made, y = sequences
    X, lengths = nn.pad_sequences(made, value=99.0, return_lengths=True)
    first = nn.pad_sequences(made, padding="pre", value=-99.0)
    mask = np.arange(8)[::-1] < lengths[:, None]
    net = Classifier(recurrent, lr=0.02, epochs=40, random_state=0)
    nets = [
        clone(net).fit(made, y),
        clone(net).fit([pandas.DataFrame(each, columns=["a", "b"]) for each in made], y),
        clone(net).fit(X, y, lengths=lengths),
        clone(net).fit(first, y, mask=mask),
    ]
    found = nets[0].predict_proba(made)
    for each in nets:
        assert each.n_features_in_ == 2
        np.testing.assert_allclose(each.predict_proba(made), found, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(each.predict_proba(X, lengths=lengths), found, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(each.predict_proba(first, mask=mask), found, rtol=1e-6, atol=1e-9)
        assert each.score(X, y, lengths=lengths) == each.score(made, y) > 0.85
    np.testing.assert_allclose(nets[0].predict_proba([made[5]])[0], found[5], rtol=1e-6)
    with pytest.raises(ValueError, match="X has 3 features, but Classifier is expecting 2 features as input"):
        nets[0].predict(np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match="has their lengths"):
        nets[0].predict(made, lengths=lengths)


def test_lengths_are_routed_as_metadata(sequences):
    made, y = sequences
    X, lengths = nn.pad_sequences(made, return_lengths=True)
    with sklearn.config_context(enable_metadata_routing=True):
        net = Classifier(recurrent, lr=0.02, epochs=20, random_state=0)
        net.set_fit_request(lengths=True).set_score_request(lengths=True)
        routed = cross_val_score(net, X, y, cv=3, params={"lengths": lengths})
    np.testing.assert_array_equal(routed, cross_val_score(clone(net), np.array(made, object), y, cv=3))


def test_indices_of_words_with_lengths(rng):
    words = [rng.integers(1, 20, size=n) for n in rng.integers(2, 7, size=60)]
    y = [bool((each < 5).any()) for each in words]
    model = nn.Sequential(nn.Embedding(20, 8), nn.LSTM(8, 12), nn.Linear(12, 1))
    net = Classifier(model, lr=0.03, epochs=60, random_state=0).fit(words, y)
    assert net.score(words, y) > 0.9


# Models and parameters ----------------------------------------------------------------------------------------------------------


def test_a_ready_model_is_never_trained_in_place(iris):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), seed=5)
    before = copy.deepcopy(model.state_dict())
    net = Classifier(model, random_state=1, epochs=3)
    first, second = clone(net).fit(*iris), net.fit(*iris)
    for name, value in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], value)
        np.testing.assert_array_equal(first.model_.state_dict()[name], second.model_.state_dict()[name])
        assert (second.model_.state_dict()[name] != value).any()
    assert net.build is model


def test_random_state_decides_even_if_build_draws_seeds(iris):
    nets = [Classifier(build, random_state=state, epochs=3).fit(*iris).predict_proba(iris[0]) for state in (0, 0, 1)]
    np.testing.assert_array_equal(nets[0], nets[1])
    assert (nets[0] != nets[2]).any()
    generator = np.random.RandomState(4)
    net = Classifier(build, random_state=generator, epochs=3)
    assert (net.fit(*iris).predict_proba(iris[0]) != net.fit(*iris).predict_proba(iris[0])).any()


def test_weights_that_build_loads_stay(iris):
    body = np.arange(32.0).reshape(8, 4) / 32

    def pretrained(n_features, n_outputs):
        model = nn.Sequential(nn.Linear(n_features, 8, trainable=False), nn.ReLU(), nn.Linear(8, n_outputs))
        model[0].weight[...] = body
        return model

    heads = []
    for state in (0, 0, 1):
        net = Classifier(pretrained, random_state=state, epochs=1).fit(*iris)
        np.testing.assert_array_equal(net.model_[0].weight, body.astype(np.float32))
        heads.append(net.model_[2].weight.copy())
    np.testing.assert_array_equal(heads[0], heads[1])
    assert (heads[0] != heads[2]).any()


def test_parameters_of_build_are_searched(iris):
    net = Classifier(build, build__units=4, epochs=30, lr=0.02, random_state=0)
    assert net.get_params()["build__units"] == 4
    assert net.get_params()["build__dropout"] == 0.0
    assert net.get_params(deep=False)["build_params"] == {"units": 4}
    assert clone(net).get_params() == net.get_params()
    pipe = make_pipeline(StandardScaler(), net)
    search = GridSearchCV(pipe, {"classifier__build__units": [1, 8], "classifier__lr": [0.02]}, cv=3).fit(*iris)
    assert search.best_score_ > 0.9
    assert search.best_estimator_[-1].model_[0].out_features == search.best_params_["classifier__build__units"]
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        Classifier(build, epoch=3)
    with pytest.raises(ArgumentError, match=r"build must be a model, or a function of n_features, n_outputs .*'unit'"):
        Classifier(build, build__unit=4).fit(*iris)
    with pytest.raises(ArgumentError, match="must return a model of nncore"):
        Classifier(lambda i, o: None).fit(*iris)
    with pytest.raises(ShapeError, match=r"layer 3 \(Linear\), Linear\(in_f.* gives \(N, 5\), but y has 3 classes"):
        Classifier(lambda i, o: build(i, 5)).fit(*iris)


def test_early_stopping_and_own_validation_data(iris):
    X, y = iris
    net = Classifier(build, lr=0.05, epochs=200, early_stopping=True, n_iter_no_change=5, random_state=0).fit(X[::2], y[::2])
    assert net.n_iter_ < 200
    best = int(np.argmin(net.validation_loss_curve_))
    assert net.n_iter_ == len(net.loss_curve_) == best + 6
    own = clone(net).fit(X[::2], y[::2], validation_data=(X[1::2], y[1::2]))
    probabilities = own.predict_proba(X[1::2])
    np.testing.assert_allclose(log_loss(y[1::2], probabilities), min(own.validation_loss_curve_), rtol=1e-6)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        own.partial_fit(X, y)


def test_partial_fit_and_warm_start(iris):
    X, y = iris
    whole = Classifier(build, epochs=5, shuffle=False, random_state=0).fit(X, y)
    parts = Classifier(build, shuffle=False, random_state=0)
    for _ in range(5):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(whole.predict_proba(X), parts.predict_proba(X))
    np.testing.assert_allclose(whole.loss_curve_, parts.loss_curve_)
    warm = Classifier(build, epochs=5, warm_start=True, random_state=0).fit(X, y).fit(X, y)
    assert warm.n_iter_ == 10
    assert warm.loss_curve_[5] < warm.loss_curve_[0] / 1.1
    with pytest.raises(ValueError, match="classes must be passed"):
        Classifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="not the same as on last call"):
        parts.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="classes not in"):
        parts.partial_fit(X, y + 1)


def test_types_of_numbers(iris):
    X, y = iris
    kinds = {"auto": np.float64, "float32": np.float32}
    for dtype, expected in kinds.items():
        assert Classifier(build, dtype=dtype, epochs=1).fit(X, y).predict_proba(X).dtype == expected
    assert Classifier(build, epochs=1).fit(X.astype(np.float32), y).predict_proba(X).dtype == np.float32
    low = Classifier(build, epochs=1, compute="bfloat16").fit(X, y)
    assert low.model_.compute == "bfloat16"
    assert low.model_.dtype == np.float32


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame])
def test_frames_are_checked_by_name(frame, iris):
    X, y = iris
    table = frame({name: X[:, i] for i, name in enumerate("abcd")})
    net = Classifier(build, epochs=30, lr=0.02, random_state=0).fit(table, y)
    assert list(net.feature_names_in_) == list("abcd")
    np.testing.assert_array_equal(net.predict(table), Classifier(build, epochs=30, lr=0.02, random_state=0).fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        net.predict(frame({name: X[:, i] for i, name in enumerate("dcba")}))


def test_copies_and_pickles_go_on_alike(iris):
    X, y = iris
    net = Classifier(build, epochs=3, random_state=0).fit(X, y)
    others = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    net.partial_fit(X, y)
    for other in others:
        np.testing.assert_array_equal(other.partial_fit(X, y).predict_proba(X), net.predict_proba(X))
        assert other.history_.history == net.history_.history


def test_callbacks_metrics_and_optimizers(iris):
    X, y = iris
    seen = []
    watch = nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["accuracy"]))
    net = Classifier(build, callbacks=[watch], metrics=["accuracy"], epochs=4, optimizer=nn.optim.SGD(momentum=0.9), lr=0.1)
    net.fit(X, y)
    assert seen == net.history_.history["accuracy"]
    assert net.optimizer.lr == 0.01
    assert net.model_.optimizer.lr == 0.1
    assert Regressor(build, optimizer="lbfgs", epochs=50, random_state=0).fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.98
    with pytest.raises(ArgumentError, match="LBFGS has no learning rate"):
        Classifier(build, optimizer="lbfgs", lr=0.1).fit(X, y)
    with (
        pytest.raises(ValueError, match="the loss has become"),
        np.errstate(all="ignore"),
        pytest.warns(UserWarning, match="the loss is"),
    ):
        Regressor(build, optimizer="sgd", lr=1e9, random_state=0).fit(X, y)


def test_digits():
    X, y = load_digits(return_X_y=True)
    net = Classifier(build, build__units=64, epochs=20, dtype="float32", random_state=0).fit(X[:1200] / 16, y[:1200])
    assert net.score(X[1200:] / 16, y[1200:]) > 0.9
    with nn.threads(2):
        two = Classifier(build, build__units=64, epochs=3, random_state=0, threads=1).fit(X[:300], y[:300])
        assert nn.get_num_threads() == 2
    assert two.n_iter_ == 3


def test_wrong_shapes_of_outputs(sequences):
    made, y = sequences
    with pytest.raises(ShapeError, match=r"gives \(N, 8, 1\), but y has class labels, so a vector .*LastStep.*return_sequences"):
        Classifier(nn.Sequential(nn.GRU(2, 4, return_sequences=True), nn.Linear(4, 1))).fit(made, y)
    x = nn.Input((2,))
    with pytest.raises(ShapeError, match="the model has 2 outputs"):
        Classifier(nn.Model(x, [nn.Linear(2, 1)(x), nn.Linear(2, 1)(x)])).fit(np.zeros((4, 2)), [0, 1, 0, 1])


def test_sequences_need_a_network_for_them():
    X = np.zeros((6, 4, 2))
    with pytest.raises(
        ValueError, match=r"Classifier: X is sequences, 3 dimensions, .* pass build, .* or take RecurrentClassifier"
    ):
        Classifier().fit(X, [0, 1] * 3)
    with pytest.raises(ValueError, match="or take RecurrentRegressor"):
        Regressor().fit(X, np.zeros(6))


def test_an_error_before_training_leaves_the_estimator_as_it_was(iris, sequences):
    X, y = iris
    net = Classifier(build, epochs=2, random_state=0).fit(X, y)
    before = net.predict_proba(X)
    for wrong in (
        lambda: net.set_params(build=lambda i, o: build(i, 7)).fit(X[:, :2], y > 0),
        lambda: net.set_params(build=build).fit(X[:, :3], y, sample_weight=np.zeros(150)),
        lambda: net.set_params(loss="hinj").fit(*sequences),
    ):
        with pytest.raises(ValueError, match="gives|zero|hinj"):
            wrong()
        assert net.n_features_in_ == 4
        np.testing.assert_array_equal(net.classes_, [0, 1, 2])
        np.testing.assert_array_equal(net.predict_proba(X), before)


def test_warm_start_refuses_another_network(iris):
    X, y = iris
    for kind, given in ((Classifier, build), (Regressor, build)):
        net = kind(given, epochs=1, warm_start=True, build__units=8, random_state=0).fit(X, y)
        weights = net.model_.get_weights()
        net.set_params(build__units=8, build__dropout=0.0).fit(X, y)  # what it was
        with pytest.raises(ValueError, match=r"made with build__units=8, but now build__units is 9; use warm_start=False"):
            net.set_params(build__units=9).fit(X, y)
        with pytest.raises(ValueError, match="made with build=.*use warm_start=False"):
            net.set_params(build=recurrent, build_params=None).fit(X, y)
        assert [each.shape for each in net.model_.get_weights()] == [each.shape for each in weights]
        net.set_params(build=build, build__units=9, warm_start=False)
        with pytest.raises(ValueError, match=r"build__units is 9; call fit for a new network"):
            net.partial_fit(X, y)
        assert net.fit(X, y).model_[0].weight.shape == (9, 4)
        copied = pickle.loads(pickle.dumps(net.set_params(warm_start=True)))
        assert copied.fit(X, y).n_iter_ == 2
