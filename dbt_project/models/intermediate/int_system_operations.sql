{{ operations(
    keys=['system_id'],
    sums={
        'n_departures': [1, 3],
        'dep_delay_sum_min': [1, 3],
        'n_delayed': [1],
        'n_cancelled': [3],
        'n_arrivals': [1, 3, 24],
        'arr_delay_sum_min': [1, 3],
        'en_route_delay_sum_min': [3, 24],
    },
    tick=5,
) }}
