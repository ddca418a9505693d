select
    flight_id,
    day,
    is_cancelled or is_diverted or arr_delay_min >= 15 as is_late,
    aircraft_id is not null as has_aircraft,
    greatest(arrival_known_at, corrected_at) as label_known_at
from {{ ref('stg_flights') }}
where {{ own_days() }} and superseded_at is null
order by day, flight_id
