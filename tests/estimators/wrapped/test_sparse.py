"""Sparse rows in estimators around a network: the same as dense ones, but dense a batch at a time."""

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_matrix

import nncore as nn
from nncore.estimators import Classifier, RecurrentClassifier, Regressor

X = np.maximum(np.random.default_rng(0).normal(size=(150, 6)), 0)
SPARSE = csr_matrix(X)
Y = np.digitize(X[:, 0] + X[:, 1], [0.3, 0.9])


@pytest.mark.parametrize(
    "settings",
    [{"shuffle": False}, {"batch_size": None}, {"shuffle": False, "class_weight": "balanced"}, {"optimizer": "lbfgs"}],
    ids=str,
)
def test_training_is_that_on_dense_rows(settings, monkeypatch):
    monkeypatch.setattr("nncore.estimators.wrapped.base.BLOCK", 6 * 150 if "optimizer" in settings else 6 * 40)
    nets = [Classifier(random_state=0, epochs=5, **settings).fit(each, Y) for each in (X, SPARSE)]
    np.testing.assert_allclose(nets[1].loss_curve_, nets[0].loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(nets[1].predict_proba(coo_array(X)), nets[0].predict_proba(X), rtol=1e-9)
    assert nets[1].score(SPARSE, Y) == nets[0].score(X, Y)


def two_by_two(n_features, n_outputs):
    few, many = nn.Input((2,)), nn.Input((n_features - 2,))
    h = nn.ReLU()(nn.Linear(n_features, 8)(nn.concatenate([few, many])))
    return nn.Model([few, many], [nn.Linear(8, units)(h) for units in n_outputs])


def test_several_inputs_and_outputs_weights_and_validation():
    labels, weight = np.column_stack([Y, Y % 2]), np.arange(150.0)
    nets = [
        Classifier(two_by_two, random_state=0, epochs=3, shuffle=False).fit(each, labels, weight, validation_data=(each, labels))
        for each in (X, SPARSE)
    ]
    for one, other in zip(*(net.predict_proba(each) for net, each in zip(nets, (X, SPARSE), strict=True)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    np.testing.assert_allclose(nets[0].validation_loss_curve_, nets[1].validation_loss_curve_, rtol=1e-9)


def test_never_more_than_a_batch_is_dense(monkeypatch):
    made, dense = [], csr_matrix.toarray
    monkeypatch.setattr("nncore.estimators.wrapped.base.BLOCK", 6 * 40)
    monkeypatch.setattr(csr_matrix, "toarray", lambda self, *args, **kwargs: made.append(self.shape[0]) or dense(self))
    net = Regressor(random_state=0, epochs=3, early_stopping=True, lr=0.01).fit(SPARSE, X.sum(axis=1))
    assert len(net.validation_loss_curve_) == 3
    net.set_params(early_stopping=False).partial_fit(SPARSE, X.sum(axis=1)).predict(SPARSE)
    assert max(made) <= 40
    assert made.count(15) >= 3  # a tenth of the rows, after each epoch


def test_what_sparse_rows_are_not_for():
    with pytest.raises(ValueError, match="lengths and mask are for sequences, and X is a sparse matrix"):
        Classifier().fit(SPARSE, Y, lengths=np.full(150, 3))
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        RecurrentClassifier().fit(SPARSE, Y)
    with pytest.raises(ValueError, match=r"validation_fraction=0.5 of 1 rows leaves no row for training"):
        Regressor(early_stopping=True, validation_fraction=0.5).fit(SPARSE[:1], [1.0])
