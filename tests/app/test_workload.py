"""The demo's usage is reproducible, plausible, and exact where a trace is."""

import statistics
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from contracts.catalog import check
from infra.app.load import BATCH, _batches
from infra.app.workload import Use, synthetic, trace

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def uses(seed: int, count: int = 2_000) -> list[Use]:
    return list(synthetic(count, 2, seed, "/demo/x", NOW))


def test_a_seed_gives_the_same_workload_and_another_another() -> None:
    assert uses(1) == uses(1)
    assert uses(1) != uses(2)


def test_every_use_is_a_valid_event_with_an_id_of_its_own() -> None:
    events = [use.event for use in uses(3)]
    for event in events:
        check(event["type"], event["data"])
    assert len({event["id"] for event in events}) == len(events)


def test_tokens_are_skewed_and_a_few_customers_use_most() -> None:
    events = [use.event["data"] for use in uses(4, 5_000)]
    tokens = [event["input_tokens"] for event in events]
    assert statistics.mean(tokens) > 1.3 * statistics.median(tokens)
    users = Counter(event["user"] for event in events)
    assert users["user_1"] > 5 * users.get("user_20", 0)
    assert Counter(use.organization for use in uses(4))[0] > Counter(use.organization for use in uses(4))[1] > 0


def test_a_trace_is_replayed_row_by_row_with_its_own_tokens_and_times(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:56.6805900,396,109\n"
    )
    first, second = trace(path, None, 2, "/demo/x", NOW, speed=2.0)
    assert (first.event["data"]["input_tokens"], first.event["data"]["output_tokens"]) == (374, 44)
    assert first.event["time"] == "2023-11-16T18:15:46.680590Z"
    assert (first.at_s, second.at_s) == (0.0, 5.0)
    check(first.event["type"], first.event["data"])


def test_who_used_what_is_assigned_the_same_way_each_time(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("input,output\n" + "".join(f"{n},1\n" for n in range(200)))
    assert list(trace(path, None, 2, "/x", NOW, None)) == list(trace(path, None, 2, "/x", NOW, None))


def test_one_customer_of_a_trace_always_lands_in_one_organization(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("customer,input\n" + "".join(f"c{n % 7},1\n" for n in range(70)))
    homes: dict[int, set[int]] = {}
    for number, use in enumerate(trace(path, None, 2, "/x", NOW, None)):
        homes.setdefault(number % 7, set()).add(use.organization)
    assert all(len(organizations) == 1 for organizations in homes.values())


def test_batches_are_of_one_organization_and_lose_nothing() -> None:
    everything = uses(5, 3_333)
    batches = list(_batches(everything))
    assert all(len(events) <= BATCH for _, _, events in batches)
    assert sum(len(events) for _, _, events in batches) == 3_333
    sent = {(organization, event["id"]) for _, organization, events in batches for event in events}
    assert sent == {(use.organization, use.event["id"]) for use in everything}
