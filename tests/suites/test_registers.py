"""The registers agree: what one list names, the other has."""

import re
from pathlib import Path

import yaml

from contracts import topics
from contracts.catalog import EVENTS
from infra.app.roles import ROLES
from infra.telemetry import metrics

ENGINES = {"kafka", "postgres", "clickhouse"}


def compose(project: Path) -> dict[str, dict]:
    return yaml.safe_load((project / "docker-compose.yml").read_text())["services"]


def test_every_role_is_a_compose_service_and_every_service_a_role_an_engine_or_the_migration(project: Path) -> None:
    assert set(compose(project)) == set(ROLES) | ENGINES | {"migrate"}


def test_a_service_runs_the_role_of_its_name(project: Path) -> None:
    services = compose(project)
    assert {name: services[name]["command"] for name in ROLES} == {name: ["run", name] for name in ROLES}


def test_every_service_has_a_health_check_and_waits_for_the_migration(project: Path) -> None:
    for name, service in compose(project).items():
        assert service["healthcheck"], name
        if name in ROLES:
            assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_engines_keep_their_data_in_volumes(project: Path) -> None:
    services = compose(project)
    assert all(services[engine]["volumes"] for engine in ENGINES)


def test_every_topic_but_the_dead_letters_carries_an_event_of_the_catalogue() -> None:
    assert {event.TOPIC for event in EVENTS.values()} | {topics.DEAD_LETTERS} == set(topics.TOPICS)


def test_every_metric_is_declared_once_and_in_one_place(project: Path) -> None:
    rooms = ("api", "consumers", "infra", "producers")
    declared = re.compile(r"\b(?:Counter|Gauge|Histogram|Summary)\(\s*\"")
    homes = {path for room in rooms for path in (project / room).rglob("*.py") if declared.search(path.read_text())}
    assert homes == {project / "infra" / "telemetry" / "metrics.py"}


def test_every_metric_has_a_unit_or_is_a_count_and_says_what_it_is() -> None:
    for family in metrics.REGISTRY.collect():
        assert family.name.startswith("aihub_")
        assert family.documentation


def test_every_package_has_its_readme_of_at_most_60_lines(project: Path) -> None:
    for package in ("api", "consumers", "contracts", "infra", "producers", "tests"):
        lines = (project / package / "README.md").read_text().splitlines()
        assert 5 < len(lines) <= 60, package


def test_no_file_of_the_tree_names_a_registry_or_a_machine_path(project: Path) -> None:
    lock = (project / "requirements.lock").read_text()
    assert "://" not in lock
    assert lock.count("--hash=sha256:") > 500
