"""A backup / a bare `pg_basebackup`, and a restore / copying its files back, on a database of 300 MB.

Both backups leave a flushed copy of the same cluster in a folder of the same disk; ours is sealed and cut into parts
besides, and carries files, secrets, counts and golden queries. Both restores end when a server of the restored files
has answered and stopped again.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from api.backup.manifest import Manifest
from api.backup.restore import restore
from api.backup.source import Source
from api.backup.store import Store
from api.backup.take import take
from api.db import schema
from api.storage.target import Folder
from bench.options import Options
from bench.ratios import Cost, measure, median_with_interval
from bench.report import Report, Table, interval, number
from bench.stacks import open_folder
from configs import postgres_cluster, processes
from configs.datadir import Layout
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres

TIMEOUT_S = 600.0
ROW_BYTES = 2048
GROW = """
CREATE TABLE grown (id int PRIMARY KEY, noise bytea);
INSERT INTO grown SELECT n, (SELECT decode(string_agg(md5(n::text || k), ''), 'hex') FROM generate_series(1, 128) k)
    FROM generate_series(1, {rows}) n;
"""
HEADERS = ["what", "ours s", "bare s", "ours / bare, wall", "ours / bare, CPU", "reach"]


@dataclass
class Bench:
    """A grown database, and where copies of it go."""

    folder: Path
    server: EmbeddedPostgres
    layout: Layout
    store: Store
    taken: Manifest | None = None

    def backup(self) -> None:
        """Ours."""
        self.taken = take(self.store, Source(self.layout))

    def bare(self) -> None:
        """PostgreSQL's own, with the log that makes it consistent, as ours has it."""
        url = self.server.backup_url.replace("/manta?", "/?")
        program = str(postgres_cluster.program("pg_basebackup", self.layout))
        self._run([program, "-d", url, "-D", str(self._room / "plain"), "-X", "stream", "-c", "fast"])

    def restore(self) -> None:
        """Ours."""
        assert self.taken is not None
        layout = Layout(self.folder / "restored")
        with layout.hold(command="bench backup"):
            restore(self.store, self.taken, layout)

    def copy_back(self) -> None:
        """The files of the bare one into a data directory, and a server on them."""
        layout = Layout(self.folder / "copied")
        with layout.hold(command="bench backup"):
            shutil.copytree(self.layout.secrets, layout.secrets, dirs_exist_ok=True)
            processes.run(
                ["/bin/cp", "-a", str(self._room / "plain"), str(postgres_cluster.path(layout))],
                timeout_s=TIMEOUT_S, cwd=self.folder, env=postgres_cluster.ENVIRONMENT,
            )  # fmt: skip
            with EmbeddedPostgres(layout):
                pass

    def clear(self, *names: str) -> None:
        """Make room for the next leg, outside of what is measured."""
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        if "bare" in names:
            self._room.mkdir()
            if self.layout.account is not None:
                shutil.chown(self._room, self.layout.account.uid, self.layout.account.gid)

    def server_cpu_s(self) -> float:
        """CPU seconds of PostgreSQL so far, processes that ended included."""
        assert self.server.child is not None
        main = psutil.Process(self.server.child.pid)
        return sum(map(_cpu_s, main.children())) + sum(main.cpu_times()[:4])

    @property
    def _room(self) -> Path:
        return self.folder / "bare"

    def _run(self, argv: list[str]) -> None:
        processes.run(
            argv, timeout_s=TIMEOUT_S, cwd=self._room, env=postgres_cluster.ENVIRONMENT, account=self.layout.account
        )


def _cpu_s(process: psutil.Process) -> float:
    """Zero for one that ended just now: its parent's times have it."""
    try:
        return sum(process.cpu_times()[:2])
    except psutil.NoSuchProcess:
        return 0.0


def compare(
    bench: Bench, ours: Callable[[], None], bare: Callable[[], None], pairs: int, clear: Callable[[], None]
) -> list[tuple[Cost, Cost]]:
    """Pairs (ours, bare) in the order A B, B A; the server's CPU counts to whoever made it work."""

    def leg(work: Callable[[], None]) -> Cost:
        clear()
        before = bench.server_cpu_s()
        cost = measure(work)
        return Cost(cost.cpu_s + bench.server_cpu_s() - before, cost.wall_s)

    found = []
    for pair in range(pairs):
        if pair % 2:
            second = leg(bare)
            found.append((leg(ours), second))
        else:
            first = leg(ours)
            found.append((first, leg(bare)))
    return found


def run(options: Options) -> Report:
    """Both comparisons."""
    pairs, rows = options.pick(8, 2), options.pick(300, 20) * 10**6 // ROW_BYTES
    with open_folder() as folder:
        layout = Layout(folder / "data")
        with layout.hold(command="bench backup"), EmbeddedPostgres(layout) as server:
            schema.upgrade(server.urls.owner_url)
            with server._connect("manta") as connection:
                connection.execute(GROW.format(rows=rows).encode())
                connection.execute("VACUUM ANALYZE")
                connection.execute("CHECKPOINT")
                (size,) = connection.execute("SELECT pg_database_size('manta')").fetchone() or (0,)
            bench = Bench(folder, server, layout, Store(Folder(folder / "target"), Keyring.make(layout.master_keys)))
            for name in ("restored", "copied", "bare", "target"):
                bench.clear(name)
            backups = compare(bench, bench.backup, bench.bare, pairs, lambda: bench.clear("bare", "target"))
            bench.clear("bare", "target")
            bench.backup()
            bench.bare()
            restores = compare(bench, bench.restore, bench.copy_back, pairs, lambda: bench.clear("restored", "copied"))
    found = {"a backup / `pg_basebackup`": backups, "a restore / copying the files back": restores}
    notes = [
        f"A database of {size / 1e6:,.0f} MB of noise that does not compress. Everything is flushed; both restores end "
        "when a server of the files has answered and stopped.",
        "CPU: this process, its children and the server's processes.",
    ]
    data = {name: [[a.wall_s, b.wall_s, a.cpu_s, b.cpu_s] for a, b in costs] for name, costs in found.items()}
    return Report(
        "backup", "Backups: ours / PostgreSQL's own means", [Table(HEADERS, [row(*each) for each in found.items()])],
        notes, data,
    )  # fmt: skip


def row(name: str, costs: list[tuple[Cost, Cost]]) -> list[str]:
    """One line of the table."""
    return [
        name,
        number(median_with_interval([a.wall_s for a, _ in costs])[0], 2),
        number(median_with_interval([b.wall_s for _, b in costs])[0], 2),
        interval(median_with_interval([a.wall_s / b.wall_s for a, b in costs])),
        interval(median_with_interval([a.cpu_s / b.cpu_s for a, b in costs])),
        "<= 1.5",
    ]
