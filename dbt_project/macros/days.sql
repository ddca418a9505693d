{#- Day windows: which days a run builds, and which days its tables must read to do so. -#}

{#- Days between start_day - before and end_day + after, as literals, so that zone maps prune. -#}
{% macro days(before=0, after=0, column='day') -%}
    {%- set first = modules.datetime.date.fromisoformat(var('start_day') | string) - modules.datetime.timedelta(days=before) -%}
    {%- set last = modules.datetime.date.fromisoformat(var('end_day') | string) + modules.datetime.timedelta(days=after) -%}
    {{ column }} between date '{{ first.isoformat() }}' and date '{{ last.isoformat() }}'
{%- endmacro %}

{#- The days of this table that a run replaces: its window and the table's `reach_days`. -#}
{% macro own_days(column='day') -%}
    {{ days(after=_own_meta('reach_days'), column=column) }}
{%- endmacro %}

{#- The days of its inputs that the rows of `own_days` depend on: `lookback_days` more. -#}
{% macro input_days(column='day') -%}
    {{ days(before=_own_meta('lookback_days'), after=_own_meta('reach_days'), column=column) }}
{%- endmacro %}

{#- A unit test has no meta and so no reach: it builds the days it names. -#}
{% macro _own_meta(name) -%}
    {{ return(model.config.meta.get(name, 0)) }}
{%- endmacro %}

{#- Incremental strategy `day_window`: replace the window whole, also where a day has no rows any more. -#}
{% macro get_incremental_day_window_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }} where {{ own_days() }};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}
