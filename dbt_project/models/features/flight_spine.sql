{{ flight_request(ref('stg_schedules'), also=['day']) }}
where {{ own_days() }}
order by day, prediction_at, flight_id
