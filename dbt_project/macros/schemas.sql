{#- A layer's schema is named for the layer alone: the workshop belongs to one project. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
