"""`manta doctor`: will it run here, and is it closed to those who should not come in."""

from collections.abc import Iterator
from dataclasses import asdict

import typer

from api.cli.checks import certificate, database, directory, docling, hub, machine, ports, software
from api.cli.checks.finding import Finding, fail
from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, application
from api.cli.output import console, print_json, table
from configs.errors import ConfigurationError

app = application()


@app.command(epilog="Example: manta doctor --json")
def doctor(config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check this machine and the installation; each finding with its fix. Exit code 1 when one fails."""
    findings = list(examine(Installation(config, data_dir)))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    if any(finding.status == "fail" for finding in findings):
        raise typer.Exit(1)


def examine(installation: Installation) -> Iterator[Finding]:
    """Every finding; a configuration with mistakes is one too, and ends what depends on it."""
    yield from software.check()
    try:
        catalog = installation.catalog
    except ConfigurationError as error:
        yield fail("configuration", error.message, "`manta config validate FILE` tells more")
        return
    try:
        running = installation.running()
    except ConfigurationError as error:
        yield fail("data directory", error.message, "run as its owner, or choose another --data-dir")
        return
    yield from machine.check(catalog, running=running is not None)
    yield from directory.check(installation.layout, running)
    yield from ports.check(installation, running)
    yield from certificate.check(catalog.configuration.general_settings)
    yield from database.check(catalog)
    yield from hub.check(catalog)
    yield from docling.check(catalog)


def _show(findings: list[Finding]) -> None:
    rows = [{"": finding.status, "check": finding.check, "finding": finding.message} for finding in findings]
    screen = console()
    screen.print(table(rows, ["", "check", "finding"]))
    for finding in findings:
        if finding.fix:
            screen.print(f"\n{finding.check}: {finding.message}\n  fix: {finding.fix}", markup=False)
