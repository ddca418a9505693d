{{ weekly_sales(keys=['pizza_name']) }}
