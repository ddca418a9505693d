{#- Sums over the preceding hours, kept as change points.

    One row per `keys` and instant at which a sum changes: when an event becomes known, and when it is a window old.
    What came in less what fell out is the window's sum, exact because it adds integers only; so the newest change
    point not after an instant holds the window that ends there, and one lookup within the longest window finds it
    (nothing found: all sums are 0).
    `events`: a step with `keys`, `known_at` and integers. `sums`: column to hours, each becomes `<column>_<hours>h`.
    `levels`: columns that do not fall out, since whatever raises one is followed by its opposite.
    Instants are rounded up to `tick` minutes: fewer rows, and nothing known earlier than it was.
    An event that a correction brought, or took away (`corrected_at`, `superseded_at`), comes in then, or falls out
    then; the windows it lies in are still those after its known_at, so an old event corrected is not a new one.

    The running total is not partitioned: every event falls out again, so a key's total ends at 0, where the next key
    starts. DuckDB 1.5 takes a quarter of the time for it. -#}
{% macro sliding_sums(events, keys, sums, levels=[], tick=5) -%}
    {%- set keyed = keys | join(', ') -%}
    {%- set windows = sums.values() | sum(start=[]) | unique | sort %}
    with ticked as (
        {{ ticked(events, keys, sums.keys() | list + levels, tick) }}
    ),

    spans as (
        {{ spans(events, keys, sums.keys() | list + levels, tick) }}
    )

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
            from ticked
            union all
            {%- endfor %}
            {{ corrected_changes(keys, sums, levels, windows) }}
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
where corrected_at is null and superseded_at is null
group by all
{%- endmacro %}

{#- Events that a correction brought or took away: how many came in (or, below 0, went) `at` an instant. Versions that
    differ in nothing that is summed up follow each other without a trace. -#}
{% macro spans(events, keys, columns, tick) -%}
{%- set came_at = 'greatest(' ~ rounded_up('known_at', tick) ~ ', ' ~ rounded_up('corrected_at', tick) ~ ')' -%}
{%- set gone_at = rounded_up('superseded_at', tick) -%}
select
    {{ (keys + columns) | join(', ') }},
    seen_at,
    changed_at,
    sum(n) as n
from (
    {%- for instant, n in [(came_at, 1), (gone_at, -1)] %}
    select
        {{ (keys + columns) | join(', ') }},
        {{ rounded_up('known_at', tick) }} as seen_at,
        {{ instant }} as changed_at,
        {{ n }} as n
    from {{ events }}
    where
        (corrected_at is not null or superseded_at is not null)
        and {{ came_at }} < {{ gone_at if n < 0 else "coalesce(" ~ gone_at ~ ", timestamp '9999-12-31')" }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
) as changed
group by {{ (keys + columns) | join(', ') }}, seen_at, changed_at
having sum(n) <> 0
{%- endmacro %}

{#- The changes that `spans` bring. Each column's share of an event is in until it is a window old. -#}
{% macro corrected_changes(keys, sums, levels, windows) -%}
    {%- for fallen_out in [none] + windows %}
            select
                {{ keys | join(', ') }},
                {%- for level in levels %}
                {{ 0 if fallen_out else 'n * ' ~ level }} as {{ level }},
                {%- endfor %}
                {%- for column, hours in sums.items() %}
                {%- for window in hours %}
                {%- set is_in = "changed_at < seen_at + interval '" ~ window ~ " hours'" %}
                {%- if fallen_out is none %}
                case when {{ is_in }} then n * {{ column }} else 0 end as {{ windowed(column, window) }},
                {%- else %}
                {{ '-n * ' ~ column if window == fallen_out else 0 }} as {{ windowed(column, window) }},
                {%- endif %}
                {%- endfor %}
                {%- endfor %}
                {{ "seen_at + interval '" ~ fallen_out ~ " hours'" if fallen_out else 'changed_at' }} as known_at
            from {{ 'spans' if fallen_out is none else still_in(keys, sums, levels, fallen_out) }}
            {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- The events of `spans` that are in when they are a window old. -#}
{% macro still_in(keys, sums, levels, window) -%}
{%- set row = (keys + sums.keys() | list + levels) | join(', ') -%}
(
                select
                    {{ row }},
                    seen_at,
                    sum(n) as n
                from spans
                where changed_at < seen_at + interval '{{ window }} hours'
                group by {{ row }}, seen_at
                having sum(n) <> 0
            ) as still_in
{%- endmacro %}

{#- The name of a column over a window: the unit stays last. -#}
{% macro windowed(column, hours) -%}
    {%- set span = (hours // 24) ~ 'd' if hours > 72 else hours ~ 'h' -%}
    {{ return(column[:-4] ~ '_' ~ span ~ '_min' if column.endswith('_min') else column ~ '_' ~ span) }}
{%- endmacro %}
