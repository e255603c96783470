"""Parameters as scikit-learn handles them: clones, nested parameters, refused values, random states, configuration."""

import pickle

import numpy as np
import pytest
import sklearn
from estimator_instances import CLASSIFIERS, NAMES, REGRESSORS, make, rows_for
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

import nncore as nn
from nncore.estimators import Classifier, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def outputs(estimator, x):
    return estimator.predict_proba(x) if hasattr(estimator, "predict_proba") else estimator.predict(x)


@pytest.mark.parametrize("name", NAMES)
def test_clone_is_unfitted_and_alike(name):
    x, y = rows_for(name)
    fitted = make(name, random_state=0).fit(x, y)
    copy = clone(fitted)
    assert repr(copy.get_params()) == repr(fitted.get_params())
    assert set(vars(copy)) == set(vars(make(name)))  # no fitted attribute, no state
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        copy.predict(x)
    np.testing.assert_array_equal(outputs(copy.fit(x, y), x), outputs(fitted, x))


def test_clones_share_no_optimizer():
    """What one fit does to its optimizer (a callback that lowers the rate, a schedule) does not reach another fit."""

    class Lower(nn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.lr = 1e-5

    rule = nn.optim.Adam(lr=0.01)
    x, y = rows_for("MLPClassifier")
    first = MLPClassifier(solver=rule, max_iter=3, random_state=0, callbacks=[Lower()])
    other = clone(first)
    assert other.solver is not rule
    assert other.callbacks[0] is not first.callbacks[0]
    first.fit(x, y)
    assert (rule.lr, other.solver.lr) == (0.01, 0.01)
    plain = MLPClassifier(solver=rule, max_iter=3, random_state=0)
    np.testing.assert_array_equal(
        plain.fit(x, y).predict_proba(x),
        MLPClassifier(solver=nn.optim.Adam(lr=0.01), max_iter=3, random_state=0).fit(x, y).predict_proba(x),
    )
    assert rule.lr == 0.01


def test_nested_parameters_of_an_optimizer():
    net = MLPClassifier(solver=nn.optim.AdamW(lr=0.01, weight_decay=0.1, clip_norm=1.0))
    deep = net.get_params()
    assert (deep["solver__lr"], deep["solver__weight_decay"], deep["solver__betas"]) == (0.01, 0.1, (0.9, 0.999))
    assert not any("__" in key for key in net.get_params(deep=False))
    before = net.solver
    net.set_params(solver__lr=0.5, solver__betas=(0.8, 0.9), alpha=0.0)
    assert (net.solver.lr, net.solver.weight_decay, net.solver.clip_norm, net.alpha) == (0.5, 0.1, 1.0, 0.0)
    assert (net.solver.config()["betas"], before.lr) == ((0.8, 0.9), 0.01)
    pipeline = make_pipeline(StandardScaler(), net).set_params(mlpclassifier__solver__lr=0.25)
    assert pipeline.get_params()["mlpclassifier__solver__lr"] == 0.25
    net.set_params(solver=nn.optim.SGD(lr=0.1), solver__momentum=0.9)
    assert (type(net.solver).__name__, net.solver.lr, net.solver.config()["momentum"]) == ("SGD", 0.1, 0.9)


def test_nested_parameters_of_both_kinds():
    """Those of an optimizer and those of the function that builds the network."""

    def build(n_features, n_outputs, units=8):
        return nn.Sequential(nn.Linear(n_features, units), nn.ReLU(), nn.Linear(units, n_outputs))

    net = Classifier(build, optimizer=nn.optim.AdamW(lr=0.1), epochs=2)
    assert (net.get_params()["build__units"], net.get_params()["optimizer__lr"]) == (8, 0.1)
    net.set_params(build__units=3, optimizer__lr=0.2, epochs=1)
    copy = clone(net)
    assert (copy.get_params()["build__units"], copy.optimizer.lr, copy.epochs) == (3, 0.2, 1)
    x, y = rows_for("Classifier")
    assert copy.fit(x, y).model_[0].weight.shape == (3, 4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"solver__beta": 0.9}, "Invalid parameter 'beta' for estimator Adam"),
        ({"solver__lr": -1.0}, "lr"),
        ({"nothing": 1}, "Invalid parameter 'nothing' for estimator MLPClassifier"),
        ({"alpha__x": 1}, "set_params"),
    ],
)
def test_bad_nested_parameters(changes, said):
    net = MLPClassifier(solver=nn.optim.Adam(lr=0.01))
    with pytest.raises((ValueError, AttributeError), match=said):
        net.set_params(**changes)
    assert net.solver.lr == 0.01


def test_string_solver_has_no_nested_parameters():
    with pytest.raises((ValueError, AttributeError)):
        MLPClassifier().set_params(solver__lr=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_random_states(name):
    """The same seed gives the same fit; a RandomState is moved on; None follows NumPy's global generator."""
    x, y = rows_for(name)

    def fitted(state):
        return outputs(make(name, random_state=state).fit(x, y), x)

    np.testing.assert_array_equal(fitted(3), fitted(3))
    np.testing.assert_array_equal(fitted(3), fitted(np.int64(3)))
    np.testing.assert_array_equal(fitted(3), fitted(np.random.RandomState(3)))
    if np.array_equal(fitted(3), fitted(4)):  # a class that draws nothing
        pytest.skip("this estimator does not depend on random numbers")
    state = np.random.RandomState(3)
    first, second = fitted(state), fitted(state)
    assert not np.array_equal(first, second)
    np.random.seed(7)  # noqa: NPY002
    first = fitted(None)
    np.random.seed(7)  # noqa: NPY002
    np.testing.assert_array_equal(fitted(None), first)
    assert not np.array_equal(fitted(None), first)
    with pytest.raises((ValueError, TypeError), match="random_state"):
        fitted(np.random.default_rng(3))
    with pytest.raises((ValueError, TypeError), match="random_state"):
        fitted("3")


def test_initial_weights_are_drawn_as_scikit_learn_draws_them():
    """The same numbers in the same order, so a generator that several estimators share goes on alike."""
    x, y = rows_for("MLPClassifier")
    states = [np.random.RandomState(0) for _ in range(2)]
    for cls, state in zip((MLPClassifier, TheirClassifier), states, strict=True):
        cls(hidden_layer_sizes=(5, 4), max_iter=1, shuffle=False, random_state=state).fit(x, y)
    assert states[0].randint(2**31) == states[1].randint(2**31)


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_layer_sizes": -1},
        {"hidden_layer_sizes": (3, 0)},
        {"solver": "hadoken"},
        {"solver": 3},
        {"alpha": -1},
        {"alpha": "x"},
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"learning_rate": "converging"},
        {"learning_rate_init": 0},
        {"power_t": -1},
        {"max_iter": 0},
        {"max_iter": 3.0},
        {"shuffle": "true"},
        {"random_state": -1},
        {"tol": -1e-3},
        {"verbose": -1},
        {"warm_start": 3},
        {"momentum": 2},
        {"nesterovs_momentum": "yes"},
        {"early_stopping": None},
        {"validation_fraction": 1},
        {"beta_1": 1},
        {"beta_2": -0.5},
        {"epsilon": 0},
        {"n_iter_no_change": -1},
        {"max_fun": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize(("ours", "theirs"), [(MLPClassifier, TheirClassifier), (MLPRegressor, TheirRegressor)])
def test_refused_values_are_those_of_scikit_learn(ours, theirs, settings):
    """The same type of error for the same value. Its message names the parameter and the value."""
    x, y = rows_for(ours.__name__)
    with pytest.raises(Exception) as theirs_said:  # noqa: PT011
        theirs(**settings).fit(x, y)
    (name, value), net = *settings.items(), ours(**settings)
    kind = ValueError if isinstance(theirs_said.value, ValueError) else type(theirs_said.value)
    with pytest.raises(kind, match=name) as said:
        net.fit(x, y)
    assert repr(value) in str(said.value) or str(value).strip("()") in str(said.value)
    assert not hasattr(net, "classes_")
    with pytest.raises(NotFittedError):
        net.predict(x)


def test_skip_parameter_validation():
    x, y = rows_for("MLPClassifier")
    with sklearn.config_context(skip_parameter_validation=True):
        MLPClassifier(max_iter=np.int64(2), batch_size=7, random_state=0).fit(x, y)


@pytest.mark.parametrize("name", NAMES)
def test_reprs(name):
    x, y = rows_for(name)
    net = make(name)
    assert repr(net).startswith(name + "(")
    for each in (net, clone(net).fit(x, y), make_pipeline(StandardScaler(), net) if x.ndim == 2 else net):
        assert name in estimator_html_repr(each)
        assert name in each._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("name", NAMES)
def test_pickles(name):
    x, y = rows_for(name)
    fitted = make(name, random_state=0).fit(x, y)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(outputs(copy, x), outputs(fitted, x))
    again = clone(copy).fit(x, y)
    np.testing.assert_array_equal(outputs(again, x), outputs(fitted, x))
    assert pickle.dumps(copy) == pickle.dumps(pickle.loads(pickle.dumps(copy)))


def test_joblib_files(tmp_path):
    import joblib

    x, y = rows_for("MLPClassifier")
    pipeline = make_pipeline(StandardScaler(), make("MLPClassifier", random_state=0, solver=nn.optim.AdamW())).fit(x, y)
    path = tmp_path / "pipeline.joblib"
    joblib.dump(pipeline, path, compress=3)
    np.testing.assert_array_equal(joblib.load(path).predict_proba(x), pipeline.predict_proba(x))
    joblib.dump(pipeline, path)  # read back as read-only memory
    np.testing.assert_array_equal(joblib.load(path, mmap_mode="r").predict_proba(x), pipeline.predict_proba(x))


@pytest.mark.parametrize("name", [*CLASSIFIERS, *REGRESSORS])
def test_verbose_prints(name, capfd):
    x, y = rows_for(name)
    make(name, random_state=0).fit(x, y)
    assert capfd.readouterr() == ("", "")
    if "verbose" in make(name).get_params():
        make(name, random_state=0, verbose=True).fit(x, y)
        assert "loss" in "".join(capfd.readouterr())  # lines on stdout, or a bar on stderr
