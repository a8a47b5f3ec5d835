"""The shape of `backup:`, which switches backups on while Manta runs."""

from typing import Annotated

from pydantic import Field, StringConstraints

from configs.spec import Spec

Place = Annotated[str, StringConstraints(pattern=r"^(/|~/|s3://[^/\s])")]


class BackupSpec(Spec):
    """Backups that are taken while Manta runs; without `to` there are none."""

    to: Place | None = Field(
        None, description="where they go: an absolute folder (another disk, another machine) or `s3://BUCKET/PREFIX`"
    )
    every_s: int = Field(86400, ge=60, description="seconds between two whole backups; the log is shipped all the time")
    keep: int = Field(7, ge=1, le=10000, description="whole backups kept; what only older ones need is removed")
