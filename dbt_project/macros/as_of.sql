{#- The point-in-time join: the newest row of a table that was known when the question was asked.

    A step of a feature table: all columns of the step `previous`, and `columns` of `table` (new name: column),
    from the row with equal `keys` (column of the table: expression over `previous`) and the greatest `ordered_by`
    that is not after `at`, of those known by prediction_at; nulls when that row is older than `within` (hours; none:
    however old). Both bounds hold row by row, so a result does not depend on the days built together with it.
    `has_versions`: the table keeps the versions of its rows (see corrections.sql), of which those are asked that held
    at prediction_at.
    `asked_in`: the earliest step that has all that `keys` and `at` name. Each question is answered once, on narrow
    rows, and the answers are joined by equality: over nine months that takes a third of the time. -#}
{% macro as_of(
    previous, table, keys, columns, within, at='prediction_at', ordered_by='known_at', asked_in='spine',
    has_versions=false
) -%}
    {%- set relation = ref(table) -%}
    {%- set online = var('execution') == 'online' -%}
    {%- set asked = {'asked_at': at} -%}
    {%- set known_by = 'asked_at' if at == 'prediction_at' else 'asked_by' -%}
    {%- if at != 'prediction_at' -%}{%- do asked.update(asked_by='prediction_at') -%}{%- endif -%}
    {%- do _check_versions(table, has_versions) -%}
    {%- set known = [] if ordered_by == 'known_at' else ['answer_known_at <= ' ~ known_by] -%}
    {%- set holds = [holds_at(known_by)] if has_versions else [] -%}
    {%- set matches = [] -%}
    {%- for key, expression in keys.items() -%}
        {%- do asked.update({'asked_' ~ loop.index: expression}) -%}
        {%- do matches.append('asked_' ~ loop.index ~ ' = answer_' ~ loop.index) -%}
    {%- endfor -%}
    select
        {{ previous }}.*,
        {%- for name in columns %}
        answered.{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ previous }}
    left join (
        with questions as (
            select distinct
                {%- for name, expression in asked.items() %}
                {{ expression }} as {{ name }}{{ ',' if not loop.last }}
                {%- endfor %}
            from {{ asked_in }}
        ),

        answers as (
            select
                {%- for key in keys %}
                {{ key }} as answer_{{ loop.index }},
                {%- endfor %}
                {%- for name, column in columns.items() %}
                {{ column }} as {{ name }},
                {%- endfor %}
                {{ 'known_at as answer_known_at,' if ordered_by != 'known_at' }}
                {{ 'corrected_at, superseded_at,' if has_versions }}
                {{ ordered_by }} as answer_at
            from {{ 'online.' ~ table if online else relation }}
            {%- if within is not none and not online %}
            where {{ days(before=within // 24 + 2, after=1) }}
            {%- endif %}
        ),

        {{ adapter.dispatch('newest_as_of')(
            asked.keys() | list, columns.keys() | list, matches, within, known, holds, few=online
        ) }}

        select
            {%- for name in asked %}
            {{ name }},
            {%- endfor %}
            {%- for name in columns %}
            {{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        from newest
    ) as answered
        on
            {%- for name, expression in asked.items() %}
            {{ expression }} = answered.{{ name }}{{ ' and' if not loop.last }}
            {%- endfor %}
{%- endmacro %}

{#- Refuse a call that says otherwise than the table declares. A unit test has no graph: the build has. -#}
{% macro _check_versions(table, has_versions) -%}
    {%- for node in (graph.get('nodes', {}).values() if execute else []) if node.name == table -%}
        {%- if ('superseded_at' in node.columns) != has_versions -%}
            {{ exceptions.raise_compiler_error(
                'as_of asks "' ~ table ~ '" with has_versions=' ~ (has_versions | lower) ~ ', but that table declares '
                ~ ('no' if has_versions else 'a') ~ ' column superseded_at. Say has_versions='
                ~ (not has_versions) | lower ~ '.'
            ) }}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- Steps up to `newest`: each of `questions` with the newest of `answers` that is not after asked_at, nor older than
    `within` hours, and for which `known` and `holds` are true. An ASOF join sorts both sides, which is right for many questions;
    `few` are looked up. -#}
{% macro duckdb__newest_as_of(asked, columns, matches, within, known, holds, few) -%}
    {%- set row = asked | join(', ') -%}
    {%- set bound = matches + ['asked_at >= answer_at'] -%}
    {%- set fresh = [] if within is none else ["answer_at >= asked_at - interval '" ~ within ~ " hours'"] -%}
    {%- if few -%}
        newest as (
            select
                {{ row }},
                unnest(max_by(answers, answer_at))
            from questions
            inner join answers on {{ (bound + fresh + known + holds) | join(' and ') }}
            group by {{ row }}
        )
    {%- elif not known + holds -%}
        newest as (
            select *
            from questions
            asof join answers on {{ bound | join(' and ') }}
            {{ 'where ' ~ fresh[0] if fresh }}
        )
    {%- else -%}
        {{ _newest_known(row, columns, matches, bound, fresh, known, holds, within) }}
    {%- endif -%}
{%- endmacro %}

{#- The same where an answer has to be known too. An ASOF join has one order, and what was known when is another: so it
    is made with what was told first, and questions that lie near a correction, or whose answer was not known, are
    looked up among all versions of the days in question. -#}
{% macro _newest_known(row, columns, matches, bound, fresh, known, holds, within) -%}
    {%- set names = (columns | join(', ')) -%}
    {%- set days_back = [0] if within is none else range((within + 23) // 24 + 1) | list -%}
    {%- set near = matches + ([] if within is none else ['cast(answer_at as date) = cast(asked_at as date) - n_days']) -%}
        days_back as (
            select n_days
            from (values {% for n in days_back %}({{ n }}){{ ', ' if not loop.last }}{% endfor %}) as listed (n_days)
        ),

        {% if holds -%}
        first_told as (
            select *
            from answers
            where corrected_at is null
        ),

        corrected as (
            select *
            from answers
            where corrected_at is not null or superseded_at is not null
        ),
        {%- endif %}

        found as (
            select *
            from questions
            asof join {{ 'first_told' if holds else 'answers' }} on {{ bound | join(' and ') }}
            {{ 'where ' ~ fresh[0] if fresh }}
        ),

        asked_again as (
            {%- if known %}
            select {{ row }}
            from found
            where not ({{ known | join(' and ') }})
            {%- endif %}
            {{ 'union' if known and holds }}
            {%- if holds %}
            select {{ '' if known else 'distinct' }} {{ row }}
            from questions
            cross join days_back
            inner join corrected on {{ near | join(' and ') }}
            {%- endif %}
        ),

        looked_up as (
            select
                {{ row }},
                {{ names }},
                row_number() over (
                    partition by {{ row }}
                    order by n_days, answer_at desc{{ ', corrected_at desc' if holds }}
                ) as place
            from asked_again
            cross join days_back
            inner join answers on {{ (near + bound[-1:] + fresh + known + holds) | join(' and ') }}
        ),

        newest as (
            select
                {{ row }},
                {{ names }}
            from found
            anti join asked_again using ({{ row }})
            union all
            select
                {{ row }},
                {{ names }}
            from looked_up
            where place = 1
        )
{%- endmacro %}
