{{ weekly_sales(keys=['menu_id']) }}
