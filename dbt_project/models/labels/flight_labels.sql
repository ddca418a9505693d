select
    flight_id,
    day,
    is_cancelled or is_diverted or arr_delay_min >= 15 as is_late,
    aircraft_id is not null as has_aircraft,
    arrival_known_at as label_known_at
from {{ ref('stg_flights') }}
where {{ own_days() }}
order by day, flight_id
