"""Names that are passed as strings: of losses, optimizers, metrics and initializers."""

from __future__ import annotations

_LOGITS = "SparseCategoricalCrossentropy(from_logits=True)"

#: Kind -> name, in small letters and without "_" -> what to use.
NAMES = {
    "loss": {
        "crossentropy": f'"sparse_categorical_crossentropy" after a Softmax, or nn.losses.{_LOGITS} after a linear layer',
        "softmaxcrossentropy": f"nn.losses.{_LOGITS} after a linear layer",
        "ce": '"sparse_categorical_crossentropy" after a Softmax',
        "nll": f"nn.losses.{_LOGITS} after a LogSoftmax",
        "negativeloglikelihood": f"nn.losses.{_LOGITS} after a LogSoftmax",
        "log": '"binary_crossentropy" for two classes, "sparse_categorical_crossentropy" for more',
        "logistic": '"binary_crossentropy"',
        "binarycrossentropywithlogits": "nn.losses.BinaryCrossentropy(from_logits=True)",
        "bcewithlogits": "nn.losses.BinaryCrossentropy(from_logits=True)",
        "logcrossentropy": '"binary_crossentropy"',
        "cce": '"categorical_crossentropy"',
        "scce": '"sparse_categorical_crossentropy"',
        "l2": '"mse"',
        "squarederror": '"mse"',
        "squared": '"mse"',
        "absoluteerror": '"mae"',
        "smoothl1": '"huber"',
        "kldiv": '"kl_divergence"',
        "kl": '"kl_divergence"',
        "poissonnll": '"poisson"',
        "rmse": '"mse"; "rmse" is a metric',
        "rootmeansquarederror": '"mse"; "rmse" is a metric',
        "accuracy": 'a metric: metrics=["accuracy"]',
    },
    "optimizer": {
        "momentum": "nn.optim.SGD(momentum=0.9)",
        "gradientdescent": '"sgd"',
        "gd": '"sgd", and batch_size=None in fit',
        "nesterov": "nn.optim.SGD(momentum=0.9, nesterov=True)",
        "bfgs": '"lbfgs"',
        "ftrl": '"adagrad" or "adam"',
        "adafactor": '"adam"',
        "lamb": '"adamw"',
        "nag": "nn.optim.SGD(momentum=0.9, nesterov=True)",
    },
    "metric": {
        "loss": "always logged; leave it out",
        "sensitivity": '"recall"',
        "f1macro": 'nn.metrics.F1(average="macro")',
        "l1": '"mae"',
        "l2": '"mse"',
    },
    "initializer": {
        "heinit": '"he_normal"',
        "he": '"he_normal"',
        "kaiming": '"he_normal"',
        "xavier": '"xavier_uniform"',
        "glorot": '"xavier_uniform"',
        "lecun": '"lecun_normal"',
        "randomnormal": '"normal"',
        "randomuniform": '"uniform"',
        "gaussian": '"normal"',
        "zero": '"zeros"',
        "one": '"ones"',
        "default": '"auto"',
        "eye": "a function: weight_init=lambda shape, rng: np.eye(*shape)",
        "identity": "a function: weight_init=lambda shape, rng: np.eye(*shape)",
    },
}


def hint(kind: str, name: str) -> str:
    """Return what a name of another library is called here, or "".

    Examples
    --------
    >>> hint("loss", "Squared-Error"), hint("loss", "mse")
    ('"mse"', '')
    """
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    known = NAMES.get(kind, {})
    return known.get(plain) or known.get(plain.removesuffix("loss"), "")
