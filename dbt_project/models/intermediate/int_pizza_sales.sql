{{ weekly_sales(keys=['pizza_name', 'size_id']) }}
