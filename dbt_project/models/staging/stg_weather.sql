with files as (
    select *
    from {{ source('raw', 'weather_versions') }}
    where {{ own_days() }}
),

hours as (
    {{ states('files', keys=['origin', 'time_hour']) }}
),

weather as (
    select
        origin,
        time_hour,
        temp,
        dewp,
        humid,
        wind_dir,
        wind_speed,
        wind_gust,
        precip,
        pressure,
        visib,
        known_at,
        state_at,
        state_until,
        day,
        -- A file that lists an hour twice: the row nearer its end is the correction.
        row_number() over (
            partition by day, origin, time_hour, state_at
            order by row_number desc, loaded_at desc, source_file_id desc
        ) as place
    from hours
)

select
    origin as airport_id,
    time_hour as observed_at,
    temp as temperature_f,
    dewp as dew_point_f,
    humid as humidity_pct,
    cast(wind_dir as integer) as wind_direction_deg,
    wind_speed as wind_speed_mph,
    wind_gust as wind_gust_mph,
    precip as precipitation_in,
    pressure as pressure_mbar,
    visib as visibility_mi,
    known_at,
    state_at as corrected_at,
    state_until as superseded_at,
    day
from weather
where place = 1
order by day, airport_id, observed_at, corrected_at
