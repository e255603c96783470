"""Tables in HTML, which notebooks show instead of the repr."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from .._checks import shape_text

if TYPE_CHECKING:
    from .summary import Summary


def table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str, notes: Iterable[str] = ()) -> str:
    """Return a table with a title above it and notes below it.

    Examples
    --------
    >>> table(["last"], [["0.5"]], "loss")
    '<div><strong>loss</strong><table><thead><tr><th>last</th></tr></thead><tbody><tr><td>0.5</td></tr></tbody></table></div>'
    """
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    under = "".join(f"<div>{escape(note)}</div>" for note in notes)
    return f"<div><strong>{escape(title)}</strong><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{under}</div>"


def preformatted(text: str) -> str:
    """Return text as it stands.

    Examples
    --------
    >>> preformatted("a < b")
    '<pre>a &lt; b</pre>'
    """
    return f"<pre>{escape(text)}</pre>"


def summary_table(summary: Summary) -> str:
    """Return the table of a `Summary`."""
    text = str(summary).split("\n")
    graph, settings = any(row.connected_to for row in summary.rows), any(row.training for row in summary.rows)
    more = [name for name, is_there in (("Connected to", graph), ("Training", settings)) if is_there]
    macs = "MACs/step" if summary.is_open else "MACs/sample"
    rows = [
        (
            *(row.name, row.type, shape_text(row.output_shape)),
            *(f"{n:,}" for n in (row.parameters, row.macs, row.activation_bytes)),
            *([row.connected_to] if graph else []),
            *([row.training] if settings else []),
        )
        for row in summary.rows
    ]
    totals = (f"{n:,}" for n in (summary.total_parameters, summary.macs, summary.activation_bytes))
    rows.append(("Total", "", "", *totals, *("" for _ in more)))
    notes = [line for line in text if line.startswith(("Trainable parameters", "Training keeps"))]
    return table(
        ["Layer", "Type", "Output shape", "Parameters", macs, "Activations (B)", *more], rows, text[0], [*notes, *summary.training]
    )
