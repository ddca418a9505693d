{{ operations(
    keys=['origin_id'],
    sums={
        'n_departures': [1, 3],
        'dep_delay_sum_min': [1, 3],
        'n_cancelled': [3],
        'n_arrivals': [3],
        'arr_delay_sum_min': [3],
    },
    tick=5,
) }}
