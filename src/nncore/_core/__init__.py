"""The boundary: the only place where Python meets the C core. It checks, lets go of the GIL, calls, and raises.

`plans` is the extension that every user loads: networks compiled to plans, who may use them now, and files.
"""

from .plans import *  # noqa: F403
from .plans import __version__ as __version__
