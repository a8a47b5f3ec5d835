"""Which chunks of a store one search replica holds. It knows no store and no process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """Those chunks whose id leaves `number` (from 0) when divided by `count`: ids are given one after the other."""

    number: int = 0
    count: int = 1

    def holds(self, chunk_id: int) -> bool:
        """Whether that chunk is of it."""
        return chunk_id % self.count == self.number

    @property
    def name(self) -> str:
        """`1-of-4`; "" where one holds all."""
        return "" if self.count == 1 else f"{self.number}-of-{self.count}"


WHOLE = Shard()
