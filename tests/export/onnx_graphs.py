"""Graphs in ONNX's text, and whether nncore computes what ONNX Runtime does."""

import warnings

import numpy as np
import onnx
from onnx import numpy_helper

import nncore as nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import onnxruntime as ort
    from export.onnx_nets import session


def graph_of(text, opset=17, **constants):
    """A model of ONNX's text, with these constants."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}, "ai.onnx.ml" : 3]> {text}')
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    return proto


def check(proto, *x, axes=(), tolerance=1e-5):
    """Whether the model computes what ONNX Runtime does. axes: for each output the dimension of its batch."""
    model = nn.from_onnx(proto)
    feed = dict(zip((i.name for i in proto.graph.input), x, strict=True))
    want = session(ort, proto).run(None, feed)
    moved = [np.moveaxis(a, dims.index("N"), 0) for a, dims in zip(x, map(dims_of, proto.graph.input), strict=True)]
    given = dict(zip(model.input_names, moved, strict=True))
    got = model.predict(given)
    got = list(got.values()) if isinstance(got, dict) else [got]
    assert len(got) == len(want)
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        w = np.moveaxis(w, axes[i] if axes else 0, 0)
        assert g.shape == w.shape
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)
    return model


def dims_of(info):
    return [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]
