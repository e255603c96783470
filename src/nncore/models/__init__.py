"""Models, which users see. A model has a network and, once compiled, a trainer. It documents its methods and forwards the calls."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from .functional import Functional
    from .loading import from_onnx, from_torch, load
    from .model import Model
    from .quantization_report import QuantizationReport
    from .quantized import QuantizedModel
    from .sequential import Sequential

__all__ = ["Functional", "Model", "QuantizationReport", "QuantizedModel", "Sequential", "from_onnx", "from_torch", "load"]

if not TYPE_CHECKING:
    # functional.py exports Model too: it registers Functional as the class that Model(inputs, outputs) makes.
    __getattr__, __dir__ = lazily(
        __name__,
        __all__,
        {
            "functional": "Functional Model",
            "loading": "from_onnx from_torch load",
            "quantization_report": "QuantizationReport",
            "quantized": "QuantizedModel",
            "sequential": "Sequential",
        },
    )
