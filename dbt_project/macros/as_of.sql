{#- The point-in-time join: the newest row of a table that was known when the question was asked.

    A step of a feature table: all columns of the step `previous`, and `columns` of `table` (new name: column),
    from the row with equal `keys` (column of the table: expression over `previous`) and the greatest `ordered_by`
    that is not after `at`, of those known by prediction_at; nulls when that row is older than `within` (hours; none:
    however old). Both bounds hold row by row, so a result does not depend on the days built together with it. Of a
    table that keeps the versions of its rows, those are asked that were what was known at prediction_at.
    `asked_in`: the earliest step that has all that `keys` and `at` name. Each question is answered once, on narrow
    rows, and the answers are joined by equality: over nine months that takes a third of the time. -#}
{% macro as_of(
    previous, table, keys, columns, within, at='prediction_at', ordered_by='known_at', asked_in='spine',
    has_versions=true
) -%}
    {%- set relation = ref(table) -%}
    {%- set online = var('execution') == 'online' -%}
    {%- set asked = {'asked_at': at} -%}
    {%- set known_by = 'asked_at' if at == 'prediction_at' else 'asked_by' -%}
    {%- if at != 'prediction_at' -%}{%- do asked.update(asked_by='prediction_at') -%}{%- endif -%}
    {%- set known = [] -%}
    {%- if ordered_by != 'known_at' -%}{%- do known.append('answer_known_at <= ' ~ known_by) -%}{%- endif -%}
    {%- if has_versions -%}{%- do known.append(holds_at(known_by)) -%}{%- endif -%}
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

        newest as (
            {{ adapter.dispatch('newest_as_of')(asked.keys() | join(', '), matches, within, known, few=online) }}
        )

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

{#- Each of `questions` with the newest of `answers` that is not after asked_at, nor older than `within` hours, and for
    which all of `known` hold. An ASOF join sorts both sides, which is right for many questions; `few` are looked up,
    and so are those whose newest answer was not known: corrections are few. -#}
{% macro duckdb__newest_as_of(asked, matches, within, known, few) -%}
    {%- set bound = ['asked_at >= answer_at'] -%}
    {%- set fresh = [] if within is none else ["answer_at >= asked_at - interval '" ~ within ~ " hours'"] -%}
    {%- if few -%}
    {{ _looked_up(asked, 'questions', matches + bound + fresh + known) }}
    {%- elif not known -%}
    {{ _joined(matches + bound, fresh) }}
    {%- else -%}
    with found as (
        {{ _joined(matches + bound, fresh) }}
    ),

    unknown as (
        select {{ asked }}
        from found
        where not ({{ known | join(' and ') }})
    )

    select *
    from found
    where {{ known | join(' and ') }}
    union all
    {{ _looked_up(asked, 'unknown', matches + bound + fresh + known) }}
    {%- endif -%}
{%- endmacro %}

{% macro _joined(bound, fresh) -%}
    select *
    from questions
    asof join answers on {{ bound | join(' and ') }}
    {{ 'where ' ~ fresh[0] if fresh }}
{%- endmacro %}

{% macro _looked_up(asked, questions, bound) -%}
    select
        {{ asked }},
        unnest(max_by(answers, answer_at))
    from {{ questions }}
    inner join answers on {{ bound | join(' and ') }}
    group by {{ asked }}
{%- endmacro %}
