with sales as (
    select
        pizza_name,
        size_id,
        n_sold,
        greatest(known_at, corrected_at) as told_at,
        day
    from {{ ref('stg_pizza_sales') }}
    where {{ own_days() }} and superseded_at is null
),

weeks as (
    select
        day,
        max(told_at) as label_known_at
    from sales
    group by day
),

sold as (
    select
        pizza_name,
        size_id,
        sum(n_sold) as n_sold,
        day
    from sales
    group by pizza_name, size_id, day
)

select
    asked.pizza_week_id,
    asked.day,
    cast(coalesce(sold.n_sold, 0) as integer) as n_sold,
    weeks.label_known_at
from {{ ref('pizza_week_spine') }} as asked
inner join weeks on asked.day = weeks.day
left join sold
    on asked.day = sold.day and asked.pizza_name = sold.pizza_name and asked.size_id = sold.size_id
where {{ own_days('asked.day') }}
order by asked.day, asked.pizza_week_id
