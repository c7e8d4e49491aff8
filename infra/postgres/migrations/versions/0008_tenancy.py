"""Row-level security on everything that belongs to an organization."""

from infra.postgres.migrations.tenancy import CURRENT, create_role, protect, protect_where, share

revision = "0008"
down_revision = "0007"

OWNED = (
    "accounts", "api_keys", "audit_heads", "audit_trail", "dead_letters", "grants", "idempotency_keys", "inbox",
    "invitations", "ledger_heads", "ledger_transactions", "memberships", "outbox", "postings", "role_assignments",
    "roles", "team_members", "teams", "webhook_deliveries", "webhook_endpoints", "webhook_messages",
)  # fmt: skip


def upgrade() -> None:
    create_role()
    for table in OWNED:
        protect(table)
    protect("organizations", column="id", allow="SELECT, UPDATE")
    protect_where(
        "webhook_attempts", "EXISTS (SELECT FROM webhook_deliveries d WHERE d.id = delivery_id)", allow="SELECT"
    )
    member = f"EXISTS (SELECT FROM memberships m WHERE m.user_id = users.id AND m.organization_id = {CURRENT})"
    protect_where("users", member, allow="SELECT (id, email, email_verified_at, name, locale, status, created_at)")
    protect_where("prices", f"organization_id IS NULL OR organization_id = {CURRENT}", allow="SELECT")
    for table in ("ledger_progress", "price_books"):
        share(table)
