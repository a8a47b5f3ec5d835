"""The shape of `knowledge:` in the YAML: how questions are answered from documents."""

from pydantic import Field

from configs.spec import Spec


class KnowledgeSpec(Spec):
    """Answers from documents (`file_search` in chat)."""

    min_score: float = Field(
        0.3,
        ge=0,
        le=1,
        description="least search score of a passage, before any reranker, where a request names no `score_threshold`",
    )
    no_answer: str = Field(
        "The documents do not contain an answer to this.",
        min_length=1,
        max_length=1000,
        description="what is answered, without asking a model, when no passage is relevant enough",
    )
