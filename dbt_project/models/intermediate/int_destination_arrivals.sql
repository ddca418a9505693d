with arrivals as (
    select
        dest_id,
        known_at,
        n_arrivals,
        arr_delay_sum_min,
        en_route_delay_sum_min,
        corrected_at,
        superseded_at
    from {{ ref('int_flight_events') }}
    where {{ input_days() }} and kind = 'arrival'
),

sums as (
    {{ sliding_sums(
        'arrivals',
        keys=['dest_id'],
        sums={'n_arrivals': [6, 24], 'arr_delay_sum_min': [6, 24], 'en_route_delay_sum_min': [6, 24]},
        tick=15,
    ) }}
)

select *
from sums
where {{ own_days() }}
order by day, dest_id, known_at
