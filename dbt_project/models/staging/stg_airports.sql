with airports as (
    select
        faa,
        name,
        lat,
        lon,
        alt,
        tzone,
        known_at,
        corrected_at,
        superseded_at
    from {{ source('raw', 'airports_versions') }}
),

-- Destinations in the Caribbean that the reference lacks.
added as (
    select
        missing.airport_id,
        missing.airport_name,
        missing.zone,
        (select min(airports.known_at) from airports) as known_at
    from (
        values
        ('BQN', 'Rafael Hernandez', 'America/Puerto_Rico'),
        ('PSE', 'Mercedita', 'America/Puerto_Rico'),
        ('SJU', 'Luis Munoz Marin Intl', 'America/Puerto_Rico'),
        ('STT', 'Cyril E King', 'America/St_Thomas')
    ) as missing (airport_id, airport_name, zone)
)

select
    faa as airport_id,
    name as airport_name,
    tzone as zone,
    lat as latitude_deg,
    lon as longitude_deg,
    cast(alt as integer) as altitude_ft,
    known_at,
    corrected_at,
    superseded_at,
    cast(known_at as date) as day
from airports
where tzone is not null
union all
select
    airport_id,
    airport_name,
    zone,
    null as latitude_deg,
    null as longitude_deg,
    null as altitude_ft,
    known_at,
    null as corrected_at,
    null as superseded_at,
    cast(known_at as date) as day
from added
where airport_id not in (select airports.faa from airports)
order by airport_id, corrected_at
