"""The gateway, its ASGI application, and the connector, each on one screen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from town_gateway import wiring
from town_gateway.apps.kosodate.router import router as kosodate
from town_gateway.callbacks.consumers import callback_consumer
from town_gateway.callbacks.router import router as callbacks
from town_gateway.forwarders import closing, forwarders
from town_gateway.front import Front
from town_gateway.mynaportal import webhooks
from town_gateway.mynaportal.consumers import poll_consumer
from town_gateway.mynaportal.events import PortalPollRequested
from town_gateway.mynaportal.poller import Poller
from town_gateway.mynaportal.statuses import StatusPusher, status_consumer
from town_gateway.mynaportal.watch import nothing_is_stuck, watch_job
from town_gateway.portal.router import router as portal
from town_gateway.rate_limit import RateLimiter
from town_gateway.routes import ROUTES, RouteTable
from town_gateway.settings import ConnectorSettings, GatewaySettings
from town_kit.admission import Admission
from town_kit.app import create_app
from town_kit.clock import Clock, SystemClock
from town_kit.line import Places
from town_kit.rush import QUIET, Rush
from town_kit.service import Job, Service
from town_kit.settings import Zone

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def create_service(settings: GatewaySettings, *, clock: Clock | None = None) -> Service:
    """`gateway` (API ゲートウェイ): its own routes, the event "poll now", callbacks and its housekeeping."""
    clock = clock or SystemClock()
    database = wiring.database(settings, "gateway")
    limiter = RateLimiter(database, settings.limits, clock)
    ways = forwarders(settings.addresses, ROUTES)
    sender = wiring.callback_sender(settings, database, clock)

    @asynccontextmanager
    async def open_ways() -> AsyncIterator[None]:
        async with closing(ways):
            yield

    return Service(
        name="gateway",
        title="API ゲートウェイ",
        description="アプリ向け API、Webhook、開発者ポータル。",
        zone=Zone.INTERNET,
        settings=settings,
        database=database,
        verifier=wiring.verifier(settings, clock),
        migrations=MIGRATIONS / "gateway",
        clock=clock,
        routers=(portal, kosodate, callbacks, *((webhooks.router,) if settings.webhook_secret else ())),
        consumers=(callback_consumer(clock),),
        jobs=(
            Job("gateway.callbacks", SECOND / 4, sender.send_due),
            Job("gateway.callbacks-looked-after", 60 * SECOND, sender.look_after),
            Job("gateway.webhooks-forgotten", HOUR, lambda: webhooks.forget(database, clock)),
            Job("gateway.windows-forgotten", 60 * SECOND, limiter.forget_old_windows),
        ),
        events=(PortalPollRequested,),
        resources=(open_ways, sender.running),
        extras={"ports": wiring.ports(settings, clock), "limiter": limiter, "forwarders": ways},
    )


def create_gateway(service: Service, places: Places | None = None, rush: Rush = QUIET) -> Admission:
    """The ASGI application that stands in front of the town: admission, then the path of one request.

    Args:
        service: made by :func:`create_service`.
        places: who was refused, where several processes share the gateway's port.
        rush: told when callers wait, where background work runs on the same machine.
    """
    settings = service.settings
    assert isinstance(settings, GatewaySettings)
    front = Front(
        own=create_app(service),
        table=RouteTable(),
        forwarders=service.extras["forwarders"],
        verifier=service.verifier,
        limiter=service.extras["limiter"],
        trusted_proxies=settings.trusted_proxies,
    )
    return Admission(front, slots=settings.slots, privileged=front.privileged, places=places, rush=rush)


def create_connector(settings: ConnectorSettings, *, clock: Clock | None = None) -> Service:
    """`connector` (マイナポータル接続): carries applications in and statuses out; it works and serves nothing."""
    clock = clock or SystemClock()
    database = wiring.database(settings, "connector")
    client = wiring.portal_client(settings)
    poller = Poller(
        database,
        client,
        wiring.intake_client(settings, clock),
        clock,
        every=settings.poll_every,
        package_limit=settings.package_limit,
    )
    pusher = StatusPusher(database, client, clock)
    return Service(
        name="connector",
        title="マイナポータル接続",
        description="ぴったりサービスからの申請の取得と、処理状況の通知。",
        zone=Zone.LGWAN,
        settings=settings,
        database=database,
        verifier=wiring.verifier(settings, clock),
        migrations=MIGRATIONS / "connector",
        clock=clock,
        consumers=(poll_consumer(poller.name, clock), status_consumer(client.profile.statuses, clock)),
        jobs=(
            Job("connector.poll", SECOND / 4, poller.poll),
            Job("connector.carry", SECOND / 4, poller.carry),
            Job("connector.statuses", SECOND / 4, pusher.push),
            watch_job(database, clock),
        ),
        resources=(client.system.running,),
        alarms={"portal": lambda: nothing_is_stuck(database, clock)},
    )
