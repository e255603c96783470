"""What the machine gives to dense arithmetic and to memory: the limits against which the steps are held."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from workloads import Workload


class Product:
    """A large matrix product: the rate that the machine gives to dense arithmetic, against which the steps are held."""

    N = 1024

    def __init__(self, multiply: Callable[[], object]) -> None:
        self.multiply = multiply

    def run(self, count: int) -> int:
        for _ in range(count):
            self.multiply()
        return count


def numpy_product(threads: int) -> Product:
    a, b, c = np.random.default_rng(0).standard_normal((3, Product.N, Product.N), dtype=np.float32)
    return Product(lambda: np.matmul(a, b, out=c))


def torch_product(threads: int) -> Product:
    import torch

    torch.set_num_threads(threads)
    a, b, c = torch.rand(3, Product.N, Product.N)
    return Product(lambda: torch.mm(a, b, out=c))


def nncore_product(threads: int) -> Product:
    """Its own kernel, which on some processors is the fastest: the rows of the product divided among threads."""
    from nncore._core import kernels

    a, b, c = np.random.default_rng(0).standard_normal((3, Product.N, Product.N), dtype=np.float32)
    parts = list(zip(np.array_split(a, threads), np.array_split(c, threads), strict=True))
    pool = ThreadPoolExecutor(threads)
    return Product(lambda: list(pool.map(lambda part: kernels.gemm(part[0], b, out=part[1]), parts)))


PRODUCTS: dict[str, Callable[[int], Product]] = {"NumPy": numpy_product, "PyTorch": torch_product, "nncore": nncore_product}


class Update:
    """What an optimizer must at least do: read and write the parameters and their moments once each, in place.

    The arrays are as large as the workload's, so that they come from the same cache; each thread has its own part.
    """

    def __init__(self, work: Workload, threads: int) -> None:
        elements = sum(w.size + b.size for w, b in work.parameters()) * (3 if work.optimizer == "adam" else 1)
        self.parts = np.array_split(np.ones(elements, np.float32), threads)
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def run(self, count: int) -> int:
        def repeat(part: np.ndarray) -> None:
            for _ in range(count):
                np.multiply(part, np.float32(1.0), out=part)

        if self.pool is None:
            repeat(self.parts[0])
        else:
            list(self.pool.map(repeat, self.parts))
        return count
