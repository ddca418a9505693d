"""Good requests become rows; bad ones are told every error, with field, value and what is allowed."""

import json
import random
from datetime import datetime
from typing import Any

import pytest

from ml.online_plan.kinds import microseconds
from services.problems import Kind, RequestRefused
from services.request_schema import RequestSchema
from tests.services import toy

SCHEMA = RequestSchema(toy.REQUEST, max_instances=3)
ABSENT = ...


def refused(body: Any) -> RequestRefused:
    """The refusal of a body, given as JSON types or as bytes."""
    with pytest.raises(RequestRefused) as caught:
        SCHEMA.decode(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def test_rows_have_the_columns_in_order_and_times_in_utc() -> None:
    body = {
        "instances": [toy.instance(starts_at="2024-03-05T14:00:00+02:00"), toy.instance(passengers=ABSENT)]
    }
    rows = SCHEMA.decode(json.dumps(body).encode())
    noon = microseconds(datetime(2024, 3, 5, 12))
    assert [list(row) for row in rows] == [["d1", "centre", 2, noon], ["d1", "centre", None, noon]]


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"zone_id": ABSENT}, "zone_id", "is missing; expected text"),
        ({"zone_id": None}, "zone_id", "must be text"),
        ({"zone_id": ""}, "zone_id", "must be text of 1 to 200"),
        ({"zone_id": "x" * 201}, "zone_id", "must be text of 1 to 200"),
        ({"zoneid": "centre"}, "zoneid", "Did you mean 'zone_id'?"),
        ({"passengers": 9}, "passengers", "from 1 up to 8 people"),
        ({"passengers": "2"}, "passengers", "must be a whole number"),
        ({"passengers": 2.5}, "passengers", "must be a whole number"),
        ({"passengers": True}, "passengers", "must be a whole number"),
        ({"passengers": 10**30}, "passengers", "must be a whole number"),
        ({"starts_at": "2024-03-05T12:00:00"}, "starts_at", "has no zone: must be an ISO 8601 time"),
        ({"starts_at": "noon"}, "starts_at", "must be an ISO 8601 time"),
        ({"starts_at": 1709640000}, "starts_at", "must be an ISO 8601 time"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "starts_at", "in the years 1900 to 2199"),
        ({"starts_at": "9999-12-31T23:59:59-14:00"}, "starts_at", "in the years 1900 to 2199"),
    ],
)
def test_a_bad_value_is_named(changed: dict[str, Any], field: str, said: str) -> None:
    refusal = refused({"instances": [toy.instance(), toy.instance(**changed)]})
    assert refusal.kind is Kind.INVALID
    (error,) = refusal.errors
    assert error.field == f"instances[1].{field}"
    assert said in error.message
    assert error.as_json().get("value") == changed[field] or field == "zone_id" or "years" in said


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({}, "instances"),
        ({"instances": []}, "instances"),
        ({"instances": {}}, "instances"),
        ({"instances": [toy.instance()] * 4}, "instances"),
        ({"instances": [7]}, "instances[0]"),
        ({"instances": [toy.instance()], "explain": True}, "explain"),
    ],
)
def test_a_bad_shape_is_named(body: Any, field: str) -> None:
    assert [error.field for error in refused(body).errors] == [field]


def test_all_errors_are_told_at_once() -> None:
    bad = [
        toy.instance(passengers=0, zone_id=1),
        toy.instance(starts_at=None),
        toy.instance(driver_id=ABSENT),
    ]
    assert [error.field for error in refused({"instances": bad}).errors] == [
        "instances[0].zone_id",
        "instances[0].passengers",
        "instances[1].starts_at",
        "instances[2].driver_id",
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"instances", b"\xff\xfe", b'{"instances": NaN}', b"[" * 100_000]
)
def test_what_is_not_json_is_told_so(body: bytes) -> None:
    assert refused(body).kind is Kind.NOT_JSON


def test_mutilated_bodies_are_refused_or_read_and_nothing_else() -> None:
    """3,000 bodies with bytes changed, cut and doubled: never another exception than a refusal."""
    rng = random.Random(7)  # noqa: S311
    good = json.dumps({"instances": [toy.instance(), toy.instance(3, zone_id="a\u0000é\U0001f680")]}).encode()
    for _ in range(3_000):
        body = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(body))
            body[at : at + rng.randint(0, 3)] = rng.choice(
                [
                    b"",
                    b'"',
                    b"\\ud800",
                    b"\\u0000",
                    b"{",
                    b"1e999",
                    b"-0",
                    b"null",
                    b"\xf0",
                    bytes([rng.randrange(256)]),
                ]
            )
        try:
            SCHEMA.decode(bytes(body))
        except RequestRefused as refusal:
            assert json.dumps(refusal.as_json(), default=str)
