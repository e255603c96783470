"""Callbacks: what runs beside training, with Keras's hooks."""

from .base import Callback, CallbackList
from .checkpoint import ModelCheckpoint
from .early_stopping import EarlyStopping
from .lambda_callback import LambdaCallback
from .progress import ProgressBar
from .terminate_on_nan import TerminateOnNaN

__all__ = ["Callback", "CallbackList", "EarlyStopping", "LambdaCallback", "ModelCheckpoint", "ProgressBar", "TerminateOnNaN"]
