"""Which days are due, in as few runs as there are gaps between them."""

from datetime import date, timedelta

from headwater.nycflights import land
from ml.arrivals import Segment, due_segments, not_computed, plan, refused_days
from ml.computed import Arrival, Build, Computed
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import Source, take_in
from ml.sources.catalogue import declared_sources
from ml.tables import Table

JAN_1 = date(2013, 1, 1)
TABLES = [
    Table(
        "stg_flights",
        ("raw.flights", "raw.schedules", "raw.weather"),
        "",
        "",
        is_daily=True,
        lookback_days=28,
    )
]


def day(n: int) -> date:
    return JAN_1 + timedelta(days=n - 1)


def arrived(*days: int, source: str = "flights") -> list[Arrival]:
    return [Arrival(source, day(n), f"bytes of {n}") for n in days]


def ranges(segments: tuple[Segment, ...]) -> list[tuple[date, date]]:
    return [(segment.first_day, segment.last_day) for segment in segments]


def test_nothing_landed_is_no_run() -> None:
    assert plan([], computed=[day(1)], lookback_days=28) == ()


def test_a_first_landing_is_one_run_with_its_reference_files() -> None:
    (segment,) = plan([*arrived(1, 2, 3), Arrival("planes", None, "p")], computed=[], lookback_days=28)
    assert ranges((segment,)) == [(day(1), day(3))]
    assert segment.sources == ("flights", "planes")


def test_a_new_day_is_that_day_alone() -> None:
    due = plan(arrived(4), computed=[day(n) for n in (1, 2, 3)], lookback_days=28)
    assert ranges(due) == [(day(4), day(4))]


def test_days_with_a_gap_are_two_runs() -> None:
    assert ranges(plan(arrived(1, 2, 5), computed=[], lookback_days=28)) == [
        (day(1), day(2)),
        (day(5), day(5)),
    ]


def test_a_late_day_reaches_the_days_that_read_it_and_no_further() -> None:
    due = plan(arrived(3), computed=[day(n) for n in range(1, 41) if n != 3], lookback_days=28)
    assert ranges(due) == [(day(3), day(31))]


def test_a_late_day_reaches_no_day_that_has_not_landed() -> None:
    due = plan(arrived(39), computed=[day(n) for n in range(1, 41)], lookback_days=28)
    assert ranges(due) == [(day(39), day(40))]


def test_a_refused_day_waits_and_the_days_around_it_go_on() -> None:
    due = plan(arrived(1, 2, 3, 4), computed=[], lookback_days=28, refused=[day(2)])
    assert ranges(due) == [(day(1), day(1)), (day(3), day(4))]
    healed = plan(arrived(2), computed=[day(n) for n in (1, 3, 4)], lookback_days=28)
    assert ranges(healed) == [(day(2), day(4))]


def test_a_file_refused_for_what_is_in_it_makes_its_day_wait(settings: Settings) -> None:
    land(settings.landing, None, date(2013, 1, 3))
    bad = settings.landing / "flights" / "2013-01-02.csv"
    bad.write_bytes(b"not,a,header\n")
    (whole,) = due_segments(settings, lambda: TABLES)
    (flights,) = [one for one in declared_sources(settings.project) if one.name == "flights"]
    others = [one for one in declared_sources(settings.project) if one.name in flights_needs(flights)]
    workshop = Workshop(settings)
    for source in (*others, flights):
        take_in(workshop, settings, source, sorted((settings.landing / source.name).glob("*.csv")))
    before, after = due_segments(settings, lambda: TABLES)
    assert ranges((whole,)) == [(day(1), day(3))]
    assert ranges((before, after)) == [(day(1), day(1)), (day(3), day(3))]
    assert refused_days(settings, [flights]) == {day(2)}
    bad.unlink()
    land(settings.landing, None, date(2013, 1, 3))
    assert refused_days(settings, [flights]) == set()
    assert ranges(due_segments(settings, lambda: TABLES)) == [(day(1), day(3))]


def flights_needs(source: Source) -> set[str]:
    return {lookup.source for lookup in source.lookups}


def test_a_corrected_reference_file_reaches_every_computed_day() -> None:
    due = plan([Arrival("planes", None, "new")], computed=[day(n) for n in (1, 2, 3)], lookback_days=28)
    assert ranges(due) == [(day(1), day(3))]


def test_the_same_files_have_the_same_digest_and_other_bytes_another() -> None:
    (first,) = plan(arrived(4), computed=[], lookback_days=0)
    (again,) = plan(arrived(4), computed=[], lookback_days=0)
    (other,) = plan([Arrival("flights", day(4), "corrected")], computed=[], lookback_days=0)
    assert first.digest == again.digest != other.digest


def test_what_was_computed_from_the_same_bytes_is_not_due(settings: Settings) -> None:
    register = Computed(settings)
    register.record([*arrived(1, 2), Arrival("planes", None, "p")], edition=1)
    landed = [*arrived(1), Arrival("flights", day(2), "corrected"), Arrival("planes", None, "p"), *arrived(3)]
    assert [arrival.day for arrival in not_computed(landed, register.files())] == [day(2), day(3)]


def test_nothing_is_computed_any_more_once_it_is_forgotten(settings: Settings) -> None:
    register = Computed(settings)
    register.record(arrived(1), edition=1)
    register.write({("table", day(1)): Build(code="sql", built_at=1)})
    assert Computed(settings).builds() == {("table", day(1)): Build(code="sql", built_at=1)}
    register.forget()
    assert register.files() == register.builds() == {}


def test_recording_again_replaces_what_a_day_was_computed_from(settings: Settings) -> None:
    register = Computed(settings)
    register.record(arrived(1), edition=1)
    register.record([Arrival("flights", day(1), "corrected")], edition=2)
    assert Computed(settings).files() == {("flights", day(1)): "corrected"}
