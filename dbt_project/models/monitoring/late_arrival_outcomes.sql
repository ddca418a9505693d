with predictions as (
    -- Of answers about one flight by one version the last counts.
    select
        *,
        row_number() over (
            partition by flight_id, version order by answered_at desc, answer_id desc, request_place desc
        ) as nth_last
    from {{ ref('stg_late_arrival_predictions') }}
    where {{ own_days() }}
),

labels as (
    select
        flight_id,
        is_late,
        label_known_at
    from {{ ref('flight_labels') }}
    where {{ input_days() }}
)

select
    predictions.answer_id,
    predictions.flight_id,
    predictions.version,
    predictions.predicted_at,
    predictions.answered_at,
    predictions.score,
    labels.is_late,
    labels.label_known_at as outcome_known_at,
    predictions.day
from predictions
left join labels on predictions.flight_id = labels.flight_id
where predictions.nth_last = 1
order by predictions.day, predictions.flight_id, predictions.version
