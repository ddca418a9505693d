{#- Generic tests. They look at the days of the run only: the days before passed when they were built. -#}

{#- `columns` name a row. -#}
{% test unique_together(model, columns) -%}
select
    {{ columns | join(', ') }},
    count(*) as n_rows
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{%- endtest %}

{#- `expression` is true, or null, in every row. -#}
{% test holds(model, expression) -%}
select *
from {{ model }}
where not ({{ expression }})
{%- endtest %}

{#- Every row has its partner in `to`, of the same day. -#}
{% test found_in(model, to, column) -%}
select {{ column }}
from {{ model }}
where {{ column }} not in (select {{ column }} from {{ to }} where {{ days() }})
{%- endtest %}

{#- No value lies outside the `minimum` and `maximum` that the columns' meta declares. -#}
{% test within_declared_bounds(model) -%}
{%- set outside = [] -%}
{%- set tested = _tested_node() -%}
{%- for column in (tested.columns.values() if tested else []) -%}
    {%- if 'minimum' in column.meta -%}{%- do outside.append(column.name ~ ' < ' ~ column.meta.minimum) -%}{%- endif -%}
    {%- if 'maximum' in column.meta -%}{%- do outside.append(column.name ~ ' > ' ~ column.meta.maximum) -%}{%- endif -%}
{%- endfor -%}
select *
from {{ model }}
where {{ outside | join(' or ') or 'false' }}
{%- endtest %}

{#- dbt's hook for the rows a test sees, used for every table that is built by day. -#}
{% macro get_where_subquery(relation) -%}
    {%- set tested = _tested_node() -%}
    {%- set where = config.get('where') -%}
    {%- if where -%}
    (select * from {{ relation }} where {{ where }}) as tested
    {%- elif tested and tested.config.materialized == 'incremental' -%}
    (select * from {{ relation }} where {{ days(after=tested.config.meta.get('reach_days', 0)) }}) as tested
    {%- else -%}
    {{ relation }}
    {%- endif -%}
{%- endmacro %}

{% macro _tested_node() -%}
    {{ return(graph.nodes.get(model.get('attached_node')) if execute else none) }}
{%- endmacro %}
