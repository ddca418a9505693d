with scheduled as (
    select *
    from {{ ref('stg_schedules') }}
    where {{ input_days() }}
),

flights as (
    {{ states('scheduled', keys=['origin_id']) }}
),

departures as (
    select
        origin_id,
        scheduled_dep_at,
        state_at,
        max(state_until) as state_until,
        count(*) as n_scheduled,
        max(known_at) as known_at
    from flights
    group by origin_id, scheduled_dep_at, state_at
),

loads as (
    select
        origin_id,
        scheduled_dep_at,
        state_at,
        state_until,
        max(known_at) over around as known_at,
        cast(sum(n_scheduled) over hour_before as integer) as n_scheduled_before_1h,
        cast(sum(n_scheduled) over hours_before as integer) as n_scheduled_before_3h,
        cast(coalesce(sum(n_scheduled) over hour_after, 0) as integer) as n_scheduled_after_1h,
        cast(scheduled_dep_at as date) as day
    from departures
    window
        around as (
            partition by origin_id, state_at order by scheduled_dep_at
            range between interval '179 minutes' preceding and interval '60 minutes' following
        ),
        hour_before as (
            partition by origin_id, state_at order by scheduled_dep_at
            range between interval '59 minutes' preceding and current row
        ),
        hours_before as (
            partition by origin_id, state_at order by scheduled_dep_at
            range between interval '179 minutes' preceding and current row
        ),
        hour_after as (
            partition by origin_id, state_at order by scheduled_dep_at
            range between interval '1 minute' following and interval '60 minutes' following
        )
),

versions as (
    {{ settled(
        'loads',
        keys=['origin_id', 'scheduled_dep_at', 'day'],
        values=['known_at', 'n_scheduled_before_1h', 'n_scheduled_before_3h', 'n_scheduled_after_1h'],
    ) }}
)

select
    origin_id,
    scheduled_dep_at,
    known_at,
    n_scheduled_before_1h,
    n_scheduled_before_3h,
    n_scheduled_after_1h,
    corrected_at,
    superseded_at,
    day
from versions
where {{ own_days() }}
order by day, origin_id, scheduled_dep_at, corrected_at
