"""The second data set written into landing, and which data a day belongs to."""

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from headwater import pizzaplace
from headwater.shipped import SHIPPED, shipped_until


def test_a_year_of_sales_lands_in_whole_weeks(tmp_path: Path) -> None:
    assert (
        pizzaplace.land(tmp_path, None, date(2030, 1, 1))
        == pizzaplace.n_files(None, pizzaplace.LAST_DAY)
        == 52
    )
    files = sorted((tmp_path / "pizza_sales").iterdir())
    assert [files[0].name, files[-1].name] == ["2015-01-05.parquet", "2015-12-21.parquet"]
    sold = [pq.read_table(file) for file in files]
    assert sum(table.num_rows for table in sold) == 48_541
    assert sold[0]["sold_at"].to_pylist()[0].date() == date(2015, 1, 5)
    menu = (tmp_path / "pizza_menu" / "pizza_menu.csv").read_text().splitlines()
    assert (menu[0], len(menu)) == ("name,size,type,price", 92)


def test_a_week_lands_when_it_is_over_and_once(tmp_path: Path) -> None:
    assert pizzaplace.land(tmp_path, None, date(2015, 1, 10)) == 1
    assert pizzaplace.land(tmp_path, None, date(2015, 1, 11)) == 1
    assert pizzaplace.land(tmp_path, None, date(2015, 1, 11)) == 0
    assert pizzaplace.land(tmp_path, date(2015, 1, 12), date(2015, 1, 25)) == 2


def test_a_day_is_of_the_data_that_had_begun_last() -> None:
    flights, pizzas = SHIPPED
    assert shipped_until(date(2013, 1, 2)) == shipped_until(date(2014, 6, 1)) == flights
    assert shipped_until(date(2015, 1, 11)) == shipped_until(date(2016, 1, 1)) == pizzas
    assert shipped_until(date(2012, 1, 1)) == flights
    assert flights.has(date(2013, 12, 31))
    assert not pizzas.has(date(2013, 12, 31))
