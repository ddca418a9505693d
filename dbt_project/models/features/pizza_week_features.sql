with spine as (
    {{ spine('pizza_week') }}
),

menu as (
    {{ as_of(
        'spine',
        'stg_pizza_menu',
        keys={'pizza_name': 'pizza_name', 'size_id': 'size_id'},
        columns={'type_id': 'type_id', 'price_usd': 'price_usd'},
        within=none,
        has_versions=true,
    ) }}
),

pizza as (
    {{ as_of(
        'menu',
        'int_pizza_sales',
        keys={'pizza_name': 'pizza_name', 'size_id': 'size_id'},
        columns={
            'n_sold_7d': 'n_sold_7d',
            'n_sold_28d': 'n_sold_28d',
            'n_sold_84d': 'n_sold_84d',
            'n_sold_182d': 'n_sold_182d',
        },
        within=4368,
    ) }}
),

all_sizes as (
    {{ as_of(
        'pizza',
        'int_pizza_name_sales',
        keys={'pizza_name': 'pizza_name'},
        columns={'name_n_sold_7d': 'n_sold_7d', 'name_n_sold_28d': 'n_sold_28d', 'name_n_sold_182d': 'n_sold_182d'},
        within=4368,
    ) }}
),

whole_menu as (
    {{ as_of(
        'all_sizes',
        'int_menu_sales',
        keys={'menu_id': "'all'"},
        columns={
            'menu_n_sold_7d': 'n_sold_7d',
            'menu_n_sold_28d': 'n_sold_28d',
            'menu_n_sold_84d': 'n_sold_84d',
            'menu_n_sold_182d': 'n_sold_182d',
        },
        within=4368,
    ) }}
)

select
    {{ spine_columns('pizza_week_id') }},
    pizza_name,
    size_id,
    type_id,
    cast(price_usd as double) as price_usd,
    cast(date_part('month', week_at) as integer) as week_month,
    coalesce(n_sold_7d, 0) as n_sold_7d,
    coalesce(n_sold_28d, 0) as n_sold_28d,
    coalesce(n_sold_84d, 0) as n_sold_84d,
    coalesce(n_sold_182d, 0) as n_sold_182d,
    coalesce(name_n_sold_7d, 0) as name_n_sold_7d,
    coalesce(name_n_sold_28d, 0) as name_n_sold_28d,
    coalesce(menu_n_sold_7d, 0) as menu_n_sold_7d,
    coalesce(menu_n_sold_28d, 0) as menu_n_sold_28d,
    {{ ratio('n_sold_28d', 'menu_n_sold_28d') }} as menu_share_28d,
    {{ ratio('n_sold_84d', 'menu_n_sold_84d') }} as menu_share_84d,
    {{ ratio('n_sold_182d', 'menu_n_sold_182d') }} as menu_share_182d,
    {{ ratio('n_sold_182d', 'name_n_sold_182d') }} as name_share_182d,
    {{ ratio('n_sold_182d * menu_n_sold_28d', 'menu_n_sold_182d * 4') }} as expected_n_sold
from whole_menu
{{ spine_order('pizza_week_id') }}
