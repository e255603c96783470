"""Estimators on data in parts: partial_fit block by block, and predictions."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nncore as nn
from nncore import errors


@pytest.fixture
def xy(rng):
    x = rng.normal(size=(1000, 4)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 1)


@pytest.fixture
def folder(xy, tmp_path):
    table = pa.table({f"c{i}": xy[0][:, i] for i in range(4)} | {"y": xy[1], "w": np.abs(xy[0][:, 0])})
    pq.write_table(table, tmp_path / "rows", row_group_size=130)
    return tmp_path / "rows"


NAMES = ["c0", "c1", "c2", "c3"]


def build(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), nn.Linear(8, n_outputs))


ESTIMATORS = {
    "MLPClassifier": lambda: nn.estimators.MLPClassifier(hidden_layer_sizes=(8,), random_state=0, batch_size=50, shuffle=False),
    "MLPRegressor": lambda: nn.estimators.MLPRegressor(hidden_layer_sizes=(8,), random_state=0, batch_size=50, shuffle=False),
    "Classifier": lambda: nn.estimators.Classifier(build, random_state=0, batch_size=50, shuffle=False),
    "Regressor": lambda: nn.estimators.Regressor(build, random_state=0, batch_size=50, shuffle=False),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_partial_fit_in_parts_is_that_of_the_blocks(name, xy, folder):
    x, y = xy
    classes = {"classes": [0, 1, 2]} if "Classifier" in name else {}
    plain, model, framed = ESTIMATORS[name](), ESTIMATORS[name](), ESTIMATORS[name]()
    table = nn.data.parquet(folder, features=NAMES, target="y", sample_weight="w", buffer=300)
    frame = dd.from_pandas(pd.read_parquet(folder), 4)
    for _ in range(2):
        for i in range(0, 1000, 300):
            rows = slice(i, i + 300)
            plain.partial_fit(x[rows], y[rows], sample_weight=np.abs(x[rows, 0]), **classes)
        assert model.partial_fit(table, None, **classes) is model
        framed.partial_fit(frame[NAMES], frame["y"], **classes)
    np.testing.assert_array_equal(model.predict(x), plain.predict(x))
    np.testing.assert_array_equal(model.predict(table), model.predict(x))
    np.testing.assert_array_equal(framed.predict(x).shape, y.shape)


def test_it_learns_and_predicts(xy, folder):
    model = nn.estimators.MLPClassifier((16,), random_state=0, learning_rate_init=0.01, batch_size=20)
    data = nn.data.parquet(folder, features=NAMES, target="y", buffer=200)
    for _ in range(15):
        model.partial_fit(data, None, classes=[0, 1, 2])
    assert model.score(*xy) > 0.93
    np.testing.assert_array_equal(model.predict(data), model.predict(xy[0]))
    np.testing.assert_allclose(model.predict_proba(data), model.predict_proba(xy[0]), rtol=1e-6)


def test_fit_reads_collections_of_dask_whole(xy):
    x, y = xy
    plain, model = (nn.estimators.MLPClassifier((8,), random_state=0, tol=10.0, n_iter_no_change=2) for _ in range(2))
    plain.fit(x, y)
    model.fit(da.from_array(x, chunks=(300, 4)), da.from_array(y, chunks=300))
    np.testing.assert_array_equal(model.predict_proba(x), plain.predict_proba(x))


@pytest.mark.parametrize("kind", ["Dataset", "DataLoader"])
def test_datasets_of_torch_are_no_rows(kind):
    data = pytest.importorskip("torch.utils.data", reason="PyTorch is not installed")

    class Rows(data.Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return np.zeros(2), 0

    given = Rows() if kind == "Dataset" else data.DataLoader(Rows())
    for call in (nn.estimators.MLPClassifier().fit, nn.estimators.Classifier().fit, nn.estimators.Classifier().partial_fit):
        with pytest.raises(
            errors.ArgumentError, match=r"X must be rows, not the (Rows|DataLoader) of PyTorch; .* partial_fit\(X, y\)"
        ):
            call(given, None)


def test_what_is_wrong(folder):
    model = nn.estimators.MLPClassifier(random_state=0)
    data = nn.data.parquet(folder, features=NAMES, target="y")
    with pytest.raises(errors.ArgumentError, match="MLPClassifier.fit needs all rows; for data in parts call partial_fit"):
        model.fit(data, None)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(data, None)
    with pytest.raises(errors.ArgumentError, match="the targets are missing"):
        model.partial_fit(nn.data.parquet(folder, features=NAMES), None, classes=[0, 1, 2])
    assert not hasattr(model, "classes_")
