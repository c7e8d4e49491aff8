"""The price book in the database: versions are added, never changed."""

from datetime import datetime

from sqlalchemy import text

from contracts.rules.pricing import Price, PriceBook
from infra.postgres.database import Tx, raw


async def newest_version(tx: Tx) -> int:
    """The highest version that was published; 0 when there is none."""
    return int((await tx.execute(text("SELECT coalesce(max(version), 0) FROM price_books"))).scalar_one())


async def load_books(tx: Tx) -> tuple[PriceBook, ...]:
    """All versions, the oldest first."""
    rows = await tx.execute(
        text("""
            SELECT b.version, b.effective_from, item, price_micros, per, model, service, provider, organization_id,
                   is_default
            FROM price_books AS b LEFT JOIN prices AS p USING (version) ORDER BY b.version, p.line
        """)
    )
    begins: dict[int, datetime] = {}
    prices: dict[int, list[Price]] = {}
    for version, effective_from, *columns in rows:
        begins[version] = effective_from
        prices.setdefault(version, [])
        if columns[0] is not None:
            prices[version].append(Price(*columns))
    return tuple(PriceBook(version, begins[version], tuple(prices[version])) for version in begins)


async def publish(tx: Tx, book: PriceBook, created_at: datetime) -> bool:
    """Adds a version of the price book; False when there is one of this number already. It cannot be changed later."""
    added = await tx.execute(
        text("INSERT INTO price_books VALUES (:version, :effective_from, :created_at) ON CONFLICT DO NOTHING"),
        {"version": book.version, "effective_from": book.effective_from, "created_at": created_at},
    )
    if added.rowcount == 0:
        return False
    rows = [
        (book.version, line, p.item, p.price_micros, p.per, p.model, p.service, p.provider, p.organization, p.default)
        for line, p in enumerate(book.prices, start=1)
    ]
    columns = (
        "version", "line", "item", "price_micros", "per", "model", "service", "provider", "organization_id",
        "is_default",
    )  # fmt: skip
    await (await raw(tx)).copy_records_to_table("prices", records=rows, columns=columns)
    return True
