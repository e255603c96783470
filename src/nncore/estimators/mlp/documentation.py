"""The text that the docstrings of the two classes have in common."""

from __future__ import annotations

from ..documentation import filled

_ONLY = """hidden_layer_sizes : array-like of int or int, default (100,)
    The number of units of each hidden layer. An empty list makes a linear model.
activation : str, layer or list of them, default "relu"
    "identity", "logistic", "tanh" or "relu" for all hidden layers; nncore's activations by name in lower case ("gelu", "silu",
    "leakyrelu", ...); a layer such as ``nn.LeakyReLU(0.1)``; or a list with one of these per hidden layer.
solver : str or optimizer, default "adam"
    "adam", "sgd", "lbfgs" (on all rows at once, by SciPy); the name of another optimizer of nncore, with ``learning_rate_init``; or
    an object of `nncore.optim`, with its own learning rate.
alpha : float, default 1e-4
    The L2 penalty. The loss of a batch has 0.5 alpha times the squares of the weights, without biases, divided by its rows.
batch_size : int or "auto", default "auto"
    Rows of a batch; "auto" is min(200, n_samples). Ignored by "lbfgs".
learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
    For "sgd". "invscaling": ``learning_rate_init / (t_ + 1) ** power_t`` after each epoch. "adaptive": divided by 5 when two
    epochs in a row fail to improve by ``tol``, down to 1e-6.
learning_rate_init : float, default 0.001
    The first rate.
power_t : float, default 0.5
    Of "invscaling".
max_iter : int, default 200
    The most epochs, or iterations of "lbfgs".
shuffle : bool, default True
    Whether to draw a new order of the rows for each epoch.
random_state : int, RandomState or None
    For initial weights, orders of rows, the rows that are held out, and dropout. The numbers are those that scikit-learn draws.
tol : float, default 1e-4
    Training ends when ``n_iter_no_change`` epochs in a row have not improved the loss (with early stopping, the score) by tol.
verbose : bool or int, default False
    Whether to print a line per epoch.
warm_start : bool, default False
    Whether `fit` goes on with the network of the last call.
momentum : float, default 0.9
    Of "sgd".
nesterovs_momentum : bool, default True
    Of "sgd".
early_stopping : bool, default False
    Whether to hold out rows, to end training by their score, and to keep the weights that had the best one.
validation_fraction : float, default 0.1
    The part of the rows that is held out.
beta_1, beta_2, epsilon : float
    Of "adam".
n_iter_no_change : int or inf, default 10
    See ``tol``.
max_fun : int, default 15000
    The most evaluations of "lbfgs"."""

_FURTHER = """dropout : float or list of float, default 0
    The probability with which a hidden unit is left out in training: one for all hidden layers, or one for each.
batch_norm : bool, default False
    Whether to normalise each hidden layer over the batch, before its activation. If the last batch would have a single row, batches
    are made smaller by as many rows as it takes, or larger if no smaller size will do."""

_LAST = """callbacks : callback or list of them, optional
    Callbacks of nncore. The logs have "val_loss" if rows are held out.
dtype : {"auto", "float32", "float64"}, default "auto"
    In what to compute. "auto" keeps float32 and float64 input as it is ("lbfgs": float64).
compute : {"float32", "bfloat16", "auto"}, optional
    In what products are computed; see `nncore.Model`."""

_ATTRIBUTES = """coefs_, intercepts_ : list of ndarray
    The weights [inputs, outputs] and biases of each layer: views, through which they can be changed.
loss_, best_loss_ : float
    The last loss and the smallest one; best_loss_ is None with early stopping.
loss_curve_ : list of float
    The loss of each epoch.
validation_scores_, validation_loss_curve_ : list of float or None
    Score and loss of the rows that are held out, after each epoch.
best_validation_score_ : float or None
    The best score, if there is early stopping.
n_iter_, t_ : int
    The number of epochs of the last fit, and of rows that were trained on.
n_layers_, n_outputs_ : int
out_activation_ : str
model_ : nncore.Sequential
    The network.
n_features_in_ : int
feature_names_in_ : ndarray of shape (n_features_in_,)
    Only if all columns of X have text as their names."""

#: Fills in the text that is common to both classes.
documented = filled(only=_ONLY, further=_FURTHER, last=_LAST, attributes=_ATTRIBUTES)
