select
    tailnum as aircraft_id,
    cast(year as integer) as built_year,
    type as aircraft_type,
    manufacturer,
    model as aircraft_model,
    cast(engines as integer) as n_engines,
    cast(seats as integer) as n_seats,
    engine as engine_type,
    known_at,
    corrected_at,
    superseded_at,
    cast(known_at as date) as day
from {{ source('raw', 'planes_versions') }}
order by aircraft_id, corrected_at
