"""What the tests of PyTorch modules share. Only what is called imports torch."""

import numpy as np


def outputs(module, model, *x, to=lambda array: array):
    """Return the outputs of a module in eval mode and of a model, as lists of arrays."""
    import torch

    module.eval()
    with torch.no_grad():
        found = module(*x)
    theirs = [found] if isinstance(found, torch.Tensor) else list(found.values() if isinstance(found, dict) else found)
    arrays = [to(each.numpy()) for each in x]
    ours = model(arrays if len(arrays) > 1 else arrays[0])
    ours = list(ours.values()) if isinstance(ours, dict) else list(ours) if isinstance(ours, list | tuple) else [ours]
    return [each.numpy() for each in theirs], ours


def assert_same(module, model, *x, **options):
    theirs, ours = outputs(module, model, *x, **options)
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5 if b.dtype == np.float32 else 1e-12)
        assert a.dtype == b.dtype


def module_of(torch, forward, **parts):
    """Return a module with these sub-modules and this forward."""
    cls = type("Net", (torch.nn.Module,), {"forward": forward})
    found = cls()
    for name, part in parts.items():
        found.add_module(name, part)
    return found
