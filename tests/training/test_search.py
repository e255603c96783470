"""What L-BFGS tells of its search, against SciPy itself on the same objective."""

import numpy as np
from scipy.optimize import minimize

import nncore as nn


def fitted(epochs, **options):
    x = np.linspace(-1, 1, 20)[:, None]
    y = np.sin(3 * x)
    model = nn.Sequential(nn.Linear(1, 1), seed=0, dtype="float64")
    model.compile("mse", nn.optim.LBFGS(**options))
    start = np.array([model[0].weight.item(), model[0].bias.item()])

    def objective(point):
        d = x[:, 0] * point[0] + point[1] - y[:, 0]
        return (d * d).mean(), np.array([2 * (d * x[:, 0]).mean(), 2 * d.mean()])

    limit = {"gtol": 1e-7, "ftol": 1e-9, "maxiter": epochs, "maxfun": options.get("max_eval", 15000)}
    return model.fit(x, y, epochs=epochs), minimize(objective, start, jac=True, method="L-BFGS-B", options=limit)


def test_a_search_that_converges():
    history, peer = fitted(100)
    assert history.search["status"] == peer.status == 0
    assert (history.search["nit"], history.search["nfev"]) == (peer.nit, peer.nfev)
    np.testing.assert_allclose(history.search["fun"], peer.fun, rtol=1e-12)


def test_a_search_that_may_not_evaluate_as_often():
    history, peer = fitted(100, max_eval=2)
    assert history.search["status"] == peer.status == 1
    assert (history.search["nit"], history.search["message"]) == (peer.nit, peer.message)
    assert nn.optim.LBFGS(max_eval=2).config()["max_eval"] == 2
    assert "max_eval=2" in repr(nn.optim.LBFGS(max_eval=2))
