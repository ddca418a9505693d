with scheduled as (
    select *
    from {{ ref('stg_schedules') }}
    where {{ input_days() }} and aircraft_id is not null
),

flights as (
    {{ states('scheduled', keys=['aircraft_id']) }}
),

legs as (
    select
        aircraft_id,
        {{ flight_id() }} as flight_id,
        scheduled_dep_at,
        scheduled_arr_at,
        known_at,
        state_at,
        state_until,
        cast(scheduled_dep_at as date) as day,
        -- An aircraft listed twice at one time: the flight with the later key, so that it is always the same one.
        row_number() over (
            partition by aircraft_id, scheduled_dep_at, state_at
            order by flight_id desc, carrier_id desc, flight_number desc, origin_id desc, corrected_at desc
        ) as place
    from flights
),

listed as (
    select *
    from legs
    where place = 1 and {{ own_days() }}
),

versions as (
    {{ settled(
        'listed',
        keys=['aircraft_id', 'scheduled_dep_at', 'day'],
        values=['flight_id', 'scheduled_arr_at', 'known_at'],
    ) }}
)

select
    aircraft_id,
    flight_id,
    scheduled_dep_at,
    scheduled_arr_at,
    known_at,
    corrected_at,
    superseded_at,
    day
from versions
order by day, aircraft_id, scheduled_dep_at, corrected_at
