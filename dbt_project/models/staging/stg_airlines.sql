select
    carrier as carrier_id,
    name as carrier_name,
    known_at,
    cast(known_at as date) as day
from {{ source('raw', 'airlines_current') }}
order by carrier_id
