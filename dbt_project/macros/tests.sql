{#- Generic tests look at the days of the run only: the days before passed when they were built. -#}

{% test unique_together(model, columns) -%}
select
    {{ columns | join(', ') }},
    count(*) as n_rows
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{%- endtest %}

{#- dbt's hook for the `where` of a test, applied to every table that is built by day. -#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where') -%}
    {%- set tested = graph.nodes.get(model.get('attached_node')) if execute -%}
    {%- if where -%}
    (select * from {{ relation }} where {{ where }}) as tested
    {%- elif tested and tested.config.materialized == 'incremental' -%}
    (select * from {{ relation }} where {{ days(after=tested.config.meta.get('reach_days', 0)) }}) as tested
    {%- else -%}
    {{ relation }}
    {%- endif -%}
{%- endmacro %}
