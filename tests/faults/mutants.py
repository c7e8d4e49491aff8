"""Seeded bugs: each breaks one law of the pipeline, in one role, and must be caught by its plan."""

from collections.abc import Callable
from typing import Final, NamedTuple

from tests.faults import bugs
from tests.faults.plans import Plan

Apply = Callable[[], None]


class Mutant(NamedTuple):
    """A bug: what it is, how a process gets it, how it is found, and a word of the verdict that proves it."""

    role: str
    says: str
    apply: Apply
    plan: Plan
    shows: str


MUTANTS: Final[dict[str, Mutant]] = {
    "offset_before_effect": Mutant(
        "credits", "commits the offset, then books", bugs.offset_before_effect,
        Plan("credits", "credits_in_transaction", 12, conflicts=0.0, duplicates=0.0), "the ledger lacks",
    ),
    "effect_without_inbox": Mutant(
        "credits", "books without remembering the identity", bugs.effect_without_inbox,
        Plan("credits", "credits_before_offset", 3), "the ledger has",
    ),
    "accepted_before_ack": Mutant(
        "api", "answers 202 and sends afterwards", bugs.accepted_before_ack,
        Plan("api", "before_produce", 5, conflicts=0.0), "the ledger lacks",
    ),
    "outbox_outside_transaction": Mutant(
        "credits", "states what was booked in a transaction of its own", bugs.outbox_outside_transaction,
        Plan("credits", "credits_before_outbox", 3), "analytics' charges lacks",
    ),
    "lease_without_fencing": Mutant(
        "deliveries", "writes results of leases that it has lost", bugs.lease_without_fencing,
        Plan("deliveries", stale_lease=True), "attempts were recorded",
    ),
    "swallowed_handler_error": Mutant(
        "credits", "goes on after an error as if all had been booked", bugs.swallowed_handler_error,
        Plan("credits", outage="postgres"), "the ledger lacks",
    ),
    "outage_parks": Mutant(
        "credits", "parks what comes while the database is away", bugs.outage_parks,
        Plan("credits", outage="postgres"), "the ledger lacks",
    ),
    "time_in_identity": Mutant(
        "analytics", "takes the event's time for a part of its identity", bugs.time_in_identity,
        Plan("analytics"), "analytics has",
    ),
    "commits_all_partitions": Mutant(
        "credits", "commits every partition to its end", bugs.commits_all_partitions,
        Plan("credits", "credits_in_transaction", 12, duplicates=0.0), "the ledger lacks",
    ),
    "memory_only_dedup": Mutant(
        "analytics", "remembers identities in memory only", bugs.memory_only_dedup,
        Plan("analytics", "analytics_before_identities", 8, after=160), "analytics has",
    ),
    "body_hash_ignored": Mutant(
        "credits", "takes another body for a duplicate", bugs.body_hash_ignored,
        Plan("credits", conflicts=0.6), "dead letter of",
    ),
    "outbox_deleted_before_publish": Mutant(
        "relay", "removes what it is going to publish", bugs.outbox_deleted_before_publish,
        Plan("relay", "relay_before_ship", 12), "analytics' charges lacks",
    ),
    "parks_without_ack": Mutant(
        "credits", "commits without waiting until dead letters are acknowledged", bugs.parks_without_ack,
        Plan("credits", "credits_before_letter", 6, conflicts=0.6), "dead letter of",
    ),
    "facts_not_awaited": Mutant(
        "analytics", "goes on before ClickHouse has the facts", bugs.facts_not_awaited,
        Plan("analytics", "analytics_before_facts", 3), "analytics lacks",
    ),
    "counts_at_insert": Mutant(
        "migrate", "counts a row when it is inserted, as insert-triggered rollups do", bugs.counts_at_insert,
        Plan("analytics", "analytics_after_facts", 3), "analytics has",
    ),
    "delivered_before_sent": Mutant(
        "deliveries", "writes down the success, then sends", bugs.delivered_before_sent,
        Plan("deliveries", "deliveries_before_send", 3), "the receiver lacks",
    ),
    "message_for_each_reading": Mutant(
        "webhooks", "gives an event that it reads again another webhook id", bugs.message_for_each_reading,
        Plan("webhooks", "webhooks_before_offset", 3), "the receiver has",
    ),
    "starts_at_the_end": Mutant(
        "credits", "begins a topic that it does not know at its end", bugs.starts_at_the_end,
        Plan("credits", late=True), "the ledger lacks",
    ),
    "lease_for_ever": Mutant(
        "deliveries", "never takes over from a dead dispatcher", bugs.lease_for_ever,
        Plan("deliveries", "deliveries_leased", 2), "the receiver lacks",
    ),
}  # fmt: skip
