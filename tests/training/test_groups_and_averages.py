"""Parameter groups, penalties, max-norm, clipping each parameter, averages of the weights, schedules, and L-BFGS in fit."""

import copy

import numpy as np
import pytest

import nncore as nn

X = np.random.default_rng(3).normal(size=(40, 5))
Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], 1)


def net(dtype="float64", **options):
    return nn.Sequential(nn.Linear(5, 40, **options), nn.BatchNorm1d(40), nn.Tanh(), nn.Linear(40, 2), seed=4, dtype=dtype)


def fit(model, optimizer, epochs=3, **options):
    model.compile("mse", optimizer, **options)
    return model.fit(X, Y, epochs=epochs, batch_size=16, shuffle=False, verbose=0)


def test_groups_as_in_torch():
    torch = pytest.importorskip("torch")
    groups = [{"params": ["*.bias", "BatchNorm1d.*"], "weight_decay": 0}, {"params": "0.*", "lr": 1e-3}]
    ours = net()
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 40), torch.nn.BatchNorm1d(40), torch.nn.Tanh(), torch.nn.Linear(40, 2)).double()
    theirs.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in ours.state_dict().items()})
    own = [
        {
            "params": [p],
            "weight_decay": 0 if name.startswith("1.") or "bias" in name else 0.1,
            "lr": 1e-3 if name[0] == "0" else 1e-2,
        }
        for name, p in theirs.named_parameters()
    ]
    rule = torch.optim.AdamW(own)
    losses = []
    for _ in range(20):
        for i in range(0, 40, 16):
            rule.zero_grad()
            loss = torch.nn.functional.mse_loss(theirs(torch.from_numpy(X[i : i + 16])), torch.from_numpy(Y[i : i + 16]))
            loss.backward()
            rule.step()
            losses.append(loss.item())
    history = fit(ours, nn.optim.AdamW(lr=1e-2, weight_decay=0.1, groups=groups), 20)
    np.testing.assert_allclose(history.step_losses, losses, rtol=1e-9)


def test_frozen_parameters_and_their_moments_stay():
    model = net()
    before = model.state_dict()
    fit(model, nn.optim.SGD(lr=0.1, momentum=0.9, weight_decay=0.1, groups=[{"params": "0.*", "trainable": False}]))
    after = model.state_dict()
    assert (after["0.weight"] == before["0.weight"]).all()
    assert (after["3.weight"] != before["3.weight"]).all()
    layout = model._plan.buffers()["moment0"]
    from nncore.saving.training import moments

    assert layout.any()
    assert not moments(model._network)["moment0"]["0.weight"].any()


@pytest.mark.parametrize("threads", [1, 2])
def test_penalties_count_in_every_loss(threads):
    model = nn.Sequential(nn.Linear(5, 300, l1=0.01, l2=0.02), nn.Tanh(), nn.Linear(300, 2), seed=1, dtype="float64")
    model.compile("mse", nn.optim.SGD(lr=0.0), l2=0.1)
    own = 0.01 * np.abs(model[0].weight).sum() + 0.02 * (model[0].weight ** 2).sum() + 0.1 * (model[2].weight ** 2).sum()
    expected = ((model.predict(X) - Y) ** 2).mean() + own
    with nn.threads(threads):
        np.testing.assert_allclose(model.evaluate(X, Y), expected, rtol=1e-12)
        np.testing.assert_allclose(model.train_on_batch(X, Y), expected, rtol=1e-12)
        np.testing.assert_allclose(model.fit(X, Y, batch_size=None).history["loss"], [expected], rtol=1e-12)


def test_the_gradient_of_a_penalty_is_that_of_the_loss():
    """Elastic net on a net whose data say nothing: one step of gradient descent on the penalties alone."""
    model = nn.Sequential(nn.Linear(3, 2, bias=False, l1=0.1, l2=0.2), seed=1, dtype="float64")
    model.compile("mse", nn.optim.SGD(lr=0.5))
    before = np.array(model[0].weight)
    model.train_on_batch(np.zeros((4, 3)), np.zeros((4, 2)))
    np.testing.assert_allclose(model[0].weight, before - 0.5 * (0.1 * np.sign(before) + 0.4 * before), rtol=1e-12)


def test_max_norm_limits_each_unit():
    reached = []
    for threads in (1, 2):
        model = nn.Sequential(nn.Linear(5, 300, max_norm=0.5), nn.ReLU(), nn.Linear(300, 2), seed=4)
        model.compile("mse", nn.optim.SGD(lr=0.5))
        free = copy.deepcopy(model)
        free[0].max_norm = None
        free.compile("mse", nn.optim.SGD(lr=0.5))
        with nn.threads(threads):
            model.train_on_batch(X, Y)
            free.train_on_batch(X, Y)
        norms = np.linalg.norm(free[0].weight, axis=1, keepdims=True)
        assert (norms > 0.5).any()
        expected = np.where(norms > 0.5, free[0].weight * 0.5 / norms, free[0].weight)
        np.testing.assert_allclose(model[0].weight, expected, rtol=1e-5)
        np.testing.assert_array_equal(model[2].weight, free[2].weight)
        reached.append(model[0].weight.tobytes())
    assert reached[0] == reached[1]


def test_clipping_each_parameter():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2), seed=2, dtype="float64")
    model.compile("mse", nn.optim.SGD(lr=1.0, clip_norm_each=0.05))
    before = model.state_dict()
    model.train_on_batch(X, Y)
    for name, gradient in model.gradients.items():
        norm = np.linalg.norm(gradient)
        expected = before[name] - gradient * min(1, 0.05 / norm)
        np.testing.assert_allclose(model.state_dict()[name], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("width", [3, 300])  # the update as a phase of its own, and after each gradient
def test_the_average_of_the_weights(width, tmp_path):
    model = nn.Sequential(nn.Linear(5, width, max_norm=0.6), nn.Tanh(), nn.Linear(width, 2), seed=2, dtype="float64")
    model[2].trainable = False
    model.compile("mse", nn.optim.Adam(lr=0.1, ema_momentum=0.9))
    average = None
    for _ in range(5):
        model.train_on_batch(X, Y)
        now = model.state_dict()
        average = now if average is None else {k: 0.9 * average[k] + 0.1 * v for k, v in now.items()}
    model.save(tmp_path / "model")
    for each in (model, nn.load(tmp_path / "model"), copy.deepcopy(model)):
        with each.averaged_weights():
            for name, value in each.state_dict().items():
                np.testing.assert_allclose(value, average[name], rtol=1e-12, atol=1e-14)
            with pytest.raises(nn.errors.ArgumentError, match="averaged_weights"):
                each.train_on_batch(X, Y)
        for name, value in each.state_dict().items():
            np.testing.assert_array_equal(value, now[name])
        each.train_on_batch(X, Y)


SCHEDULES = [
    nn.schedules.Warmup(nn.schedules.CosineRestarts(0.1, period=3, factor=2), steps=4),
    nn.schedules.OneCycle(0.1, total_steps=12, three_phase=True),
    nn.schedules.PerEpoch(nn.schedules.MultiStep(0.1, [1, 2]), steps_per_epoch=3),
    nn.schedules.Polynomial(0.1, 9),
    nn.schedules.InverseScaling(0.1),
    nn.schedules.StepDecay(0.1, 4),
    nn.schedules.Exponential(0.1, 0.9),
    nn.schedules.Cosine(0.1, 10),
    nn.schedules.Constant(0.1, 0.5, 4),
    nn.schedules.Cyclic(0.01, 0.1, 3, 2, "exp_range", 0.9),
    nn.schedules.Sequential(
        [0.05, nn.schedules.Warmup(nn.schedules.Cosine(0.1, 10), 3), nn.schedules.Exponential(0.1, 0.9)], [2, 7]
    ),
    nn.schedules.Chained([nn.schedules.Cyclic(0.01, 0.1, 3), nn.schedules.Exponential(0.1, 0.9)]),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_schedules_go_on_from_a_file(schedule, tmp_path):
    groups = [{"params": "*.bias", "lr_scale": 2.0}]
    straight, model = net(), net()
    fit(straight, nn.optim.NAdam(lr=schedule, groups=groups), 4)
    fit(model, nn.optim.NAdam(lr=schedule, groups=groups), 2)
    model.save(tmp_path / "model")
    model = nn.load(tmp_path / "model")
    assert model.optimizer.lr == schedule
    assert model.optimizer.groups == tuple({**g, "params": [g["params"]]} for g in groups)
    model.fit(X, Y, epochs=4, initial_epoch=2, batch_size=16, shuffle=False, verbose=0)
    for name, value in straight.state_dict().items():
        assert value.tobytes() == model.state_dict()[name].tobytes(), name
    model.optimizer.lr = 0.01
    model.fit(X, Y)
    assert model.optimizer.lr == 0.01


def test_schedules_as_in_torch():
    torch = pytest.importorskip("torch")
    from torch.optim import lr_scheduler as theirs

    s = nn.schedules
    pairs = [
        (s.StepDecay(0.3, 7, 0.5), lambda o: theirs.StepLR(o, 7, 0.5)),
        (s.MultiStep(0.3, [5, 20], 0.5), lambda o: theirs.MultiStepLR(o, [5, 20], 0.5)),
        (s.Exponential(0.3, 0.9), lambda o: theirs.ExponentialLR(o, 0.9)),
        (s.Polynomial(0.3, 30, 2.0), lambda o: theirs.PolynomialLR(o, 30, 2.0)),
        (s.Cosine(0.3, 50, 0.01), lambda o: theirs.CosineAnnealingLR(o, 50, 0.01)),
        (s.CosineRestarts(0.3, 5, 2, 0.01), lambda o: theirs.CosineAnnealingWarmRestarts(o, 5, 2, 0.01)),
        (s.CosineRestarts(0.3, 7), lambda o: theirs.CosineAnnealingWarmRestarts(o, 7)),
        (s.OneCycle(0.3, 50), lambda o: theirs.OneCycleLR(o, 0.3, total_steps=50)),
        (
            s.OneCycle(0.3, 50, 0.4, "linear", three_phase=True),
            lambda o: theirs.OneCycleLR(o, 0.3, total_steps=50, pct_start=0.4, anneal_strategy="linear", three_phase=True),
        ),
        (
            s.Warmup(s.Exponential(0.3, 0.9), 8, 0.2),
            lambda o: theirs.SequentialLR(o, [theirs.LinearLR(o, 0.2, total_iters=8), theirs.ExponentialLR(o, 0.9)], [8]),
        ),
        (s.Constant(0.3), lambda o: theirs.ConstantLR(o, 1.0)),
        (s.Constant(0.3, 1 / 3, 5), lambda o: theirs.ConstantLR(o)),
        (s.Constant(0.3, 0.1, 20), lambda o: theirs.ConstantLR(o, 0.1, 20)),
        (s.Cyclic(0.3, 0.9, 5), lambda o: theirs.CyclicLR(o, 0.3, 0.9, 5, cycle_momentum=False)),
        (s.Cyclic(0.3, 0.9, 5, 3), lambda o: theirs.CyclicLR(o, 0.3, 0.9, 5, 3, cycle_momentum=False)),
        (
            s.Cyclic(0.3, 0.9, 4, 7, "triangular2"),
            lambda o: theirs.CyclicLR(o, 0.3, 0.9, 4, 7, mode="triangular2", cycle_momentum=False),
        ),
        (
            s.Cyclic(0.3, 0.9, 4, mode="exp_range", gamma=0.97),
            lambda o: theirs.CyclicLR(o, 0.3, 0.9, 4, mode="exp_range", gamma=0.97, cycle_momentum=False),
        ),
        (
            s.Sequential([s.Constant(0.3, 0.1, 20), s.Exponential(0.3, 0.9), s.StepDecay(0.3, 4, 0.5)], [20, 31]),
            lambda o: theirs.SequentialLR(
                o, [theirs.ConstantLR(o, 0.1, 20), theirs.ExponentialLR(o, 0.9), theirs.StepLR(o, 4, 0.5)], [20, 31]
            ),
        ),
        (
            s.Chained([s.Constant(0.3, 0.1, 20), s.Exponential(0.3, 0.9)]),
            lambda o: theirs.ChainedScheduler([theirs.ConstantLR(o, 0.1, 20), theirs.ExponentialLR(o, 0.9)]),
        ),
        (
            s.Chained([0.3, s.PerEpoch(lambda epoch: 0.5**epoch, 7)]),
            lambda o: theirs.ChainedScheduler([theirs.StepLR(o, 7, 0.5)]),
        ),
        (
            s.Chained([0.3, s.MultiStep(1.0, [10, 30], 0.2), lambda step: 0.95**step]),
            lambda o: theirs.ChainedScheduler([theirs.MultiStepLR(o, [10, 30], 0.2), theirs.MultiplicativeLR(o, lambda _: 0.95)]),
        ),
    ]
    for ours, make in pairs:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        schedule = make(optimizer)
        for step in range(50):
            np.testing.assert_allclose(ours(step), optimizer.param_groups[0]["lr"], rtol=1e-9, atol=1e-15, err_msg=f"{ours} {step}")
            optimizer.step()
            if step < 49:
                schedule.step()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda s: s.Constant(0.1, 0.5), "total_steps"),
        (lambda s: s.Cyclic(0.2, 0.1), "base_lr must not be above max_lr"),
        (lambda s: s.Cyclic(0.1, 0.2, mode="sine"), "mode"),
        (lambda s: s.Sequential([0.1, 0.2], []), "milestones must be 1 for 2 schedules"),
        (lambda s: s.Sequential([0.1, 0.2, 0.3], [5, 2]), "must increase"),
        (lambda s: s.Sequential([], []), "a list of schedules"),
        (lambda s: s.Sequential([0.1, "fast"], [5]), r"schedules\[1\] must be a learning rate"),
        (lambda s: s.Chained([0.1, 0.2]), "only the first may be a constant"),
    ],
)
def test_refused_schedules(make, text):
    with pytest.raises(nn.errors.ArgumentError, match=text):
        make(nn.schedules)


def test_lbfgs():
    pytest.importorskip("scipy")
    model = nn.Sequential(nn.Linear(5, 12, l2=1e-3), nn.Tanh(), nn.Linear(12, 2), seed=2, dtype="float64")
    model.compile("mse", nn.optim.LBFGS(), metrics=["mae"])
    history = model.fit(X, Y, epochs=60, validation_split=0.2)
    losses = history.history["loss"]
    assert len(losses) == len(history.history["val_loss"]) == 60 == model.step
    assert np.all(np.diff(losses) <= 0)
    assert losses[-1] < 0.1 * losses[0]
    with pytest.raises(nn.errors.ArgumentError, match="fit"):
        model.train_on_batch(X, Y)


def test_lbfgs_finds_least_squares():
    pytest.importorskip("scipy")
    model = nn.Sequential(nn.Linear(5, 2), seed=2, dtype="float64")
    model.compile("mse", nn.optim.LBFGS(tolerance_change=0.0))
    history = model.fit(X, Y, epochs=200)
    solution = np.linalg.lstsq(np.c_[X, np.ones(40)], Y, rcond=None)[0]
    np.testing.assert_allclose(np.c_[model[0].weight, model[0].bias], solution.T, atol=1e-6)
    assert len(history.epoch) < 200  # it stops by itself


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"groups": [{"params": "*.bais", "weight_decay": 0}]}, "no parameter matches"),
        ({"groups": {"params": "*"}}, "must be a list"),
        ({"groups": [{"weight_decay": 0}]}, "'params'"),
        ({"groups": [{"params": "*", "decay": 0}]}, "unknown setting"),
        ({"groups": [{"params": "*", "weight_decay": -1}]}, "weight_decay"),
        ({"groups": [{"params": "*", "lr": 1, "lr_scale": 1}]}, "not both"),
        ({"clip_norm": 1.0, "clip_norm_each": 1.0}, "not both"),
        ({"ema_momentum": 1.0}, "ema_momentum .* above 0 and below 1"),
    ],
)
def test_refusals(options, text):
    with pytest.raises(nn.errors.ArgumentError, match=text):
        net().compile("mse", nn.optim.SGD(**options))
