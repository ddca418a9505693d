select
    pizza_name,
    size as size_id,
    pizza_type as type_id,
    cast(price as decimal(6, 2)) as price_usd,
    known_at,
    corrected_at,
    superseded_at,
    cast(known_at as date) as day
from {{ source('raw', 'pizza_menu_versions') }}
order by pizza_name, size_id, corrected_at
