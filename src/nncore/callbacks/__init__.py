"""Callbacks: objects whose methods are called at fixed points of training, with Keras's hooks."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ..training.hooks import Callback
    from ..training.progress_bar import ProgressBar
    from .backup import BackupAndRestore
    from .checkpoint import ModelCheckpoint
    from .diagnostics import Diagnostics
    from .early_stopping import EarlyStopping
    from .lambda_callback import LambdaCallback
    from .loggers import CSVLogger, TensorBoard
    from .lr_scheduler import LearningRateScheduler
    from .reduce_lr import ReduceLROnPlateau
    from .stopping import LossTolerance, StopAtTarget, TimeLimit
    from .terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "Diagnostics",
    "EarlyStopping",
    "LambdaCallback",
    "LearningRateScheduler",
    "LossTolerance",
    "ModelCheckpoint",
    "ProgressBar",
    "ReduceLROnPlateau",
    "StopAtTarget",
    "TensorBoard",
    "TerminateOnNaN",
    "TimeLimit",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        __all__,
        {
            "backup": "BackupAndRestore",
            ".training.hooks": "Callback",
            "checkpoint": "ModelCheckpoint",
            "diagnostics": "Diagnostics",
            "early_stopping": "EarlyStopping",
            "lambda_callback": "LambdaCallback",
            "loggers": "CSVLogger TensorBoard",
            "lr_scheduler": "LearningRateScheduler",
            ".training.progress_bar": "ProgressBar",
            "reduce_lr": "ReduceLROnPlateau",
            "stopping": "LossTolerance StopAtTarget TimeLimit",
            "terminate_on_nan": "TerminateOnNaN",
        },
    )
