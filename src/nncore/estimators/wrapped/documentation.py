"""The text that the docstrings of the estimators around a network have in common."""

from __future__ import annotations

from ..documentation import filled

_STEP = """optimizer : str or Optimizer, default "adam"
    A name or an object of ``nn.optim``.
lr : float or callable, optional
    The learning rate or a schedule of ``nn.schedules``. None is that of the optimizer."""

_LOSS_OF_LABELS = """loss : str, Loss or callable, default "auto"
    "auto" is the cross-entropy for the labels and for the last layer, which may end in an activation (`Sigmoid`, `Softmax`) or
    not. A name, an object of ``nn.losses``, or a function or an object of your own. Your own gets 0 and 1 in the shape of the
    output. For several outputs also a list, or a dict by their names.
metrics : sequence of str or Metric
    What ``history_`` records besides the loss. For class numbers or 0 and 1, as the network gets them."""

_LOSS_OF_NUMBERS = """loss : str, Loss or callable, default "auto"
    "auto" is the mean squared error. A name, an object of ``nn.losses``, or a function or an object of your own. For several
    outputs also a list, or a dict by their names.
metrics : sequence of str or Metric
    What ``history_`` records besides the loss."""

_TRAINING = """epochs : int, default 100
    Passes over the rows. With ``early_stopping`` the largest number.
batch_size : int or None, default 32
    Rows per step. None is all rows.
shuffle : bool, default True
    Whether to draw a new order of the rows for each epoch.
callbacks : sequence of Callback, optional
    Objects of ``nn.callbacks``, or of the same form.
early_stopping : bool, default False
    Whether to validate after each epoch, to end when ``val_loss`` has not become better, and to keep the best weights. The rows
    are those of ``validation_data`` in `fit`, or a random part of the training rows.
validation_fraction : float, default 0.1
    That part.
n_iter_no_change : int, default 10
    With ``early_stopping``: the number of epochs without improvement that end training.
tol : float, default 0
    With ``early_stopping``: a smaller change is no improvement."""

_CLASS_WEIGHT = """class_weight : dict, "balanced" or None
    The weight of each label. "balanced" gives rare ones larger weights."""

_RUNNING = """warm_start : bool, default False
    Whether another `fit` goes on with the weights of the last one.
random_state : int, RandomState or None
    Determines initial weights, dropout masks, the order of rows and the part for validation.
verbose : bool or int, default False
    1 shows a progress bar, 2 a line for each epoch.
dtype : {"auto", "float32", "float64"}
    In what the network computes. "auto" is float32 for X in float32, and float64 otherwise, as elsewhere in scikit-learn.
    float32 takes about half the time.
compute : {"float32", "bfloat16", "auto"}, optional
    In what products are computed; see `nn.Model`. None is what the model says.
threads : int, optional
    The largest number of threads. None is that of the process."""

_BUILD_PARAMS = """build_params : dict, optional
    Further arguments of ``build``.
**build__
    Parameters of ``build`` by name: ``build__units=64``."""

_FITTED = """model_ : Model
    The trained network.
history_ : History
    Loss and metrics of each epoch of the last fit.
loss_curve_, validation_loss_curve_ : list of float
    The losses of all epochs. The second one is empty without validation.
n_iter_ : int
    The number of epochs."""

_CLASSES = """classes_ : ndarray of shape (n_classes,)
    The labels, sorted; of several columns of labels a list."""

_COLUMNS = """n_features_in_ : int
    The number of features.
feature_names_in_ : ndarray of shape (n_features_in_,)
    The names of the columns, if X is a frame with names."""

_CELLS = """cell : {"rnn", "gru", "lstm"}, default "gru"
    The kind of the recurrent layers.
hidden_sizes : int or sequence of int, default (64,)
    The units of each recurrent layer. The last states of the last one go through a linear layer.
bidirectional : bool, default False
    Whether the layers also read the sequences from their ends.
dropout : float, default 0
    The rate of dropout after each recurrent layer.
window : int, optional
    X is then a series, and this is the number of steps that a prediction is made from. None: each row is a sequence."""

_STRIDE = """stride : int, default 1
    With ``window``: steps from one window of training to the next."""

#: Fills in what several of these classes have in common.
documented = filled(
    step=_STEP,
    loss_of_labels=_LOSS_OF_LABELS,
    loss_of_numbers=_LOSS_OF_NUMBERS,
    training=_TRAINING,
    class_weight=_CLASS_WEIGHT,
    running=_RUNNING,
    build_params=_BUILD_PARAMS,
    fitted=_FITTED,
    classes=_CLASSES,
    columns=_COLUMNS,
    cells=_CELLS,
    stride=_STRIDE,
)
