"""The outside world of a trial: the sandbox as a program beside the town, told where the town is."""

import sys

from town_onebox.assembly import Town, redirect_uri
from town_onebox.core_systems import core_systems
from town_onebox.place import Place
from town_sandbox.configuration import Config, CoreSystemConfig, write_json
from town_sandbox.configuration import prepare as prepare_credentials
from town_sandbox.main import make_ready


def prepare(place: Place) -> None:
    """Make the sandbox's credentials, its test authority and its cards, where missing."""
    make_ready(place.sandbox, core_systems())
    account = prepare_credentials(place.sandbox).fcm_service_account
    write_json(place.fcm_service_account, account, mode=0o600)


def command(place: Place) -> list[str]:
    """How the sandbox is started."""
    return [sys.executable, "-m", "town_sandbox", "serve", "--directory", str(place.sandbox)]


def configure(town: Town) -> None:
    """Tell the outside world where the town is."""
    config = Config(
        webhook_url=f"{town.public_url}/webhooks/mynaportal",
        identity_address=f"{town.public_url}/identity",
        identity_audience=town.issuer,
        gateway_address=town.public_url,
        data_linkage_address=town.vault_url,
        core_systems={
            business_id: CoreSystemConfig(
                scope=system.scope, decides=system.decides, drop_folder=town.place.drop / business_id
            )
            for business_id, system in core_systems().items()
        },
        oidc_redirect_uris=[redirect_uri(town)],
    )
    write_json(town.place.sandbox / "config.json", config.model_dump(mode="json"))
