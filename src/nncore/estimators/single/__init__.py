"""One layer as an estimator: Rosenblatt's perceptron, softmax regression and the linear support vector machine."""

from .perceptron import Perceptron as Perceptron
from .softmax import SoftmaxRegression as SoftmaxRegression
from .svm import LinearSVM as LinearSVM
