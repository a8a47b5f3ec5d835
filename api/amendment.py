"""What is put to an answer on its way to the client, as `api.inference` sees it."""

from typing import Protocol

from serving.exchange import Client


class Amendment(Protocol):
    """What is put to an answer on its way to the client."""

    def around(self, client: Client) -> Client:
        """Stand between the model and `client`."""
        ...

    async def end(self) -> None:
        """The answer came to its end: write what is left."""
        ...
