"""The whole service on one screen."""

from datetime import timedelta
from pathlib import Path

from town_kit.clock import Clock, SystemClock
from town_kit.service import Job, Service
from town_kit.settings import Zone
from town_standardization import my_numbers, records, wiring
from town_standardization.addressees.consumers import addressee_consumers
from town_standardization.addressees.router import numbering_router
from town_standardization.free_texts.router import router as free_texts
from town_standardization.hand_overs import fetch_batch
from town_standardization.hand_overs.consumers import hand_over_consumers
from town_standardization.hand_overs.router import router as hand_overs
from town_standardization.my_numbers.router import router as number_searches
from town_standardization.records.export import export_files
from town_standardization.records.router import linkage_router
from town_standardization.releases import hand_in_batch
from town_standardization.releases.consumers import release_consumers
from town_standardization.settings import StandardizationSettings

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SECOND = timedelta(seconds=1)


def create_service(settings: StandardizationSettings, *, clock: Clock | None = None) -> Service:
    """`standardization` (標準化対象業務・庁内データ連携・団体内統合宛名) as its settings describe it."""
    clock = clock or SystemClock()
    database = wiring.database(settings)
    ports = wiring.ports(settings, database, clock)
    return Service(
        name="standardization",
        title="標準化対象業務・庁内データ連携",
        description="標準レコードの取得と受領、決定の受け取り、住登外者宛名番号の付番、個人番号の保管。",
        zone=Zone.MY_NUMBER,
        settings=settings,
        database=database,
        verifier=wiring.verifier(settings, clock),
        migrations=MIGRATIONS,
        clock=clock,
        routers=(
            *(linkage_router(adapter) for adapter in ports.adapters),
            numbering_router(settings.numbering_path),
            number_searches,
            free_texts,
            hand_overs,
        ),
        consumers=(*hand_over_consumers(clock), *addressee_consumers(), *release_consumers(clock)),
        jobs=(
            Job("hand-overs.fetching", SECOND / 4, lambda: fetch_batch(ports)),
            Job("releases.handing-in", SECOND, lambda: hand_in_batch(ports)),
            Job("records.exporting", 2 * SECOND, lambda: export_files(ports)),
        ),
        events=(*records.PUBLISHED, *my_numbers.PUBLISHED),
        resources=tuple(client.running for client in ports.clients),
        extras={"ports": ports},
    )
