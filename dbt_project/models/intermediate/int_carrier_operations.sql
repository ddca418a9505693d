{{ operations(
    keys=['carrier_id'],
    sums={
        'n_departures': [3],
        'dep_delay_sum_min': [3],
        'n_delayed': [3],
        'n_cancelled': [6],
        'n_arrivals': [3],
        'arr_delay_sum_min': [3],
    },
    tick=15,
) }}
