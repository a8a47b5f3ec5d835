"""What every bench is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`short` is for trying a bench out: few requests, nothing written to the results. `concurrency` replaces its own."""

    short: bool = False
    concurrency: tuple[int, ...] = ()

    def clients(self, *usual: int) -> tuple[int, ...]:
        """The numbers of clients to measure with."""
        return self.concurrency or usual

    def pick(self, full: int, short: int) -> int:
        """A count."""
        return short if self.short else full
