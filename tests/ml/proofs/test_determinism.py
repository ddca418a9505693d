"""Tables built with several numbers of threads: a float sum that differs is found, exact sums pass."""

from collections.abc import Iterator

import pytest

from ml.lake.workshop import Workshop
from ml.proofs.determinism import unrepeatable
from ml.proofs.rebuild import Snapshot, Table, copied
from ml.settings import Settings

N_ROWS = 3_000_000
CLEAN = Table(
    "features",
    "clean",
    "select g, sum(n) as n, sum(cast(x as decimal(38, 12))) as x from workshop.raw.given group by g",
    is_by_day=False,
    key=("g",),
    unique_id="model.wild.clean",
)
FLOATS = Table(
    "features",
    "floats",
    "select g, count(*) as n, sum(x) as total from workshop.raw.given group by g",
    is_by_day=False,
    key=("g",),
    unique_id="model.wild.floats",
)
FIRST = Table(
    "features",
    "firsts",
    "select g, first(n) as n from workshop.raw.given group by g",
    is_view=True,
    is_by_day=False,
    key=("g",),
    unique_id="model.wild.firsts",
)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """Millions of values that lie sixteen orders of magnitude apart."""
    from tests.project_folder import settings_in

    settings: Settings = settings_in(tmp_path_factory.mktemp("wild"))
    settings.home.mkdir(parents=True)
    workshop = Workshop(settings)
    with workshop.turn(), workshop.connect() as con:
        con.execute(
            "create schema raw; create table raw.given as select (hash(i) % 50)::int as g, "
            "(hash(i * 7) % 100000)::int as n, "
            "pow(10, (hash(i * 3) % 16)::int - 8) * ((hash(i * 11) % 1000003) / 1000003.0 - 0.5) as x "
            f"from range({N_ROWS}) as r (i)"
        )
        con.execute("create schema features")
        for table in (CLEAN, FLOATS):
            con.execute(f"create table {table.relation} as {table.sql.replace('workshop.raw', 'raw')}")
    with copied(workshop) as taken:
        yield taken


def test_a_float_sum_that_differs_between_threads_is_named(snapshot: Snapshot) -> None:
    (found,) = unrepeatable(snapshot, (CLEAN, FLOATS))
    assert (found.table, found.unique_id, found.base) == ("features.floats", "model.wild.floats", 1)
    assert set(found.n_cells) == {"total"}
    assert found.example.one != found.example.other
    for told in ("features.floats", 'column "total"', f"{found.threads}", repr(found.example.one)):
        assert told in str(found)


def test_exact_sums_are_the_same_with_any_number_of_threads(snapshot: Snapshot) -> None:
    assert list(unrepeatable(snapshot, (CLEAN,), (1, 2, 4, 4))) == []


def test_only_the_named_tables_are_built(snapshot: Snapshot) -> None:
    assert list(unrepeatable(snapshot, (CLEAN, FLOATS), only={"model.wild.clean"})) == []


def test_a_view_is_looked_at_too(snapshot: Snapshot) -> None:
    for _ in range(5):  # a busy machine may give one thread all the work
        found = list(unrepeatable(snapshot, (FIRST,), (1, 4, 4)))
        if found:
            break
    assert [one.table for one in found] == ["features.firsts"]
