"""Endpoints are rows, their secrets and header values sealed."""

from datetime import timedelta
from typing import Any, Final

from api.core.etags import Precondition
from api.core.paging import Page, Pagination
from api.core.principal import Principal
from api.deps import Deps
from api.webhooks.schemas import (
    EndpointChange,
    EndpointIn,
    EndpointOut,
    EndpointWithSecret,
)
from contracts.errors import Conflict, Invalid, NotFound, Problem
from contracts.rules import endpoints as rules
from contracts.rules import webhooks
from infra.crypto import new_webhook_secret
from infra.http.addresses import AddressPolicy
from infra.ids import new_id
from infra.postgres import webhooks_endpoints as store
from infra.postgres.database import Tx
from infra.postgres.webhooks_endpoints import EndpointRow

MAX_ENDPOINTS: Final = 100
HIDDEN: Final = "********"


async def create_endpoint(deps: Deps, who: Principal, wanted: EndpointIn) -> EndpointWithSecret:
    """The new endpoint and its secret. Raises: Invalid with pointers, Conflict when there are too many."""
    _check(deps, wanted.url, wanted.event_types, wanted.headers)
    now, secret = deps.clock.now(), new_webhook_secret()
    same = wanted.model_dump(include={"url", "description", "event_types", "enabled"})
    endpoint_id = new_id("we")
    row = EndpointRow(
        id=endpoint_id,
        organization_id=who.organization_id,
        headers=_sealed(deps, endpoint_id, wanted.headers),
        **same,
        created_at=now,
        updated_at=now,
        disabled_at=None if wanted.enabled else now,
        disabled_reason=None if wanted.enabled else "made disabled",
        failures=0,
        failing_since=None,
        breaker_until=None,
    )
    async with deps.database.transaction() as tx:
        if await store.count_endpoints(tx, who.organization_id) >= MAX_ENDPOINTS:
            raise Conflict(f"This organization has {MAX_ENDPOINTS} endpoints already; delete one first.")
        await store.save_endpoint(tx, row, deps.sealer.seal_text(secret, store.secret_purpose(row.id)))
    return EndpointWithSecret(**_endpoint(row).model_dump(), secret=secret)


async def list_endpoints(deps: Deps, who: Principal, page: Page) -> tuple[list[EndpointOut], Pagination]:
    """The organization's endpoints, the newest first."""
    async with deps.database.transaction() as tx:
        rows, total = await store.list_endpoints(tx, who.organization_id, page.window)
    shown, pagination = page.cut(rows, lambda row: (row.created_at, row.id), total=total)
    return [_endpoint(row) for row in shown], pagination


async def read_endpoint(deps: Deps, who: Principal, endpoint_id: str) -> EndpointOut:
    """The endpoint. Raises: NotFound, also for another organization's."""
    async with deps.database.transaction() as tx:
        row = await store.find_endpoint(tx, who.organization_id, endpoint_id)
    return _endpoint(found(row))


async def change_endpoint(
    deps: Deps, who: Principal, endpoint_id: str, wanted: EndpointChange, precondition: Precondition
) -> EndpointOut:
    """The changed endpoint; enabling it forgets its failures and resumes what was held.

    Raises: NotFound, Invalid, PreconditionFailed.
    """
    changes = wanted.model_dump(exclude_unset=True)
    _no_nulls(changes)
    _check(deps, changes.get("url"), changes.get("event_types", []), changes.get("headers", {}))
    now = deps.clock.now()
    if "headers" in changes:
        changes["headers"] = _sealed(deps, endpoint_id, changes["headers"])
    if changes.get("enabled") is True:
        changes |= dict.fromkeys(("disabled_at", "disabled_reason", "failing_since", "breaker_until"))
        changes |= {"failures": 0, "breaker_trips": 0}
    if changes.get("enabled") is False:
        changes |= {"disabled_at": now, "disabled_reason": "switched off"}
    async with deps.database.transaction() as tx:
        precondition.check(_endpoint(await _locked(tx, who, endpoint_id)))
        row = found(await store.change_endpoint(tx, who.organization_id, endpoint_id, changes, now))
        if changes.get("enabled") is True:
            await store.resume_held(tx, endpoint_id, now)
    return _endpoint(row)


async def delete_endpoint(deps: Deps, who: Principal, endpoint_id: str, precondition: Precondition) -> None:
    """The endpoint is gone; what it waited for ends. Raises: NotFound, PreconditionFailed."""
    async with deps.database.transaction() as tx:
        precondition.check(_endpoint(await _locked(tx, who, endpoint_id)))
        await store.delete_endpoint(tx, who.organization_id, endpoint_id, deps.clock.now())


async def rotate_secret(
    deps: Deps, who: Principal, endpoint_id: str, overlap_hours: int, precondition: Precondition
) -> EndpointWithSecret:
    """The endpoint with its new secret; until the overlap is over deliveries carry both signatures.

    Raises: NotFound, PreconditionFailed.
    """
    now, secret = deps.clock.now(), new_webhook_secret()
    until = now + timedelta(hours=overlap_hours)
    async with deps.database.transaction() as tx:
        precondition.check(_endpoint(await _locked(tx, who, endpoint_id)))
        sealed = deps.sealer.seal_text(secret, store.secret_purpose(endpoint_id))
        await store.rotate_secret(tx, who.organization_id, endpoint_id, sealed, until, now)
        row = found(await store.find_endpoint(tx, who.organization_id, endpoint_id))
    return EndpointWithSecret(**_endpoint(row).model_dump(), secret=secret)


def found(row: EndpointRow | None) -> EndpointRow:
    """The row. Raises: NotFound."""
    if row is None:
        raise _no_endpoint()
    return row


def _sealed(deps: Deps, endpoint_id: str, headers: dict[str, str]) -> dict[str, str]:
    """Often they carry a subscriber's password or token."""
    return {
        name: deps.sealer.seal_text(value, store.header_purpose(endpoint_id, name)) for name, value in headers.items()
    }


def _check(deps: Deps, url: str | None, event_types: list[str], headers: dict[str, str]) -> None:
    problems = webhooks.unknown_patterns(event_types) + rules.header_problems(headers)
    if url is not None and (what := _url_problem(url, AddressPolicy.allowing(deps.options.webhook_allow))):
        problems += (Problem("/url", "url", what),)
    if problems:
        raise Invalid(f"{problems[0].pointer}: {problems[0].message}.", problems=problems)


def _url_problem(url: str, policy: AddressPolicy) -> str | None:
    if what := rules.url_problem(url):
        return what
    host = rules.host_of(url)
    if url.startswith("http://") and not policy.allows_loopback(host):
        return "must be https"
    refusal = policy.refusal_of_host(host)
    return f"leads to an address that is not allowed ({refusal})" if refusal else None


def _no_nulls(changes: dict[str, Any]) -> None:
    wrong = [name for name, value in changes.items() if value is None and name != "description"]
    if wrong:
        problems = tuple(Problem(f"/{name}", "null", "cannot be null; leave it out to keep it") for name in wrong)
        raise Invalid(f"/{wrong[0]} cannot be null.", problems=problems)


async def _locked(tx: Tx, who: Principal, endpoint_id: str) -> EndpointRow:
    return found(await store.find_endpoint(tx, who.organization_id, endpoint_id, lock=True))


def _endpoint(row: EndpointRow) -> EndpointOut:
    same = row._asdict()
    same["paused_until"] = same.pop("breaker_until")
    del same["organization_id"]
    return EndpointOut(**{**same, "headers": dict.fromkeys(row.headers, HIDDEN)})


def _no_endpoint() -> NotFound:
    return NotFound("This organization has no such webhook endpoint.")
