"""The worker of a service: its relay, its consumers and its jobs, each restarted with back-off when it fails."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import structlog

from town_kit.housekeeping import standard_jobs
from town_kit.messaging.consumer import run_consumer
from town_kit.messaging.relay import run_relay
from town_kit.service import Job, Service

log = structlog.get_logger(__name__)
LONGEST_PAUSE = 30.0


async def work(service: Service) -> None:
    """Run the worker of ``service`` until cancelled; its database pool and resources are opened and closed here."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.database.running())
        for resource in service.resources:
            await stack.enter_async_context(resource())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_running(f"{service.name}.relay", lambda: run_relay(service)))
            for consumer in service.consumers:
                tasks.create_task(keep_running(consumer.name, partial(run_consumer, service, consumer)))
            for job in (*standard_jobs(service), *service.jobs):
                tasks.create_task(run_job(service, job))


async def keep_running(name: str, start: Callable[[], Awaitable[None]]) -> None:
    """Start a long-running part again when it fails, waiting longer each time (with jitter)."""
    pause = 0.2
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await start()
        except Exception:
            log.exception("worker_part_failed", part=name)
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE:
            pause = 0.2
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        pause = min(pause * 2, LONGEST_PAUSE)


async def run_job(service: Service, job: Job) -> None:
    """Run a job for ever: at once again while it finds work, else after ``every``; after a failure with back-off."""
    pause = job.every
    while True:
        try:
            done = await job.run()
            pause = timedelta(0) if done else job.every
        except Exception:
            log.exception("job_failed", service=service.name, job=job.name)
            pause = min(max(pause * 2, timedelta(seconds=0.5)), timedelta(seconds=LONGEST_PAUSE))
        await asyncio.sleep(pause.total_seconds())
