"""Optimizers and schedules as declarations; what they do to a model is compared with torch in test_training.py."""

import numpy as np
import pytest

from nncore import _core, errors, optim
from nncore.schedules.rates import learning_rates

CLASSES = sorted(set(optim.OPTIMIZERS.values()), key=lambda cls: cls.name)


def test_the_table_has_every_optimizer_of_the_registry_and_no_other():
    registry = {op["name"]: op["attributes"] for op in _core.OPS["optimizer"]}
    assert {cls.name: list(cls.attributes) for cls in CLASSES} == registry


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls.name not in ("lion", "lbfgs")])
def test_defaults_are_those_of_torch(cls):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.optim, cls.__name__)([torch.zeros(1, requires_grad=True)], **({"lr": 1e-2} if cls.name == "sgd" else {}))
    theirs = dict(theirs.defaults)
    if "betas" in theirs:
        theirs["beta1"], theirs["beta2"] = theirs.pop("betas")
    if cls.name == "rprop":
        (theirs["eta_minus"], theirs["eta_plus"]), (theirs["step_min"], theirs["step_max"]) = theirs["etas"], theirs["step_sizes"]
        theirs["weight_decay"] = 0
    ours = cls()
    names = [name for name in ("lr", "weight_decay", *cls.attributes) if name not in cls.rare]
    assert {name: getattr(ours, name) for name in names} == {name: theirs[name] for name in names}
    assert not any(getattr(ours, name) for name in cls.rare)


def test_spec_orders_the_attributes_as_the_registry_does():
    spec = optim.RMSprop(alpha=0.9, eps=1e-3, momentum=0.5, centered=True, weight_decay=0.1, clip_norm=2.0, clip_value=3.0).spec()
    assert spec == ("rmsprop", (0.9, 1e-3, 0.5, 1.0), 0.1, 2.0, 3.0, 0.0, 0.0, False)
    assert optim.SGD(momentum=0.9, nesterov=True).spec() == ("sgd", (0.9, 0.0, 1.0, 0.0), 0.0, 0.0, 0.0, 0.0, 0.0, False)
    assert optim.AdamW(betas=(0.8, 0.9)).spec() == ("adamw", (0.8, 0.9, 1e-8, 0.0, 0.0), 0.01, 0.0, 0.0, 0.0, 0.0, False)
    assert optim.Adagrad(lr_decay=0.1, initial_accumulator_value=0.2).spec().attributes == (0.1, 1e-10, 0.2)


def test_only_the_learning_rate_may_change():
    adam = optim.Adam()
    adam.lr = 0.5
    assert adam.learning_rate == 0.5
    adam.learning_rate = 0.25
    assert adam.lr == 0.25
    with pytest.raises(AttributeError, match="only lr can be set later"):
        adam.beta1 = 0.5


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: optim.get("adan"), "did you mean 'adam'"),
        (lambda: optim.get(3), "optimizer must be a name or an object"),
        (lambda: optim.SGD(lr=-1), "lr must be"),
        (lambda: optim.SGD(lr="fast"), "lr must be"),
        (lambda: optim.SGD(lr=float("nan")), "lr must be"),
        (lambda: optim.SGD(nesterov=True), "nesterov needs momentum"),
        (lambda: optim.SGD(momentum=0.9, dampening=0.1, nesterov=True), "nesterov needs momentum"),
        (lambda: optim.Adam(betas=(0.9, 1.0)), "betas\\[1\\] must be a finite number of at least 0 and below 1"),
        (lambda: optim.Adam(eps=-1e-8), "eps must be"),
        (lambda: optim.Adam(clip_norm=0), "clip_norm=0 would stop all training"),
        (lambda: learning_rates(lambda step: float("inf") if step == 7 else 1.0, 5, 4), "lr=inf for step 7"),
    ],
)
def test_what_makes_no_sense_is_refused(call, text):
    with pytest.raises(errors.ArgumentError if "did you" not in text else errors.UnknownNameError, match=text):
        call()


def test_learning_rates_of_a_constant_and_of_a_schedule():
    np.testing.assert_array_equal(learning_rates(0.1, 7, 3), [0.1, 0.1, 0.1])
    np.testing.assert_array_equal(learning_rates(lambda step: 1 / (1 + step), 1, 3), [1 / 2, 1 / 3, 1 / 4])
    assert learning_rates(0.1, 0, 0).dtype == np.float64


@pytest.mark.parametrize(("name", "ours"), [("learning_rate", "lr"), ("clipnorm", "clip_norm_each"), ("beta_1", "betas=")])
def test_arguments_of_keras_are_told_their_names_here(name, ours):
    with pytest.raises(TypeError, match=f"'{name}'; here it is {ours}"):
        optim.Adam(**{name: 0.1})


@pytest.mark.parametrize("cls", CLASSES)
def test_a_repr_makes_the_optimizer_again(cls):
    """What is printed has the names that the constructor takes, such as betas."""
    options = {} if cls.name == "lbfgs" else {"lr": 0.3, "clip_norm": 2.0}
    options |= {"betas": (0.7, 0.8)} if "betas" in cls(**options).config() else {}
    rule = cls(**options)
    again = eval(repr(rule), vars(optim))
    assert again.config() == rule.config()
    assert repr(again) == repr(rule)
