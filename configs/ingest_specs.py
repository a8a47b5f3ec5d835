"""The shape of `ingest:` in the YAML: how files become searchable."""

from pydantic import Field

from configs.spec import Spec


class IngestActorOptions(Spec):
    """What one worker takes of Ray."""

    num_cpus: float = Field(0.1, ge=0, description="CPU tickets reserved for placement")
    num_gpus: float = Field(0.0, ge=0, description="GPUs reserved; a fraction shares one, 0 embeds on the CPU")
    memory: int | None = Field(None, ge=1, description="bytes reserved for placement")


class IngestSpec(Spec):
    """Files of vector stores on their way into the index, at idle priority."""

    workers: int = Field(1, ge=0, le=64, description="groups of files worked on at once; 0: files wait")
    max_file_characters: int = Field(20_000_000, ge=1, description="longest text of one file")
    max_file_pages: int = Field(5000, ge=1, description="most pages of one file")
    max_unpacked_bytes: int = Field(512 * 2**20, ge=1, description="most that one file may unpack to")
    ray_actor_options: IngestActorOptions = Field(IngestActorOptions(), description="what one worker takes")
