"""Mail goes out by SMTP, to a real server on loopback, and is kept until it has."""

import asyncio
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from contracts.errors import MailUnavailable
from infra.crypto import Sealer
from infra.mail.sealing import open_text, seal_text
from infra.mail.smtp import SmtpOptions
from infra.ops.mailing import AT_ONCE, KEPT, PAUSES, forget_mails, send_due
from infra.postgres import mails
from infra.postgres.database import Database
from tests.support.clock import FakeClock

SEALER = Sealer(b"s" * 32)


class Inbox:
    """The far end: takes mail, unless it is told to answer otherwise."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answer = "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address.startswith("gone"):
            return f"550 5.1.1 <{address}> unknown"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.taken.append(message_from_bytes(envelope.content, policy=email.policy.default))
        return self.answer


@asynccontextmanager
async def serving(inbox: Inbox, **options: Any) -> AsyncIterator[int]:
    """The port of a server of this inbox."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop, **options), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def wrote(database: Database, clock: FakeClock, name: str, to: str = "ada@example.com") -> str:
    mail_id = f"mail_{name}"
    sealed = seal_text(SEALER, mail_id, f"Code {name}", "สวัสดี 042917\n")
    async with database.unscoped() as tx:
        await mails.save_mail(tx, mails.MailRow(mail_id, to, "verify", sealed, clock.now(), clock.now()))
    return mail_id


async def row_of(database: Database, mail_id: str) -> mails.MailRow:
    async with database.unscoped() as tx:
        row = await mails.find_mail(tx, mail_id)
    assert row is not None
    return row


def options(port: int, **changes: Any) -> SmtpOptions:
    return SmtpOptions(
        **{"host": "127.0.0.1", "port": port, "tls": "none", "sender": "Hub <hub@example.org>"} | changes
    )


async def test_what_was_written_arrives_once_and_its_text_is_gone_from_here(
    database: Database, clock: FakeClock
) -> None:
    mail_id, inbox = await wrote(database, clock, "1"), Inbox()
    async with serving(inbox) as port:
        assert await send_due(database, clock, SEALER, options(port)) == 1
        assert await send_due(database, clock, SEALER, options(port)) == 0
    [arrived] = inbox.taken
    assert (arrived["to"], arrived["from"], arrived["subject"]) == (
        "ada@example.com",
        "Hub <hub@example.org>",
        "Code 1",
    )
    assert arrived["message-id"] == "<mail_1@example.org>"
    assert arrived["auto-submitted"] == "auto-generated"
    assert arrived.get_content().splitlines() == ["สวัสดี 042917"]
    row = await row_of(database, mail_id)
    assert (row.body, row.sent_at, row.error) == ("", clock.now(), None)
    assert open_text(SEALER, row.id, row.body) == ("", "")


async def test_two_senders_at_once_send_each_mail_once(database: Database, clock: FakeClock) -> None:
    for number in range(AT_ONCE + 10):
        await wrote(database, clock, str(number))
    inbox = Inbox()
    async with serving(inbox) as port:
        sent = await asyncio.gather(*(send_due(database, clock, SEALER, options(port)) for _ in range(3)))
    assert sum(sent) == len(inbox.taken) == AT_ONCE + 10
    assert len({one["message-id"] for one in inbox.taken}) == AT_ONCE + 10


async def test_a_mail_server_that_is_away_loses_nothing(database: Database, clock: FakeClock) -> None:
    mail_id, inbox = await wrote(database, clock, "1"), Inbox()
    async with serving(inbox) as port:
        pass
    with pytest.raises(MailUnavailable):
        await send_due(database, clock, SEALER, options(port))
    assert await send_due(database, clock, SEALER, options(port)) == 0, "not before its pause is over"
    clock.advance(PAUSES[0].total_seconds())
    async with serving(inbox) as port:
        assert await send_due(database, clock, SEALER, options(port)) == 1
    assert (await row_of(database, mail_id)).attempts == 2


async def test_a_mail_that_is_refused_does_not_stop_the_others_and_its_address_is_in_no_error(
    database: Database, clock: FakeClock
) -> None:
    gone, fine, inbox = (
        await wrote(database, clock, "1", "gone@example.com"),
        await wrote(database, clock, "2"),
        Inbox(),
    )
    async with serving(inbox) as port:
        assert await send_due(database, clock, SEALER, options(port)) == 1
    assert (await row_of(database, gone)).error == "SMTP 550"
    assert (await row_of(database, fine)).sent_at


async def test_a_mail_is_tried_with_growing_pauses_and_then_given_up(database: Database, clock: FakeClock) -> None:
    assert list(PAUSES) == sorted(PAUSES)
    mail_id, inbox = await wrote(database, clock, "1"), Inbox()
    inbox.answer = "451 later"
    async with serving(inbox) as port:
        for number, pause in enumerate((*PAUSES, timedelta(days=1)), 1):
            assert await send_due(database, clock, SEALER, options(port)) == 0
            assert (await row_of(database, mail_id)).attempts == min(number, len(PAUSES))
            clock.advance(pause.total_seconds())
    clock.advance(KEPT.total_seconds())
    assert await forget_mails(database, clock) == 1


async def test_starttls_checks_the_certificate_and_a_password_goes_out_under_it_only(
    database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    authority, told = trustme.CA(), []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def check(_server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        told.append((mechanism, data.login, data.password))
        return AuthResult(success=True)

    await wrote(database, clock, "1")
    inbox = Inbox()
    server = serving(inbox, tls_context=context, require_starttls=True, authenticator=check, auth_required=True)
    async with server as port:
        strict = options(port, host="localhost", tls="starttls", username="hub", password="secret")
        with pytest.raises(MailUnavailable):
            await send_due(database, clock, SEALER, strict)
        assert told == []
        clock.advance(PAUSES[0].total_seconds())
        known = options(
            port, host="localhost", tls="starttls", username="hub", password="secret", ca_file=str(tmp_path / "ca.pem")
        )
        assert await send_due(database, clock, SEALER, known) == 1
    assert [(login, password) for _, login, password in told] == [(b"hub", b"secret")]
