"""The real sales of a pizza place from `great_tables`, written into landing as they would have arrived.

Reading what has landed does not belong here, nor does the command line's part.
"""

import csv
import importlib.util
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from headwater.nycflights import write

FIRST_WEEK = date(2015, 1, 5)
LAST_WEEK = date(2015, 12, 21)  # the last that is whole
LAST_DAY = LAST_WEEK + timedelta(days=6)
_WEEK = timedelta(days=7)
_MENU = ("name", "size", "type", "price")
Row = Mapping[str, str]


def land(
    landing: Path,
    first: date | None,
    until: date,
    on_file: Callable[[Path], None] | None = None,
) -> int:
    """Write the files of the whole weeks that end from `first` (or the data's) to `until`; how many were new.

    A week has `pizza_sales/<its Monday>.parquet`; the menu comes once, as `pizza_menu/pizza_menu.csv`. A file
    appears whole or not at all, and one that is there with the same bytes is left alone.
    """
    new = 0
    for path, data in _files(first or FIRST_WEEK, until):
        new += write(landing / path, data)
        if on_file:
            on_file(landing / path)
    return new


def n_files(first: date | None, until: date) -> int:
    """How many files `land` passes for these days."""
    return 1 + len(list(_weeks(first or FIRST_WEEK, until)))


def _files(first: date, until: date) -> Iterator[tuple[Path, bytes]]:
    rows = list(csv.DictReader(io.StringIO(_data().read_text())))
    menu = sorted({tuple(row[name] for name in _MENU) for row in rows})
    lines = "".join(f"{','.join(item)}\n" for item in (_MENU, *menu))
    yield Path("pizza_menu", "pizza_menu.csv"), lines.encode()
    by_week: dict[date, list[Row]] = {}
    for row in rows:
        day = date.fromisoformat(row["date"])
        by_week.setdefault(day - timedelta(days=day.weekday()), []).append(row)
    for week in _weeks(first, until):
        yield Path("pizza_sales", f"{week}.parquet"), _parquet(by_week[week])


def _weeks(first: date, until: date) -> Iterator[date]:
    """Mondays of the weeks whose last day lies between two dates."""
    week = FIRST_WEEK
    while week <= LAST_WEEK:
        if first <= week + timedelta(days=6) <= until:
            yield week
        week += _WEEK


def _parquet(rows: Sequence[Row]) -> bytes:
    """One row per pizza, with its place in its order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    placed: Counter[str] = Counter()
    lines = []
    for row in rows:
        placed[row["id"]] += 1
        lines.append(placed[row["id"]])
    times = [datetime.fromisoformat(f"{row['date']}T{row['time']}") for row in rows]
    columns = {
        "order_id": pa.array([row["id"] for row in rows], pa.string()),
        "line_number": pa.array(lines, pa.int16()),
        "sold_at": pa.array(times, pa.timestamp("s")),
        "name": pa.array([row["name"] for row in rows], pa.string()),
        "size": pa.array([row["size"] for row in rows], pa.string()),
        "price": pa.array([float(row["price"]) for row in rows], pa.float64()),
    }
    into = io.BytesIO()
    pq.write_table(pa.table(columns), into, compression="zstd")
    return into.getvalue()


def _data() -> Path:
    # Importing the package would load what draws tables.
    found = importlib.util.find_spec("great_tables")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("The package great_tables is not installed: run `make install`.")
    return Path(found.submodule_search_locations[0]) / "data" / "05-pizzaplace.csv"
