"""100,000 small files through the API into one store, until each is found (deep): speed, CPU, memory, what is there.

Each file is a note of its own, real text with a word that no other one has, and becomes one chunk. They are uploaded
over kept connections, added in batches of 2,000, and waited for. Then PostgreSQL tells what there is: it fails when a
file is lost or doubled, has another number of chunks than one, or is not found by its word. Last, the store is deleted.
"""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.asking import Asking, in_turn, until_read
from bench.options import Options
from bench.report import Report, Table, number
from bench.stacks import EMBEDDING_MODEL, Stack, manta, open_folder
from bench.upserting import pieces
from bench.watching import Phases, Watch
from configs.datadir import Layout
from configs.postgres import EmbeddedPostgres
from configs.postgres_settings import DATABASE

FILES, SHORT_FILES = 100_000, 500
CLIENTS = 8
BATCH = 2000
CHARACTERS = 100
LOOKED_FOR = 40
POLL_S = 2.0
STUCK_S = 300.0
"""Without one more file that is done."""
WORDS_ONLY = {"ranker": "none", "hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
SHOWN = ("ingress", "control", "postgres", "ingest", "reader", "search", f"replica {EMBEDDING_MODEL}")
COUNTS = {
    "files that are completed": "SELECT count(*) FROM vector_store_files WHERE vector_store_id = %s"
    " AND status = 'completed' AND chunk_count = 1",
    "chunks": "SELECT count(*) FROM chunks WHERE vector_store_id = %s",
    "files with chunks": "SELECT count(DISTINCT file_id) FROM chunks WHERE vector_store_id = %s",
}


def run(options: Options) -> Report:
    """Everything on one stack."""
    count = options.many(FILES, SHORT_FILES)
    with open_folder() as folder, manta(folder, embedder=True) as stack:
        stack.wait_ready()
        asking = Asking(stack.server)
        store_id = asking.post("/vector_stores", {"name": "many"})["id"]
        with Watch(stack) as watch:
            phases = Phases(watch)
            file_ids = uploaded(stack, count)
            phases.over("uploaded")
            added(asking, store_id, file_ids)
            phases.over("added to the store")
            counts = done(asking, store_id)
            phases.over("ingested")
            faults = faults_of(stack, store_id, file_ids, counts)
            size_mb = database_mb(stack)
            phases.over("")
            until_read(asking, f"/vector_stores/{store_id}/search", {"query": "note", "ranking_options": WORDS_ONLY})
            phases.over("read by search")
            faults += missed(asking, store_id, file_ids)
            phases.over("")
            asking.delete(f"/vector_stores/{store_id}")
            phases.over("the store deleted")
            faults += left(stack, store_id)
        asking.close()
    return report(count, phases, dict(watch.peak_mb), size_mb, faults)


def word(place: int) -> str:
    """What only this file has."""
    return f"zq{place:06d}x"


def uploaded(stack: Stack, count: int) -> list[str]:
    """Ids of new files, in their order."""
    texts, file_ids = pieces(), [""] * count

    def upload(asking: Asking, place: int) -> None:
        text = texts[place % len(texts)][:CHARACTERS]
        file_ids[place] = asking.upload(f"{place}.txt", f"Note {place}, {word(place)}. {text}\n".encode())

    in_turn(stack.server, upload, CLIENTS, range(count))
    return file_ids


def added(asking: Asking, store_id: str, file_ids: Sequence[str]) -> None:
    """In batches as large as they may be."""
    for start in range(0, len(file_ids), BATCH):
        asking.post(f"/vector_stores/{store_id}/file_batches", {"file_ids": file_ids[start : start + BATCH]})


def done(asking: Asking, store_id: str) -> dict[str, int]:
    """Wait for the ingest; how the files ended.

    Raises:
        RuntimeError: it does not go on.
    """
    left_before, moved = -1, time.monotonic()
    while True:
        counts: dict[str, int] = asking.get(f"/vector_stores/{store_id}")["file_counts"]
        waiting = counts["in_progress"]
        if not waiting:
            return counts
        if waiting != left_before:
            left_before, moved = waiting, time.monotonic()
        if time.monotonic() - moved > STUCK_S:
            raise RuntimeError(f"{waiting} files are not ingested: nothing came in {STUCK_S:.0f} s")
        time.sleep(POLL_S)


def faults_of(stack: Stack, store_id: str, file_ids: Sequence[str], counts: dict[str, int]) -> list[str]:
    """What is not as it should be, by the API and by PostgreSQL."""
    wanted = len(file_ids)
    found = {"files that the API counts": counts["completed"]}
    found |= {name: int(asked(stack, statement, store_id)[0][0]) for name, statement in COUNTS.items()}
    faults = [f"{name}: {has:,} instead of {wanted:,}" for name, has in found.items() if has != wanted]
    there = Counter(row[0] for row in asked(stack, "SELECT file_id FROM chunks WHERE vector_store_id = %s", store_id))
    if lost := set(file_ids) - there.keys():
        faults.append(f"{len(lost):,} files have no chunk, {min(lost)} for one")
    if strange := there.keys() - set(file_ids):
        faults.append(f"{len(strange):,} files were never uploaded, {min(strange)} for one")
    return faults


def missed(asking: Asking, store_id: str, file_ids: Sequence[str]) -> list[str]:
    """Files from all over the store that are not the first to be found by their word."""
    places = range(0, len(file_ids), max(1, len(file_ids) // LOOKED_FOR))
    faults = []
    for place in places:
        page = search(asking, store_id, word(place))
        names = [each["file_id"] for each in page["data"]]
        if names[:1] != [file_ids[place]]:
            faults.append(f"file {place} is not found by its word")
    return faults


def left(stack: Stack, store_id: str) -> list[str]:
    """What a deleted store left."""
    rows = asked(stack, COUNTS["chunks"], store_id)[0][0]
    return [f"{rows:,} chunks are left of the deleted store"] if rows else []


def search(asking: Asking, store_id: str, query: str) -> Any:  # noqa: ANN401  any JSON
    """By words."""
    return asking.post(f"/vector_stores/{store_id}/search", {"query": query, "ranking_options": WORDS_ONLY})


def database_mb(stack: Stack) -> float:
    """On the disk."""
    return float(asked(stack, f"SELECT pg_database_size('{DATABASE}')")[0][0]) / 2**20


def asked(stack: Stack, statement: str, *values: str) -> list[tuple[Any, ...]]:
    """Rows, as the superuser."""
    assert stack.data_dir is not None
    with EmbeddedPostgres(Layout(stack.data_dir))._connect(DATABASE) as connection:
        return connection.execute(statement.encode(), values or None).fetchall()


def report(
    count: int, phases: Phases, peak_mb: dict[str, float], size_mb: float, faults: list[str]
) -> Report:  # fmt: skip
    """Speed, cost and faults."""
    names = [name for name in phases.wall_s if name]
    speed = Table(
        ["", "seconds", "files/s", *(f"{role} CPU ms a file" for role in SHOWN), "all"],
        [_row(name, phases, count) for name in names],
    )
    largest = sorted(peak_mb, key=lambda role: -peak_mb[role])
    memory = Table(["process", "most memory, MiB"], [[role, number(peak_mb[role], 0)] for role in largest])
    notes = [
        f"{CLIENTS} connections upload, batches of {BATCH:,} files. The database has {size_mb:,.0f} MiB at the end.",
        "Lost, doubled, not found: " + ("; ".join(faults) if faults else "none") + ".",
    ]
    title = f"{count:,} small files into one store"
    data = {"wall_s": phases.wall_s, "cpu_s": phases.cpu_s, "peak_mb": peak_mb, "database_mb": size_mb}
    return Report("files100k", title, [speed, memory], notes, data | {"faults": faults}, failed=bool(faults))


def _row(name: str, phases: Phases, count: int) -> list[str]:
    wall_s, cpu_s = phases.wall_s[name], phases.cpu_s[name]
    each = [1000 * cpu_s.get(role, 0.0) / count for role in SHOWN]
    total = 1000 * sum(cpu_s.values()) / count
    return [name, number(wall_s), number(count / wall_s, 0), *(number(cost, 2) for cost in each), number(total, 2)]
