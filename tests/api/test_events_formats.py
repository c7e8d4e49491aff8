"""Events enter in every mode of CloudEvents, as NDJSON and as plain usage."""

import gzip
import json

import pytest
from cloudevents.v1.conversion import to_binary, to_json, to_structured
from cloudevents.v1.http import CloudEvent

from contracts import topics
from tests.api.conftest import USAGE, Api, event

TIME = "2026-11-23T11:59:58Z"
"""The client's own default is the machine's time, which the API's clock knows nothing of."""


async def test_a_structured_event_is_on_kafka_when_its_answer_arrives(api: Api) -> None:
    sent = event(subject="user_1", time="2026-11-23T11:59:58+00:00", traceid="abc")
    answer = await api.send(sent, headers={"x-request-id": "mine-1"})
    assert answer.status_code == 202, answer.text
    (result,) = answer.json()["data"]["results"]
    assert (result["index"], result["id"], result["status"], result["id_generated"]) == (
        0,
        sent["id"],
        "accepted",
        False,
    )
    assert result["receipt"]["topic"] == topics.USAGE.name
    (stored,) = await api.published()
    assert (stored.id, stored.source, stored.subject, stored.organization) == (
        sent["id"], "urn:test", "user_1", api.organization,
    )  # fmt: skip
    assert stored.requestid == "mine-1" == answer.headers["x-request-id"]
    assert stored.acceptedat == api.clock.now()
    assert stored.model_extra == {"traceid": "abc"}
    assert stored.data == USAGE


async def test_the_official_client_sends_structured_and_binary_events(api: Api) -> None:
    attributes = {"id": "é-1 %", "source": "urn:sdk", "type": "usage.recorded.v1", "subject": "Zoë", "myext": "x"}
    attributes["time"] = TIME
    headers, body = to_structured(CloudEvent(attributes, USAGE))
    assert (await api.post("/v1/events", content=body, headers=headers)).status_code == 202
    headers, body = to_binary(CloudEvent(attributes | {"id": "two", "subject": "plain"}, USAGE))
    assert (await api.post("/v1/events", content=body, headers=headers)).status_code == 202
    stored = {found.id: found for found in await api.published()}
    assert stored["é-1 %"].subject == "Zoë"
    assert stored["two"].model_extra == {"myext": "x"}
    assert stored["two"].data == USAGE == stored["é-1 %"].data


async def test_the_official_clients_events_are_taken_as_a_batch(api: Api) -> None:
    events = [
        CloudEvent({"id": f"b-{n}", "source": "urn:sdk", "type": "usage.recorded.v1", "time": TIME}, USAGE)
        for n in range(3)
    ]
    body = b"[" + b",".join(to_json(one) for one in events) + b"]"
    answer = await api.send(body, "application/cloudevents-batch+json")
    assert [result["status"] for result in answer.json()["data"]["results"]] == ["accepted"] * 3
    stored = await api.published()
    assert [(found.id, found.data) for found in stored] == [(f"b-{n}", USAGE) for n in range(3)]


async def test_binary_headers_are_percent_decoded(api: Api) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "Euro%20%E2%82%AC%20%F0%9F%98%80",
        "ce-source": "urn:binary",
        "ce-type": "usage.recorded.v1",
        "content-type": "application/json",
    }
    answer = await api.post("/v1/events", content=json.dumps(USAGE), headers=headers)
    assert answer.status_code == 202, answer.text
    (stored,) = await api.published()
    assert stored.id == "Euro € 😀"


async def test_a_batch_of_1000_has_a_receipt_for_each_in_order(api: Api) -> None:
    sent = [event() for _ in range(1000)]
    answer = await api.send(sent)
    assert answer.status_code == 202
    results = answer.json()["data"]["results"]
    assert [result["id"] for result in results] == [one["id"] for one in sent]
    offsets = [result["receipt"]["offset"] for result in results]
    assert offsets == list(range(offsets[0], offsets[0] + 1000))
    assert [found.id for found in await api.published()] == [one["id"] for one in sent]


async def test_ndjson_gives_each_line_its_own_result(api: Api) -> None:
    lines = [json.dumps(event()), '{"specversion": "1.0", "id": NaN}', "", json.dumps(event(type="nothing.v1"))]
    answer = await api.send("\n".join(lines).encode(), "application/x-ndjson; charset=utf-8")
    assert answer.status_code == 202
    data = answer.json()["data"]
    assert (data["accepted"], data["rejected"]) == (1, 2)
    assert [result["status"] for result in data["results"]] == ["accepted", "rejected", "rejected"]
    assert data["results"][1]["problems"][0] == {
        "pointer": "/id", "code": "not_finite", "message": "is not a finite number",
    }  # fmt: skip
    assert len(await api.published()) == 1


@pytest.mark.parametrize("form", ["object", "array", "events", "ndjson"])
async def test_plain_usage_needs_no_envelope(api: Api, form: str) -> None:
    usage = {"id": "u-1", "time": "2026-11-23T11:00:00Z", **USAGE, "region": "eu"}
    body = {"object": usage, "array": [usage], "events": {"events": [usage]}, "ndjson": usage}[form]
    content_type = "application/x-ndjson" if form == "ndjson" else "application/json"
    answer = await api.post("/v1/usage", content=json.dumps(body), headers={"content-type": content_type})
    assert answer.status_code == 202, answer.text
    (stored,) = await api.published()
    assert (stored.id, stored.source, stored.type) == ("u-1", "/usage", "usage.recorded.v1")
    assert stored.data == USAGE | {"region": "eu"}
    assert stored.time.hour == 11


async def test_an_event_without_an_id_gets_one_and_is_told_so(api: Api) -> None:
    answer = await api.post("/v1/usage", json=USAGE)
    (result,) = answer.json()["data"]["results"]
    assert result["id_generated"]
    assert [found.id for found in await api.published()] == [result["id"]]


async def test_plain_json_is_taken_when_it_plainly_is_cloudevents(api: Api) -> None:
    assert (await api.send(event(), "application/json")).status_code == 202
    assert (await api.send([event(), event()], "application/json")).status_code == 202
    refused = await api.send(USAGE, "application/json")
    assert refused.status_code == 415
    assert "/v1/usage" in refused.json()["error"]["message"]
    assert len(await api.published()) == 3


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_bodies_are_understood(api: Api, encoding: str) -> None:
    import zlib

    plain = json.dumps([event() for _ in range(50)]).encode()
    packed = gzip.compress(plain[:100]) + gzip.compress(plain[100:]) if encoding == "gzip" else zlib.compress(plain)
    answer = await api.send(packed, "application/cloudevents-batch+json", headers={"content-encoding": encoding})
    assert answer.status_code == 202, answer.text
    assert len(await api.published()) == 50


async def test_times_are_kept_to_the_microsecond_and_null_attributes_count_as_absent(api: Api) -> None:
    sent = event(id="t", time="2026-11-23T13:30:00.1234567+02:00") | {"subject": None, "myext": None}
    assert (await api.send(sent)).status_code == 202
    (stored,) = await api.published()
    assert stored.time.isoformat() == "2026-11-23T11:30:00.123456+00:00"
    assert stored.subject is None
    assert not stored.model_extra
