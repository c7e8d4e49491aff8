"""`/v1/auth/oauth`: log-ins with other providers; `/v1/auth/google` and what follows: the flow of a custom GPT."""

from pathlib import Path as FilePath
from typing import Annotated, Any, Final

from fastapi import Header, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.core import assets
from api.core.envelope import Answer, Listing, reply
from api.core.login_schemas import LoginOut
from api.core.paging import Pagination
from api.core.resource import Resource, Who
from api.core.visits import VisitIn
from api.oauth import browser, chat, service, states, verified
from api.oauth.schemas import (
    CallbackOut,
    IdentityOut,
    LinkIn,
    LinkOut,
    LoginCodeIn,
    ProviderOut,
    VerifiedCodeIn,
    VerifiedCodeOut,
    VerifiedCodeRequest,
    VerifiedSessionOut,
    VerifiedSessionToken,
)
from api.oauth.service import LOGIN_CODE_LIFE
from contracts.rules.access import PUBLIC, SELF
from contracts.rules.limits import EXEMPT, LENIENT, STRICT

routes: Final = Resource("/v1/auth", "oauth")

ASSETS: Final = FilePath(__file__).with_name("assets")
PATH_NOTE: Final = "A path of this hub that the browser goes to afterwards, with `login_code` in its query"
Name = Annotated[str, Path(pattern="^[!-~]{1,64}$", description="The provider")]
ReturnTo = Annotated[str | None, Query(max_length=1024, description=PATH_NOTE)]
Given = Annotated[str | None, Query(max_length=4096)]
Conversation = Annotated[str | None, Query(max_length=128, pattern="^[!-~]+$", description="Names the conversation")]


@routes.get(
    "/verify-session", needs=PUBLIC, answers=Answer[VerifiedSessionOut], errors=(401, 404, 422, 503), limit=EXEMPT
)
async def verify_session(request: Request, x_session_token: Annotated[str, Header(max_length=256)]) -> Response:
    """Whose session this is: 404 when it is unknown, 401 when it is over. Not limited: its token cannot be guessed."""
    return reply(request, await request.app.state.verified_sessions.verify(x_session_token))


@routes.get("/oauth/providers", needs=PUBLIC, answers=Listing[ProviderOut], limit=LENIENT)
async def list_providers(request: Request, visit: VisitIn) -> Response:
    """Who you can log in with."""
    found = service.providers(visit, request.app.state.oidc)
    return reply(request, found, pagination=_all_of(len(found)))


@routes.get("/oauth/{provider}/start", needs=PUBLIC, answers=None, status=303, errors=(404, 503), limit=LENIENT)
async def start(request: Request, visit: VisitIn, provider: Name, return_to: ReturnTo = None) -> Response:
    """Log in with a provider: the browser is sent there, and comes back to the callback."""
    secret = browser.secret_of(request)
    path = browser.own_path(return_to)
    address = await service.begin(visit, request.app.state.oidc, provider, secret, return_to=path)
    return browser.remember(RedirectResponse(address, 303), secret)


@routes.get(
    "/oauth/{provider}/callback",
    needs=PUBLIC,
    answers=Answer[CallbackOut],
    errors=(400, 401, 403, 404, 409, 503),
    redirects=True,
    limit=LENIENT,
)
async def callback(
    request: Request,
    visit: VisitIn,
    provider: Name,
    state: Given = None,
    code: Given = None,
    error: Given = None,
    iss: Given = None,
) -> Response:
    """Where providers send the browser back to: a log-in code, a link, or the page of a custom GPT."""
    given = {"state": state, "code": code, "error": error, "iss": iss}
    query = {name: value for name, value in given.items() if value is not None}
    clients, cookie = request.app.state.oidc, browser.presented(request)
    begun, sent = await service.came_back(visit, clients, provider, cookie, query)
    if begun.purpose == chat.PURPOSE:
        return await chat.page(visit, clients, begun, sent, query)
    identity = await service.identify(visit, clients, provider, sent, query)
    if begun.purpose == "link":
        await service.link(visit, begun, identity)
        return _done(request, begun, CallbackOut(linked=provider), {})
    secret = await service.login_code(visit, begun, identity)
    lives_s = int(LOGIN_CODE_LIFE.total_seconds())
    return _done(request, begun, CallbackOut(login_code=secret, expires_in=lives_s), {"login_code": secret})


@routes.post("/oauth/tokens", needs=PUBLIC, answers=Answer[LoginOut], errors=(401, 403, 503), limit=STRICT)
async def exchange_login_code(request: Request, visit: VisitIn, wanted: LoginCodeIn) -> Response:
    """Exchange a log-in code for tokens, or for the second step, from the browser that began."""
    return reply(request, await service.tokens(visit, browser.presented(request), wanted.login_code))


@routes.post("/oauth/{provider}/link", needs=SELF, answers=Answer[LinkOut], errors=(404,), step_up=True)
async def begin_link(request: Request, who: Who, visit: VisitIn, provider: Name, wanted: LinkIn) -> Response:
    """Link an account of a provider: send this browser to the address in the answer."""
    secret, return_to = browser.secret_of(request), browser.own_path(wanted.return_to)
    address = await service.begin_link(visit, who, request.app.state.oidc, provider, secret, return_to)
    return browser.remember(reply(request, LinkOut(authorization_url=address)), secret)


@routes.get("/oauth/identities", needs=SELF, answers=Listing[IdentityOut])
async def list_identities(request: Request, who: Who, visit: VisitIn) -> Response:
    """The accounts of other providers that you can log in with."""
    found = await service.identities(visit, who)
    return reply(request, found, pagination=_all_of(len(found)))


@routes.delete("/oauth/identities/{provider}", needs=SELF, answers=None, status=204, errors=(404, 409), step_up=True)
async def unlink(request: Request, who: Who, visit: VisitIn, provider: Name) -> Response:
    """Unlink your accounts at a provider; never your last way to log in."""
    await service.unlink(visit, who, provider)
    return Response(status_code=204)


@routes.get("/google", needs=PUBLIC, answers=None, status=303, errors=(404, 503), limit=LENIENT)
async def begin_google(
    request: Request, visit: VisitIn, session: Conversation = None, return_to: ReturnTo = None
) -> Response:
    """Log in with Google; with `return_to=chatgpt` the end is a page with a code for the chat."""
    secret = browser.secret_of(request)
    if return_to == chat.RETURN_TO:
        data: dict[str, Any] = {"purpose": chat.PURPOSE, "session": session}
    else:
        data = {"return_to": browser.own_path(return_to)}
    address = await service.begin(visit, request.app.state.oidc, "google", secret, **data)
    return browser.remember(RedirectResponse(address, 303), secret)


@routes.post("/verified-code/new", needs=SELF, answers=Answer[VerifiedCodeOut], status=201)
async def new_verified_code(request: Request, who: Who, visit: VisitIn, wanted: VerifiedCodeRequest) -> Response:
    """Make a code for a program without a browser, as the person who is logged in."""
    return reply(request, await verified.code_for(visit, who, wanted.session), status=201)


@routes.post("/verified-code", needs=PUBLIC, answers=Answer[VerifiedSessionToken], status=201, errors=(401, 503),
             limit=LENIENT)  # fmt: skip
async def redeem_code(request: Request, visit: VisitIn, wanted: VerifiedCodeIn) -> Response:
    """Exchange a verified code for a session of seven days."""
    return reply(request, await verified.redeem(visit, wanted.code, wanted.session), status=201)


@routes.get("/assets/{name}", needs=PUBLIC, answers=None, media=assets.MEDIA_TYPES, errors=(404,), limit=EXEMPT)
async def read_asset(request: Request, name: str) -> Response:
    """A script or style sheet of the pages."""
    return assets.serve(request, ASSETS, name)


def _done(request: Request, begun: states.Begun, out: CallbackOut, query: dict[str, str]) -> Response:
    """Back to where the browser came from, or the answer as JSON."""
    return_to = begun.data.get("return_to")
    if return_to is None:
        return reply(request, out)
    return RedirectResponse(browser.with_query(return_to, query), 303, {"Referrer-Policy": "no-referrer"})


def _all_of(count: int) -> Pagination:
    return Pagination(limit=count, has_more=False, next_cursor=None)
