with airports as (
    select
        airport_id,
        zone,
        corrected_at,
        superseded_at
    from {{ ref('stg_airports') }}
),

schedules as (
    select
        files.carrier,
        files.flight,
        files.tailnum,
        files.origin,
        files.dest,
        files.distance,
        files.sched_arr_time,
        files.known_at,
        files.corrected_at,
        files.superseded_at,
        {{ minutes_after('files.time_hour', 'files.sched_dep_time % 100') }} as scheduled_dep_at,
        origins.zone as origin_zone,
        destinations.zone as dest_zone
    from {{ source('raw', 'schedules_versions') }} as files
    left join airports as origins
        on files.origin = origins.airport_id and {{ holds_at('files.known_at', 'origins') }}
    left join airports as destinations
        on files.dest = destinations.airport_id and {{ holds_at('files.known_at', 'destinations') }}
    where {{ days(before=7, after=7, column='files.day') }}
),

dated as (
    {{ with_local_date('schedules', 'scheduled_dep_at', 'origin_zone', 'day') }}
),

dated_there as (
    {{ with_local_date('dated', 'scheduled_dep_at', 'dest_zone', 'dest_date') }}
),

scheduled as (
    {{ with_next_clock(
        'dated_there', 'scheduled_dep_at', 'sched_arr_time', 'dest_zone', 'dest_date', 'scheduled_arr_at'
    ) }}
)

select
    carrier as carrier_id,
    cast(flight as integer) as flight_number,
    origin as origin_id,
    dest as dest_id,
    tailnum as aircraft_id,
    cast(distance as integer) as distance_mi,
    scheduled_dep_at,
    scheduled_arr_at,
    known_at,
    corrected_at,
    superseded_at,
    day
from scheduled
where {{ own_days() }}
order by day, scheduled_dep_at, carrier_id, flight_number, origin_id, corrected_at
