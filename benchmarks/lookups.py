"""The point-in-time lookups that every contender of `features` answers, and that `scale` repeats.

Declared once: the platform's SQL is rendered from it, and so is what the other tools are told. Only the
standard library is imported, since each contender runs in its own environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Lookup:
    """The newest row of a table with the question's key, known by its time and at most `within_h` hours old.

    `key` is the question's column, `table_key` the table's; `columns` names the answer's (new name: column).
    A table that `has_versions` keeps corrected rows too. The data has no corrections, so that the other
    tools, which know of none, answer the same; the platform looks for them nonetheless.
    """

    table: str
    key: str
    table_key: str
    within_h: int
    columns: Mapping[str, str]
    has_versions: bool = False


QUESTIONS = "flight_spine"
QUESTION_COLUMNS = ("flight_id", "carrier_id", "origin_id", "aircraft_id", "prediction_at")
LOOKUPS = (
    Lookup(
        table="int_weather",
        key="origin_id",
        table_key="airport_id",
        within_h=4,
        columns={
            "origin_temperature_f": "temperature_f",
            "origin_wind_speed_mph": "wind_speed_mph",
            "origin_pressure_mbar": "pressure_mbar",
            "origin_visibility_min_6h_mi": "visibility_min_6h_mi",
            "origin_precipitation_sum_6h_in": "precipitation_sum_6h_in",
        },
        has_versions=True,
    ),
    Lookup(
        table="int_carrier_operations",
        key="carrier_id",
        table_key="carrier_id",
        within_h=12,
        columns={
            "carrier_n_overdue": "n_overdue",
            "carrier_n_departures_3h": "n_departures_3h",
            "carrier_dep_delay_sum_3h_min": "dep_delay_sum_3h_min",
            "carrier_n_cancelled_6h": "n_cancelled_6h",
            "carrier_n_arrivals_3h": "n_arrivals_3h",
            "carrier_arr_delay_sum_3h_min": "arr_delay_sum_3h_min",
        },
    ),
    Lookup(
        table="int_aircraft_progress",
        key="aircraft_id",
        table_key="aircraft_id",
        within_h=48,
        columns={
            "last_flight_id": "flight_id",
            "last_scheduled_arr_at": "scheduled_arr_at",
            "last_dep_delay_min": "dep_delay_min",
            "last_arr_delay_min": "arr_delay_min",
        },
        has_versions=True,
    ),
)
ANSWER_COLUMNS = tuple(name for lookup in LOOKUPS for name in lookup.columns)


def platform_sql() -> str:
    """The feature table as the dbt project would have it: a spine, and a step of `as_of` for each lookup."""
    asked = ", ".join(QUESTION_COLUMNS)
    steps = [f"spine as (select {asked} from {{{{ ref('{QUESTIONS}') }}}} where {{{{ days() }}}})"]
    previous = "spine"
    for lookup in LOOKUPS:
        steps.append(f"with_{lookup.table} as ({_as_of(previous, lookup)})")
        previous = f"with_{lookup.table}"
    names = ", ".join(("flight_id", "prediction_at", *ANSWER_COLUMNS))
    return f"with {', '.join(steps)} select {names} from {previous}"


def _as_of(previous: str, lookup: Lookup) -> str:
    keys, columns = {lookup.table_key: lookup.key}, dict(lookup.columns)
    return (
        f"{{{{ as_of('{previous}', '{lookup.table}', keys={keys}, columns={columns}, "
        f"within={lookup.within_h}, has_versions={str(lookup.has_versions).lower()}) }}}}"
    )
