"""The command line: `aihub`. Heavy things are imported by the command that needs them: `--help` stays fast.

Exit codes: 0 all is well; 1 a check found something (reconcile differs, the demo does not agree, events rejected);
2 wrong use or bad input; 3 the machine or its settings (port, disk, jars, configuration); 4 a dependency is down.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="aihub",
    help="Smart AI Hub: metering, credits, analytics and webhooks for AI usage.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
dead_letters = typer.Typer(name="dead-letters", help="Browse, re-drive and drop dead letters.", no_args_is_help=True)
audit = typer.Typer(name="audit", help="Prove the audit trail.", no_args_is_help=True)
app.add_typer(dead_letters)
app.add_typer(audit)
mail = typer.Typer(name="mail", help="Look into the mail that the hub writes.", no_args_is_help=True)
app.add_typer(mail)

Home = Annotated[Path | None, typer.Option("--home", help="Data directory; default $AIHUB_HOME or ./.aihub")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output")]


def main() -> None:
    """Runs the command; every expected failure is one line on standard error and an exit code."""
    from contracts.errors import AihubError, ConfigError, EngineError, InputError, Unavailable

    try:
        app()
    except AihubError as error:
        typer.echo(f"error: {error.message}", err=True)
        codes = ((InputError, 2), (EngineError, 3), (ConfigError, 3), (Unavailable, 4))
        sys.exit(next((code for kind, code in codes if isinstance(error, kind)), 1))
    except KeyboardInterrupt:
        sys.exit(130)


def _settings(home: Path | None, **overrides: Any) -> Any:
    from infra.settings import load_settings

    return load_settings(home=home, **overrides)


@app.command()
def demo(
    home: Home = None,
    trace: Annotated[Path | None, typer.Option(help="Replay this file (CSV, NDJSON, Parquet)")] = None,
    map: Annotated[str | None, typer.Option(help="time=COLUMN,input=COLUMN,output=COLUMN")] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, help="Times real time; default as fast as possible")] = None,
    events: Annotated[int, typer.Option(min=1, max=1_000_000, help="Size of the synthetic workload")] = 5_000,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic workload")] = 1,
    result: Annotated[Path | None, typer.Option(help="Also write the table as JSON to this file")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
) -> None:
    """Start everything, send usage, wait until it has arrived everywhere, print the table, stop."""
    from infra.app.demo import DemoOptions, run_demo
    from infra.app.loop import run

    options = DemoOptions(trace=trace, mapping=map, speed=speed, events=events, seed=seed, result=result)
    raise typer.Exit(run(run_demo(_settings(home, port=port), options)))


@app.command()
def up(
    home: Home = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="API port; default 8080 or a free one")] = None,
) -> None:
    """Start the stack and stay up until Ctrl-C or SIGTERM."""
    from infra.app.loop import run
    from infra.app.up import run_up

    raise typer.Exit(run(run_up(_settings(home, port=port))))


@app.command()
def run(
    role: Annotated[str, typer.Argument(help="api credits analytics webhooks deliveries relay sweeper audit ...")],
    probe_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Health and metrics")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="API port (role api)")] = None,
) -> None:
    """Run one role against the engines that AIHUB_* names, until SIGTERM."""
    from infra.app.loop import run as run_loop
    from infra.app.role import run_role

    raise typer.Exit(run_loop(run_role(_settings(None, probe_port=probe_port, port=port), role)))


@app.command()
def migrate(home: Home = None, json: Json = False) -> None:
    """Make or update topics, tables and views."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.migrate(_settings(home), json)))


@app.command()
def seed(home: Home = None) -> None:
    """Make two organizations with keys, credits and prices; prints the new keys, once, as JSON."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.seed(_settings(home))))


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, NDJSON or Parquet")],
    home: Home = None,
    map: Annotated[str | None, typer.Option(help="FIELD=COLUMN,... ; the rest is guessed")] = None,
    service: Annotated[str, typer.Option(help="The service, where the file has no column for it")] = "import",
    source: Annotated[str | None, typer.Option(help="The events' source; default: from the file's content")] = None,
    url: Annotated[str | None, typer.Option(help="The hub; default: the stack that runs on --home")] = None,
    api_key: Annotated[str | None, typer.Option(envvar="AIHUB_API_KEY", help="Default: that stack's key")] = None,
    json: Json = False,
) -> None:
    """Send a file of usage through the API; may be broken off and run again, nothing counts twice."""
    from infra.app import commands
    from infra.app.loop import run
    from infra.app.reach import Target

    target = Target(url, api_key)
    raise typer.Exit(run(commands.import_file(_settings(home), target, file, map, service, source, json)))


@app.command()
def reconcile(
    home: Home = None,
    repair: Annotated[bool, typer.Option("--repair", help="Re-drive what is missing")] = False,
    json: Json = False,
) -> None:
    """Compare Kafka, ledger and analytics, id by id; exit 1 when they differ."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.reconcile(_settings(home), repair, json)))


@audit.command("verify")
def audit_verify(home: Home = None, json: Json = False) -> None:
    """Recompute every organization's hash chain and compare it with its copy; exit 1 when one was changed."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.verify_audit(_settings(home), json)))


@mail.command("list")
def mail_list(
    home: Home = None,
    to: Annotated[str | None, typer.Option(help="Only to this address")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    json: Json = False,
) -> None:
    """Newest first; without AIHUB_SMTP_HOST all of it waits here."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.list_mails(_settings(home), to, limit, json)))


@mail.command("show")
def mail_show(id: Annotated[str, typer.Argument()], home: Home = None, json: Json = False) -> None:
    """One mail with its text, until it is sent."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.show_mail(_settings(home), id, json)))


@dead_letters.command("list")
def dead_letters_list(
    home: Home = None,
    consumer: Annotated[str | None, typer.Option(help="Only of this consumer")] = None,
    reason: Annotated[str | None, typer.Option(help="Only with this reason")] = None,
    state: Annotated[str, typer.Option(help="parked, redriven or dropped")] = "parked",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    json: Json = False,
) -> None:
    """Newest first, with origin and reason."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.list_dead_letters(_settings(home), consumer, reason, state, limit, json)))


@dead_letters.command("redrive")
def dead_letters_redrive(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids; none: all that are parked and match")] = None,
    home: Home = None,
    consumer: Annotated[str | None, typer.Option(help="Only of this consumer")] = None,
    reason: Annotated[str | None, typer.Option(help="Only with this reason")] = None,
) -> None:
    """Publish them to their topic again."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.resolve_dead_letters(_settings(home), "redrive", ids or [], consumer, reason)))


@dead_letters.command("drop")
def dead_letters_drop(ids: Annotated[list[str], typer.Argument()], home: Home = None) -> None:
    """Mark them as dropped; they stay readable."""
    from infra.app import commands
    from infra.app.loop import run

    raise typer.Exit(run(commands.resolve_dead_letters(_settings(home), "drop", ids, None, None)))


@app.command()
def doctor(
    home: Home = None,
    role: Annotated[bool, typer.Option("--role", help="Ask the role of this container for its health")] = False,
    json: Json = False,
) -> None:
    """Check machine, engines and consumers; says what to do about each finding."""
    from infra.app import doctor as doctors
    from infra.app.loop import run

    raise typer.Exit(run(doctors.examine_role(_settings(home)) if role else doctors.examine(_settings(home), json)))


if __name__ == "__main__":
    main()
