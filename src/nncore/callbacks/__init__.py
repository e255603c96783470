"""Callbacks: what runs beside training, with Keras's hooks."""

from .backup import BackupAndRestore
from .base import Callback, CallbackList
from .checkpoint import ModelCheckpoint
from .diagnostics import Diagnostics
from .early_stopping import EarlyStopping
from .lambda_callback import LambdaCallback
from .loggers import CSVLogger, TensorBoard
from .lr_scheduler import LearningRateScheduler
from .progress import ProgressBar
from .reduce_lr import ReduceLROnPlateau
from .stopping import LossTolerance, StopAtTarget, TimeLimit
from .terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
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
