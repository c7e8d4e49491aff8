"""Mail as platform staff sees it: what waits, what was sent, what failed."""

from api.auth.schemas import MailOut
from api.core.paging import Page, Pagination
from api.deps import Deps
from contracts.errors import NotFound
from infra.mail.sealing import open_text
from infra.postgres import mails
from infra.postgres.mails import MailRow


async def listed(deps: Deps, recipient: str | None, page: Page) -> tuple[list[MailOut], Pagination]:
    """Mails, the newest first, without their bodies."""
    after = None if page.after is None else (page.after[0], page.after[1])
    async with deps.database.unscoped() as tx:
        rows = await mails.list_mails(tx, recipient=recipient, after=after, limit=page.fetch)
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id))
    return [_out(deps, row, body=False) for row in shown], pagination


async def read(deps: Deps, mail_id: str) -> MailOut:
    """One mail with its body. Raises: NotFound."""
    async with deps.database.unscoped() as tx:
        row = await mails.find_mail(tx, mail_id)
    if row is None:
        raise NotFound("There is no such mail.")
    return _out(deps, row, body=True)


def _out(deps: Deps, row: MailRow, *, body: bool) -> MailOut:
    subject, text = open_text(deps.sealer, row.id, row.body)
    return MailOut(
        id=row.id,
        recipient=row.recipient,
        occasion=row.subject,
        subject=subject,
        body=text if body else None,
        created_at=row.created_at,
        attempts=row.attempts,
        sent_at=row.sent_at,
        error=row.error,
    )
