"""Each process is told what it needs and nothing of an inner zone; both modes give a service the same settings."""

import json
import os
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from town_kit.db.server_files import Account
from town_kit.settings import Zone
from town_onebox import clients, sandbox, secrets, town
from town_onebox.assembly import LOG_DATABASES, Process, Town
from town_onebox.choices import Choices, chosen, keep, refuse_unsafe
from town_onebox.place import Place
from town_onebox.registry import BY_NAME, ENTRIES
from town_sandbox.main import NAMES

ADDRESSES = {name: f"{'smtp' if name == 'smtp' else 'http'}://127.0.0.1:{n}" for n, name in enumerate(NAMES, start=1)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Town:
    place = Place(tmp_path_factory.mktemp("assembly") / "town")
    found = secrets.prepare(place)
    secrets.prepare_vault(place, Account(None, os.geteuid(), os.getegid()))
    sandbox.prepare(place)
    clients.write(place, sandbox=True)
    (place.sandbox / "addresses.json").write_text(json.dumps(ADDRESSES))
    return Town(
        place=place,
        secrets=found,
        server=("127.0.0.1", 5432),
        public_url="http://127.0.0.1:8080",
        vault_url="http://127.0.0.1:8090",
        sandbox=True,
        service_urls={entry.name: f"http://127.0.0.1:{n}" for n, entry in enumerate(ENTRIES, start=9000)},
        started_at=time.time() - 60,
    )


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_process_is_given_the_log_of_an_inner_zone(made: Town, entry) -> None:
    urls = made.values(entry, Process.WORKER)["log_urls"]
    assert set(urls) == {zone for zone in Zone if zone.depth <= entry.zone.depth}
    text = json.dumps(urls)
    for zone in Zone:
        assert (LOG_DATABASES[zone] in text) == (zone.depth <= entry.zone.depth)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_service_starts_in_production_without_a_place_outside_for_its_audit_chain(made: Town, entry) -> None:
    values = made.values(entry, Process.OWN) | {"environment": "production", "audit_anchor": None}
    with pytest.raises(
        ValidationError, match=f"TOWN_{entry.name.upper()}_AUDIT_ANCHOR がありません.*町の外"
    ) as refused:
        entry.settings(**values)
    assert "起動し直してください" in str(refused.value)


def test_no_process_outside_the_vault_is_given_a_secret_of_it(made: Town) -> None:
    vault = secrets.read_vault(made.place)
    inner = [vault.keys.key_encryption_key, vault.keys.digest_key]
    inner += [password for each in vault.databases.values() for password in (each.owner, each.app)]
    for entry in made.entries():
        for process in Process:
            text = repr({name: str(value) for name, value in made.values(entry, process).items()})
            assert not any(secret in text for secret in inner), entry.name


def test_the_vault_is_called_by_nobody(made: Town) -> None:
    for entry in ENTRIES:
        for process in Process:
            assert "standardization" not in made.values(entry, process)["addresses"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_environment_variables_give_the_same_settings(
    made: Town,
    entry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in made.environment_of(entry).items():
        monkeypatch.setenv(name, value)
    assert entry.settings() == made.settings(entry, Process.OWN)


def test_what_the_town_says_in_its_own_file_has_the_last_word(made: Town, tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "town.yaml").write_text("connector: {portal_url: 'https://portal.example'}\n")
    changed = Town(**{**made.__dict__, "overrides": town.overrides(place)})
    assert changed.values(BY_NAME["connector"], Process.WORKER)["portal_url"] == "https://portal.example"


def test_production_refuses_the_internet_and_lgwan_in_one_process() -> None:
    with pytest.raises(ValueError, match="ゾーンごとの機械"):
        refuse_unsafe(Choices(Path("x"), environment="production", sandbox=False))


def test_production_refuses_the_sandbox() -> None:
    with pytest.raises(ValueError, match="--sandbox"):
        refuse_unsafe(Choices(Path("x"), zones=frozenset({Zone.LGWAN}), environment="production"))


def test_production_takes_one_zone_with_real_counterparts() -> None:
    refuse_unsafe(Choices(Path("x"), zones=frozenset({Zone.LGWAN}), environment="production", sandbox=False))


def test_a_town_starts_again_as_it_was_served(tmp_path: Path) -> None:
    assert chosen(tmp_path) == Choices(tmp_path, sandbox=False, environment="production")
    served = Choices(tmp_path, frozenset({Zone.LGWAN}), "192.0.2.1", False, "production", 4)
    keep(served)
    assert chosen(tmp_path) == served
    assert chosen(tmp_path, zones=frozenset({Zone.INTERNET})).zones == {Zone.INTERNET}
    assert chosen(tmp_path, web_processes=3).web_processes == 3


def test_a_town_that_was_served_in_production_is_not_used_for_a_trial(tmp_path: Path) -> None:
    refuse_unsafe(Choices(tmp_path))
    keep(Choices(tmp_path, zones=frozenset({Zone.LGWAN}), sandbox=False, environment="production"))
    with pytest.raises(ValueError, match="本番の町です"):
        refuse_unsafe(Choices(tmp_path))
