select
    carrier as carrier_id,
    name as carrier_name,
    greatest(known_at, corrected_at) as known_at,
    cast(known_at as date) as day
from {{ source('raw', 'airlines_versions') }}
where superseded_at is null
order by carrier_id
