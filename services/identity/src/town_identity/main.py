"""The whole service on one screen."""

from datetime import timedelta
from pathlib import Path

from town_identity import login_challenges, oauth, resident_sessions, wiring
from town_identity.keys.router import router as keys
from town_identity.login_challenges.router import router as challenges
from town_identity.number_links.router import router as number_links
from town_identity.oauth.router import router as tokens
from town_identity.persons import Person
from town_identity.persons.events import PUBLISHED
from town_identity.persons.router import router as persons
from town_identity.resident_sessions.router import router as residents
from town_identity.sealed_staff_accounts import service as sealed_accounts
from town_identity.sealed_staff_accounts.router import router as sealed_staff
from town_identity.serial_status_checks.router import router as status_checks
from town_identity.settings import IdentitySettings
from town_identity.signature_verifications.router import router as verifications
from town_identity.staff_sessions import service as staff_sessions
from town_identity.staff_sessions import watch_job
from town_identity.staff_sessions.router import router as staff
from town_kit.clock import Clock, SystemClock
from town_kit.messaging.republish import republish
from town_kit.service import Job, Service
from town_kit.settings import Zone

MIGRATIONS = Path(__file__).parents[2] / "migrations"
HOUR = timedelta(hours=1)


def create_service(settings: IdentitySettings, *, clock: Clock | None = None) -> Service:
    """`identity` (公的個人認証・本人確認) as its settings describe it."""
    clock = clock or SystemClock()
    database = wiring.database(settings)
    ports = wiring.ports(settings, database, clock)
    watched = (watch_job(database, ports.staff, clock),) if ports.staff else ()
    return Service(
        name="identity",
        title="公的個人認証・本人確認",
        description="署名検証、ログイン、トークン、番号紐付。",
        zone=Zone.LGWAN,
        settings=settings,
        database=database,
        verifier=wiring.verifier(settings, clock),
        migrations=MIGRATIONS,
        clock=clock,
        routers=(
            keys,
            tokens,
            challenges,
            residents,
            staff,
            sealed_staff,
            verifications,
            status_checks,
            number_links,
            persons,
        ),
        jobs=(
            Job("login-challenges.expiry", HOUR, lambda: login_challenges.delete_expired(database, clock.now())),
            Job("client-assertions.expiry", HOUR, lambda: oauth.delete_expired(database, clock.now())),
            Job("refresh-tokens.expiry", HOUR, lambda: resident_sessions.delete_expired(database, clock.now())),
            Job("staff-authorizations.expiry", HOUR, lambda: staff_sessions.delete_expired(database, clock.now())),
            sealed_accounts.watch_job(ports),
            *watched,
        ),
        events=PUBLISHED,
        republish=lambda: republish(database, Person, Person.present),
        resources=(ports.staff.system.running,) if ports.staff else (),
        alarms={"revocation_lists": ports.lists_count},
        extras={"ports": ports},
    )
