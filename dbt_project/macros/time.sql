{#- Clocks and time zones. Timestamps are naive and hold UTC, except what `local_at` returns. -#}

{#- The clock in `zone` at the instant `at`. -#}
{% macro local_at(at, zone) -%}
    {{ return(adapter.dispatch('local_at')(at, zone)) }}
{%- endmacro %}

{#- DuckDB converts to a zone it knows beforehand six times faster than to the zone of each row. -#}
{% macro duckdb__local_at(at, zone) -%}
    case {{ zone }}
        when '{{ var('usual_zone') }}' then timezone('{{ var('usual_zone') }}', timezone('UTC', {{ at }}))
        else timezone({{ zone }}, timezone('UTC', {{ at }}))
    end
{%- endmacro %}

{#- The instant at which the clock in `zone` shows `local`. -#}
{% macro utc_at(local, zone) -%}
    {{ return(adapter.dispatch('utc_at')(local, zone)) }}
{%- endmacro %}

{% macro duckdb__utc_at(local, zone) -%}
    timezone('UTC', timezone({{ zone }}, {{ local }}))
{%- endmacro %}

{% macro minutes_after(at, minutes) -%}
    {{ return(adapter.dispatch('minutes_after')(at, minutes)) }}
{%- endmacro %}

{% macro duckdb__minutes_after(at, minutes) -%}
    {{ at }} + to_minutes({{ minutes }})
{%- endmacro %}

{#- Whole minutes from one instant to another, negative when the second is earlier. -#}
{% macro minutes_between(start_at, end_at) -%}
    {{ return(adapter.dispatch('minutes_between')(start_at, end_at)) }}
{%- endmacro %}

{% macro duckdb__minutes_between(start_at, end_at) -%}
    datediff('minute', {{ start_at }}, {{ end_at }})
{%- endmacro %}

{#- An instant as text of fixed width, for keys. -#}
{% macro instant_text(at) -%}
    {{ return(adapter.dispatch('instant_text')(at)) }}
{%- endmacro %}

{% macro duckdb__instant_text(at) -%}
    strftime({{ at }}, '%Y%m%dT%H%MZ')
{%- endmacro %}

{#- The first instant not before `at` that is a whole number of `minutes` after midnight. -#}
{% macro rounded_up(at, minutes) -%}
    {{ return(adapter.dispatch('rounded_up')(at, minutes)) }}
{%- endmacro %}

{% macro duckdb__rounded_up(at, minutes) -%}
    time_bucket(interval '{{ minutes }} minutes', {{ at }} + interval '{{ minutes * 60 - 1 }} seconds')
{%- endmacro %}

{% macro minute_of_day(local) -%}
    cast(date_part('hour', {{ local }}) * 60 + date_part('minute', {{ local }}) as integer)
{%- endmacro %}
