"""The boundary: the only place where Python meets the C core. It checks, lets go of the GIL, calls, and raises.

`plans` is the extension that every user loads: networks compiled to plans, and who may use them now. Its names are found here.
Two more are imported by those who use them: `kernels`, single kernels of the same core, and `files`, writing and reading in one go.
"""

from .plans import *  # noqa: F403
from .plans import __version__ as __version__
