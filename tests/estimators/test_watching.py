"""scikit-learn's callbacks (1.9 and newer): each epoch is a task, alone and inside of searches and pipelines."""

import numpy as np
import pytest
import sklearn
from estimator_instances import NAMES, make, rows_for
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from nncore.estimators import MLPClassifier

NEW = parse_version(sklearn.__version__) >= parse_version("1.9")
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(not NEW, reason="scikit-learn has callbacks since 1.9"),
]


class Log:
    """Records what it sees, and asks to stop after an epoch."""

    def __init__(self, stop_after=None):
        self.seen, self.stop_after = [], stop_after

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.seen.append(("end", context.task_name, context.task_id))
        self.last = (X, y, metadata, fitted_estimator)
        return context.task_name == "epoch" and context.task_id == self.stop_after


def few(name, epochs=3):
    return make(name, random_state=0, max_iter=epochs, epochs=epochs)


WATCHED = [name for name in NAMES if hasattr(make(name), "set_callbacks")]


def test_who_has_callbacks():
    """All but the estimators with one layer, which have no epochs of their own if there are several classes."""
    assert {*NAMES} - {*WATCHED} <= {"LinearSVM", "Perceptron", "SoftmaxRegression"}


@pytest.mark.parametrize("name", WATCHED)
def test_each_epoch_is_a_task(name):
    x, y = rows_for(name)
    log = Log()
    net = few(name).set_callbacks(log)
    net.fit(x, y)
    epochs = [f for i in range(net.n_iter_) for f in (("begin", "epoch", i), ("end", "epoch", i))]
    assert log.seen == ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]
    given, labels, _, fitted = log.last
    assert given is x
    assert labels is y
    np.testing.assert_array_equal(fitted.predict(x), net.predict(x))
    assert "_watched" not in vars(net)


def test_a_callback_stops_training():
    x, y = rows_for("MLPClassifier")
    log = Log(stop_after=1)
    net = few("MLPClassifier", epochs=50).set_callbacks(log).fit(x, y)
    assert net.n_iter_ == 2
    assert net.set_callbacks().fit(x, y).n_iter_ > 2


def test_an_estimator_of_each_epoch():
    """The copy that a callback gets does not change when training goes on."""
    x, y = rows_for("MLPClassifier")

    class Keep(Log):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            self.seen.append(fitted_estimator)

    keep = Keep()
    net = few("MLPClassifier").set_callbacks(keep).fit(x, y)
    kept = [each for each in keep.seen if isinstance(each, MLPClassifier)]
    first = few("MLPClassifier", epochs=1).fit(x, y)
    np.testing.assert_allclose(kept[0].predict_proba(x), first.predict_proba(x), rtol=1e-6)
    np.testing.assert_array_equal(kept[-1].predict_proba(x), net.predict_proba(x))


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_scores_of_each_epoch(name):
    from sklearn.callback import ScoringMonitor

    x, y = rows_for(name)
    weight = np.linspace(1, 2, len(x))
    score = "accuracy" if name == "MLPClassifier" else "r2"
    monitor = ScoringMonitor(scoring=score)
    net = few(name).set_callbacks(monitor).fit(x, y, sample_weight=weight)
    log = [row[score] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(log) == 3
    assert log[-1] == pytest.approx(net.score(x, y, sample_weight=weight))


def test_inside_of_a_search():
    """A search hands its callbacks on to the nets."""
    x, y = rows_for("MLPClassifier")

    class Spread(Log):
        max_propagation_depth = None

    log = Spread()
    search = GridSearchCV(make_pipeline(StandardScaler(), few("MLPClassifier", epochs=2)), {"mlpclassifier__alpha": [0, 1]}, cv=2)
    search.set_callbacks(log).fit(x, y)
    assert sum(each == ("end", "epoch", 1) for each in log.seen if isinstance(each, tuple)) == 5  # 2 candidates, 2 folds, the best
    assert log.seen.count("setup") == 1
    assert not hasattr(clone(search.best_estimator_[-1]), "_skl_callbacks")


def test_errors_end_the_callbacks():
    x, y = rows_for("MLPClassifier")

    class Fail(Log):
        def on_fit_task_begin(self, estimator, context):
            super().on_fit_task_begin(estimator, context)
            if context.task_name == "epoch":
                raise RuntimeError("on purpose")

    log = Fail()
    with pytest.raises(RuntimeError, match="on purpose"):
        few("MLPClassifier").set_callbacks(log).fit(x, y)
    assert log.seen[-1] == "teardown"
