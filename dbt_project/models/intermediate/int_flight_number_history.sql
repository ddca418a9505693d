{{ history(keys=['carrier_id', 'flight_number', 'origin_id']) }}
