with flown as (
    select *
    from {{ ref('stg_flights') }}
    where {{ input_days() }} and aircraft_id is not null
),

flights as (
    {{ states('flown', keys=['aircraft_id']) }}
),

progress as (
    select
        *,
        'departure' as kind,
        departure_known_at as known_at,
        null as known_arr_delay_min
    from flights
    where arrival_known_at > departure_known_at
    union all
    select
        *,
        'arrival' as kind,
        arrival_known_at as known_at,
        arr_delay_min as known_arr_delay_min
    from flights
),

placed as (
    select
        *,
        cast(known_at as date) as known_day,
        -- An aircraft in two places at one time: the flight with the later key, so that it is always the same one.
        row_number() over (
            partition by aircraft_id, known_at, state_at
            order by flight_id desc, kind desc, corrected_at desc
        ) as place
    from progress
),

seen as (
    select *
    from placed
    where place = 1 and {{ own_days('known_day') }}
),

versions as (
    {{ settled(
        'seen',
        keys=['aircraft_id', 'known_at', 'known_day'],
        values=['flight_id', 'scheduled_arr_at', 'dep_delay_min', 'known_arr_delay_min'],
    ) }}
)

select
    aircraft_id,
    known_at,
    flight_id,
    scheduled_arr_at,
    dep_delay_min,
    known_arr_delay_min as arr_delay_min,
    corrected_at,
    superseded_at,
    known_day as day
from versions
order by day, aircraft_id, known_at, corrected_at
