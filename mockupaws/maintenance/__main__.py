"""`python -m mockupaws.maintenance`: upkeep of the tables decides its health; folding, sampling, budgets never do."""

from __future__ import annotations

import asyncio
import os
import signal

import uvloop

from mockupaws.archive.filter_texts import TextFiltering
from mockupaws.archive.fold_rollups import Folding
from mockupaws.archive.lifecycle import Maintenance
from mockupaws.maintenance.budgets import BudgetChecks
from mockupaws.runtime.errors import PipelineError, SettingsError
from mockupaws.runtime.health import HealthServer
from mockupaws.runtime.postgres import open_pool
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import configure_logging
from mockupaws.sinks.patterns.sample import PatternSampling


async def _serve(settings: Settings) -> None:
    if not settings.postgres_owner_url or not settings.postgres_sink_url:
        raise SettingsError(
            "MOCKUPAWS_POSTGRES_OWNER_URL or MOCKUPAWS_POSTGRES_SINK_URL is empty: maintenance needs both roles"
        )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    maintenance = Maintenance(settings)
    pool = await open_pool(settings.postgres_sink_url, settings, max_size=1, application_name="mockupaws-patterns")
    try:
        with HealthServer(settings.health_port, maintenance.report):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(maintenance.run(stop))
                tasks.create_task(Folding(settings).run(stop))
                tasks.create_task(TextFiltering(settings).run(stop))
                tasks.create_task(PatternSampling(settings, pool).run(stop))
                tasks.create_task(BudgetChecks(settings).run(stop))
    finally:
        pool.terminate()


def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging("maintenance", settings.log_level)
    try:
        uvloop.run(_serve(settings))
    except PipelineError as error:
        raise SystemExit(f"maintenance: {error}") from error


if __name__ == "__main__":
    main()
