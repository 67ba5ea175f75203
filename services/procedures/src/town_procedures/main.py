"""The whole service on one screen."""

from datetime import timedelta
from pathlib import Path

from town_kit.clock import Clock, SystemClock
from town_kit.messaging.republish import republish
from town_kit.service import Job, Service
from town_kit.settings import Zone
from town_procedures import wiring
from town_procedures.applications import Application, accepting, consumers, events, numbering, settling
from town_procedures.applications.router import router as applications
from town_procedures.attachments import sweep
from town_procedures.attachments.router import router as attachments
from town_procedures.hand_overs.router import router as hand_overs
from town_procedures.intake.router import router as intake
from town_procedures.ports import SignatureVerifier
from town_procedures.procedures import events as procedure_events
from town_procedures.procedures.publish import publish_changed, republish_procedures
from town_procedures.procedures.router import router as procedures
from town_procedures.quarantined_packages import events as quarantined_events
from town_procedures.quarantined_packages.router import router as quarantined_packages
from town_procedures.raw_packages.router import router as raw_packages
from town_procedures.settings import ProceduresSettings
from town_procedures.signatures import IdentitySignatures
from town_procedures.work_queue import counting
from town_procedures.work_queue.router import router as work_queue

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SECOND = timedelta(seconds=1)


def create_service(
    settings: ProceduresSettings, *, clock: Clock | None = None, signatures: SignatureVerifier | None = None
) -> Service:
    """`procedures` (行政手続・申請管理) as its settings describe it."""
    clock = clock or SystemClock()
    database = wiring.database(settings)
    ports = wiring.ports(settings, database, clock, signature_verifier=signatures)

    async def accept() -> int:
        return await accepting.accept_batch(database, ports.catalogue, clock, ports.calendar)

    async def republish_all() -> int:
        procedures_told = await republish_procedures(database, ports.catalogue)
        return procedures_told + await republish(database, Application, Application.present)

    return Service(
        name="procedures",
        title="行政手続・申請管理",
        description="手続きの一覧、申請、審査の進みぐあい、処理待ちの一覧。",
        zone=Zone.LGWAN,
        settings=settings,
        database=database,
        verifier=wiring.verifier(settings, clock),
        migrations=MIGRATIONS,
        clock=clock,
        routers=(
            procedures,
            applications,
            attachments,
            hand_overs,
            work_queue,
            intake,
            quarantined_packages,
            raw_packages,
        ),
        consumers=consumers.application_consumers(clock, ports.calendar),
        jobs=(
            Job("applications.numbering", SECOND / 2, lambda: numbering.number_batch(database)),
            Job("applications.accepting", SECOND / 2, accept),
            Job(
                "applications.settling",
                15 * SECOND,
                lambda: settling.settle_pending(database, ports.signatures.recheck, clock, ports.calendar),
            ),
            Job("work-queue.counting", SECOND / 2, lambda: counting.count_batch(database)),
            Job("attachments.sweeping", 600 * SECOND, lambda: sweep.sweep_batch(database, ports.blobs, clock)),
            Job("procedures.publishing", 60 * SECOND, lambda: publish_changed(database, ports.catalogue)),
        ),
        events=(*events.PUBLISHED, *procedure_events.PUBLISHED, *quarantined_events.PUBLISHED),
        republish=republish_all,
        resources=(ports.signatures.identity.running,) if isinstance(ports.signatures, IdentitySignatures) else (),
        extras={"ports": ports},
    )
