{{ flight_request(ref('stg_schedules'), also=['day']) }}
where {{ own_days() }} and {{ holds_at('prediction_at') }}
order by day, prediction_at, flight_id
