"""The second problem as it is declared: its weeks through the same steps, beside days that stay untouched."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.automation import job_name, run_tags, selection
from assets.dbt_runner import DbtRunner
from assets.definitions import build
from assets.table_code import project_code
from headwater import nycflights, pizzaplace
from ml.arrivals import Segment, due_segments
from ml.computed import Computed
from ml.lake.published import Published
from ml.lake.workshop import Workshop
from ml.settings import Settings
from tests.assets.meters import failures, recomputed
from tests.project_folder import ROOT

N_WEEKS = 4
TABLES = {
    *("stg_pizza_sales", "int_pizza_sales", "int_pizza_name_sales", "int_menu_sales"),
    *("pizza_week_spine", "pizza_week_features", "pizza_week_labels"),
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A project in which four weeks of pizzas and a day of flights have landed."""
    folder: Path = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWATER_PROJECT", str(ROOT))
        patch.setenv("HEADWATER_HOME", str(folder / "home"))
        patch.setenv("HEADWATER_LANDING", str(folder / "landing"))
        settings = Settings.from_env()
        pizzaplace.land(settings.landing, None, date(2015, 2, 1))
        nycflights.land(settings.landing, None, date(2013, 1, 1))
        yield settings


def due(settings: Settings) -> tuple[Segment, ...]:
    return due_segments(settings, project_code(DbtRunner(settings)).tables.values)


def run(segment: Segment) -> dg.ExecuteInProcessResult:
    """The tables of a segment as automation would run them; there is too little to train on."""
    definitions = build()
    graph = definitions.resolve_asset_graph()
    keys = [key for key in selection(segment, graph) if "model" not in graph.get(key).tags]
    result = definitions.resolve_job_def(job_name(segment.calendar)).execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        tags=run_tags(segment),
        asset_selection=keys,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    assert result.success, failures(result)
    return result


def test_weeks_are_computed_without_the_days_and_a_new_week_alone(settings: Settings) -> None:
    days, weeks = due(settings)
    assert (days.first_day, days.sources[-1]) == (date(2013, 1, 1), "weather")
    assert (weeks.first_day, weeks.last_day) == (date(2015, 1, 5), date(2015, 1, 26))
    assert weeks.sources == ("pizza_menu", "pizza_sales")
    result = run(weeks)
    assert set(recomputed(result)) == TABLES | {"stg_pizza_menu"}
    partitions = {
        event.partition
        for event in result.get_asset_materialization_events()
        if event.asset_key.path[-1] == "pizza_week_labels"
    }
    assert partitions == {"2015-01-05", "2015-01-12", "2015-01-19", "2015-01-26"}
    assert due(settings) == (days,)
    assert set(Computed(settings).files()) == {
        ("pizza_menu", None),
        *(("pizza_sales", date(2015, 1, 5 + 7 * n)) for n in range(N_WEEKS)),
    }

    pizzaplace.land(settings.landing, None, date(2015, 2, 8))
    _, (week) = due(settings)
    assert (week.first_day, week.last_day) == (date(2015, 2, 2), date(2015, 2, 2))
    assert set(recomputed(run(week))) == TABLES


def test_a_label_is_what_the_week_sold_and_a_feature_what_the_weeks_before_did(settings: Settings) -> None:
    published = Published(settings)
    edition = published.edition()
    assert published.days("pizza_week_labels", edition)[-1] == date(2015, 2, 2)
    labels = published.read("pizza_week_labels", edition=edition)
    features = published.read("pizza_week_features", edition=edition)
    assert labels.num_rows == features.num_rows == 91 * (N_WEEKS + 1)
    workshop = Workshop(settings)
    with workshop.turn(), workshop.connect() as con:
        con.register("labels", labels)
        con.register("features", features)
        con.register("files", pizza_rows(settings))
        (n_other,) = con.execute("""
            with sold as (select name, size, week, count(*) as n from files group by all)
            select count(*) from features
            join labels using (pizza_week_id, day)
            left join sold as now on now.name = pizza_name and now.size = size_id and now.week = day
            left join sold as before
                on before.name = pizza_name and before.size = size_id and before.week = day - 7
            where labels.n_sold <> coalesce(now.n, 0) or features.n_sold_7d <> coalesce(before.n, 0)
        """).fetchone() or (None,)
    assert n_other == 0


def pizza_rows(settings: Settings) -> Any:
    """All landed sales with their week, straight from the files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted((settings.landing / "pizza_sales").glob("*.parquet"))
    tables = [pq.read_table(file) for file in files]
    weeks = [
        [date.fromisoformat(file.stem)] * table.num_rows for file, table in zip(files, tables, strict=True)
    ]
    parts = [table.append_column("week", pa.array(of)) for table, of in zip(tables, weeks, strict=True)]
    return pa.concat_tables(parts)


def test_a_day_of_flights_computes_none_of_the_pizzas(settings: Settings) -> None:
    (days,) = due(settings)
    tables = set(recomputed(run(days)))
    assert "flight_features" in tables
    assert not tables & TABLES
    assert due(settings) == ()
