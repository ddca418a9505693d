{#- Steps that need a time zone a row. Each distinct hour is converted once: 10 times cheaper than every row. -#}

{#- The step `previous`, and as `name` the date of the clock in `zone` at `at`. -#}
{% macro with_local_date(previous, at, zone, name) -%}
    select
        {{ previous }}.*,
        clocks.local_date as {{ name }}
    from {{ previous }}
    left join (
        select
            zone,
            hour_at,
            cast({{ local_at('hour_at', 'zone') }} as date) as local_date
        from (
            select distinct
                {{ zone }} as zone,
                date_trunc('hour', {{ at }}) as hour_at
            from {{ previous }}
        ) as hours
    ) as clocks
        on {{ previous }}.{{ zone }} = clocks.zone and date_trunc('hour', {{ previous }}.{{ at }}) = clocks.hour_at
{%- endmacro %}

{#- The step `previous`, and as `name` the first instant after `at` when the clock in `zone` shows `hhmm`, on
    `local_date` (the date there at `at`) or the day after: arrivals carry no date. -#}
{% macro with_next_clock(previous, at, hhmm, zone, local_date, name) -%}
    {%- set today = minutes_after('clocks.today_at', previous ~ '.' ~ hhmm ~ ' % 100') -%}
    {%- set tomorrow = minutes_after('clocks.tomorrow_at', previous ~ '.' ~ hhmm ~ ' % 100') -%}
    select
        {{ previous }}.*,
        case when {{ today }} > {{ previous }}.{{ at }} then {{ today }} else {{ tomorrow }} end as {{ name }}
    from {{ previous }}
    left join (
        select
            zone,
            local_date,
            clock_hour,
            {{ utc_at(minutes_after('cast(local_date as timestamp)', 'clock_hour * 60'), 'zone') }} as today_at,
            {{ utc_at(minutes_after('cast(local_date as timestamp)', '(clock_hour + 24) * 60'), 'zone') }} as tomorrow_at
        from (
            select distinct
                {{ zone }} as zone,
                {{ local_date }} as local_date,
                {{ hhmm }} // 100 as clock_hour
            from {{ previous }}
        ) as hours
    ) as clocks
        on
            {{ previous }}.{{ zone }} = clocks.zone
            and {{ previous }}.{{ local_date }} = clocks.local_date
            and {{ previous }}.{{ hhmm }} // 100 = clocks.clock_hour
{%- endmacro %}
