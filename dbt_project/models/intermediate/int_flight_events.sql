with flights as (
    select
        *,
        -- A few very long delays must not drown the rest of an hour's mean. least() skips nulls: hence the case.
        case when dep_delay_min is not null then least(dep_delay_min, 180) else 0 end as dep_delay_capped_min,
        case when arr_delay_min is not null then least(arr_delay_min, 180) else 0 end as arr_delay_capped_min,
        case
            when arr_delay_min is not null then greatest(least(arr_delay_min - dep_delay_min, 60), -60)
            else 0
        end as en_route_delay_capped_min,
        {{ minutes_after('scheduled_dep_at', 15) }} as overdue_at,
        least(departure_known_at, {{ minutes_after('scheduled_dep_at', 720) }}) as overdue_until
    from {{ ref('stg_flights') }}
),

kinds as (
    select listed.kind
    from (values ('departure'), ('arrival'), ('overdue'), ('overdue_no_more')) as listed (kind)
),

events as (
    select
        flights.*,
        kinds.kind,
        case kinds.kind
            when 'departure' then flights.departure_known_at
            when 'arrival' then flights.arrival_known_at
            when 'overdue' then flights.overdue_at
            else flights.overdue_until
        end as known_at,
        case kinds.kind when 'overdue' then 1 when 'overdue_no_more' then -1 else 0 end as n_overdue
    from flights
    cross join kinds
    where
        kinds.kind in ('departure', 'arrival')
        or (kinds.kind in ('overdue', 'overdue_no_more') and flights.overdue_until > flights.overdue_at)
)

select
    flight_id,
    kind,
    known_at,
    carrier_id,
    flight_number,
    origin_id,
    dest_id,
    'NYC' as system_id,
    cast(kind = 'departure' and not is_cancelled as integer) as n_departures,
    cast(kind = 'departure' and is_cancelled as integer) as n_cancelled,
    cast(kind = 'departure' and coalesce(dep_delay_min >= 15, false) as integer) as n_delayed,
    case when kind = 'departure' then dep_delay_capped_min else 0 end as dep_delay_sum_min,
    cast(kind = 'arrival' as integer) as n_ended,
    cast(kind = 'arrival' and arr_delay_min is not null as integer) as n_arrivals,
    cast(kind = 'arrival' and coalesce(arr_delay_min >= 15, true) as integer) as n_late,
    case when kind = 'arrival' then arr_delay_capped_min else 0 end as arr_delay_sum_min,
    case when kind = 'arrival' then en_route_delay_capped_min else 0 end as en_route_delay_sum_min,
    n_overdue,
    n_overdue * {{ minutes_since_2000('scheduled_dep_at') }} as overdue_since_sum_min,
    corrected_at,
    superseded_at,
    day
from events
