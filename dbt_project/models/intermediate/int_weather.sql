with observed as (
    select *
    from {{ ref('stg_weather') }}
    where {{ input_days() }}
),

hours as (
    {{ states('observed', keys=['airport_id']) }}
),

weather as (
    select
        *,
        cast(known_at as date) as known_day,
        pressure_mbar - lag(pressure_mbar, 3) over hours as pressure_change_3h_mbar,
        min(visibility_mi) over (hours rows 5 preceding) as visibility_min_6h_mi,
        sum(cast(precipitation_in as decimal(6, 2))) over (hours rows 5 preceding) as precipitation_sum_6h_in
    from hours
    window hours as (partition by airport_id, state_at order by known_at, observed_at, corrected_at)
),

versions as (
    {{ settled(
        'weather',
        keys=['airport_id', 'known_at', 'known_day'],
        values=[
            'temperature_f',
            'dew_point_f',
            'humidity_pct',
            'wind_direction_deg',
            'wind_speed_mph',
            'wind_gust_mph',
            'pressure_mbar',
            'pressure_change_3h_mbar',
            'visibility_mi',
            'visibility_min_6h_mi',
            'precipitation_sum_6h_in',
        ],
        also=['observed_at', 'corrected_at'],
    ) }}
)

select
    airport_id,
    known_at,
    temperature_f,
    dew_point_f,
    humidity_pct,
    wind_direction_deg,
    wind_speed_mph,
    wind_gust_mph,
    pressure_mbar,
    pressure_change_3h_mbar,
    visibility_mi,
    visibility_min_6h_mi,
    cast(precipitation_sum_6h_in as double) as precipitation_sum_6h_in,
    corrected_at,
    superseded_at,
    known_day as day
from versions
where {{ own_days('known_day') }}
order by day, airport_id, known_at, corrected_at
