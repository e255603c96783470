"""The metaclass of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._declarations import DeclarationType


class LayerType(DeclarationType):
    """The metaclass of layers. It makes every layer accept ``name=``, even if the constructor of a user's class does not list
    it."""

    if not TYPE_CHECKING:  # type checkers look at the constructor itself

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            name = kwargs.get("name")
            if name is not None and not _lists_name(cls):
                del kwargs["name"]
            layer = super().__call__(*args, **kwargs)
            if name is not None and layer.name is None:
                layer.name = name
            return layer

        @property
        def __signature__(cls) -> Any:
            """The signature of the constructor, with ``name``. `help` shows it."""
            import inspect

            given = list(inspect.signature(cls.__init__).parameters.values())[1:]
            if given and given[-1].kind is inspect.Parameter.VAR_KEYWORD:
                given.pop()  # **arguments of the base class, to which a subclass passes its own
            if not any(each.name == "name" for each in given):
                given.append(inspect.Parameter("name", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None"))
            return inspect.Signature(given)


def _lists_name(cls: type) -> bool:
    """Return whether the constructor lists ``name``. Reading the code object is faster than `inspect`."""
    code = getattr(cls.__init__, "__code__", None)  # type: ignore[misc]
    return code is not None and "name" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
