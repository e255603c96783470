"""Names that are asked of a module: ``nn.Dense``, ``nn.losses.BCELoss``, ``nn.init.xavier_uniform_``."""

from __future__ import annotations

import re
from importlib import import_module

#: The modules in which a name is searched, in this order.
FAMILIES = ("", "layers", "losses", "optim", "metrics", "init", "callbacks", "schedules")
#: The tables of names, such as "mse", that some of them have.
TABLES = {"losses": "LOSSES", "optim": "OPTIMIZERS", "metrics": "METRICS"}

_ACTIVATIONS = "activations are layers: nn.ReLU(), nn.Tanh(), nn.Sigmoid(), ..."
_CLASS = "subclass nn.PythonLayer for a layer of your own; models are made by nn.Sequential or nn.Model"
_CPU = "nncore computes on the CPU; leave it out"
_ARRAYS = "nncore takes and returns NumPy arrays; leave it out"
_METRIC = "compute it from model.predict(x), or pass a function of y_true and y_pred in metrics=, such as scikit-learn's"
_LABELS = "use nn.losses.SparseCategoricalCrossentropy, which takes class indices"

#: Name -> what to use.
NAMES = {
    # Keras: layers and modules
    "Dense": "use nn.Linear(in_features, out_features)",
    "InputLayer": "use nn.Input(shape), or leave it out of nn.Sequential",
    "Activation": _ACTIVATIONS,
    "SimpleRNN": "use nn.RNN",
    "CuDNNLSTM": "use nn.LSTM",
    "CuDNNGRU": "use nn.GRU",
    "Bidirectional": "pass bidirectional=True to nn.RNN, nn.GRU or nn.LSTM",
    "TimeDistributed": "leave it out: nn.Linear acts on the last dimension, so on each time step",
    "Masking": "pass mask=(x != mask_value).any(axis=-1), or lengths=, to fit, evaluate and predict",
    "BatchNormalization": "use nn.BatchNorm1d(num_features)",
    "LayerNormalization": "use nn.LayerNorm(normalized_shape)",
    "Swish": "use nn.SiLU()",
    "swish": "use nn.SiLU()",
    "ThresholdedReLU": "use nn.Threshold(theta, 0.0)",
    "Concat": "use nn.Concatenate(axis) or nn.concatenate",
    "Normalization": "use nn.Rescaling(scale, offset), or scale the data with NumPy",
    "Wrapper": _CLASS,
    "keras": "nncore has its own nn.Sequential, nn.Model and layers",
    "models": "use nn.Sequential, nn.Model and nn.load",
    "load_model": "use nn.load(path)",
    "save_model": "use model.save(path)",
    "clone_model": "use model.clone()",
    "optimizers": "use nn.optim",
    "initializers": "use nn.init",
    "activations": _ACTIVATIONS,
    "regularizers": "pass l1= and l2= to a layer or to compile",
    "constraints": "pass max_norm= to a layer",
    "L1": "pass l1= to a layer or to compile",
    "L2": "pass l2= to a layer or to compile",
    "L1L2": "pass l1= and l2= to a layer or to compile",
    "MaxNorm": "pass max_norm= to a layer",
    "backend": _ARRAYS,
    "ops": _ARRAYS,
    "utils": "it is not needed; nncore takes NumPy arrays, frames and lists",
    "to_categorical": _LABELS,
    "set_random_seed": "use nn.set_seed(seed), or pass seed= to nn.Sequential or nn.Model",
    # PyTorch: modules and functions
    "Module": _CLASS,
    "ModuleList": "pass the layers to nn.Sequential, or call them in a loop on nn.Input",
    "ModuleDict": "keep the layers in a dict, and call them on nn.Input",
    "Parameter": "call self.add_weight in the build method of an nn.PythonLayer",
    "functional": "layers and losses can be called by themselves: nn.ReLU()(x), nn.losses.MeanSquaredError()(y_true, y_pred)",
    "F": "layers and losses can be called by themselves: nn.ReLU()(x), nn.losses.MeanSquaredError()(y_true, y_pred)",
    "no_grad": "leave it out: model(x) and model.predict(x) record nothing",
    "inference_mode": "leave it out: model(x) and model.predict(x) record nothing",
    "tensor": _ARRAYS,
    "Tensor": _ARRAYS,
    "from_numpy": _ARRAYS,
    "device": _CPU,
    "cuda": _CPU,
    "manual_seed": "use nn.set_seed(seed), or pass seed= to nn.Sequential or nn.Model",
    "save": "use model.save(path)",
    "DataLoader": "pass arrays to fit, or any iterable of batches, such as PyTorch's DataLoader",
    "Dataset": "pass arrays to fit, or any iterable of batches",
    "TensorDataset": "pass arrays to fit, or any iterable of batches",
    "data": "pass arrays to fit, or any iterable of batches",
    "clip_grad_norm_": "pass clip_norm= to the optimizer",
    "clip_grad_value_": "pass clip_value= to the optimizer",
    "LazyLinear": "use nn.Linear(in_features, out_features)",
    "BatchNorm2d": "use nn.BatchNorm1d(num_features)",
    "BatchNorm3d": "use nn.BatchNorm1d(num_features)",
    "GroupNorm": "use nn.LayerNorm(normalized_shape)",
    "RMSNorm": "use nn.LayerNorm(normalized_shape)",
    "EmbeddingBag": "use nn.Embedding, and a layer that merges the vectors",
    "RNNCell": "use nn.RNN, and model.stream() for one step at a time",
    "GRUCell": "use nn.GRU, and model.stream() for one step at a time",
    "LSTMCell": "use nn.LSTM, and model.stream() for one step at a time",
    "RNNBase": "use nn.RNN, nn.GRU or nn.LSTM",
    "AlphaDropout": "use nn.Dropout(p)",
    "Unflatten": "use nn.Reshape",
    # PyTorch: losses
    "MSELoss": 'use nn.losses.MeanSquaredError(), or loss="mse"',
    "L1Loss": 'use nn.losses.MeanAbsoluteError(), or loss="mae"',
    "SmoothL1Loss": 'use nn.losses.Huber(), or loss="huber"',
    "HuberLoss": 'use nn.losses.Huber(), or loss="huber"',
    "BCELoss": 'use nn.losses.BinaryCrossentropy(), or loss="binary_crossentropy"',
    "BCEWithLogitsLoss": "use nn.losses.BinaryCrossentropy(from_logits=True)",
    "CrossEntropyLoss": "use nn.losses.SparseCategoricalCrossentropy(from_logits=True); without from_logits= after a Softmax",
    "NLLLoss": "use nn.losses.SparseCategoricalCrossentropy(from_logits=True) after a LogSoftmax",
    "KLDivLoss": 'use nn.losses.KLDivergence(), or loss="kl_divergence"',
    "PoissonNLLLoss": 'use nn.losses.Poisson(), or loss="poisson", for rates; the output must be positive, so end in nn.Softplus()',
    "GaussianNLLLoss": "use nn.losses.GaussianNLL(); one output holds the means, then the logarithms of the variances",
    "CosineEmbeddingLoss": 'use nn.losses.CosineSimilarity(), or loss="cosine_similarity"',
    "HingeEmbeddingLoss": 'use nn.losses.Hinge(), or loss="hinge"',
    "MultiMarginLoss": 'use nn.losses.CategoricalHinge(), or loss="categorical_hinge"',
    "MultiLabelSoftMarginLoss": "use nn.losses.BinaryCrossentropy(from_logits=True)",
    "SoftMarginLoss": "use nn.losses.BinaryCrossentropy(from_logits=True)",
    "mse_loss": 'use nn.losses.MeanSquaredError(), or loss="mse"',
    "l1_loss": 'use nn.losses.MeanAbsoluteError(), or loss="mae"',
    "smooth_l1_loss": 'use nn.losses.Huber(), or loss="huber"',
    "cross_entropy": "use nn.losses.SparseCategoricalCrossentropy(from_logits=True); without from_logits= after a Softmax",
    "nll_loss": "use nn.losses.SparseCategoricalCrossentropy(from_logits=True) after a LogSoftmax",
    "binary_cross_entropy": "use nn.losses.BinaryCrossentropy()",
    "binary_cross_entropy_with_logits": "use nn.losses.BinaryCrossentropy(from_logits=True)",
    # PyTorch: optimizers and schedules
    "lr_scheduler": "use nn.schedules, as in nn.optim.SGD(lr=nn.schedules.StepDecay(0.1, step_size=100))",
    "StepLR": "use nn.schedules.StepDecay",
    "MultiStepLR": "use nn.schedules.MultiStep",
    "ExponentialLR": "use nn.schedules.Exponential",
    "PolynomialLR": "use nn.schedules.Polynomial",
    "CosineAnnealingLR": "use nn.schedules.Cosine",
    "CosineAnnealingWarmRestarts": "use nn.schedules.CosineRestarts",
    "OneCycleLR": "use nn.schedules.OneCycle",
    "LinearLR": "use nn.schedules.Warmup",
    "ConstantLR": "use nn.schedules.Constant",
    "CyclicLR": "use nn.schedules.Cyclic",
    "SequentialLR": "use nn.schedules.Sequential",
    "ChainedScheduler": "use nn.schedules.Chained",
    "LambdaLR": "pass a function of the step as lr",
    "ExponentialDecay": "use nn.schedules.Exponential",
    "InverseTimeDecay": "use nn.schedules.InverseScaling",
    "PolynomialDecay": "use nn.schedules.Polynomial",
    "PiecewiseConstantDecay": "use nn.schedules.MultiStep",
    "CosineDecay": "use nn.schedules.Cosine",
    "CosineDecayRestarts": "use nn.schedules.CosineRestarts",
    # Keras and PyTorch: initializers
    "GlorotUniform": "use nn.init.xavier_uniform()",
    "GlorotNormal": "use nn.init.xavier_normal()",
    "HeUniform": "use nn.init.he_uniform()",
    "HeNormal": "use nn.init.he_normal()",
    "LecunUniform": "use nn.init.lecun_uniform()",
    "LecunNormal": "use nn.init.lecun_normal()",
    "RandomUniform": "use nn.init.Uniform(low, high)",
    "RandomNormal": "use nn.init.Normal(mean, std)",
    "Zeros": "use nn.init.zeros()",
    "Ones": "use nn.init.ones()",
    "calculate_gain": "use nn.init.gain(nonlinearity)",
    "trunc_normal": "use nn.init.TruncatedNormal(mean, std)",
    # Keras and scikit-learn: metrics
    "BinaryAccuracy": "use nn.metrics.Accuracy()",
    "CategoricalAccuracy": "use nn.metrics.Accuracy()",
    "SparseCategoricalAccuracy": "use nn.metrics.Accuracy()",
    "AUC": "use nn.metrics.RocAuc()",
    "F1Score": "use nn.metrics.F1()",
    "R2Score": "use nn.metrics.R2()",
    "RootMeanSquaredError": "use nn.metrics.RMSE()",
    "accuracy_score": "use nn.metrics.accuracy(y_true, y_pred)",
    "f1_score": "use nn.metrics.f1(y_true, y_pred)",
    "precision_score": "use nn.metrics.precision(y_true, y_pred)",
    "recall_score": "use nn.metrics.recall(y_true, y_pred)",
    "roc_auc_score": "use nn.metrics.roc_auc(y_true, y_pred)",
    "r2_score": "use nn.metrics.r2(y_true, y_pred)",
    # scikit-learn
    "MLPClassifier": "use nn.estimators.MLPClassifier",
    "MLPRegressor": "use nn.estimators.MLPRegressor",
    "ParameterList": "call self.add_weight in the build method of an nn.PythonLayer",
    "ParameterDict": "call self.add_weight in the build method of an nn.PythonLayer",
    "RNNCellBase": "use nn.RNN, nn.GRU or nn.LSTM",
    "Softmin": "use nn.Softmax behind nn.Rescaling(-1.0)",
    "Softmax2d": "use nn.Softmax",
    "Dot": "use nn.Multiply and a layer that adds up, such as nn.Lambda",
    "Bilinear": "nncore has none; nn.Lambda or nn.PythonLayer makes one",
    "cat": "use nn.concatenate([a, b]) for values of a network, and NumPy's for arrays",
    "stack": "use nn.concatenate([a, b]) for values of a network, and NumPy's for arrays",
    **dict.fromkeys(
        ("split", "chunk", "narrow", "flip", "index_select", "take", "Cropping1D"),
        "use indices of values, as in x[:, 2:5] and x[:, ::-1], or nn.Slice and nn.Take",
    ),
    "timeseries_dataset_from_array": "use nn.make_windows(series, window)",
    "TimeseriesGenerator": "use nn.make_windows(series, window)",
    "FocalLoss": "use nn.losses.BinaryFocalCrossentropy(), or nn.losses.SparseCategoricalFocalCrossentropy() for classes",
    "CTCLoss": "nncore has none; a function of y_true and y_pred that returns loss and gradient can be a loss",
    "CTC": "nncore has none; a function of y_true and y_pred that returns loss and gradient can be a loss",
    "Pinball": "use nn.losses.Quantile()",
    "PinballLoss": "use nn.losses.Quantile()",
    "QuantileLoss": "use nn.losses.Quantile()",
    "mean_pinball_loss": "use nn.losses.Quantile(), also as a metric",
    "mean_squared_log_error": "use nn.losses.MeanSquaredLogarithmicError(), also as a metric",
    "hinge_loss": "use nn.losses.Hinge(), also as a metric",
    "roc_curve": "use nn.metrics.roc_auc for the area, and scikit-learn's for the curve",
    "precision_recall_curve": "use nn.metrics.average_precision for the area, and scikit-learn's for the curve",
    "Perceptron": 'use nn.Linear with the loss "perceptron"',
    "train_test_split": "pass validation_split= to fit, or use scikit-learn's",
    "one_hot": _LABELS,
    "MLP": "use nn.Sequential, or nn.estimators.MLPClassifier and MLPRegressor",
    "Momentum": "use nn.optim.SGD(momentum=0.9)",
    "Nesterov": "use nn.optim.SGD(momentum=0.9, nesterov=True)",
    "SWA": "use ema_momentum= of the optimizer, and model.averaged_weights()",
    "SwapEMAWeights": "use ema_momentum= of the optimizer, and model.averaged_weights()",
    "ProgbarLogger": "use nn.callbacks.ProgressBar, or verbose=1",
    "MeanIoU": _METRIC,
    "CohenKappa": _METRIC,
    "StandardScaler": "use nn.Rescaling, nn.BatchNorm1d, or scikit-learn's",
    # Callbacks
    "LRScheduler": "use nn.callbacks.LearningRateScheduler, or a schedule of nn.schedules as lr",
    "ReduceLR": "use nn.callbacks.ReduceLROnPlateau",
    "Checkpoint": "use nn.callbacks.ModelCheckpoint",
    "TqdmCallback": "use nn.callbacks.ProgressBar",
}

#: Pattern of a name -> what to say, if `NAMES` lacks the name.
PATTERNS = {
    r"(Lazy|Depthwise|Separable)?Conv(olution)?(LSTM|Transpose)?\d?[dD]?(Transpose|Block)?": "nncore has no convolutions",
    r"(Global|Adaptive)?(Max|Avg|Average|LP)Pool(ing)?1[dD]": "over time, use nn.GlobalAveragePooling1D or nn.GlobalMaxPooling1D",
    r"(Global|Adaptive)?(Max|Avg|Average|LP|Fractional\w*)(Un)?Pool(ing)?\d?[dD]?": "nncore has no layers for images",
    r"(ZeroPadding|ZeroPad|Cropping|UpSampling|Upsample\w*|PixelShuffle|InstanceNorm)\w*": "nncore has no layers for images",
    r"(Feature|Spatial)?(Alpha)?Dropout\d?[dD]?": "use nn.Dropout(p)",
    r"\w+Loss": "nncore has none; a function of y_true and y_pred that returns loss and gradient can be a loss",
    r"[a-z]\w+_(score|loss|error|report)|(True|False)(Posi|Nega)tives": _METRIC,
    r"(Multi[hH]ead)?Attention|Transformer\w*": "nncore has no attention",
}


def hint(package: str, name: str) -> str:
    """Return what to use instead of a name that a module of nncore does not have, or "" if that is not known."""
    if name in NAMES:
        return NAMES[name]
    if place := _place(package, name):
        return f"use {place}"
    stem = name.removesuffix("_")
    if stem != name and (said := NAMES.get(stem) or _place("", stem)):  # PyTorch's functions that fill a tensor
        return f"pass {said.removeprefix('use ').removesuffix('()')} as weight_init of a layer; nothing is filled in place"
    return next((said for pattern, said in PATTERNS.items() if re.fullmatch(pattern, name)), "")


def _place(package: str, name: str) -> str:
    """Return the full name of a public object, such as "nn.optim.Adam", or "". The package itself is searched first."""
    own = package.removeprefix("nncore").removeprefix(".") if package else None
    for family in sorted(FAMILIES, key=lambda each: each != own):
        module = import_module(f"nncore.{family}".rstrip("."))
        found = vars(module)[TABLES[family]].get(name) if family in TABLES else None
        shown = getattr(found, "__name__", name)
        if found is not None or (name in module.__all__ and family != own):
            return f"nn.{family}.{shown}".replace("..", ".")
    return ""
