"""The HTTP application: every resource behind one edge, one guard and one shape of errors."""

from fastapi import FastAPI

from api.analytics.routes import routes as analytics
from api.core import errors
from api.core.edge import Edge
from api.core.principal import Keyring
from api.core.resource import Resource
from api.credits.routes import routes as credits
from api.deadletters.routes import routes as deadletters
from api.deps import Deps
from api.documents.routes import routes as documents
from api.events.routes import hot_routes
from api.events.routes import routes as events
from api.health.routes import routes as health
from api.organizations.routes import routes as organizations
from api.reconcile.routes import routes as reconcile
from api.webhooks.routes import routes as webhooks

RESOURCES: tuple[Resource, ...] = (
    events,
    credits,
    analytics,
    webhooks,
    deadletters,
    organizations,
    reconcile,
    health,
    documents,
)
"""One line a resource; later ones never shadow earlier ones."""


def create_app(deps: Deps) -> FastAPI:
    """The API on these connections; whoever opened them closes them."""
    options = deps.options
    app = FastAPI(
        title="Smart AI Hub",
        version=options.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.deps = deps
    app.state.keyring = Keyring(deps.database, deps.clock, deps.key_pepper, options.database_deadline_s)
    hot = hot_routes()
    app.add_middleware(
        Edge,
        limit=options.body_limit_bytes,
        deadline_s=options.body_deadline_s,
        hot={route.path: route.hot for route in hot},
    )
    errors.install(app)
    app.router.routes.extend(hot)
    for resource in RESOURCES:
        resource.mount(app)
    return app
