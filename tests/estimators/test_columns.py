"""Data frames: names of columns checked at predict, column transformers, outputs as frames. The truth is scikit-learn's own MLP."""

import warnings

import numpy as np
import pandas
import polars
import pytest
import sklearn
from estimator_instances import NAMES, make, rows_for
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import StackingClassifier
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.fixes import parse_version

from nncore.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NEW = parse_version(sklearn.__version__) >= parse_version("1.9")
COLUMNS = ["width", "height", "depth", "noise"]


def frame_of(x, library=pandas, columns=COLUMNS):
    return library.DataFrame({name: x[:, i] for i, name in enumerate(columns)})


def outputs(estimator, x):
    return estimator.predict_proba(x) if hasattr(estimator, "predict_proba") else estimator.predict(x)


@pytest.mark.parametrize("library", [pandas, polars], ids=["pandas", "polars"])
@pytest.mark.parametrize("name", NAMES)
def test_frames_are_arrays_with_names(name, library):
    x, y = rows_for(name)
    target = library.Series(y.tolist()) if library is polars else library.Series(y, name="target")
    by_frame = make(name, random_state=0).fit(frame_of(x, library), target)
    by_array = make(name, random_state=0).fit(x, y)
    assert by_frame.feature_names_in_.tolist() == COLUMNS
    assert not hasattr(by_array, "feature_names_in_")
    np.testing.assert_array_equal(outputs(by_frame, frame_of(x, library)), outputs(by_array, x))
    assert by_frame.score(frame_of(x, library), target) == by_array.score(x, y)


def said_by(estimator, x):
    """What is said of other columns: the type and the text of an error, else of the warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.predict(x)
        except ValueError as error:
            return ValueError, str(error)
    (warning,) = caught
    return warning.category, str(warning.message)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", ["renamed", "reordered", "missing", "more", "no names"])
def test_other_columns_at_predict(name, change):
    """The same error or warning as of scikit-learn's estimators."""
    x, y = rows_for(name)
    frame = frame_of(x)
    other = {
        "renamed": frame.rename(columns={"depth": "length"}),
        "reordered": frame[COLUMNS[::-1]],
        "missing": frame[COLUMNS[:3]],
        "more": frame.assign(more=1.0),
        "no names": x,
    }[change]
    ours = said_by(make(name).fit(frame, y), other)
    theirs = said_by(GaussianNB().fit(frame, y > np.median(y)), other)
    assert ours[0] is theirs[0]
    assert ours[1] == theirs[1].replace("GaussianNB", name)


@pytest.mark.parametrize("name", NAMES)
def test_names_at_predict_alone(name):
    x, y = rows_for(name)
    net = make(name).fit(x, y)
    with pytest.warns(UserWarning, match=f"X has feature names, but {name} was fitted without feature names"):
        net.predict(frame_of(x))
    with pytest.raises(ValueError, match=f"X has 3 features, but {name} is expecting 4 features as input"):
        net.predict(x[:, :3])


def mixed(rows=80):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "age": rng.integers(18, 90, rows).astype(float),
            "income": rng.lognormal(10, 1, rows),
            "city": rng.choice(["Oslo", "Rome", "Lima"], rows),
            "member": rng.choice([True, False], rows),
        }
    )
    frame.loc[::9, "age"] = np.nan
    return frame, np.where((frame["city"] == "Rome") ^ frame["member"], "yes", "no")


def test_a_mixed_table():
    frame, y = mixed()
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include=float)),
        (OneHotEncoder(handle_unknown="ignore"), ["city", "member"]),
    )
    model = make_pipeline(columns, MLPClassifier(hidden_layer_sizes=(16,), learning_rate_init=0.02, random_state=0))
    assert model.fit(frame, y).score(frame, y) > 0.95
    assert sorted(set(model.predict(frame[::-1]))) == ["no", "yes"]
    with pytest.raises(ValueError, match="columns are missing"):
        model.predict(frame.drop(columns="city"))
    assert model.predict(frame.assign(extra=1)).tolist() == model.predict(frame).tolist()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("by_config", [True, False])
def test_outputs_of_transformers_as_frames(by_config, library):
    """`set_output` gives the net a frame, so it knows the names of the made columns."""
    if library == "polars" and not hasattr(polars.DataFrame, "__dataframe__") and not NEW:
        pytest.skip("this scikit-learn does not know frames of this polars")
    frame, y = mixed()
    columns = make_column_transformer(
        (StandardScaler(), ["income"]), (OneHotEncoder(sparse_output=False), ["city"]), verbose_feature_names_out=False
    )
    model = make_pipeline(columns, MLPClassifier(max_iter=5, random_state=0))
    if by_config:
        with sklearn.config_context(transform_output=library):
            found = model.fit(frame, y).predict(frame)
    else:
        found = model.set_output(transform=library).fit(frame, y).predict(frame)
    assert model[-1].feature_names_in_.tolist() == ["income", "city_Lima", "city_Oslo", "city_Rome"]
    assert set(found) <= {"no", "yes"}


def test_pandas_in_ensembles():
    x, y = rows_for("MLPClassifier")
    stack = StackingClassifier([("a", make("MLPClassifier")), ("b", GaussianNB())], GaussianNB(), cv=2, passthrough=True)
    stack.set_output(transform="pandas").fit(frame_of(x), y)
    assert [name[-2:] for name in stack.transform(frame_of(x)).columns[:3]] == ["a0", "a1", "a2"]


def test_types_of_pandas():
    """Nullable and categorical columns as scikit-learn takes them; missing values are named."""
    x, y = rows_for("MLPClassifier")
    frame = frame_of(x.round())
    nullable = frame.astype("Int64")
    net = make("MLPClassifier", random_state=0).fit(nullable, pandas.Series(y).astype("category"))
    np.testing.assert_array_equal(
        net.predict_proba(nullable), make("MLPClassifier", random_state=0).fit(frame, y).predict_proba(frame)
    )
    nullable.iloc[3, 1] = pandas.NA
    for each in (net, TheirClassifier(max_iter=2).fit(frame, y)):
        with pytest.raises(ValueError, match=r"contains NaN"):
            each.predict(nullable)
    strings = pandas.Series(np.array(["ant", "bee", "cow"])[y], dtype="string")
    assert make("MLPClassifier").fit(frame, strings).classes_.tolist() == ["ant", "bee", "cow"]


def test_frames_as_targets():
    x, y = rows_for("MLPRegressor")
    target = pandas.DataFrame({"sum": y, "twice": 2 * y})
    net = MLPRegressor(max_iter=10, random_state=0).fit(frame_of(x), target)
    assert net.predict(frame_of(x)).shape == (60, 2)
    with pytest.warns(sklearn.exceptions.DataConversionWarning, match="column-vector y was passed"):
        MLPClassifier(max_iter=2).fit(x, pandas.DataFrame({"label": y > 0}))
