"""Elements of a page: tables, folded parts, numbers as text.

What is on the page does not belong here.
"""

from collections.abc import Iterable, Sequence
from html import escape


def folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>{content}</details>"


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = (), *, names: bool = False
) -> str:
    """A table; `numeric` are places of columns of numbers; with `names` the first column is code."""
    right = set(numeric)

    def line(cells: Sequence[str], tag: str) -> str:
        shown = (
            f"<{tag}{' class=n' if place in right else ''}>{escape(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    kind = ' class="names"' if names else ""
    head = line(header, "th")
    return f'<div class="wide"><table{kind}><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
