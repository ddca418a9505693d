{#- Corrections: tables that keep every version of a row, each with `corrected_at` and `superseded_at`.

    Rows keep `known_at` as declared for data on time, which gives them their place in windows and orders. A version is
    what was known from corrected_at (null: from known_at) until superseded_at (null: still). -#}

{#- Whether a version is what was known at the instant `at`, apart from known_at. Comparisons, not `is null or`: a join
    on them stays a hash join. -#}
{% macro holds_at(at, version='') -%}
    {%- set prefix = version ~ '.' if version else '' -%}
    coalesce({{ prefix }}corrected_at, timestamp '0001-01-01') <= {{ at }}
    and coalesce({{ prefix }}superseded_at, timestamp '9999-12-31') > {{ at }}
{%- endmacro %}

{#- The step `previous` once for each state that corrections brought about among the rows with equal `keys`: the rows
    that held in it, and from when to when it was, `state_at` and `state_until`. Steps that compare rows with each
    other (windows, ranks, counts) do so within a state. Rows whose `keys` were never corrected have one state. -#}
{% macro states(previous, keys) -%}
    select
        {{ previous }}.*,
        states.state_at,
        states.state_until
    from {{ previous }}
    left join (
        select
            {{ keys | join(', ') }},
            state_at,
            lead(state_at) over (partition by {{ keys | join(', ') }} order by state_at nulls first) as state_until
        from (
            {%- for began in ['cast(null as timestamp)', 'corrected_at', 'superseded_at'] %}
            select
                {{ keys | join(', ') }},
                {{ began }} as state_at
            from {{ previous }}
            where corrected_at is not null or superseded_at is not null
            {{ 'union' if not loop.last }}
            {%- endfor %}
        ) as began
    ) as states
        on
            {%- for key in keys %}
            {{ previous }}.{{ key }} = states.{{ key }}{{ ' and' if not loop.last }}
            {%- endfor %}
    where
        ({{ previous }}.corrected_at is null or {{ previous }}.corrected_at <= states.state_at)
        and (
            {{ previous }}.superseded_at is null
            or states.state_at is null
            or {{ previous }}.superseded_at > states.state_at
        )
{%- endmacro %}

{#- The rows of `previous`, which has states, as versions: a row named by `keys` whose `values` stay the same from one
    state to the next is one version. `also`: more columns that the proof needs of which rows of a state are one. -#}
{% macro settled(previous, keys, values, also=[]) -%}
    {%- set columns = (keys + values) | join(', ') -%}
    {%- set in_order = 'partition by ' ~ keys | join(', ') ~ ' order by ' ~ (['state_at nulls first'] + also) | join(', ') -%}
    select
        {{ columns }},
        state_at as corrected_at,
        state_until as superseded_at
    from {{ previous }}
    where state_at is null and state_until is null
    union all
    select
        {{ columns }},
        case when count(state_at) = count(*) then min(state_at) end as corrected_at,
        case when count(state_until) = count(*) then max(state_until) end as superseded_at
    from (
        select
            *,
            sum(is_new) over ({{ in_order }} rows unbounded preceding) as version
        from (
            select
                *,
                case
                    when
                        lag(state_until) over in_order = state_at
                        {%- for value in values %}
                        and ({{ value }} is not distinct from lag({{ value }}) over in_order)
                        {%- endfor %}
                        then 0
                    else 1
                end as is_new
            from {{ previous }}
            where state_at is not null or state_until is not null
            window in_order as ({{ in_order }})
        ) as compared
    ) as numbered
    group by {{ columns }}, version
{%- endmacro %}
