{{ history(keys=['carrier_id', 'origin_id', 'dest_id']) }}
