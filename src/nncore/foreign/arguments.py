"""Names of arguments in PyTorch, Keras and scikit-learn."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NOTHING = "nothing to ask for: the core does what it can by itself"

#: Name -> the name here, or what to use instead. It is only said of a class that has one of the arguments in the text. Of several
#: texts the first one that this holds for is said.
NAMES: dict[str, str | tuple[str, ...]] = {
    # sizes
    "units": "out_features (in_features comes first), or hidden_size of a recurrent layer",
    "hidden_units": "out_features, or hidden_size of a recurrent layer",
    "hidden_dim": "hidden_size",
    "n_features": "in_features, num_features or input_size",
    "features": "in_features, num_features or input_size",
    "in_channels": "in_features",
    "out_channels": "out_features",
    "input_dim": "in_features, input_size, num_embeddings of an Embedding, or nn.Input((size,))",
    "output_dim": "out_features, or embedding_dim of an Embedding",
    "input_size": "in_features",
    "output_size": "out_features",
    "vocab_size": "num_embeddings",
    "target_shape": "shape",
    "repeats": "n",
    # starts and penalties
    "use_bias": "bias",
    "kernel_initializer": "weight_init",
    "embeddings_initializer": "weight_init",
    "initializer": "weight_init",
    "init": "weight_init",
    "bias_initializer": "bias_init",
    "alpha_initializer": "init",
    "kernel_regularizer": "l1 and l2",
    "bias_regularizer": "l1 and l2, or groups of the optimizer",
    "recurrent_regularizer": "l1 and l2",
    "kernel_constraint": "max_norm",
    # rates of layers
    "rate": "p of Dropout",
    "prob": "p of Dropout",
    "dropout_rate": "p of Dropout, dropout of a recurrent layer",
    "drop_prob": "p of Dropout",
    "keep_prob": "p of Dropout, the part that is dropped: 1 - keep_prob",
    "sigma": ("stddev", "std"),
    "std": "stddev of GaussianNoise",
    "stddev": "std of an initializer, stddev of GaussianNoise",
    "alpha": ("negative_slope", "quantile", "q", "l2 of compile"),
    "tau": ("quantile", "q"),
    "slope": "negative_slope",
    "axis": ("normalized_shape", "dim", "axis"),
    "dim": "axis of Concatenate",
    "epsilon": ("eps", "min_delta"),
    "center": "affine, elementwise_affine, or bias",
    "mask_zero": "padding_idx=0, and mask=(x != 0) of fit, evaluate and predict",
    "mean": "low and high, or loc",
    "mu": "mean",
    "loc": "mean",
    "minval": "low",
    "maxval": "high",
    "val": "value",
    # recurrent layers
    "activation": ("nonlinearity", "fixed where a layer has a hidden_size: tanh"),
    "recurrent_activation": "fixed where a layer has a hidden_size: the gates are sigmoids",
    "time_major": "batch_first",
    "merge_mode": "bidirectional=True, which concatenates the two directions",
    # optimizers
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "eta": "lr",
    "eta0": "lr",
    "initial_lr": "lr",
    "base_lr": "lr",
    "max_learning_rate": "max_lr",
    "clipnorm": "clip_norm_each",
    "global_clipnorm": "clip_norm",
    "max_grad_norm": "clip_norm",
    "gradient_clip": "clip_norm or clip_value",
    "clipvalue": "clip_value",
    "beta_1": "betas=(0.9, 0.999)",
    "beta_2": "betas=(0.9, 0.999)",
    "beta1": "betas=(0.9, 0.999)",
    "beta2": "betas=(0.9, 0.999)",
    "rho": "alpha of RMSprop",
    "decay": "weight_decay, or a schedule of nn.schedules as lr",
    "lr_decay": "a schedule of nn.schedules as lr",
    "nesterovs_momentum": "nesterov",
    "use_ema": "ema_momentum",
    "params": "groups; the model's parameters are known",
    "parameters": "groups; the model's parameters are known",
    # schedules
    "initial_learning_rate": "lr",
    "end_learning_rate": "min_lr",
    "final_lr": "min_lr",
    "decay_steps": ("total_steps", "step_size", "steps", "nothing to ask for: gamma is the factor of each step"),
    "warmup_steps": "steps",
    "num_warmup_steps": "steps",
    "decay_rate": "gamma",
    "boundaries": "milestones",
    "T_max": "total_steps",
    "total_iters": "total_steps or steps",
    "eta_min": "min_lr",
    "T_0": "period",
    "T_mult": "factor",
    # losses and metrics
    "logits": "from_logits",
    "with_logits": "from_logits",
    "smoothing": "label_smoothing",
    "beta": "delta of Huber",
    "size_average": "reduction",
    "reduce": "reduction",
    "thresholds": "threshold",
    "threshold": "min_delta",
    "ignore_class": "ignore_index",
    "cutoff": "threshold",
    # models
    "optimiser": "optimizer",
    "solver": "optimizer",
    "criterion": "loss",
    "objective": "loss",
    "n_epochs": "epochs",
    "nb_epoch": "epochs",
    "nb_epochs": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "max_iter": "epochs",
    "n_iter": "epochs",
    "bs": "batch_size",
    "validation_fraction": "validation_split",
    "val_split": "validation_split",
    "val_data": "validation_data",
    "eval_set": "validation_data",
    "validation": "validation_data or validation_split",
    "early_stopping": "one of callbacks: nn.callbacks.EarlyStopping()",
    "print_fn": "show=False: print_fn(str(model.summary(show=False)))",
    "index": "a number in brackets instead of the name: model[0]",
    "by_name": "strict=False",
    "compile": "nothing to ask for: custom_objects are all that load takes",
    # callbacks
    "verbosity": "verbose",
    "metric": "monitor",
    "tol": "min_delta",
    "n_iter_no_change": "patience",
    "restore_best": "restore_best_weights",
    "save_best": "save_best_only",
    "dirpath": "filepath",
    "log_dir": "writer, as in TensorBoard(SummaryWriter(log_dir))",
}

#: The same, for any class and function.
GENERAL = {
    "input_shape": "nn.Input(shape), or model.build(shape)",
    "batch_input_shape": "nn.Input(shape), or model.build(shape)",
    "activation": "a layer of its own behind this one, such as nn.ReLU()",
    "inplace": _NOTHING,
    "fused": _NOTHING,
    "foreach": _NOTHING,
    "jit_compile": _NOTHING,
    "device": "nothing to ask for: nncore computes on the CPU",
    "dtype": "a choice for the whole model: nn.Sequential(..., dtype=...)",
    "seed": "a choice for the whole model: nn.Sequential(..., seed=...)",
    "random_state": "seed of the model: nn.Sequential(..., seed=...)",
    "class_weight": "an argument of fit",
    "weight": "class_weight or sample_weight of fit",
    "learning_rate": "lr of the optimizer, as in nn.optim.Adam(lr=1e-3)",
    "lr": "lr of the optimizer, as in nn.optim.Adam(lr=1e-3)",
    "curve": "nn.metrics.RocAuc for ROC, nn.metrics.AveragePrecision for PR",
    "workers": _NOTHING,
    "use_multiprocessing": _NOTHING,
    "max_queue_size": _NOTHING,
    "n_jobs": "nn.set_num_threads",
    "run_eagerly": _NOTHING,
    "steps_per_execution": _NOTHING,
}


def hint(name: str, known: Iterable[str]) -> str:
    """Return what an argument is called here, or "". It is said only of classes that have such an argument.

    Examples
    --------
    >>> hint("epsilon", ["lr", "eps"])
    'eps'
    >>> hint("epsilon", ["lr"])
    ''
    """
    here = NAMES.get(name, ())
    fitting = (each for each in ((here,) if isinstance(here, str) else here) if set(re.findall(r"\w+", each)) & set(known))
    return next(fitting, GENERAL.get(name, ""))
