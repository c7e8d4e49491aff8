"""Sends what the hub has written to people: no row is locked while the mail server is spoken to."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Final

from infra.clock import Clock
from infra.crypto import Sealer
from infra.mail.sealing import open_text
from infra.mail.smtp import Connection, Mail, Refused, SmtpOptions, connected
from infra.postgres import mails
from infra.postgres.database import Database
from infra.postgres.mails import MailRow

AT_ONCE: Final = 20
PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 300, 900, 3_600, 10_800, 43_200))
"""After the first, second ... attempt; the eighth, within five hours, is the last."""
KEPT_SENT: Final = timedelta(days=7)
KEPT: Final = timedelta(days=30)


async def send_due(database: Database, clock: Clock, sealer: Sealer, options: SmtpOptions) -> int:
    """Sends what is due; how many the server took. A crash between its answer and ours sends one mail again.

    Raises: MailUnavailable, DatabaseUnavailable: the rest comes after its pause.
    """
    async with database.unscoped() as tx:
        due = await mails.claim(tx, clock.now(), PAUSES, limit=AT_ONCE)
    if not due:
        return 0
    async with connected(options) as server:
        return sum([await _send(database, clock, server, _mail(sealer, row)) for row in due])


async def _send(database: Database, clock: Clock, server: Connection, mail: Mail) -> bool:
    try:
        await server.send(mail)
    except Refused as error:
        async with database.unscoped() as tx:
            await mails.mark_failed(tx, mail.id, str(error))
        return False
    async with database.unscoped() as tx:
        await mails.mark_sent(tx, mail.id, clock.now())
    return True


async def forget_mails(database: Database, clock: Clock) -> int:
    """Forgets what was sent a week ago, and what could not be sent for a month; how many."""
    now = clock.now()
    async with database.unscoped() as tx:
        return await mails.purge(tx, sent_before=now - KEPT_SENT, made_before=now - KEPT)


def _mail(sealer: Sealer, row: MailRow) -> Mail:
    subject, body = open_text(sealer, row.id, row.body)
    return Mail(row.id, row.recipient, subject, body, format_datetime(row.created_at))
