"""Op records by name: what the registry says, what Python writes down, and what the core reads agree."""

import pickle
import re

import pytest
from truth import nets

from nncore import _core
from nncore.errors import NncoreError
from nncore.records import Op

LAYERS = {op["name"]: op for op in _core.OPS["layer"] if op["name"] != "activation"}
ACTIVATIONS = {op["name"]: op for op in _core.OPS["activation"]}


def named(names, first):
    """A value of its own for each field, and those values in a row; several where a field takes several."""
    fields, row = {}, []
    for name in names:
        plain, _, several = name.partition("[")
        numbers = [first + len(row) + i for i in range(int(several[:-1]) if several else 1)]
        fields[plain] = tuple(numbers) if several else numbers[0]
        row += numbers
    return fields, tuple(row)


@pytest.mark.parametrize("kind", LAYERS)
def test_fields_stand_in_the_order_of_the_registry(kind):
    sizes, in_a_row = named(LAYERS[kind]["sizes"], 100)
    attributes, real = named(LAYERS[kind]["attributes"], 0.5)
    fields = {**attributes, **sizes}
    op = Op.of(kind, "layer", (3, 4), **dict(reversed(fields.items())))
    assert (op.kind, op.name, op.inputs, op.sizes, op.attributes) == (kind, "layer", (3, 4), in_a_row, real)
    assert {name: op.field(name) for name in fields} == fields


@pytest.mark.parametrize("code", ACTIVATIONS)
def test_activations_have_the_attributes_of_their_row(code):
    fields, row = named(ACTIVATIONS[code]["attributes"], 0.5)
    op = Op.of("activation", "layer", (0,), code=code, **fields)
    assert (op.sizes, op.attributes, op.code) == ((), row, code)
    assert {name: op.field(name) for name in fields} == fields


#: Fields that the core refuses, and shows by their names.
REFUSED = [
    ("linear", {"in_features": 0, "out_features": 7, "has_bias": 1}, ["in_features", "out_features"]),
    ("dropout", {"p": 1.5}, ["p"]),
    ("flatten", {"start_dim": 2, "end_dim": 9}, ["start_dim", "end_dim"]),
    (
        "batch_norm",
        {"num_features": 3, "affine": 1, "track_running_stats": 1, "features_last": 0, "eps": -2.5, "momentum": 0.25},
        ["eps", "momentum"],
    ),
    ("concat", {"axis": 5}, ["axis"]),
    ("layer_norm", {"has_weight": 1, "has_bias": 1, "normalized_shape": (3,), "eps": -2.5}, ["eps"]),
    ("gaussian_noise", {"stddev": -2.5}, ["stddev"]),
    ("prelu", {"num_parameters": 4}, ["num_parameters"]),
    ("maxout", {"pieces": 7}, ["pieces"]),
    ("embedding", {"num_embeddings": 0, "embedding_dim": 6, "padding_idx": -1}, ["num_embeddings", "embedding_dim"]),
    (
        "recurrent",
        dict.fromkeys(LAYERS["recurrent"]["sizes"], 0) | {"hidden_size": 6, "recurrent_dropout": 0.0},
        ["input_size", "hidden_size"],
    ),
]


@pytest.mark.parametrize(("kind", "fields", "shown"), REFUSED, ids=[kind for kind, _, _ in REFUSED])
def test_the_core_reads_the_same_names(kind, fields, shown):
    with pytest.raises(NncoreError) as refused:
        nets.assemble([(3,)], [Op.of(kind, "layer", (0,), **fields)])
    assert {name: float(re.search(rf"\b{name}=(-?[\d.]+)", str(refused.value))[1]) for name in shown} == {
        name: fields[name] for name in shown
    }


def test_other_fields_are_refused():
    with pytest.raises(TypeError, match=r"^linear: unknown bias and missing has_bias; its fields are in_features, out_f"):
        Op.of("linear", "a", (0,), in_features=3, out_features=2, bias=True)
    with pytest.raises(TypeError, match=r"^linear: missing has_bias; its fields are"):
        Op.of("linear", "a", (0,), in_features=3, out_features=2)
    with pytest.raises(TypeError, match=r"^multiply: unknown p; its fields are none$"):
        Op.of("multiply", "a", (0, 1), p=0.5)
    with pytest.raises(TypeError, match=r"^leaky_relu: unknown alpha and missing negative_slope; its fields are negative_slope$"):
        Op.of("activation", "a", (0,), code="leaky_relu", alpha=0.1)
    with pytest.raises(TypeError, match=r"^dropout has no field rate; its fields are p$"):
        Op.of("dropout", "a", (0,), p=0.5).field("rate")


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="no kind of op 'conv'; known are linear, activation"):
        Op.of("conv", "a", (0,))
    with pytest.raises(ValueError, match="no activation 'rely'; known are identity"):
        Op.of("activation", "a", (0,), code="rely")
    with pytest.raises(ValueError, match="no activation ''"):
        Op.of("activation", "a", (0,))


@pytest.mark.parametrize(
    "op",
    [
        nets.linear("layer 2", 1, 3, 2),
        nets.activation("softplus", 4),
        nets.layer_norm(2, 3, 4)._replace(shares=1),
        nets.reshape(0, 2, -1),
    ],
    ids=lambda op: op.kind,
)
def test_repr_makes_the_same_record(op):
    assert eval(repr(op), {"Op": Op}) == op
    assert pickle.loads(pickle.dumps(op)) == op


def test_repr_shows_the_names():
    assert repr(nets.flatten(3, 1, -1)) == "Op.of('flatten', 'flatten', (3,), start_dim=1, end_dim=-1)"
    assert repr(nets.activation("step", 0)._replace(name="a")) == "Op.of('activation', 'a', (0,), code='step', threshold=0.1)"


def test_repr_of_a_record_that_the_core_would_refuse():
    assert repr(Op("linear", "a", (0,), (3,))).startswith("Op(kind='linear', name='a', inputs=(0,), sizes=(3,), ")
    assert repr(Op("conv", "a", (0,))).startswith("Op(kind='conv'")


def test_records_do_not_change():
    op = nets.linear("a", 0, 3, 2)
    with pytest.raises(AttributeError):
        op.sizes = (1, 1, 1)
