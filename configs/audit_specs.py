"""The shape of `audit:` in the YAML: where the audit log is anchored."""

from pydantic import Field

from configs.spec import LocalPath, Spec


class AuditSpec(Spec):
    """Where the ends of the audit log's chains are written outside the database (docs/audit.md)."""

    anchor_file: LocalPath | None = Field(
        None, description="file that the anchors are added to; unset: `audit-anchor.jsonl` in the data directory"
    )
    anchor_syslog: bool = Field(False, description="whether they go to the system's log as well")
