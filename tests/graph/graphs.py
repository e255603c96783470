"""The networks of these tests, twice: as models, and as PyTorch modules of the same graph with the same weights."""

import numpy as np

import nncore as nn

ROWS = 40


def residual(seed=0, dtype="float64"):
    """Two residual blocks, the second one with a projection."""
    x = nn.Input((6,), name="x")
    h = nn.Linear(6, 6, name="a")(x)
    h = nn.ReLU()(x + nn.Tanh()(h))
    g = nn.Linear(6, 5, name="b")(h)
    h = nn.GELU()(nn.Linear(6, 5, bias=False, name="skip")(h) + g)
    return nn.Model(x, nn.Linear(5, 2, name="y")(h), seed=seed, dtype=dtype)


def torch_residual(torch, p, x):
    h = torch.relu(x + torch.tanh(x @ p["a.weight"].T + p["a.bias"]))
    h = torch.nn.functional.gelu(h @ p["skip.weight"].T + h @ p["b.weight"].T + p["b.bias"])
    return [h @ p["y.weight"].T + p["y.bias"]]


def siamese(seed=0, dtype="float64"):
    """One encoder on two inputs; what they have in common and what not."""
    a, b = nn.Input((6,), name="left"), nn.Input((6,), name="right")
    first, act, second = nn.Linear(6, 7, name="first"), nn.Tanh(), nn.Linear(7, 5, name="second")
    u, v = (second(act(first(z))) for z in (a, b))
    both = nn.concatenate([u - v, u * v, nn.maximum([u, v]), nn.minimum([u, v]), nn.average([u, v, u])])
    return nn.Model([a, b], nn.Sigmoid()(nn.Linear(25, 1, name="y")(both)), seed=seed, dtype=dtype)


def torch_siamese(torch, p, a, b):
    u, v = (torch.tanh(z @ p["first.weight"].T + p["first.bias"]) @ p["second.weight"].T + p["second.bias"] for z in (a, b))
    both = torch.cat([u - v, u * v, torch.maximum(u, v), torch.minimum(u, v), (u + v + u) / 3], -1)
    return [torch.sigmoid(both @ p["y.weight"].T + p["y.bias"])]


def two_by_two(seed=0, dtype="float64"):
    """Two inputs, two outputs, and a gate between them."""
    x, z = nn.Input((6,), name="x"), nn.Input((3,), name="z")
    h = nn.ReLU()(nn.Linear(9, 8, name="join")(nn.Concatenate()([x, z])))
    gate = nn.Sigmoid()(nn.Linear(3, 8, name="gate")(z))
    mixed = gate * h + (1 - gate) * nn.Linear(6, 8, name="short")(x)
    outputs = {"number": nn.Linear(8, 2, name="n")(mixed), "kind": nn.Softmax()(nn.Linear(8, 4, name="k")(mixed / 2 - h))}
    return nn.Model([x, z], outputs, seed=seed, dtype=dtype)


def torch_two_by_two(torch, p, x, z):
    h = torch.relu(torch.cat([x, z], -1) @ p["join.weight"].T + p["join.bias"])
    gate = torch.sigmoid(z @ p["gate.weight"].T + p["gate.bias"])
    mixed = gate * h + (1 - gate) * (x @ p["short.weight"].T + p["short.bias"])
    kind = torch.softmax((mixed / 2 - h) @ p["k.weight"].T + p["k.bias"], -1)
    return [mixed @ p["n.weight"].T + p["n.bias"], kind]


GRAPHS = {"residual": (residual, torch_residual), "siamese": (siamese, torch_siamese), "two by two": (two_by_two, torch_two_by_two)}


def inputs_of(model, rng, rows=ROWS):
    return [rng.normal(size=(rows, *shape)).astype(model.dtype) for shape in model.input_shapes]


def targets_of(model, rng, rows=ROWS):
    """Numbers, or class indices where the output is a softmax, or 0 and 1 where it is a sigmoid."""
    found = []
    for shape, (activation, _) in zip(model.output_shapes, model.output_activations, strict=True):
        if activation == "softmax":
            found.append(rng.integers(0, shape[-1], rows))
        elif activation == "sigmoid":
            found.append(rng.integers(0, 2, (rows, *shape)).astype(model.dtype))
        else:
            found.append(rng.normal(size=(rows, *shape)).astype(model.dtype))
    return found


def losses_of(model):
    names = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    return [names.get(activation, "mse") for activation, _ in model.output_activations]


def as_list(outputs):
    return list(outputs.values()) if isinstance(outputs, dict) else outputs if isinstance(outputs, list) else [outputs]


def only(given):
    return given[0] if len(given) == 1 else given


def torch_loss(torch, name, p, y):
    if name == "mse":
        return ((p - y) ** 2).mean()
    if name == "binary_crossentropy":
        return torch.nn.functional.binary_cross_entropy(p, y)
    return -torch.log(p[torch.arange(len(y)), y]).mean()


def numbers(model):
    return {**model.state_dict(), "step": np.array(model.step)}
