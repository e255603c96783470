"""The summary: every figure against one computed here, the table's text, and printing."""

import pytest

import nncore as nn


def model(**options):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(12, 8, trainable=False),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(8, 3, bias=False),
        nn.Softmax(),
        **options,
    ).build((3, 4))


def test_figures(dtype):
    found = model(dtype=dtype).summary(show=False)
    item = dtype.itemsize
    assert [row.type for row in found.rows] == ["Flatten", "Linear", "ReLU", "Dropout", "Linear", "Softmax"]
    assert [row.output_shape for row in found.rows] == [(12,), (8,), (8,), (8,), (3,), (3,)]
    assert [row.parameters for row in found.rows] == [0, 12 * 8 + 8, 0, 0, 8 * 3, 0]
    assert [row.trainable for row in found.rows] == [0, 0, 0, 0, 24, 0]
    assert [row.macs for row in found.rows] == [0, 96, 0, 0, 24, 0]
    assert [row.activation_bytes for row in found.rows] == [12 * item, 8 * item, 8 * item, 8 * item, 3 * item, 3 * item]
    assert found.total_parameters == sum(p.size for p in model().parameters()) == 128
    assert (found.trainable_parameters, found.non_trainable_parameters) == (24, 104)
    assert found.parameter_bytes == sum(p.nbytes for p in model(dtype=dtype).parameters())
    assert found.macs == 120
    assert found.activation_bytes == 42 * item


def test_linear_over_time_multiplies_at_every_step():
    found = nn.Sequential(nn.Linear(3, 2)).build((5, 3)).summary(show=False)
    assert found.macs == 5 * 3 * 2
    assert found.rows[0].output_shape == (5, 2)
    assert found.total_parameters == 8


def test_table_lists_what_the_figures_say():
    lines = str(model().summary(show=False)).splitlines()
    assert lines[0] == "Sequential, float32, input [*, 3, 4]"
    assert lines[2].split() == ["Layer", "Output", "shape", "Parameters", "MACs/sample", "Activations", "(B)"]
    assert lines[5].split() == ["1", "Linear", "[*,", "8]", "104", "96", "32"]
    assert lines[-6].split() == ["Total", "128", "120", "168"]
    assert lines[-4] == "Trainable parameters: 24, non-trainable: 104, memory: 512 B"
    assert lines[-3].startswith("Training keeps ")
    assert lines[-2:] == ["1 Linear: frozen", "3 Dropout: p=0.5"]
    assert len({len(line) for line in lines[1:-4]}) == 1  # columns line up


def test_says_how_it_is_trained(tmp_path):
    net = nn.Sequential(nn.Linear(6, 8, l1=0.1, l2=0.2, max_norm=3.0), nn.GaussianNoise(0.3), nn.Linear(8, 2), seed=0)
    rate = nn.schedules.Cosine(0.1, total_steps=10)
    rule = nn.optim.Adam(lr=rate, clip_norm=1.0, ema_momentum=0.9, groups=[{"params": "*.bias", "lr_scale": 0.1}])
    net.compile(nn.losses.MeanSquaredError(), rule, ["mae"], loss_weights=[0.5], l2=0.01)
    lines = str(net.summary(show=False)).splitlines()
    assert lines[-5:-3] == ["0 Linear: l1=0.1, l2=0.2, max_norm=3.0", "1 GaussianNoise: stddev=0.3"]
    assert lines[-3] == "Loss: MeanSquaredError(reduction='mean') * 0.5, l2=0.01"
    for part in (repr(rate), "clip_norm=1.0", "ema_momentum=0.9", "'*.bias'"):
        assert part in lines[-2]
    assert lines[-2].startswith("Optimizer: Adam(")
    assert lines[-1] == "Metrics: mae"
    net.save(tmp_path / "model")
    assert str(nn.load(tmp_path / "model").summary(show=False)).splitlines() == lines


def test_training_bytes_grow_with_the_network():
    narrow, wide = (nn.Sequential(nn.Linear(10, n), nn.ReLU(), nn.Linear(n, 1)).summary(show=False) for n in (20, 60))
    # A hidden unit keeps its activation, which ReLU overwrites, and its gradient.
    assert wide.training_bytes - narrow.training_bytes == 40 * 2 * 4


def test_large_numbers_are_readable():
    text = str(nn.Sequential(nn.Linear(1000, 2000)).summary(show=False))
    assert "2,002,000" in text
    assert "7.64 MiB" in text


def test_prints_unless_told_not_to(capsys):
    shown = model().summary()
    assert capsys.readouterr().out == f"{shown}\n"
    model().summary(show=False)
    assert capsys.readouterr().out == ""
    assert repr(shown) == "<Summary: 6 layers, 128 parameters>"


def test_needs_a_shape():
    with pytest.raises(nn.errors.NotBuiltError, match=r"Sequential.summary: .*build"):
        nn.Sequential(nn.Flatten(), nn.Linear(12, 8)).summary()
