"""The shape of `ingest:` in the YAML: how files become searchable."""

from pydantic import Field

from configs.spec import Spec


class IngestActorOptions(Spec):
    """What one worker takes of Ray."""

    num_cpus: float = Field(0.1, ge=0, description="CPU tickets reserved for placement")
    num_gpus: float = Field(0.0, ge=0, description="GPUs reserved; a fraction shares one, 0 embeds on the CPU")
    memory: int | None = Field(None, ge=1, description="bytes reserved for placement")


class DoclingSpec(Spec):
    """docling reads PDFs and pictures then: their layout, their tables, and by OCR what has no text."""

    python: str = Field(min_length=1, description="interpreter of the environment in which docling is installed")
    artifacts_path: str = Field(min_length=1, description="folder with its models: `docling-tools models download -o`")
    ocr: bool = Field(True, description="whether scans and pictures are read by text recognition")
    ocr_language: str | None = Field(
        None, min_length=1, description="language of RapidOCR's model, as `iso:de`; unset: docling's default"
    )
    cpu_s: int = Field(1800, ge=1, description="CPU seconds that it may take over one file")
    memory_bytes: int = Field(8 * 2**30, ge=2**30, description="most memory (address space) that it may take")


class IngestSpec(Spec):
    """Files of vector stores on their way into the index, at idle priority."""

    workers: int = Field(1, ge=0, le=64, description="groups of files worked on at once; 0: files wait")
    max_file_characters: int = Field(20_000_000, ge=1, description="longest text of one file")
    max_file_pages: int = Field(5000, ge=1, description="most pages of one file")
    max_unpacked_bytes: int = Field(512 * 2**20, ge=1, description="most that one file may unpack to")
    docling: DoclingSpec | None = Field(
        None, description="reads tables and scans; unset: text only (docs/documents.md)"
    )
    ray_actor_options: IngestActorOptions = Field(IngestActorOptions(), description="what one worker takes")
