"""Records of ops: the computation of a network as plain data.

Layers declare their ops in these records. The core checks them, infers the shapes and compiles the plan. Nothing is computed here.
The names of an op's fields are those of csrc/ops/ops.def.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from .. import _core


class _Fields:
    """The fields of one kind of op: its sizes, then its attributes. ``dims[8]`` holds several numbers, and is the last size."""

    def __init__(self, sizes: list[str], attributes: list[str]) -> None:
        self.places: dict[str, tuple[int, int | slice]] = {}  # field -> 0 for sizes or 1 for attributes, and the position there
        for which, names in enumerate((sizes, attributes)):
            for i, name in enumerate(names):
                plain, _, several = name.partition("[")
                self.places[plain] = which, slice(i, None) if several else i
        self.count = len(self.places)
        self.sizes_of = _picker(sizes)
        self.attributes_of = _picker(attributes)

    def refuse(self, what: str, given: Mapping[str, Any]) -> TypeError:
        """Return the error for wrong fields."""
        unknown = [name for name in given if name not in self.places]
        missing = [name for name in self.places if name not in given]
        faults = [f"{fault} {', '.join(names)}" for fault, names in (("unknown", unknown), ("missing", missing)) if names]
        return TypeError(f"{what}: {' and '.join(faults)}; its fields are {self}")

    def fits(self, sizes: tuple[Any, ...], attributes: tuple[Any, ...]) -> bool:
        """Return whether sizes and attributes are long enough for all fields."""
        return all(isinstance(at, slice) or at < len((sizes, attributes)[which]) for which, at in self.places.values())

    def __str__(self) -> str:
        return ", ".join(self.places) or "none"


def _picker(names: list[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]] | None:
    """Return a function that returns the values of these fields, in this order. Return None if there are no fields."""
    if not names:
        return None
    *before, last = names
    if last.endswith("]"):
        several = last.partition("[")[0]
        return lambda fields: (*[fields[name] for name in before], *fields[several])
    return itemgetter(*names) if before else lambda fields: (fields[last],)


_LAYERS = {op["name"]: _Fields(op["sizes"], op["attributes"]) for op in _core.OPS["layer"]}
_ACTIVATIONS = {op["name"]: _Fields([], op["attributes"]) for op in _core.OPS["activation"]}
_new = tuple.__new__


def _unknown(kind: str, code: str) -> ValueError:
    what, name, names = ("activation", code, _ACTIVATIONS) if kind == "activation" else ("kind of op", kind, _LAYERS)
    return ValueError(f"no {what} {name!r}; known are {', '.join(names)}")


class Op(NamedTuple):
    """A record of an op: the computation, its input values, its sizes and attributes.

    Values are numbered: first the inputs of the network (0, 1, ...), then the result of each op in order. `Op.of` makes a record
    from the names of its fields, and `field` reads one. ``sizes`` and ``attributes`` store the fields in the order of the registry.
    """

    kind: str  #: the name in the registry: "linear", "activation", "dropout", ...
    name: str  #: the name in error messages, for example "layer 2 (Linear)"
    inputs: tuple[int, ...]
    sizes: tuple[int, ...] = ()
    attributes: tuple[float, ...] = ()
    code: str = ""  #: activation: its name in the registry
    shares: int = -1  #: the number of an earlier op of the same kind and sizes whose parameters this op uses
    part: Any = None  #: python: the layer, which the core calls (see layers/python.py)

    @staticmethod
    def of(
        kind: str,
        name: str,
        inputs: tuple[int, ...],
        *,
        code: str = "",
        shares: int = -1,
        part: Any = None,
        **fields: Any,
    ) -> Op:
        """Return a record with the fields that the registry has for this kind of op, or for this activation.

        Examples
        --------
        >>> from nncore.records import Op
        >>> op = Op.of("linear", "layer 0", (0,), in_features=3, out_features=2, has_bias=True)
        >>> op.field("out_features"), op.sizes
        (2, (3, 2, True))
        """
        known = _LAYERS.get(kind) if kind != "activation" else _ACTIVATIONS.get(code)
        if known is None:
            raise _unknown(kind, code)
        if len(fields) != known.count:
            raise known.refuse(code or kind, fields)
        try:  # a network may have tens of thousands of ops, so a correct call costs only the two tuples
            sizes = known.sizes_of(fields) if known.sizes_of else ()
            attributes = known.attributes_of(fields) if known.attributes_of else ()
        except KeyError:
            raise known.refuse(code or kind, fields) from None
        return _new(Op, (kind, name, inputs, sizes, attributes, code, shares, part))

    def field(self, name: str) -> Any:
        """Return the value of a field by its name in the registry. Several numbers are a tuple.

        Examples
        --------
        >>> from nncore.records import Op
        >>> Op.of("reshape", "layer 1", (1,), dims=(2, -1)).field("dims")
        (2, -1)
        """
        known = self._known()
        if known is None:
            raise _unknown(self.kind, self.code)
        if name not in known.places:
            raise TypeError(f"{self.code or self.kind} has no field {name}; its fields are {known}")
        which, at = known.places[name]
        return (self.sizes, self.attributes)[which][at]

    def _known(self) -> _Fields | None:
        return _LAYERS.get(self.kind) if self.kind != "activation" else _ACTIVATIONS.get(self.code)

    def __repr__(self) -> str:
        known = self._known()
        if known is None or not known.fits(self.sizes, self.attributes):  # the core would reject it
            return f"Op({', '.join(f'{key}={value!r}' for key, value in self._asdict().items())})"
        fields = {name: self.field(name) for name in known.places}
        more = {key: value for key, value in self._asdict().items() if key in ("code", "shares", "part")}
        given = {key: value for key, value in more.items() if value is not Op._field_defaults[key]} | fields
        return (
            f"Op.of({self.kind!r}, {self.name!r}, {self.inputs!r}{''.join(f', {key}={value!r}' for key, value in given.items())})"
        )
