"""One's own sessions: seen, ended, turned to another organization."""

from api.auth.ending import end_one, end_others
from api.auth.schemas import AccessToken, SessionOut
from api.core.login_schemas import OrganizationBrief
from api.core.logins import STRONG, end_surplus
from api.core.paging import Page, Pagination
from api.core.persons import opened, person_sealers
from api.core.principal import Login, Principal
from api.core.visits import Visit
from contracts.errors import NotFound, StepUpRequired, Unauthenticated
from infra.postgres import sessions
from infra.tokens import LIFE


def login_of(who: Principal) -> Login:
    """The session that asks. Raises: Unauthenticated."""
    if who.login is None:
        raise Unauthenticated("This route is about a person: log in and send the access token.")
    return who.login


async def listed(visit: Visit, who: Principal, page: Page) -> tuple[list[SessionOut], Pagination]:
    """The person's sessions that go on, the newest first."""
    after = None if page.after is None else (page.after[0], page.after[1])
    async with visit.deps.database.unscoped() as tx:
        rows = await sessions.list_alive(tx, who.user_id, visit.now, after=after, limit=page.fetch)
        sealers = await person_sealers(tx, visit.deps.sealer, [who.user_id])
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id))
    current = login_of(who).id
    found = [
        SessionOut(
            id=row.id,
            current=row.id == current,
            device=opened(sealers, who.user_id, row.device),
            address=opened(sealers, who.user_id, row.address),
            methods=list(row.methods),
            organization_id=row.active_organization_id,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            elevated_until=row.elevated_until,
            expires_at=row.expires_at,
        )
        for row in shown
    ]
    return found, pagination


async def revoke(visit: Visit, who: Principal, session_id: str) -> None:
    """Ends one session of one's own. Raises: NotFound, also for somebody else's."""
    async with visit.deps.database.unscoped() as tx:
        if not await end_one(tx, visit, who.user_id, session_id, reason="revoked"):
            raise NotFound("You have no such session, or it has ended.")


async def revoke_all(visit: Visit, who: Principal, *, but_mine: bool) -> int:
    """Ends all sessions of one's own, or all others; how many."""
    keep = login_of(who).id if but_mine else None
    async with visit.deps.database.unscoped() as tx:
        return len(await end_others(tx, visit, who.user_id, keep, reason="revoked"))


async def act_for(visit: Visit, who: Principal, organization_id: str) -> AccessToken:
    """An access token for another organization of one's own; refreshing stays there.

    Raises: NotFound, StepUpRequired (the organization demands a second factor and the session has none).
    """
    login = login_of(who)
    async with visit.deps.database.unscoped() as tx:
        home = await sessions.membership(tx, who.user_id, organization_id)
        if home is None:
            raise NotFound("You are a member of no such organization.")
        if home.policy.get("mfa_required") and STRONG.isdisjoint(login.methods):
            raise StepUpRequired(
                "This organization demands a second factor: prove yours at POST /v1/auth/step-up, then retry."
            )
        session = await sessions.find_alive(tx, login.id, visit.now)
        if session is None:
            raise Unauthenticated("The session has ended; log in again.")
        await sessions.switch(tx, login.id, organization_id)
        await end_surplus(tx, visit, session, home)
    token = await visit.tokens.issue(who.user_id, login.id, organization_id, session.expires_at)
    lives = int(min(LIFE, session.expires_at - visit.now).total_seconds())
    brief = OrganizationBrief(id=home.organization_id, name=home.name)
    return AccessToken(access_token=token, expires_in=lives, organization=brief)
