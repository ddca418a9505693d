select
    answer_id,
    cast(place as integer) as request_place,
    flight_id,
    prediction_at as predicted_at,
    answered_at,
    version,
    score,
    day
from {{ source('raw', 'late_arrival_predictions_versions') }}
where {{ own_days() }} and superseded_at is null
order by day, answer_id, request_place
