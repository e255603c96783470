"""PyTorch as the truth runs on one thread: it is neither timed nor to take the processors from what is tested."""

import sys

import pytest


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    torch = sys.modules.get("torch")  # imported by the files that compare with it
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
