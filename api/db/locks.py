"""Session-level advisory locks: held by a connection, gone with it."""

import psycopg

from configs.errors import Unavailable


class SessionLock:
    """A lock on a connection of its own."""

    def __init__(self, url: str, key: int) -> None:
        self._url = url
        self._key = key
        self._connection: psycopg.AsyncConnection[tuple[bool]] | None = None

    async def held(self) -> bool:
        """Whether this process has the lock, taking it if it is free.

        Raises:
            Unavailable: the database cannot be reached.
        """
        try:
            if self._connection is not None and not self._connection.closed:
                await self._connection.execute("select 1")
                return True
            connection = await psycopg.AsyncConnection[tuple[bool]].connect(
                self._url, autocommit=True, connect_timeout=3
            )
            cursor = await connection.execute("select pg_try_advisory_lock(%s)", (self._key,))
            row = await cursor.fetchone()
        except psycopg.OperationalError as error:
            self._connection = None
            raise Unavailable("The database cannot be reached.") from error
        if row is None or not row[0]:
            await connection.close()
            return False
        self._connection = connection
        return True

    async def close(self) -> None:
        """Give the lock up."""
        if self._connection is not None:
            await self._connection.close()
