"""LISTEN: what other processes committed, as it happens. A hint only: listeners also read again every few seconds."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

log = logging.getLogger(__name__)

RECONNECT_S = 2.0
CHECK_S = 30.0


async def notify(session: AsyncSession, channel: str) -> None:
    """Tell listeners of `channel` when this unit of work commits."""
    await session.execute(text("select pg_notify(:channel, '')"), {"channel": channel})


async def listen(url: str, channels: Sequence[str], heard: Callable[[str], None]) -> None:
    """Call `heard(channel)` for each notification, for ever; reconnects by itself.

    Each (re)connect counts as heard on all channels, because what was said meanwhile is lost.
    """
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=3) as connection:
                connection.add_notify_handler(lambda notification: heard(notification.channel))
                for channel in channels:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                for channel in channels:
                    heard(channel)
                while True:
                    await _readable(connection.fileno())
                    await connection.execute("SELECT 1")  # takes in what was said, and fails when the server is gone
        except psycopg.OperationalError as error:
            log.info("the listening connection is gone (%s); trying again", type(error).__name__)
        await asyncio.sleep(RECONNECT_S)


async def _readable(descriptor: int) -> None:
    """Wait for bytes, CHECK_S at most. `connection.notifies()` would wake up ten times a second."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout(CHECK_S):
            await ready.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(descriptor)
