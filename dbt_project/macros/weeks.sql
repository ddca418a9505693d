{#- Weeks, each named by its Monday: the step of time of tables that are made from weekly files. -#}

{#- One row for each week whose first day lies in the days of this run: `day`, and `week_at`, when it begins. -#}
{% macro weeks_listed() -%}
    select
        day,
        cast(day as timestamp) as week_at
    from ({{ adapter.dispatch('every_day')(var('start_day'), var('end_day')) }}) as listed
    where {{ week_day('day') }} = day and {{ own_days() }}
{%- endmacro %}

{#- Every date between two, as `day`. -#}
{% macro duckdb__every_day(first_day, last_day) -%}
    select cast(unnest(generate_series(date '{{ first_day }}', date '{{ last_day }}', interval '1 day')) as date) as day
{%- endmacro %}

{#- The first day of the week that a date or an instant lies in. -#}
{% macro week_day(at) -%}
    cast(date_trunc('week', {{ at }}) as date)
{%- endmacro %}

{#- What a request about a pizza's week carries, and what follows from that alone. -#}
{% macro pizza_week_request(relation, also) -%}
    select
        {%- for column in also %}
        {{ column }},
        {%- endfor %}
        pizza_name || '-' || size_id || '-' || {{ instant_text('week_at') }} as pizza_week_id,
        pizza_name,
        size_id,
        week_at,
        week_at as prediction_at
    from {{ relation }}
{%- endmacro %}

{#- How many pizzas of whatever `keys` name were sold in the preceding weeks, as known at the end of each. -#}
{% macro weekly_sales(keys) -%}
with sales as (
    select
        {{ keys | join(', ') }},
        known_at,
        n_sold,
        corrected_at,
        superseded_at
    from {{ ref('stg_pizza_sales') }}
    where {{ input_days() }}
),

sums as (
    {{ sliding_sums('sales', keys, {'n_sold': [168, 672, 2016, 4368]}, tick=1440) }}
),

by_week as (
    select
        {{ keys | join(', ') }},
        known_at,
        n_sold_7d,
        n_sold_28d,
        n_sold_84d,
        n_sold_182d,
        {{ week_day('known_at') }} as day
    from sums
)

select *
from by_week
where {{ own_days() }}
order by day, {{ keys | join(', ') }}, known_at
{%- endmacro %}
