{#- A mean or a share, null where nothing was counted. Sums of integers, divided last: the same to the bit each time. -#}
{% macro ratio(total, n) -%}
    {{ total }} / nullif({{ n }}, 0)
{%- endmacro %}

{#- Mean minutes that `n` flights are past schedule at `at`, from the sum of their schedules (minutes since 2000). -#}
{% macro mean_overdue(n, since_sum, at) -%}
    ({{ n }} * {{ minutes_since_2000(at) }} - {{ since_sum }}) / nullif({{ n }}, 0)
{%- endmacro %}

{% macro minutes_since_2000(at) -%}
    {{ minutes_between("timestamp '2000-01-01'", at) }}
{%- endmacro %}
