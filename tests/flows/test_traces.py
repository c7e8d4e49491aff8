"""One trace leads from the HTTP request through Kafka into ledger, analytics and the webhook."""

from pathlib import Path

import pytest

from infra.http.hub_client import HubClient
from infra.http.receiver import Receiver
from tests.flows.test_processes import run_info, up
from tests.support.collector import Collector
from tests.support.eventually import eventually

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = TRACEPARENT.split("-")[1]


@pytest.mark.timeout(200)
async def test_a_request_is_traced_to_its_last_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Collector().running() as collector, Receiver().running() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        async with up(tmp_path / "home"):
            info = run_info(tmp_path / "home")
            async with HubClient(info["url"], info["admin_api_key"]) as client:
                made = await client.post(
                    "/v1/webhooks/endpoints", {"url": f"{receiver.url}/hook", "event_types": ["credits.charged"]}
                )
                receiver.secrets["hook"] = made["data"]["secret"]
                usage = {"service": "chat", "model": "gpt-4o", "input_tokens": 5}
                await client.use(usage, {"traceparent": TRACEPARENT})
                await eventually(lambda: receiver.ids, within_s=30)

            def scopes() -> set[str] | None:
                mine = [span for span in collector.spans if span["trace"] == TRACE or TRACE in span["links"]]
                batches = {span["id"] for span in mine if span["name"].endswith("batch")}
                below = [span for span in collector.spans if span["parent"] in batches]
                names = {span["name"].split()[0] for span in mine + below}
                wanted = {"aihub.credits", "aihub.analytics", "aihub.webhooks", "clickhouse", "webhooks.deliver"}
                return names if wanted <= names and any("asyncpg" in span["scope"] for span in below) else None

            names = await eventually(scopes, within_s=30)
            assert any(name.startswith("POST") for name in names), names
    assert receiver.refused == 0
