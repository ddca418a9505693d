{#- Sums over the preceding hours, kept as change points.

    One row per `keys` and instant at which a sum changes: when an event becomes known, and when it is a window old.
    What came in less what fell out is the window's sum, exact because it adds integers only; so the newest change
    point not after an instant holds the window that ends there, and one lookup within the longest window finds it
    (nothing found: all sums are 0).
    `events`: a step with `keys`, `known_at` and integers. `sums`: column to hours, each becomes `<column>_<hours>h`.
    `levels`: columns that do not fall out, since whatever raises one is followed by its opposite.
    Instants are rounded up to `tick` minutes: fewer rows, and nothing known earlier than it was.

    The running total is not partitioned: every event falls out again, so a key's total ends at 0, where the next key
    starts. DuckDB 1.5 takes a quarter of the time for it. -#}
{% macro sliding_sums(events, keys, sums, levels=[], tick=5) -%}
    {%- set keyed = keys | join(', ') -%}
    {%- set windows = sums.values() | sum(start=[]) | unique | sort -%}
    select
        {{ keyed }},
        known_at,
        {%- for level in levels %}
        cast(sum({{ level }}) over so_far as bigint) as {{ level }},
        {%- endfor %}
        {%- for column, hours in sums.items() %}
        {%- for window in hours %}
        cast(sum({{ windowed(column, window) }}) over so_far as integer) as {{ windowed(column, window) }},
        {%- endfor %}
        {%- endfor %}
        cast(known_at as date) as day
    from (
        select
            {{ keyed }},
            {%- for level in levels %}
            sum({{ level }}) as {{ level }},
            {%- endfor %}
            {%- for column, hours in sums.items() %}
            {%- for window in hours %}
            sum({{ windowed(column, window) }}) as {{ windowed(column, window) }},
            {%- endfor %}
            {%- endfor %}
            known_at
        from (
            {%- for fallen_out in [none] + windows %}
            select
                {{ keyed }},
                {%- for level in levels %}
                {{ 0 if fallen_out else level }} as {{ level }},
                {%- endfor %}
                {%- for column, hours in sums.items() %}
                {%- for window in hours %}
                {%- if fallen_out is none %}
                {{ column }} as {{ windowed(column, window) }},
                {%- else %}
                {{ '-' ~ column if window == fallen_out else 0 }} as {{ windowed(column, window) }},
                {%- endif %}
                {%- endfor %}
                {%- endfor %}
                known_at{{ " + interval '" ~ fallen_out ~ " hours'" if fallen_out }} as known_at
            from ({{ ticked(events, keys, sums.keys() | list + levels, tick) }}) as ticked
            {{ 'union all' if not loop.last }}
            {%- endfor %}
        ) as changes
        group by {{ keyed }}, known_at
    ) as change_points
    window so_far as (order by {{ keyed }}, known_at rows unbounded preceding)
{%- endmacro %}

{% macro ticked(events, keys, columns, tick) -%}
select
    {{ keys | join(', ') }},
    {%- for column in columns %}
    cast(sum({{ column }}) as bigint) as {{ column }},
    {%- endfor %}
    {{ rounded_up('known_at', tick) }} as known_at
from {{ events }}
group by all
{%- endmacro %}

{#- The name of a column over a window: the unit stays last. -#}
{% macro windowed(column, hours) -%}
    {%- set span = (hours // 24) ~ 'd' if hours > 72 else hours ~ 'h' -%}
    {{ return(column[:-4] ~ '_' ~ span ~ '_min' if column.endswith('_min') else column ~ '_' ~ span) }}
{%- endmacro %}
