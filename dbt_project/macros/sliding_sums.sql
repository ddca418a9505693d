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

{#- Events that a correction brought or took away: each is in from `came_at`, and out at `gone_at`. -#}
{% macro spans(events, keys, columns, tick) -%}
select
    {{ (keys + columns) | join(', ') }},
    {{ rounded_up('known_at', tick) }} as seen_at,
    greatest({{ rounded_up('known_at', tick) }}, {{ rounded_up('corrected_at', tick) }}) as came_at,
    {{ rounded_up('superseded_at', tick) }} as gone_at
from {{ events }}
where corrected_at is not null or superseded_at is not null
{%- endmacro %}

{#- The changes that `spans` bring. Each column's share of an event is in until it is a window old or `gone_at`,
    whichever is first. -#}
{% macro corrected_changes(keys, sums, levels, windows) -%}
    {%- set ends = {} -%}
    {%- for window in windows -%}
        {%- do ends.update({window: "least(seen_at + interval '" ~ window ~ " hours', gone_at)"}) -%}
    {%- endfor -%}
    {%- for ended in [none, 'gone_at'] + windows %}
            select
                {{ keys | join(', ') }},
                {%- for level in levels %}
                {%- if ended is none %}
                case when coalesce(came_at < gone_at, true) then {{ level }} else 0 end as {{ level }},
                {%- elif ended == 'gone_at' %}
                case when came_at < gone_at then -{{ level }} else 0 end as {{ level }},
                {%- else %}
                0 as {{ level }},
                {%- endif %}
                {%- endfor %}
                {%- for column, hours in sums.items() %}
                {%- for window in hours %}
                {%- if ended is none or ended == window %}
                case when came_at < {{ ends[window] }} then {{ '-' if ended }}{{ column }} else 0 end
                    as {{ windowed(column, window) }},
                {%- else %}
                0 as {{ windowed(column, window) }},
                {%- endif %}
                {%- endfor %}
                {%- endfor %}
                {{ 'came_at' if ended is none else ends.get(ended, ended) }} as known_at
            from spans
            where {{ 'gone_at' if ended == 'gone_at' else 'came_at' }} is not null
            {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- The name of a column over a window: the unit stays last. -#}
{% macro windowed(column, hours) -%}
    {%- set span = (hours // 24) ~ 'd' if hours > 72 else hours ~ 'h' -%}
    {{ return(column[:-4] ~ '_' ~ span ~ '_min' if column.endswith('_min') else column ~ '_' ~ span) }}
{%- endmacro %}
