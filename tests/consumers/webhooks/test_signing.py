"""What is sent verifies with independent libraries; secrets overlap and rest sealed."""

import json
from datetime import timedelta

import pytest
from standardwebhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook
from svix.webhooks import WebhookVerificationError as SvixVerificationError

from contracts.errors import ConfigError
from infra.clock import SystemClock
from infra.crypto import Sealer, new_webhook_secret
from infra.postgres import webhooks_endpoints as store
from infra.postgres.database import Database
from tests.consumers.webhooks.world import ORGANIZATION, dispatching, make_endpoint, tell
from tests.support.eventually import eventually
from tests.support.far_end import FarEnd


async def test_a_delivery_verifies_with_independent_libraries_and_with_both_secrets_while_they_overlap(
    database: Database, far_end: FarEnd
) -> None:
    clock, old, new = SystemClock(), new_webhook_secret(), new_webhook_secret()
    endpoint = await make_endpoint(database, far_end.url + "/a", secret=old, headers={"X-Own": "1"}, clock=clock)
    until = clock.now() + timedelta(hours=24)
    async with database.transaction() as tx:
        assert await store.rotate_secret(tx, ORGANIZATION, endpoint, new, until, clock.now())
    await tell(database, clock, "e1")
    async with dispatching(database, clock):
        await eventually(lambda: far_end.received)
    (sent,) = far_end.received
    for secret in (old, new):
        assert Webhook(secret).verify(sent.body, sent.headers)["type"] == "credits.low"
        SvixWebhook(secret).verify(sent.body, sent.headers)
    with pytest.raises(SvixVerificationError):
        SvixWebhook(new_webhook_secret()).verify(sent.body, sent.headers)
    assert json.loads(sent.body)["data"]["event"]["id"] == "e1"
    assert sent.headers["webhook-id"].startswith("msg_")
    assert (sent.headers["x-own"], sent.headers["content-type"]) == ("1", "application/json")


async def test_secrets_that_are_sealed_at_rest_sign_and_open_in_their_own_row_only(
    database: Database, far_end: FarEnd
) -> None:
    clock, secret, sealer = SystemClock(), new_webhook_secret(), Sealer(b"s" * 32)
    endpoint = await make_endpoint(database, far_end.url, secret=secret, clock=clock)
    sealed = sealer.seal_text(secret, store.secret_purpose(endpoint))
    headers = {"X-Token": sealer.seal_text("t0ken", store.header_purpose(endpoint, "X-Token"))}
    async with database.transaction() as tx:
        assert await store.rotate_secret(tx, ORGANIZATION, endpoint, sealed, clock.now(), clock.now())
        assert await store.change_endpoint(tx, ORGANIZATION, endpoint, {"headers": headers}, clock.now())
    await tell(database, clock, "e1")
    async with dispatching(database, clock, sealer=sealer):
        await eventually(lambda: far_end.received)
    assert far_end.received[0].headers["x-token"] == "t0ken"
    Webhook(secret).verify(far_end.received[0].body, far_end.received[0].headers)
    with pytest.raises(ConfigError):
        sealer.open_text(sealed, store.secret_purpose("we_other"))


async def test_an_old_secret_signs_no_more_when_the_overlap_is_over(database: Database, far_end: FarEnd) -> None:
    clock, old, new = SystemClock(), new_webhook_secret(), new_webhook_secret()
    endpoint = await make_endpoint(database, far_end.url, secret=old, clock=clock)
    async with database.transaction() as tx:
        await store.rotate_secret(tx, ORGANIZATION, endpoint, new, clock.now(), clock.now())
    await tell(database, clock, "e1")
    async with dispatching(database, clock):
        await eventually(lambda: far_end.received)
    assert len(far_end.received[0].headers["webhook-signature"].split(" ")) == 1
    Webhook(new).verify(far_end.received[0].body, far_end.received[0].headers)
