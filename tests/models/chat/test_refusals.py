import pytest
from vllm.entrypoints.chat_utils import ChatTemplateResolutionError

from configs.errors import BadRequest
from models.chat.refusals import from_exception


def test_a_model_without_a_chat_template_says_what_it_serves() -> None:
    told = from_exception(ChatTemplateResolutionError("vLLM's own words"), 512)

    assert isinstance(told, BadRequest)
    assert told.param == "messages"
    assert "/v1/completions" in told.message
    assert "vLLM" not in told.message


@pytest.mark.parametrize("words", ["maximum context length is 512", "max_model_len"])
def test_a_prompt_too_long_names_the_window(words: str) -> None:
    told = from_exception(ValueError(words), 512)

    assert told.code == "context_length_exceeded"
    assert "512" in told.message
