with legs as (
    select
        aircraft_id,
        {{ flight_id() }} as flight_id,
        scheduled_dep_at,
        scheduled_arr_at,
        known_at,
        cast(scheduled_dep_at as date) as day,
        -- An aircraft listed twice at one time: the flight with the later key, so that it is always the same one.
        row_number() over (
            partition by aircraft_id, scheduled_dep_at
            order by flight_id desc, carrier_id desc, flight_number desc, origin_id desc
        ) as place
    from {{ ref('stg_schedules') }}
    where {{ input_days() }} and aircraft_id is not null
)

select
    aircraft_id,
    flight_id,
    scheduled_dep_at,
    scheduled_arr_at,
    known_at,
    day
from legs
where place = 1 and {{ own_days() }}
order by day, aircraft_id, scheduled_dep_at
