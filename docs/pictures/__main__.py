"""Draw the pictures of the docs: python docs/pictures [page ...] [--into folder], or make pictures.

Each file beside this one draws the pictures of one page. Each of its public functions returns a figure of matplotlib: `verdict` in
diagnosis.py is docs/pictures/diagnosis-verdict.svg. The files are committed, so that GitHub shows them.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
from drawing import STYLE, as_svg

HERE = Path(__file__).resolve().parent
del sys.path[0]  # this folder: a page may have the name of a package, such as Dask's distributed
PAGES = sorted(path.stem for path in HERE.glob("[a-z]*.py") if path.stem != "drawing")


def _module(page: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pictures_of_{page}", HERE / f"{page}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


parser = argparse.ArgumentParser(description="Draw the pictures of the docs.")
parser.add_argument("pages", nargs="*", default=PAGES, help="the pages whose pictures are drawn; all by default")
parser.add_argument("--into", type=Path, default=HERE, help="the folder of the files")
arguments = parser.parse_args()
for page in arguments.pages:
    module = _module(page.replace("-", "_"))
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            path = arguments.into / f"{page}-{name}.svg".replace("_", "-")
            with plt.rc_context(STYLE):
                path.write_text(as_svg(function()), encoding="utf-8")
            print(f"{path.name}: {path.stat().st_size // 1024} KB")
