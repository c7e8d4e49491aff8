"""The HTTP application: every resource behind one edge, one guard and one shape of errors."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.routes import routes as access
from api.analytics.routes import routes as analytics
from api.audit.routes import routes as audit
from api.auth.routes import routes as auth
from api.auth.routes import well_known
from api.core import errors
from api.core.admission import Gate
from api.core.background import Background
from api.core.denials import Denials
from api.core.edge import Edge
from api.core.key_use import KeyUse
from api.core.keyring import Keyring
from api.core.limits import Limiter
from api.core.people import People
from api.core.resource import Resource
from api.core.room import Room
from api.core.standings import Standings
from api.core.tokens import Tokens
from api.credits.routes import routes as credits
from api.deadletters.routes import routes as deadletters
from api.deps import Deps
from api.documents.routes import routes as documents
from api.events.routes import hot_routes
from api.events.routes import routes as events
from api.factors.routes import routes as factors
from api.health.routes import routes as health
from api.keys.routes import routes as keys
from api.members.routes import routes as members
from api.oauth.routes import routes as oauth
from api.oauth.verified import VerifiedSessions
from api.organizations.routes import routes as organizations
from api.privacy.routes import routes as privacy
from api.reconcile.routes import routes as reconcile
from api.roles.routes import routes as roles
from api.teams.routes import routes as teams
from api.webhooks.routes import routes as webhooks
from infra.http.oidc import OidcClient
from infra.passwords import Passwords
from infra.telemetry import tracing

RESOURCES: tuple[Resource, ...] = (
    oauth,  # begins with what is asked most: routes are tried in order, a microsecond each
    events,
    credits,
    analytics,
    webhooks,
    deadletters,
    organizations,
    members,
    teams,
    roles,
    keys,
    access,
    audit,
    factors,
    privacy,
    reconcile,
    auth,
    well_known,
    health,
    documents,
)
"""One line a resource; later ones never shadow earlier ones."""


class Hub(FastAPI):
    """FastAPI within the edge, so that what the edge answers or hands on directly passes none of its layers."""

    edge: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        scope["app"] = self
        await self.edge(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves it without the edge."""
        await super().__call__(scope, receive, send)


def create_app(deps: Deps) -> Hub:
    """The API on these connections; whoever opened them closes them."""
    options = deps.options
    app = Hub(
        title="Smart AI Hub",
        version=options.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": tracing.is_configured(), "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.deps = deps
    deadline_s = options.database_deadline_s
    app.state.keyring = Keyring(deps.database, deps.clock, deps.key_pepper, deadline_s)
    app.state.tokens = Tokens(deps.database, deps.clock, deps.sealer, options.public_url)
    app.state.people = People(deps.database, deps.clock, app.state.tokens, deadline_s)
    app.state.standings = Standings(deps.database, deps.clock, deadline_s)
    app.state.passwords = Passwords(options.password_hash)
    app.state.background = Background()
    app.state.denials = Denials(deps, app.state.background)
    app.state.oidc = {name: OidcClient(provider) for name, provider in options.oidc_providers.items()}
    app.state.verified_sessions = VerifiedSessions(deps.database, deps.clock, deps.key_pepper, deadline_s)
    app.state.limiter = Limiter(deps.database, deps.clock, options.limits)
    app.state.gate = Gate(
        app.state.keyring,
        app.state.people,
        app.state.standings,
        app.state.limiter,
        deps.clock,
        KeyUse(deps.database, app.state.background),
    )
    hot = hot_routes()
    app.edge = Edge(
        app.framework,
        limit=options.body_limit_bytes,
        deadline_s=options.body_deadline_s,
        hot={route.path: route.hot for route in hot},
        direct=not tracing.is_configured(),  # FastAPI makes the span
        proxies=options.trusted_proxies,
        room=Room(options.requests_in_flight, options.bytes_in_flight),
        hot_room=Room(options.requests_in_flight, options.bytes_in_flight),
    )
    errors.install(app)
    app.router.routes.extend(hot)
    for resource in RESOURCES:
        resource.mount(app)
    return app
