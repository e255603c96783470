"""Recurrent networks as estimators: of sequences, and of series by windows."""

from .classifier import RecurrentClassifier as RecurrentClassifier
from .regressor import RecurrentRegressor as RecurrentRegressor
