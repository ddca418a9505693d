with weather as (
    select
        *,
        cast(known_at as date) as known_day,
        lag(pressure_mbar, 3) over hours as pressure_3h_before_mbar,
        min(visibility_mi) over (hours rows 5 preceding) as visibility_min_6h_mi,
        sum(cast(precipitation_in as decimal(6, 2))) over (hours rows 5 preceding) as precipitation_sum_6h_in
    from {{ ref('stg_weather') }}
    where {{ input_days() }}
    window hours as (partition by airport_id order by known_at, observed_at)
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
    pressure_mbar - pressure_3h_before_mbar as pressure_change_3h_mbar,
    visibility_mi,
    visibility_min_6h_mi,
    cast(precipitation_sum_6h_in as double) as precipitation_sum_6h_in,
    known_day as day
from weather
where {{ own_days('known_day') }}
order by day, airport_id, known_at
