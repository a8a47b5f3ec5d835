"""What every bench is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`short`: few requests, nothing written to the results.

    `concurrency` replaces a bench's numbers of clients, `count` the number of things that it is about.
    """

    short: bool = False
    concurrency: tuple[int, ...] = ()
    count: int = 0

    def clients(self, *usual: int) -> tuple[int, ...]:
        """The numbers of clients to measure with."""
        return self.concurrency or usual

    def pick(self, full: int, short: int) -> int:
        """A count."""
        return short if self.short else full

    def many(self, full: int, short: int) -> int:
        """The number of things that a bench is about."""
        return self.count or self.pick(full, short)
