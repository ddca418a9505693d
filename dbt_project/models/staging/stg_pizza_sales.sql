with sales as (
    select
        order_id,
        line_number,
        pizza_name,
        size,
        sold_at,
        known_at,
        corrected_at,
        superseded_at,
        day
    from {{ source('raw', 'pizza_sales_versions') }}
    where {{ own_days() }}
)

select
    order_id,
    cast(line_number as integer) as line_number,
    'all' as menu_id,
    pizza_name,
    size as size_id,
    sold_at,
    1 as n_sold,
    known_at,
    corrected_at,
    superseded_at,
    day
from sales
order by day, order_id, line_number, corrected_at
