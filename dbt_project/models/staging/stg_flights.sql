with airports as (
    select
        airport_id,
        zone,
        corrected_at,
        superseded_at
    from {{ ref('stg_airports') }}
),

flights as (
    select
        files.carrier,
        files.flight,
        files.tailnum,
        files.origin,
        files.dest,
        files.distance,
        files.sched_arr_time,
        files.dep_delay,
        files.arr_delay,
        files.air_time,
        files.departure_known_at,
        files.arrival_known_at,
        files.source_file_id,
        files.row_number,
        files.corrected_at,
        files.superseded_at,
        files.day,
        {{ minutes_after('files.time_hour', 'files.sched_dep_time % 100') }} as scheduled_dep_at,
        destinations.zone as dest_zone
    from {{ source('raw', 'flights_versions') }} as files
    left join airports as destinations
        on files.dest = destinations.airport_id and {{ holds_at('files.schedule_known_at', 'destinations') }}
    where {{ own_days('files.day') }}
),

dated as (
    {{ with_local_date('flights', 'scheduled_dep_at', 'dest_zone', 'dest_date') }}
),

scheduled as (
    {{ with_next_clock('dated', 'scheduled_dep_at', 'sched_arr_time', 'dest_zone', 'dest_date', 'scheduled_arr_at') }}
)

select
    carrier || '-' || flight || '-' || origin || '-' || {{ instant_text('scheduled_dep_at') }} as flight_id,
    carrier as carrier_id,
    cast(flight as integer) as flight_number,
    origin as origin_id,
    dest as dest_id,
    tailnum as aircraft_id,
    cast(distance as integer) as distance_mi,
    scheduled_dep_at,
    scheduled_arr_at,
    {{ minutes_after('scheduled_dep_at', 'dep_delay') }} as departed_at,
    {{ minutes_after('scheduled_arr_at', 'arr_delay') }} as arrived_at,
    cast(dep_delay as integer) as dep_delay_min,
    cast(arr_delay as integer) as arr_delay_min,
    cast(air_time as integer) as air_time_min,
    dep_delay is null as is_cancelled,
    dep_delay is not null and arr_delay is null as is_diverted,
    departure_known_at,
    arrival_known_at,
    source_file_id,
    row_number,
    corrected_at,
    superseded_at,
    day
from scheduled
order by day, row_number, corrected_at
