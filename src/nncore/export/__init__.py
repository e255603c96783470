"""Exporters: a network in the form of other programs. Nothing here computes.

`walk` gives the ops of a network in a form that every exporter can follow. Each exporter is a folder with a table that has one
entry for each op of the registry, csrc/ops/ops.def; tests/export fails where one is missing. How an exporter is made is described
in docs/design.md.

`torch` and `keras` are the other way round: modules, state dicts and weights of other libraries made into networks and parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from .c.model import CFile
    from .c.verify import verify_c

__all__ = ["CFile", "verify_c"]

__getattr__, __dir__ = lazily(__name__, __all__, {"c.model": "CFile", "c.verify": "verify_c"})
