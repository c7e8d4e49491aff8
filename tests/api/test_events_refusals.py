"""What is wrong is refused clearly, at its place, and nothing of it reaches Kafka."""

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest

from api.events import formats
from contracts import topics
from contracts.errors import TooLarge
from tests.api.conftest import USAGE, Api, event

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def raw(text: str) -> bytes:
    """An event whose data has the text in it."""
    return json.dumps(event(data=USAGE | {"x": "HERE"})).replace('"HERE"', text).encode()


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


BODIES: list[tuple[str, bytes, str, int, str, str]] = [
    ("empty", b"", STRUCTURED, 400, "empty", ""),
    ("not JSON", b"hello", STRUCTURED, 400, "json", ""),
    ("an array as one event", b"[]", STRUCTURED, 400, "object_type", ""),
    ("an object as a batch", b"{}", BATCH, 400, "list_type", ""),
    ("an empty batch", b"[]", BATCH, 422, "too_short", ""),
    ("a batch of numbers", b"[1]", BATCH, 400, "object_type", "/0"),
    ("NaN", raw("NaN"), STRUCTURED, 400, "not_finite", "/data/x"),
    ("infinite", raw("-Infinity"), STRUCTURED, 400, "not_finite", "/data/x"),
    ("overflow", raw("1e999"), STRUCTURED, 400, "not_finite", "/data/x"),
    ("beyond 64 bits", raw("9223372036854775808"), STRUCTURED, 400, "integer_range", "/data/x"),
    ("thousands of digits", raw("1" * 5000), STRUCTURED, 400, "integer_range", "/data/x"),
    ("a duplicate key", raw('{"a":1,"a":1}'), STRUCTURED, 400, "duplicate_key", "/data/x/a"),
    ("a lone surrogate", raw('"\\ud800"'), STRUCTURED, 400, "surrogate", "/data/x"),
    ("a NUL", raw('"\\u0000"'), STRUCTURED, 400, "nul", "/data/x"),
    ("a raw NUL", raw('"\x00"'), STRUCTURED, 400, "json", ""),
    ("deep", raw(deep(20)), STRUCTURED, 400, "depth", "/data/x" + "/0" * 14),
    ("very deep", raw(deep(50_000)), STRUCTURED, 400, "depth", ""),
    ("bad UTF-8", raw('"HERE"').replace(b"HERE", b"\xc3\x28"), STRUCTURED, 400, "utf8", "/data/x"),
    ("UTF-16", json.dumps(event()).encode("utf-16"), STRUCTURED, 400, "utf8", ""),
]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "pointer"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES]
)
async def test_a_bad_body_is_refused_at_its_place(
    api: Api, body: bytes, content_type: str, status: int, code: str, pointer: str
) -> None:
    await refused(api, await api.send(body, content_type), status, code, pointer)


async def refused(api: Api, answer: httpx.Response, status: int, code: str, pointer: str) -> None:
    """Checks the answer's first detail and that Kafka has nothing."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert (error["details"][0]["code"], error["details"][0]["pointer"]) == (code, pointer), error
    assert error["request_id"] == answer.headers["x-request-id"]
    assert await api.published() == []


EVENTS: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("no specversion", {"specversion": None}, 422, "specversion", "/specversion"),
    ("specversion 0.3", {"specversion": "0.3"}, 422, "specversion", "/specversion"),
    ("no type", {"type": None}, 422, "missing", "/type"),
    ("unknown type", {"type": "usage.recorded.v99"}, 422, "unknown_type", "/type"),
    ("a type of the hub", {"type": "ledger.charge.booked.v1"}, 403, "permission_denied", "/type"),
    ("no source", {"source": None}, 422, "missing", "/source"),
    ("source with spaces", {"source": "a b"}, 422, "uri_reference", "/source"),
    ("the hub's source", {"source": "/hub/ledger"}, 422, "reserved_source", "/source"),
    ("numeric id", {"id": 7}, 422, "string", "/id"),
    ("empty id", {"id": ""}, 422, "string", "/id"),
    ("long id", {"id": "x" * 256}, 422, "string", "/id"),
    ("control character in id", {"id": "a\nb"}, 422, "string", "/id"),
    ("empty subject", {"subject": ""}, 422, "string", "/subject"),
    ("time without zone", {"time": "2026-11-23T12:00:00"}, 422, "rfc3339", "/time"),
    ("time as number", {"time": 1790000000}, 422, "rfc3339", "/time"),
    ("February 30", {"time": "2026-02-30T12:00:00Z"}, 422, "rfc3339", "/time"),
    ("ten years ahead", {"time": "2036-11-23T12:00:00Z"}, 422, "time_ahead", "/time"),
    ("ten years back", {"time": "2016-11-23T12:00:00Z"}, 422, "time_back", "/time"),
    ("year 1", {"time": "0001-01-01T00:00:00+14:00"}, 422, "time_back", "/time"),
    ("another organization", {"organization": "org_other"}, 403, "permission_denied", "/organization"),
    ("our attribute", {"acceptedat": "2026-11-23T12:00:00Z"}, 422, "reserved_attribute", "/acceptedat"),
    ("upper-case attribute", {"myExt": "x"}, 422, "attribute_name", "/myExt"),
    ("object attribute", {"myext": {"a": 1}}, 422, "attribute_type", "/myext"),
    ("fraction attribute", {"myext": 1.5}, 422, "attribute_type", "/myext"),
    ("large attribute", {"myext": 2**31}, 422, "attribute_value", "/myext"),
    ("17 attributes", {f"ext{n}": "x" for n in range(17)}, 422, "too_many_extensions", ""),
    ("binary data", {"data": None, "data_base64": "AA=="}, 422, "binary_data", "/data_base64"),
    ("XML data", {"datacontenttype": "text/xml"}, 422, "datacontenttype", "/datacontenttype"),
    ("data as text", {"data": "x"}, 422, "object_type", "/data"),
    ("no data", {"data": None}, 422, "missing", "/data/service"),
    ("negative tokens", {"data": USAGE | {"input_tokens": -1}}, 422, "greater_than_equal", "/data/input_tokens"),
    ("tokens as text", {"data": USAGE | {"input_tokens": "abc"}}, 422, "int_type", "/data/input_tokens"),
    (
        "negative quantity",
        {"data": USAGE | {"quantity": -1, "unit": "image"}},
        422,
        "greater_than_equal",
        "/data/quantity",
    ),
    ("33 properties", {"data": USAGE | {f"p{n}": 1 for n in range(33)}}, 422, "too_many_properties", "/data"),
    ("large property", {"data": USAGE | {"p": "x" * 1100}}, 422, "property_too_large", "/data"),
]


@pytest.mark.parametrize(("changes", "status", "code", "pointer"), [e[1:] for e in EVENTS], ids=[e[0] for e in EVENTS])
async def test_a_bad_event_is_refused_alone_and_takes_no_other_with_it(
    api: Api, changes: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    await refused(api, await api.send(event(**changes)), status, code, pointer)
    good = event()
    answer = await api.send([event(**changes), good])
    assert answer.status_code == 202, answer.text
    bad, accepted = answer.json()["data"]["results"]
    assert (bad["status"], accepted["status"]) == ("rejected", "accepted")
    assert (bad["problems"][0]["code"], bad["problems"][0]["pointer"]) == (code, pointer)
    assert [found.id for found in await api.published()] == [good["id"]]


async def test_a_broken_value_in_a_batch_takes_no_other_with_it(api: Api) -> None:
    good = event()
    bodies = [
        raw("NaN"),
        json.dumps(good).encode(),
        raw('{"a":1,"a":2}'),
        raw('"HERE"').replace(b"HERE", b"\xff"),
        raw(deep(20)),
    ]
    answer = await api.send(b"[ " + b" , ".join(bodies) + b" ]", BATCH)
    assert answer.status_code == 202, answer.text
    results = answer.json()["data"]["results"]
    assert [result["status"] for result in results] == ["rejected", "accepted", "rejected", "rejected", "rejected"]
    assert [result["problems"][0]["code"] for result in results if "problems" in result] == [
        "not_finite", "duplicate_key", "utf8", "depth",
    ]  # fmt: skip
    assert [found.id for found in await api.published()] == [good["id"]]


async def test_when_all_are_refused_the_pointers_lead_into_the_batch(api: Api) -> None:
    answer = await api.send([event(type="x"), event(data=USAGE | {"input_tokens": -1})])
    assert answer.status_code == 422
    assert [detail["pointer"] for detail in answer.json()["error"]["details"]] == ["/0/type", "/1/data/input_tokens"]
    usage = await api.post("/v1/usage", json={"events": [USAGE | {"duration_ms": -1}]})
    assert usage.json()["error"]["details"][0]["pointer"] == "/events/0/duration_ms"


async def test_a_1001st_event_is_too_many(api: Api) -> None:
    await refused(api, await api.send([event()] * 1001), 413, "too_many", "")
    lines = b"\n".join([json.dumps(event()).encode()] * 1001)
    await refused(api, await api.send(lines, "application/x-ndjson"), 413, "too_many", "")


@pytest.mark.parametrize("end", ["]", ",NaN]"])
@pytest.mark.parametrize("form", ["batch", "usage array", "usage object"])
def test_what_is_beyond_the_limit_becomes_no_object(monkeypatch: pytest.MonkeyPatch, form: str, end: str) -> None:
    made = 0
    fault, strictly = formats._object_or_fault, formats._strictly

    def counted_fault(value: Any) -> formats.Item:
        nonlocal made
        made += 1
        return fault(value)

    def counted_strictly(raw: bytes, level: int) -> formats.Item:
        nonlocal made
        made += 1
        return strictly(raw, level)

    monkeypatch.setattr(formats, "_object_or_fault", counted_fault)
    monkeypatch.setattr(formats, "_strictly", counted_strictly)
    body = b"[" + b"0," * 50 + b"0" + end.encode()
    if form == "usage object":
        body = b'{"events":' + body.replace(b",NaN", b"") + b"}"
    kind = BATCH if form == "batch" else formats.JSON
    read = formats.read_events if form == "batch" else formats.read_usage
    with pytest.raises(TooLarge):
        read({b"content-type": kind.encode()}, body, 10)
    assert made <= 10


async def test_six_megabytes_are_refused_and_the_sender_reads_why(api: Api) -> None:
    body = b" " * 6_000_000
    await refused(api, await api.send(body, BATCH), 413, "too_large", "")

    async def pieces() -> Any:
        for _ in range(60):
            yield b" " * 100_000

    answer = await api.client.post("/v1/events", content=pieces(), headers={"content-type": BATCH})
    await refused(api, answer, 413, "too_large", "")


async def test_a_bomb_is_refused_by_its_inflated_size(api: Api) -> None:
    bomb = gzip.compress(b" " * 200_000_000)
    assert len(bomb) < 1_000_000
    headers = {"content-encoding": "gzip"}
    await refused(api, await api.send(bomb, BATCH, headers=headers), 413, "too_large", "")
    await refused(api, await api.send(b"no gzip", BATCH, headers=headers), 400, "compression", "")
    await refused(api, await api.send(gzip.compress(b"[]")[:-4], BATCH, headers=headers), 400, "compression", "")
    unknown = await api.send(b"x", BATCH, headers={"content-encoding": "br"})
    assert unknown.status_code == 415


async def test_a_slow_body_is_cut(api: Api) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {api.key}\r\ncontent-length: 100\r\n\r\n{{"
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code":"request_timeout"' in answer
    writer.close()


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/cloudevents+xml",
        "",
        "application/cloudevents+json; charset=latin1",
    ],
)
async def test_another_content_type_is_refused_with_advice(api: Api, content_type: str) -> None:
    answer = await api.send(json.dumps(event()).encode(), content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]["message"] or "UTF-8" in answer.json()["error"]["message"]


async def test_atomic_means_all_or_none(api: Api) -> None:
    answer = await api.send([event(), event(type="x")], params={"atomic": "true"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["pointer"] == "/1/type"
    assert await api.published() == []
    mixed = [event(), event(type="credits.granted.v1", data={"amount_micros": 1})]
    assert (await api.send(mixed, params={"atomic": "true"})).status_code == 422
    assert (await api.send([event(), event()], params={"atomic": "true"})).status_code == 202
    assert (await api.send(event(), params={"atomic": "maybe"})).status_code == 422
    assert (await api.send(event(), params={"atomc": "true"})).status_code == 422


async def test_the_same_identity_twice_in_a_request_is_one_event(api: Api) -> None:
    first = event(id="same")
    later = first | {"time": "2026-11-23T11:00:00Z"}
    other = first | {"data": USAGE | {"input_tokens": 1}}
    answer = await api.send([first, later, other, first | {"source": "urn:elsewhere"}])
    assert answer.status_code == 202
    results = answer.json()["data"]["results"]
    assert [result["status"] for result in results] == ["accepted", "duplicate", "rejected", "accepted"]
    assert results[1]["receipt"] == results[0]["receipt"]
    assert results[2]["code"] == "identity_conflict"
    assert len(await api.published()) == 2


async def test_other_families_need_their_own_permission(api: Api) -> None:
    grant = event(type="credits.granted.v1", data={"amount_micros": 5})
    login = event(type="auth.user.logged_in.v1", data={"user_id": "u"})
    answer = await api.send(
        [event(), grant, login], headers=api.bearer(await api.make_key(["events:write", "auth:write"]))
    )
    results = answer.json()["data"]["results"]
    assert [result["status"] for result in results] == ["accepted", "rejected", "accepted"]
    assert results[1]["code"] == "permission_denied"
    assert "credits:grant" in results[1]["message"]
    assert await api.published(topics.CREDITS) == []
    assert len(await api.published(topics.AUTH)) == 1


async def test_only_a_system_key_sends_for_another_organization_that_exists(api: Api) -> None:
    other = await api.make_organization()
    system = api.bearer(await api.make_key(["events:write", "system:any_organization"]))
    answer = await api.send([event(organization=other), event(organization="org_nobody")], headers=system)
    assert [result["status"] for result in answer.json()["data"]["results"]] == ["accepted", "rejected"]
    assert len(await api.published(organization=other)) == 1
