"""The shape of `files:` in the YAML: how much people may store."""

from pydantic import Field

from configs.spec import Spec


class FilesSpec(Spec):
    """Files that people upload (`/v1/files`)."""

    to: str | None = Field(
        None, min_length=1, description="a folder, or s3://bucket/prefix, for their bytes; unset: the data directory"
    )
    max_file_bytes: int = Field(512 * 2**20, ge=1, description="largest file")
    quota_bytes_per_user: int | None = Field(
        10 * 2**30, ge=0, description="of one person's files together; null: no limit"
    )
    quota_bytes: int | None = Field(None, ge=0, description="of one organization's files together; unset: no limit")
