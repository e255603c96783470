"""What a module reads of its recurrent layers: the sequence, the last states, or one of them. It decides how the layer is made.

torch gives ``output, h_n`` (or ``output, (h_n, c_n)``), with h_n [directions * layers, N, hidden]. A layer of nncore gives the
sequence or the final states, and the states besides if ``return_state`` is set.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

SEQUENCE, STATE = "the sequence", "the states"
FINAL_STEP, FINAL_STATE = "output[:, -1]", "h_n[-1]"


class Uses(NamedTuple):
    """How the layer is made."""

    return_sequences: bool
    return_state: bool


def index_of_step(index: Any, axis: int) -> int | None:
    """Return the number of a step or state if an index selects one along this axis and all of the rest, or None."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = tuple(each for each in parts if each is not Ellipsis) if parts[-1:] == (Ellipsis,) else parts
    if len(parts) <= axis or any(part != slice(None) for i, part in enumerate(parts) if i != axis):
        return None
    return parts[axis] if type(parts[axis]) is int else None


def uses_of(module: Any, calls: list[Any], live: set[Any]) -> Uses:
    """Return how a recurrent module is used by all of its calls. live: the nodes on which the outputs depend."""
    found: set[str] = set()
    for call in calls:
        for user in call.users:
            if user not in live:
                continue
            if not _is_getitem(user) or user.args[1] not in (0, 1):
                found |= {SEQUENCE, STATE}
            elif user.args[1] == 0:
                found |= _of_output(module, user, live)
            elif module.mode != "LSTM":
                found |= _of_state(module, user, live)
            else:
                for each in user.users:
                    if each in live:
                        is_h = _is_getitem(each) and each.args[1] == 0
                        found |= _of_state(module, each, live) if is_h else {STATE}
    sequences = SEQUENCE in found
    return Uses(sequences, STATE in found or (FINAL_STATE in found and sequences))


def _is_getitem(node: Any) -> bool:
    return node.op == "call_function" and node.target is operator.getitem


def _of_output(module: Any, node: Any, live: set[Any]) -> set[str]:
    axis = 1 if module.batch_first else 0
    final = not module.bidirectional
    return {
        FINAL_STEP if final and _is_getitem(user) and index_of_step(user.args[1], axis) == -1 else SEQUENCE
        for user in node.users
        if user in live
    } | {STATE for user in node.users if user in live and _is_getitem(user) and part_of_output(module, user.args[1]) is not None}


def part_of_output(module: Any, index: Any) -> int | None:
    """Return the direction of which ``output[:, -1, :hidden]`` or ``output[:, 0, hidden:]`` is the last state, or None."""
    h = module.hidden_size
    if not module.bidirectional or not isinstance(index, tuple) or len(index) != 3:
        return None
    step, other = index[1 if module.batch_first else 0], index[0 if module.batch_first else 1]
    wanted = {(-1, None, h): 0, (-1, 0, h): 0, (0, h, None): 1, (0, h, 2 * h): 1, (0, -h, None): 1}
    if other != slice(None) or not isinstance(index[2], slice) or not isinstance(step, int):
        return None
    return wanted.get((step, index[2].start, index[2].stop))


def _of_state(module: Any, node: Any, live: set[Any]) -> set[str]:
    return {FINAL_STATE if _reads_final(module, user, live) else STATE for user in node.users if user in live}


def _reads_final(module: Any, user: Any, live: set[Any]) -> bool:
    """Return whether a node reads the states of the last layer from h_n, and those of both directions together."""
    directions = 2 if module.bidirectional else 1
    count = directions * module.num_layers
    if _is_view(user):
        return all(_is_getitem(each) and each.args[1] in (-1, module.num_layers - 1) for each in user.users if each in live)
    if not _is_getitem(user):
        is_squeeze = user.target in ("squeeze",) or getattr(user.target, "__name__", "") == "squeeze"
        return count == 1 and is_squeeze and (*user.args[1:], *user.kwargs.values()) == (0,)
    if user.args[1] == slice(-directions, None, None):
        return True
    i = index_of_step(user.args[1], 0)
    if i is None or not -count <= i < count or i % count < count - directions:
        return False
    return directions == 1 or all(_joins(each, module, count) for each in user.users if each in live)


def _is_view(node: Any) -> bool:
    """Return whether a node is h_n.view(layers, directions, N, hidden)."""
    return node.op == "call_method" and node.target in ("view", "reshape") and len(node.args) == 5


def _joins(node: Any, module: Any, count: int) -> bool:
    """Return whether a node is cat((h_n[-2], h_n[-1]), dim=1)."""
    if getattr(node.target, "__name__", "") not in ("cat", "concat", "concatenate") or not node.args:
        return False
    parts = node.args[0]
    if not isinstance(parts, list | tuple) or len(parts) != 2 or not all(hasattr(p, "op") and _is_getitem(p) for p in parts):
        return False
    numbers = [index_of_step(p.args[1], 0) for p in parts]
    same = parts[0].args[0] is parts[1].args[0]
    return same and [None if n is None else n % count for n in numbers] == [count - 2, count - 1]
