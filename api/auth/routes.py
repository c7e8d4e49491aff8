"""`/v1/auth`, `/v1/users/me`, the public signing keys; mail and key rotation for platform staff.

Everything here is about a person, not about an organization: transactions are unscoped by design (decision 0008).
"""

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.auth import codes, ending, login, mailbox, me, passwords, refreshing, registration, sessions
from api.auth.schemas import (
    AccessToken,
    ChangeEmailIn,
    ChangePasswordIn,
    CodeSent,
    Done,
    ForgotIn,
    JwkSet,
    LoginIn,
    MailOut,
    MeIn,
    OrganizationIn,
    RefreshIn,
    RegisterIn,
    ResendIn,
    ResetIn,
    Revoked,
    SessionOut,
    SigningKey,
    Verified,
    VerifyIn,
)
from api.core.emails import Email
from api.core.envelope import Answer, JsonBytes, Listing, reply
from api.core.etags import PreconditionIn
from api.core.login_schemas import LoginOut, PersonOut, TokenPair
from api.core.paging import PageIn
from api.core.principal import Principal
from api.core.request_ids import context_of
from api.core.resource import DepsIn, Resource, Who
from api.core.visits import VisitIn
from contracts.rules.access import PUBLIC, SELF
from contracts.rules.limits import LENIENT, STRICT

routes: Final = Resource("/v1", "auth")
well_known: Final = Resource("", "auth")


@routes.post("/auth/register", needs=PUBLIC, limit=STRICT, answers=Answer[CodeSent], status=201, errors=(429, 503))
async def register(request: Request, visit: VisitIn, wanted: RegisterIn) -> Response:
    """Make an account. The answer is the same for an address that has one: its owner is told by mail."""
    return reply(request, await registration.register(visit, wanted), status=201)


@routes.post("/auth/verify", needs=PUBLIC, limit=STRICT, answers=Answer[Verified], errors=(429, 503))
async def verify(request: Request, visit: VisitIn, wanted: VerifyIn) -> Response:
    """Prove an address with the code that came by mail: five tries, once, within 15 minutes."""
    return reply(request, Verified(user=await registration.verify(visit, wanted.verification, wanted.code)))


@routes.post("/auth/verify/resend", needs=PUBLIC, limit=STRICT, answers=Answer[CodeSent], errors=(429, 503))
async def resend(request: Request, visit: VisitIn, wanted: ResendIn) -> Response:
    """Get another code for the same; the one before is worth nothing then. Three mails an hour."""
    return reply(request, await codes.resend(visit, wanted.verification))


@routes.post("/auth/login", needs=PUBLIC, limit=STRICT, answers=Answer[LoginOut], errors=(401, 403, 429, 503))
async def log_in(request: Request, visit: VisitIn, wanted: LoginIn) -> Response:
    """Log in with a password: tokens, or what must be proved beside it."""
    return reply(request, await login.log_in(visit, wanted.email, wanted.password))


@routes.post("/auth/refresh", needs=PUBLIC, limit=LENIENT, answers=Answer[TokenPair], errors=(401, 403, 429, 503))
async def refresh(request: Request, visit: VisitIn, wanted: RefreshIn) -> Response:
    """The next pair of tokens. A refresh token is good once; a second use ends its session, also one by mistake."""
    return reply(request, await refreshing.refresh(visit, wanted.refresh_token))


@routes.post("/auth/logout", needs=SELF, answers=Answer[Done])
async def log_out(request: Request, who: Who, visit: VisitIn) -> Response:
    """End this session: its refresh token at once, its access tokens within a second."""
    async with visit.deps.database.unscoped() as tx:
        await ending.log_out(tx, visit, who.user_id, sessions.login_of(who).id)
    _forget(request, who)
    return reply(request, Done())


@routes.post("/auth/password/forgot", needs=PUBLIC, limit=STRICT, answers=Answer[Done], status=202, errors=(429, 503))
async def forgot_password(request: Request, visit: VisitIn, wanted: ForgotIn) -> Response:
    """Get a token for a new password by mail, if there is such an account; the answer does not say."""
    await passwords.forgot(visit, wanted.email)
    return reply(request, Done(), status=202)


@routes.post("/auth/password/reset", needs=PUBLIC, limit=STRICT, answers=Answer[Done], errors=(429, 503))
async def reset_password(request: Request, visit: VisitIn, wanted: ResetIn) -> Response:
    """Set a new password with the token that came by mail: once, within an hour. All sessions end."""
    await passwords.reset(visit, wanted.token, wanted.password)
    return reply(request, Done())


@routes.post("/auth/password/change", needs=SELF, limit=STRICT, answers=Answer[Done], errors=(429,))
async def change_password(request: Request, who: Who, visit: VisitIn, wanted: ChangePasswordIn) -> Response:
    """Set another password; all other sessions end."""
    await passwords.change(visit, who, wanted.current_password, wanted.password)
    return reply(request, Done())


@routes.post(
    "/auth/email/change", needs=SELF, limit=STRICT, answers=Answer[CodeSent], status=202, errors=(429,), step_up=True
)  # fmt: skip
async def change_email(request: Request, who: Who, visit: VisitIn, wanted: ChangeEmailIn) -> Response:
    """Take another address; it is in force once its code is handed in at /v1/auth/verify."""
    return reply(request, await me.change_email(visit, who, wanted.email), status=202)


@routes.post("/auth/organization", needs=SELF, answers=Answer[AccessToken], errors=(404,))
async def act_for(request: Request, who: Who, visit: VisitIn, wanted: OrganizationIn) -> Response:
    """Turn this session to another organization of yours; the answer holds an access token for it."""
    return reply(request, await sessions.act_for(visit, who, wanted.organization_id))


@routes.get("/auth/sessions", needs=SELF, answers=Listing[SessionOut])
async def list_sessions(request: Request, who: Who, visit: VisitIn, page: PageIn) -> Response:
    """Your sessions: device, address, last use."""
    rows, pagination = await sessions.listed(visit, who, page)
    return reply(request, rows, pagination=pagination)


@routes.post("/auth/sessions/revoke-others", needs=SELF, answers=Answer[Revoked])
async def revoke_others(request: Request, who: Who, visit: VisitIn) -> Response:
    """End all your sessions but this one."""
    return reply(request, Revoked(revoked=await sessions.revoke_all(visit, who, but_mine=True)))


@routes.post("/auth/sessions/revoke-all", needs=SELF, answers=Answer[Revoked])
async def revoke_all(request: Request, who: Who, visit: VisitIn) -> Response:
    """End all your sessions, this one too."""
    revoked = await sessions.revoke_all(visit, who, but_mine=False)
    _forget(request, who)
    return reply(request, Revoked(revoked=revoked))


@routes.delete("/auth/sessions/{session_id}", needs=SELF, answers=None, status=204, errors=(404,))
async def revoke_session(request: Request, who: Who, visit: VisitIn, session_id: str) -> Response:
    """End one of your sessions."""
    await sessions.revoke(visit, who, session_id)
    request.app.state.people.forget_session(session_id)
    return Response(status_code=204)


@routes.get("/users/me", needs=SELF, answers=Answer[PersonOut], etag=True)
async def read_me(request: Request, who: Who, visit: VisitIn) -> Response:
    """Who you are."""
    return reply(request, await me.read(visit, who), etag=True)


@routes.patch("/users/me", needs=SELF, answers=Answer[PersonOut], etag=True)
async def change_me(request: Request, who: Who, visit: VisitIn, wanted: MeIn, precondition: PreconditionIn) -> Response:
    """Change your name or language."""
    return reply(request, await me.change(visit, who, wanted, precondition), etag=True)


def _forget(request: Request, who: Principal) -> None:
    """The session that asks has ended: its next request here is refused at once, elsewhere within a second."""
    request.app.state.people.forget_session(sessions.login_of(who).id)


async def _jwks(request: Request) -> Response:
    context_of(request).cache_control = b"public, max-age=300"
    return JsonBytes(JwkSet.model_validate(await request.app.state.tokens.jwks()).model_dump_json().encode())


@well_known.get("/.well-known/jwks.json", needs=PUBLIC, limit=LENIENT, answers=JwkSet, errors=(503,))
async def jwks(request: Request) -> Response:
    """The public keys of access tokens (RFC 7517), for whoever verifies them alone."""
    return await _jwks(request)


@routes.get("/auth/jwks", needs=PUBLIC, limit=LENIENT, answers=JwkSet, errors=(503,))
async def auth_jwks(request: Request) -> Response:
    """The same keys."""
    return await _jwks(request)


@routes.post("/admin/signing-keys/rotate", needs="system:security", answers=Answer[SigningKey], step_up=True)
async def rotate_signing_key(request: Request, visit: VisitIn) -> Response:
    """Sign with a fresh key from now on; tokens of the ones before stay good until they expire."""
    return reply(request, SigningKey(id=await visit.tokens.rotate()))


@routes.get("/admin/mails", needs="system:mail", answers=Listing[MailOut])
async def list_mails(
    request: Request,
    deps: DepsIn,
    page: PageIn,
    recipient: Annotated[Email | None, Query(description="Only to this address")] = None,
) -> Response:
    """Mail that waits, was sent or failed, the newest first. Without SMTP settings all of it waits here."""
    rows, pagination = await mailbox.listed(deps, recipient, page)
    return reply(request, rows, pagination=pagination)


@routes.get("/admin/mails/{mail_id}", needs="system:mail", answers=Answer[MailOut], errors=(404,))
async def read_mail(request: Request, deps: DepsIn, mail_id: str) -> Response:
    """One mail with its body, until it is sent."""
    return reply(request, await mailbox.read(deps, mail_id))
