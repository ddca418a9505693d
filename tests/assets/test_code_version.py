"""Code versions: exactly what is made by changed code is stale; the wave stops where rows stay the same."""

from collections.abc import Iterator

import pytest

from assets.table_code import canonical_sql
from tests.assets.meters import MODEL_STEPS, Meters, day, failures, recomputed

FEATURES = "models/features/reading_features.sql"
SUMS = "models/intermediate/int_meter_sums.sql"


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """A project with three days computed; each test leaves it with everything computed."""
    with pytest.MonkeyPatch.context() as patch:
        made = Meters(tmp_path_factory.mktemp("meters"), patch)
        for n in range(3):
            made.land_readings(day(n))
        (built,) = made.run(*made.due(), without=MODEL_STEPS)
        assert built.success
        assert made.due() == ()
        yield made


def changed(meters: Meters, before: dict[str, str]) -> set[str]:
    """Tables whose own code is not what it was."""
    now = codes(meters)
    return {name for name in now if now[name] != before.get(name)}


def codes(meters: Meters) -> dict[str, str]:
    return {name: table.code for name, table in meters.code.tables.items()}


def test_comments_layout_and_days_are_no_code(meters: Meters) -> None:
    before = codes(meters)
    meters.edit(SUMS, "select meter_id,", "-- Sums of what was read.\nselect\n\n    meter_id , ")
    meters.edit("models/staging/stg_readings.sql", "-- As it was read.\n", "")
    meters.edit("macros/own.sql", "cast(sum", "/* exact */ cast( sum")
    meters.edit("dbt_project.yml", 'start_day: "2013-01-01"', 'start_day: "2013-02-01"')
    assert codes(meters) == before
    assert meters.due() == ()


def test_a_changed_expression_makes_its_table_and_what_is_made_from_it_stale(meters: Meters) -> None:
    before = codes(meters)
    meters.edit(FEATURES, "'hour', read_at)", "'hour', read_at) + 1")
    assert changed(meters, before) == {"reading_features"}
    (segment,) = meters.due()
    assert segment.tables == ("reading_features",)
    (result,) = meters.run(segment, without=MODEL_STEPS)
    assert result.success
    assert recomputed(result) == {"reading_features": "its code changed"}
    assert meters.due() == ()


EDITS = [
    ("macros/own.sql", "sum({{ column }})", "max({{ column }})", {"int_meter_sums"}),
    ("models/intermediate/eph_known.sql", "watts,", "watts * 2 as watts,", {"int_meter_sums"}),
    ("models/intermediate/int_meter_sums.yml", "lookback_days: 2", "lookback_days: 3", {"int_meter_sums"}),
    ("models/intermediate/int_kinds.yml", "data_type: integer", "data_type: bigint", {"int_kinds"}),
    ("models/intermediate/int_kinds.yml", "materialized: table", "materialized: view", {"int_kinds"}),
    (
        "macros/days.sql",
        "delete from",
        "delete /* all */ from",
        {"int_meter_sums", "reading_features", "reading_labels", "reading_spine", "stg_readings"},
    ),
]


def test_exactly_what_reads_a_part_is_made_by_it(meters: Meters) -> None:
    before = codes(meters)
    for place, old, new, stale in EDITS:
        meters.edit(place, old, new)
        assert changed(meters, before) == stale, place
        meters.edit(place, new, old)
        assert changed(meters, before) == set()


def test_a_var_is_code_of_the_tables_that_read_it(meters: Meters) -> None:
    meters.edit("dbt_project.yml", "vars:", "vars:\n  scale: 1")
    with meters.edited(SUMS, "{{ summed('watts') }}", "{{ summed('watts') }} * {{ var('scale') }}"):
        before = codes(meters)
        meters.edit("dbt_project.yml", "scale: 1", "scale: 2")
        assert changed(meters, before) == {"int_meter_sums"}


def test_unchanged_rows_stop_the_wave(meters: Meters) -> None:
    with meters.edited(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} + 0 as"):
        (segment,) = meters.due()
        assert segment.tables == ("int_meter_sums", "reading_features")
        (result,) = meters.run(segment, without=MODEL_STEPS)
        assert recomputed(result) == {"int_meter_sums": "its code changed"}
        assert meters.due() == ()


def test_changed_rows_carry_the_wave_on(meters: Meters) -> None:
    with meters.edited(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} + 1 as"):
        (result,) = meters.run(*meters.due(), without=MODEL_STEPS)
        assert recomputed(result) == {
            "int_meter_sums": "its code changed",
            "reading_features": "int_meter_sums changed",
        }


def test_other_bytes_with_the_same_rows_recompute_one_table(meters: Meters) -> None:
    file = meters.land_readings(day(1))
    header, *lines = file.read_text().splitlines()
    meters.land("readings", day(1), [header, *reversed(lines)])
    (segment,) = meters.due()
    (result,) = meters.run(segment, without=MODEL_STEPS)
    assert failures(result) == ""
    assert recomputed(result) == {"stg_readings": "raw.readings changed"}
    assert meters.due() == ()


def test_a_killed_run_is_taken_up_where_the_rows_changed(
    meters: Meters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with meters.edited(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} + 2 as"):
        with monkeypatch.context() as patch:
            patch.setattr("assets.components.dbt_events._publish", killed)
            meters.run(*meters.due(), without=MODEL_STEPS)
        (result,) = meters.run(*meters.due(), without=MODEL_STEPS)
        assert set(recomputed(result)) == {"int_meter_sums", "reading_features"}
        assert meters.due() == ()


def test_a_unit_test_runs_when_its_code_changed_and_only_then(meters: Meters) -> None:
    def ran(result: object) -> bool:
        evaluations = result.get_asset_check_evaluations()  # type: ignore[attr-defined]
        return "high_is_three_by_three" in {evaluation.check_name for evaluation in evaluations}

    meters.land_readings(day(3))
    (result,) = meters.run(*meters.due(), without=MODEL_STEPS)
    assert "reading_labels" in recomputed(result)
    assert not ran(result)
    meters.edit("models/labels/reading_labels.sql", "watts % 3 = 0", "0 = watts % 3")
    (result,) = meters.run(*meters.due(), without=MODEL_STEPS)
    assert ran(result)
    assert result.success
    with meters.edited("models/labels/reading_labels.sql", "0 = watts % 3", "watts % 5 = 0"):
        (result,) = meters.run(*meters.due(), without=MODEL_STEPS)
        (failed,) = (e for e in result.get_asset_check_evaluations() if not e.passed)
        assert failed.check_name == "high_is_three_by_three"
        assert not result.success


def test_a_mistake_in_sql_is_told_and_readers_keep_their_rows(meters: Meters) -> None:
    edition = meters.published.edition().id
    with meters.edited(FEATURES, "watts_sum_2d\nfrom known", "watts_sum_2d +\nfrom known"):
        (result,) = meters.run(*meters.due(), without=MODEL_STEPS)
        assert not result.success
        assert "reading_features" in failures(result)
        assert "syntax error" in failures(result)
        assert meters.published.edition().id == edition


def test_sql_that_differs_is_not_the_same() -> None:
    assert canonical_sql("select 1 -- one") == canonical_sql("SELECT\n  1")
    for other in ("select '1'", "select 1.0", "select 2", 'select "1"', "select 1, 1"):
        assert canonical_sql(other) != canonical_sql("select 1")
    assert canonical_sql("select 'a  b'") != canonical_sql("select 'a b'")
    assert canonical_sql("select 'unclosed") == "select 'unclosed"
