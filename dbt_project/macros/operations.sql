{#- What went on in the preceding hours at whatever `keys` name: an airport, a carrier, a destination. -#}
{% macro operations(keys, sums, tick) -%}
with events as (
    select *
    from {{ ref('int_flight_events') }}
    where {{ input_days() }}
),

sums as (
    {{ sliding_sums('events', keys, sums, levels=['n_overdue', 'overdue_since_sum_min'], tick=tick) }}
)

select *
from sums
where {{ own_days() }}
order by day, {{ keys | join(', ') }}, known_at
{%- endmacro %}

{#- How the flights of whatever `keys` name ended in the preceding 28 days, in steps of a day. -#}
{% macro history(keys) -%}
with endings as (
    select
        {{ keys | join(', ') }},
        known_at,
        n_ended,
        n_late,
        n_arrivals,
        arr_delay_sum_min,
        corrected_at,
        superseded_at
    from {{ ref('int_flight_events') }}
    where {{ input_days() }} and kind = 'arrival'
),

sums as (
    {{ sliding_sums(
        'endings',
        keys=keys,
        sums={'n_ended': [672], 'n_late': [672], 'n_arrivals': [672], 'arr_delay_sum_min': [672]},
        tick=1440,
    ) }}
)

select *
from sums
where {{ own_days() }}
order by day, {{ keys | join(', ') }}, known_at
{%- endmacro %}
