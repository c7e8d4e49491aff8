"""The end of a custom GPT's log-in: a page with the code, the second step before it, or what went wrong."""

from typing import Final

from starlette.responses import Response

from api.core.login_schemas import SecondStep
from api.core.visits import Visit
from api.oauth import accounts, service, verified
from api.oauth import page as pages
from api.oauth.states import Begun
from contracts.errors import InputError, Unavailable
from infra.http.oidc import Request

PURPOSE: Final = "verified_code"
RETURN_TO: Final = "chatgpt"
BASE: Final = "../../"
"""From `/v1/auth/oauth/google/callback` to `/v1/auth/`, behind whatever prefix."""


async def page(visit: Visit, clients: service.Clients, begun: Begun, sent: Request, query: dict[str, str]) -> Response:
    """The page; people see it, so what goes wrong is a page too."""
    try:
        identity = await service.identify(visit, clients, begun.provider, sent, query)
        session = begun.data.get("session")
        async with visit.deps.database.unscoped() as tx:
            user = await accounts.person_of(tx, visit, begun.provider, identity)
            done = await verified.code_or_second_step(tx, visit, user, session)
    except (InputError, Unavailable) as error:
        return pages.problem_page(BASE, error.message, error.status)
    if isinstance(done, SecondStep):
        return pages.second_step_page(BASE, done.second_factor, session)
    return pages.code_page(BASE, done)
