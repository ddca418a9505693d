"""What the project of meters declares: its sources, tables, macros, unit test and model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

READINGS = """\
type: assets.components.LandedSource
attributes:
  name: readings
  description: What meters read. One row per meter and hour.
  owners: [team:meters]
  cadence: daily
  start: 2013-01-01
  columns:
    - {name: meter, type: text, description: Meter.}
    - {name: watts, type: integer, description: Power.}
    - {name: read_at, type: timestamp, description: When it was read (UTC).}
  key: [meter, read_at]
  event_at: read_at
  facts: [{name: reading, columns: ["*"], known_at: read_at + interval 10 minutes}]
  corrections: {known_at: known_at}
  bad_rows: {action: quarantine, max_share: 0}
"""
METERS = """\
type: assets.components.LandedSource
attributes:
  name: meters
  description: Meters. One row per meter.
  owners: [team:meters]
  cadence: once
  columns:
    - {name: meter, type: text, description: Meter.}
    - {name: kind, type: text, description: Kind.}
  key: [meter]
  event_at: timestamp '2012-12-01'
  facts: [{name: meter, columns: ["*"], known_at: "timestamp '2012-12-01'"}]
  corrections: {known_at: loaded_at}
  bad_rows: {action: quarantine, max_share: 0}
"""
# Models of a few rows flip many decisions from one training to the next.
ANY_REPLAY = {
    "max_flipped": 1,
    "max_worse": 100,
    "max_calibration_gap": 1,
    "max_slowdown": 100,
    "max_growth": 100,
}
MODEL: dict[str, Any] = {
    "name": "high_reading",
    "description": "Whether a meter will read high.",
    "owners": ["team:meters"],
    "entity": "reading",
    "task": "binary",
    "features": {"table": "reading_features", "columns": ["meter_id", "read_hour", "watts_sum_2d"]},
    "label": {"table": "reading_labels", "column": "is_high"},
    "split": {"holdout_days": 1},
    "engine": {"name": "lightgbm", "seed": 1, "parameters": {"num_iterations": 5, "min_data_in_leaf": 2}},
    "gate": {
        "floor": {"roc_auc": 0.1},
        "against_champion": {"metric": "roc_auc", "max_drop": 1},
        "replay": ANY_REPLAY,
    },
    "retrain": {"after_new_days": 1},
}


@dataclass(frozen=True)
class Column:
    """A column as a table's YAML declares it."""

    name: str
    type: str
    more: str = ""


DAY = Column("day", "date")
TABLES: dict[str, tuple[str, str, Sequence[Column], str]] = {
    "staging/stg_meters": (
        "select meter as meter_id, kind from {{ source('raw', 'meters_current') }} order by meter_id",
        "materialized: table",
        (Column("meter_id", "varchar"), Column("kind", "varchar")),
        "",
    ),
    "staging/stg_readings": (
        "-- As it was read.\n"
        "select meter || '-' || strftime(read_at, '%Y%m%dT%H') as reading_id, meter as meter_id, read_at,\n"
        "    cast(watts as integer) as watts, known_at, day\n"
        "from {{ source('raw', 'readings_current') }}\n"
        "where {{ own_days() }}\n"
        "order by day, reading_id",
        "meta: {}",
        (
            Column("reading_id", "varchar"),
            Column("meter_id", "varchar"),
            Column("read_at", "timestamp"),
            Column("watts", "integer"),
            Column("known_at", "timestamp"),
            DAY,
        ),
        "- holds: {name: no_meter_gives_power, arguments: {expression: watts >= 0}}",
    ),
    "intermediate/eph_known": (
        "select meter_id, known_at, watts, day from {{ ref('stg_readings') }}",
        "{materialized: ephemeral, contract: {enforced: false}}",
        (),
        "",
    ),
    "intermediate/int_meter_sums": (
        "select meter_id, known_at, {{ summed('watts') }} as watts_sum_2d, day\n"
        "from {{ ref('eph_known') }}\n"
        "where {{ own_days() }}\n"
        "group by meter_id, known_at, day\n"
        "order by day, meter_id, known_at",
        "meta: {publish: true, lookback_days: 2}",
        (
            Column("meter_id", "varchar"),
            Column("known_at", "timestamp"),
            Column("watts_sum_2d", "integer"),
            DAY,
        ),
        "- unique_together: {name: a_sum_once, arguments: {columns: [meter_id, known_at]}}",
    ),
    "intermediate/int_kinds": (
        "select kind, cast(count(*) as integer) as n_meters from {{ ref('stg_meters') }} group by kind",
        "materialized: table",
        (Column("kind", "varchar"), Column("n_meters", "integer")),
        "",
    ),
    "features/reading_spine": (
        "{{ reading_request(ref('stg_readings'), also=['day']) }}\nwhere {{ own_days() }}",
        "meta: {entity: reading, key: reading_id}",
        (
            DAY,
            Column("reading_id", "varchar"),
            Column("meter_id", "varchar", "config: {meta: {category: true}}"),
            Column("read_at", "timestamp"),
            Column("prediction_at", "timestamp"),
        ),
        "- unique_together: {name: a_reading_asked_once, arguments: {columns: [reading_id]}}",
    ),
    "features/reading_features": (
        "with spine as (\n    {{ spine('reading') }}\n),\n\nknown as (\n"
        "    {{ as_of('spine', 'int_meter_sums', {'meter_id': 'meter_id'}, "
        "{'watts_sum_2d': 'watts_sum_2d'}, within=48) }}\n)\n\n"
        "select\n    {{ spine_columns('reading_id') }},\n    meter_id,\n"
        "    cast(date_part('hour', read_at) as integer) as read_hour,\n    watts_sum_2d\nfrom known",
        "meta: {publish: true, entity: reading, lookback_days: 4}",
        (
            Column("reading_id", "varchar"),
            Column("prediction_at", "timestamp"),
            DAY,
            Column("meter_id", "varchar", "config: {meta: {category: true}}"),
            Column("read_hour", "integer"),
            Column("watts_sum_2d", "integer"),
        ),
        "- unique_together: {name: a_reading_once, arguments: {columns: [reading_id]}}",
    ),
    "labels/reading_labels": (
        "select reading_id, day, watts % 3 = 0 as is_high, known_at as label_known_at\n"
        "from {{ ref('stg_readings') }}\n"
        "where {{ own_days() }}",
        "meta: {publish: true, entity: reading}",
        (
            Column("reading_id", "varchar"),
            DAY,
            Column("is_high", "boolean"),
            Column("label_known_at", "timestamp"),
        ),
        "- unique_together: {name: a_label_once, arguments: {columns: [reading_id]}}",
    ),
}
OWN_MACROS = """\
{% macro summed(column) -%}
    cast(sum({{ column }}) as integer)
{%- endmacro %}

{% macro reading_request(relation, also) -%}
    select
        {%- for column in also %}
        {{ column }},
        {%- endfor %}
        meter_id || '-' || strftime(read_at, '%Y%m%dT%H') as reading_id,
        meter_id,
        read_at,
        read_at + interval '10 minutes' as prediction_at
    from {{ relation }}
{%- endmacro %}
"""
UNIT_TEST = """\
unit_tests:
  - name: high_is_three_by_three
    model: reading_labels
    overrides: {vars: {start_day: '2013-03-01', end_day: '2013-03-01'}}
    given:
      - input: ref('stg_readings')
        rows: [{reading_id: a, watts: 3, day: 2013-03-01}, {reading_id: b, watts: 4, day: 2013-03-01}]
    expect:
      rows: [{reading_id: a, is_high: true}, {reading_id: b, is_high: false}]
"""
