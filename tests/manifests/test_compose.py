"""`deploy/compose`: read by compose-go as docker compose does, by our rules, each service made from its settings."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.manifests.compose_rules import RULES
from tests.manifests.rendering import ROOT, compose_services, composed
from typer.testing import CliRunner

from town_kit.db import migrations
from town_kit.db.server import dsn, sqlalchemy_url
from town_kit.settings import Zone, service_prefix
from town_kit.testing import PostgresServer
from town_onebox import bundle
from town_onebox.registry import ENTRIES, Entry

ANCHOR = "https://anchor.example"
BAD = Path(__file__).parent / "bad" / "compose"
SETUP = ROOT / "k8s" / "components" / "database" / "databases.sh"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets as `make deploy-secrets` makes them."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    bundle.write(folder, ("database", 5432), ANCHOR)
    return folder


def breaches(services: dict[str, Any]) -> dict[str, list[str]]:
    found = {name: rule(services) for name, rule in RULES.items()}
    return {name: lines for name, lines in found.items() if lines}


def test_each_rule_holds() -> None:
    assert breaches(compose_services()) == {}


@pytest.mark.parametrize("rule", RULES)
def test_a_breach_of_each_rule_is_seen(rule: str) -> None:
    done = composed(BAD / f"{rule}.yaml")
    assert done.returncode == 0, done.stderr
    assert set(breaches(json.loads(done.stdout)["services"])) == {rule}


def test_a_field_that_the_specification_does_not_know_is_seen() -> None:
    done = composed(BAD / "schema.yaml")
    assert done.returncode != 0
    assert "readonly" in done.stderr


def test_each_service_has_its_processes() -> None:
    wanted = {name for e in ENTRIES for name in (f"{e.name}-worker", f"{e.name}-migration", *([e.name] * e.serves))}
    assert set(compose_services()) == {*wanted, "database", "event-log"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_service_is_made_from_what_its_containers_are_given(
    entry: Entry, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, prefix = compose_services(), service_prefix(entry.name)
    for variable in [name for name in os.environ if name.startswith("TOWN_")]:
        monkeypatch.delenv(variable)
    for name in (entry.name, f"{entry.name}-worker", f"{entry.name}-migration"):
        if name not in services:
            continue
        given: dict[str, str] = services[name]["environment"]
        fields = entry.settings.model_fields
        assert not {key for key in given if key.removeprefix(prefix).lower() not in fields}, "settings nobody reads"
        for key, value in {**given, **(read(made / entry.name / "settings.env"))}.items():
            monkeypatch.setenv(key, on_this_machine(value, services[name].get("volumes", ()), made))
    if entry.name == "connector":  # what the operator writes into portal.env
        for field in ("PORTAL_URL", "PORTAL_LOGIN_ID", "PORTAL_PASSWORD"):
            monkeypatch.setenv(f"{prefix}{field}", "http://portal.invalid")
    module, _, name = entry.command.partition(":")
    done = CliRunner().invoke(getattr(__import__(module, fromlist=[name]), name), ["check-config"])
    assert done.exit_code == 0, done.output
    assert "database_url = (設定済み)" in done.output


def read(path: Path) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in path.read_text().splitlines())


def on_this_machine(value: str, volumes: Any, made: Path) -> str:
    """A path inside the container as the path it is mounted from."""
    for volume in volumes:
        if volume["source"].startswith("/secrets/") and value.startswith(volume["target"]):
            return value.replace(volume["target"], volume["source"].replace("/secrets", str(made)), 1)
    return value


def test_an_outer_service_gets_no_address_of_an_inner_log() -> None:
    services = compose_services()
    for entry in ENTRIES:
        logs = json.loads(services[f"{entry.name}-worker"]["environment"][f"{service_prefix(entry.name)}LOG_URLS"])
        assert {Zone(zone) for zone in logs} == {zone for zone in Zone if zone.depth <= entry.zone.depth}


def test_every_service_is_given_the_place_where_heads_of_its_audit_chain_are_kept(made: Path) -> None:
    written = yaml.safe_load((ROOT / "deploy" / "compose" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for entry in ENTRIES:
        assert read(made / entry.name / "settings.env")[f"{service_prefix(entry.name)}AUDIT_ANCHOR"] == ANCHOR
        for name in (entry.name, f"{entry.name}-worker", f"{entry.name}-migration"):
            files = written.get(name, {"env_file": [f"/{entry.name}/settings.env"]})["env_file"]
            assert any(path.endswith(f"/{entry.name}/settings.env") for path in files), name


def test_secrets_are_made_once_and_for_their_owner_alone(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    bundle.write(made, ("database", 5432), ANCHOR)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    assert made.stat().st_mode & 0o077 == 0


@pytest.fixture
def databases(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A database as the script of the images makes it: URLs of its owner and of its application role."""
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    name = f"setup_{os.getpid()}"
    for role in ("owner", "app"):
        (tmp_path / f"{name}_{role}").write_text("it's a 'quoted' password")
    credentials, _, place = postgres_server.admin_dsn.removeprefix("postgresql://").rpartition("@")
    user, _, password = credentials.partition(":")
    host, _, port = place.split("/")[0].partition(":")
    environment = {
        **os.environ,
        "PGHOST": host,
        "PGPORT": port,
        "PGPASSWORD": password,
        "POSTGRES_USER": user,
        "TOWN_DATABASES": name,
        "TOWN_PASSWORDS": str(tmp_path),
    }
    done = subprocess.run(["sh", str(SETUP)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    urls = [
        sqlalchemy_url(dsn(host, int(port), f"{name}_{role}", "it's a 'quoted' password", name))
        for role in ("owner", "app")
    ]
    yield urls[0], urls[1]
    drop = f'DROP DATABASE "{name}" WITH (FORCE)', f'DROP ROLE "{name}_owner", "{name}_app"'
    for statement in drop:
        command = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", "postgres", "-c", statement]
        subprocess.run(command, env=environment, check=True, capture_output=True)


def test_the_databases_of_the_images_take_the_migrations_of_a_service(databases: tuple[str, str]) -> None:
    owner, _ = databases
    entry = next(each for each in ENTRIES if each.name == "procedures")
    migrations.upgrade(owner, entry.migrations)
