with spine as (
    {{ spine('flight') }}
),

airport as (
    {{ as_of(
        'spine',
        'stg_airports',
        keys={'airport_id': 'origin_id'},
        columns={'origin_zone': 'zone'},
        within=none,
        has_versions=true,
    ) }}
),

aircraft as (
    {{ as_of(
        'airport',
        'stg_planes',
        keys={'aircraft_id': 'aircraft_id'},
        columns={'aircraft_built_year': 'built_year', 'aircraft_n_seats': 'n_seats'},
        within=none,
        has_versions=true,
    ) }}
),

whole_system as (
    {{ as_of(
        'aircraft',
        'int_system_operations',
        keys={'system_id': "'NYC'"},
        columns={
            'system_n_overdue': 'n_overdue',
            'system_overdue_since_sum_min': 'overdue_since_sum_min',
            'system_n_departures_1h': 'n_departures_1h',
            'system_n_departures_3h': 'n_departures_3h',
            'system_dep_delay_sum_1h_min': 'dep_delay_sum_1h_min',
            'system_dep_delay_sum_3h_min': 'dep_delay_sum_3h_min',
            'system_n_delayed_1h': 'n_delayed_1h',
            'system_n_cancelled_3h': 'n_cancelled_3h',
            'system_n_arrivals_1h': 'n_arrivals_1h',
            'system_n_arrivals_3h': 'n_arrivals_3h',
            'system_n_arrivals_24h': 'n_arrivals_24h',
            'system_arr_delay_sum_1h_min': 'arr_delay_sum_1h_min',
            'system_arr_delay_sum_3h_min': 'arr_delay_sum_3h_min',
            'system_en_route_delay_sum_3h_min': 'en_route_delay_sum_3h_min',
            'system_en_route_delay_sum_24h_min': 'en_route_delay_sum_24h_min',
        },
        within=24,
    ) }}
),

at_origin as (
    {{ as_of(
        'whole_system',
        'int_origin_operations',
        keys={'origin_id': 'origin_id'},
        columns={
            'origin_n_overdue': 'n_overdue',
            'origin_overdue_since_sum_min': 'overdue_since_sum_min',
            'origin_n_departures_1h': 'n_departures_1h',
            'origin_n_departures_3h': 'n_departures_3h',
            'origin_dep_delay_sum_1h_min': 'dep_delay_sum_1h_min',
            'origin_dep_delay_sum_3h_min': 'dep_delay_sum_3h_min',
            'origin_n_cancelled_3h': 'n_cancelled_3h',
            'origin_n_arrivals_3h': 'n_arrivals_3h',
            'origin_arr_delay_sum_3h_min': 'arr_delay_sum_3h_min',
        },
        within=12,
    ) }}
),

of_carrier as (
    {{ as_of(
        'at_origin',
        'int_carrier_operations',
        keys={'carrier_id': 'carrier_id'},
        columns={
            'carrier_n_overdue': 'n_overdue',
            'carrier_n_departures_3h': 'n_departures_3h',
            'carrier_dep_delay_sum_3h_min': 'dep_delay_sum_3h_min',
            'carrier_n_delayed_3h': 'n_delayed_3h',
            'carrier_n_cancelled_6h': 'n_cancelled_6h',
            'carrier_n_arrivals_3h': 'n_arrivals_3h',
            'carrier_arr_delay_sum_3h_min': 'arr_delay_sum_3h_min',
        },
        within=12,
    ) }}
),

to_destination as (
    {{ as_of(
        'of_carrier',
        'int_destination_arrivals',
        keys={'dest_id': 'dest_id'},
        columns={
            'dest_n_arrivals_6h': 'n_arrivals_6h',
            'dest_n_arrivals_24h': 'n_arrivals_24h',
            'dest_arr_delay_sum_6h_min': 'arr_delay_sum_6h_min',
            'dest_arr_delay_sum_24h_min': 'arr_delay_sum_24h_min',
            'dest_en_route_delay_sum_6h_min': 'en_route_delay_sum_6h_min',
            'dest_en_route_delay_sum_24h_min': 'en_route_delay_sum_24h_min',
        },
        within=24,
    ) }}
),

on_route as (
    {{ as_of(
        'to_destination',
        'int_route_history',
        keys={'carrier_id': 'carrier_id', 'origin_id': 'origin_id', 'dest_id': 'dest_id'},
        columns={
            'route_n_ended_28d': 'n_ended_28d',
            'route_n_late_28d': 'n_late_28d',
            'route_n_arrivals_28d': 'n_arrivals_28d',
            'route_arr_delay_sum_28d_min': 'arr_delay_sum_28d_min',
        },
        within=672,
    ) }}
),

of_number as (
    {{ as_of(
        'on_route',
        'int_flight_number_history',
        keys={'carrier_id': 'carrier_id', 'flight_number': 'flight_number', 'origin_id': 'origin_id'},
        columns={
            'number_n_ended_28d': 'n_ended_28d',
            'number_n_late_28d': 'n_late_28d',
            'number_n_arrivals_28d': 'n_arrivals_28d',
            'number_arr_delay_sum_28d_min': 'arr_delay_sum_28d_min',
        },
        within=672,
    ) }}
),

previous_leg as (
    {{ as_of(
        'of_number',
        'int_aircraft_legs',
        keys={'aircraft_id': 'aircraft_id'},
        columns={
            'previous_flight_id': 'flight_id',
            'previous_scheduled_dep_at': 'scheduled_dep_at',
            'previous_scheduled_arr_at': 'scheduled_arr_at',
        },
        within=24,
        at="scheduled_dep_at - interval '1 minute'",
        ordered_by='scheduled_dep_at',
        has_versions=true,
    ) }}
),

last_seen as (
    {{ as_of(
        'previous_leg',
        'int_aircraft_progress',
        keys={'aircraft_id': 'aircraft_id'},
        columns={
            'last_flight_id': 'flight_id',
            'last_scheduled_arr_at': 'scheduled_arr_at',
            'last_dep_delay_min': 'dep_delay_min',
            'last_arr_delay_min': 'arr_delay_min',
            'last_known_at': 'known_at',
        },
        within=48,
        has_versions=true,
    ) }}
),

weather as (
    {{ as_of(
        'last_seen',
        'int_weather',
        keys={'airport_id': 'origin_id'},
        columns={
            'origin_temperature_f': 'temperature_f',
            'origin_dew_point_f': 'dew_point_f',
            'origin_humidity_pct': 'humidity_pct',
            'origin_wind_direction_deg': 'wind_direction_deg',
            'origin_wind_speed_mph': 'wind_speed_mph',
            'origin_wind_gust_mph': 'wind_gust_mph',
            'origin_pressure_mbar': 'pressure_mbar',
            'origin_pressure_change_3h_mbar': 'pressure_change_3h_mbar',
            'origin_visibility_mi': 'visibility_mi',
            'origin_visibility_min_6h_mi': 'visibility_min_6h_mi',
            'origin_precipitation_sum_6h_in': 'precipitation_sum_6h_in',
        },
        within=4,
        has_versions=true,
    ) }}
),

scheduled_load as (
    {{ as_of(
        'weather',
        'int_schedule_load',
        keys={'origin_id': 'origin_id'},
        columns={
            'origin_n_scheduled_before_1h': 'n_scheduled_before_1h',
            'origin_n_scheduled_before_3h': 'n_scheduled_before_3h',
            'origin_n_scheduled_after_1h': 'n_scheduled_after_1h',
        },
        within=1,
        at='scheduled_dep_at',
        ordered_by='scheduled_dep_at',
        has_versions=true,
    ) }}
)

select
    {{ spine_columns('flight_id') }},
    carrier_id,
    origin_id,
    dest_id,
    cast(date_part('isodow', {{ local_at('scheduled_dep_at', 'origin_zone') }}) as integer) as scheduled_dep_weekday,
    {{ minute_of_day(local_at('scheduled_dep_at', 'origin_zone')) }} as scheduled_dep_minute,
    {{ minutes_between('scheduled_dep_at', 'scheduled_arr_at') }} as scheduled_block_min,
    coalesce(origin_n_scheduled_before_1h, 0) as origin_n_scheduled_before_1h,
    coalesce(origin_n_scheduled_before_3h, 0) as origin_n_scheduled_before_3h,
    coalesce(origin_n_scheduled_after_1h, 0) as origin_n_scheduled_after_1h,
    aircraft_built_year,
    aircraft_n_seats,
    coalesce(system_n_overdue, 0) as system_n_overdue,
    {{ mean_overdue('system_n_overdue', 'system_overdue_since_sum_min', 'prediction_at') }} as system_overdue_mean_min,
    coalesce(system_n_departures_3h, 0) as system_n_departures_3h,
    coalesce(system_n_cancelled_3h, 0) as system_n_cancelled_3h,
    {{ ratio('system_n_delayed_1h', 'system_n_departures_1h') }} as system_delayed_share_1h,
    {{ ratio('system_dep_delay_sum_1h_min', 'system_n_departures_1h') }} as system_dep_delay_mean_1h_min,
    {{ ratio('system_dep_delay_sum_3h_min', 'system_n_departures_3h') }} as system_dep_delay_mean_3h_min,
    {{ ratio('system_arr_delay_sum_1h_min', 'system_n_arrivals_1h') }} as system_arr_delay_mean_1h_min,
    {{ ratio('system_arr_delay_sum_3h_min', 'system_n_arrivals_3h') }} as system_arr_delay_mean_3h_min,
    {{ ratio('system_en_route_delay_sum_3h_min', 'system_n_arrivals_3h') }} as system_en_route_delay_mean_3h_min,
    {{ ratio('system_en_route_delay_sum_24h_min', 'system_n_arrivals_24h') }} as system_en_route_delay_mean_24h_min,
    coalesce(origin_n_overdue, 0) as origin_n_overdue,
    {{ mean_overdue('origin_n_overdue', 'origin_overdue_since_sum_min', 'prediction_at') }} as origin_overdue_mean_min,
    coalesce(origin_n_departures_1h, 0) as origin_n_departures_1h,
    coalesce(origin_n_cancelled_3h, 0) as origin_n_cancelled_3h,
    {{ ratio('origin_dep_delay_sum_1h_min', 'origin_n_departures_1h') }} as origin_dep_delay_mean_1h_min,
    {{ ratio('origin_dep_delay_sum_3h_min', 'origin_n_departures_3h') }} as origin_dep_delay_mean_3h_min,
    {{ ratio('origin_arr_delay_sum_3h_min', 'origin_n_arrivals_3h') }} as origin_arr_delay_mean_3h_min,
    coalesce(carrier_n_overdue, 0) as carrier_n_overdue,
    coalesce(carrier_n_cancelled_6h, 0) as carrier_n_cancelled_6h,
    {{ ratio('carrier_n_delayed_3h', 'carrier_n_departures_3h') }} as carrier_delayed_share_3h,
    {{ ratio('carrier_dep_delay_sum_3h_min', 'carrier_n_departures_3h') }} as carrier_dep_delay_mean_3h_min,
    {{ ratio('carrier_arr_delay_sum_3h_min', 'carrier_n_arrivals_3h') }} as carrier_arr_delay_mean_3h_min,
    {{ ratio('dest_arr_delay_sum_6h_min', 'dest_n_arrivals_6h') }} as dest_arr_delay_mean_6h_min,
    {{ ratio('dest_arr_delay_sum_24h_min', 'dest_n_arrivals_24h') }} as dest_arr_delay_mean_24h_min,
    {{ ratio('dest_en_route_delay_sum_6h_min', 'dest_n_arrivals_6h') }} as dest_en_route_delay_mean_6h_min,
    {{ ratio('dest_en_route_delay_sum_24h_min', 'dest_n_arrivals_24h') }} as dest_en_route_delay_mean_24h_min,
    {{ ratio('route_n_late_28d', 'route_n_ended_28d') }} as route_late_share_28d,
    {{ ratio('route_arr_delay_sum_28d_min', 'route_n_arrivals_28d') }} as route_arr_delay_mean_28d_min,
    {{ ratio('number_n_late_28d', 'number_n_ended_28d') }} as number_late_share_28d,
    {{ ratio('number_arr_delay_sum_28d_min', 'number_n_arrivals_28d') }} as number_arr_delay_mean_28d_min,
    {{ minutes_between('previous_scheduled_arr_at', 'scheduled_dep_at') }} as previous_leg_turn_min,
    {{ minutes_between('previous_scheduled_arr_at', 'scheduled_dep_at') }}
    - {{ minutes_between('previous_scheduled_dep_at', 'previous_scheduled_arr_at') }} as previous_leg_slack_min,
    case when last_flight_id = previous_flight_id then last_dep_delay_min end as previous_leg_dep_delay_min,
    case when last_flight_id = previous_flight_id then last_arr_delay_min end as previous_leg_arr_delay_min,
    case
        when last_flight_id = previous_flight_id then null
        else {{ minutes_between('previous_scheduled_dep_at', 'prediction_at') }}
    end as previous_leg_overdue_min,
    last_dep_delay_min as last_seen_dep_delay_min,
    last_arr_delay_min as last_seen_arr_delay_min,
    {{ minutes_between('last_scheduled_arr_at', 'scheduled_dep_at') }} as last_seen_turn_min,
    {{ minutes_between('last_known_at', 'prediction_at') }} as last_seen_age_min,
    origin_temperature_f,
    origin_dew_point_f,
    origin_humidity_pct,
    origin_wind_direction_deg,
    origin_wind_speed_mph,
    origin_wind_gust_mph,
    origin_pressure_mbar,
    origin_pressure_change_3h_mbar,
    origin_visibility_mi,
    origin_visibility_min_6h_mi,
    origin_precipitation_sum_6h_in
from scheduled_load
{{ spine_order('flight_id') }}
