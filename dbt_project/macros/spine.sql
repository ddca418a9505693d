{#- The first step of a feature table: who is asked about, and when. One definition, two executions. -#}

{#- Batch: the days of the run from `<entity>_spine`. Online: the rows of relation `request`. -#}
{% macro spine(entity) -%}
    {%- set scheduled = ref(entity ~ '_spine') -%}
    {%- set definition = context[entity ~ '_request'] -%}
    {%- if var('execution') == 'online' -%}
    {{ definition('request', also=['request_row']) }}
    {%- else -%}
    {{ definition(scheduled, also=['day']) }}
    where {{ own_days() }}
    {%- endif -%}
{%- endmacro %}

{#- What a request about a flight carries, and what follows from that alone. -#}
{% macro flight_request(relation, also) -%}
    select
        {%- for column in also %}
        {{ column }},
        {%- endfor %}
        {{ flight_id() }} as flight_id,
        carrier_id,
        flight_number,
        origin_id,
        dest_id,
        aircraft_id,
        scheduled_dep_at,
        scheduled_arr_at,
        scheduled_dep_at - interval '2 hours' as prediction_at
    from {{ relation }}
{%- endmacro %}

{#- The key of a flight, from what a request carries. -#}
{% macro flight_id() -%}
    carrier_id || '-' || flight_number || '-' || origin_id || '-' || {{ instant_text('scheduled_dep_at') }}
{%- endmacro %}

{#- The columns that name a row of a feature table; online also the place of the request it answers. -#}
{% macro spine_columns(key) -%}
    {%- if var('execution') == 'online' -%}
    request_row,
    {%- endif %}
    {{ key }},
    prediction_at
    {%- if var('execution') != 'online' -%},
    day
    {%- endif %}
{%- endmacro %}

{#- Batch rows lie in order of time, so that a later reader of a few days reads little. -#}
{% macro spine_order(key) -%}
    {%- if var('execution') != 'online' %}
order by day, prediction_at, {{ key }}
    {%- endif %}
{%- endmacro %}
