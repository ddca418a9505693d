with weeks as (
    {{ weeks_listed() }}
),

offered as (
    select
        menu.pizza_name,
        menu.size_id,
        weeks.week_at,
        weeks.day
    from weeks
    inner join {{ ref('stg_pizza_menu') }} as menu
        on weeks.week_at >= menu.known_at and {{ holds_at('weeks.week_at', 'menu') }}
)

{{ pizza_week_request('offered', also=['day']) }}
order by day, pizza_week_id
