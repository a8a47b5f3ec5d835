import pytest

from api.directory import Entry
from api.inference import deadlines_of
from configs.specs import IngressSpec, ModelSpec

LIMITS = IngressSpec(first_token_timeout_s=2.0, stall_timeout_s=3.0, total_timeout_s=5.0)


@pytest.mark.parametrize(("stream", "first_token_s"), [(True, 2.0), (False, 5.0)])
def test_the_first_bytes_of_a_whole_answer_may_come_at_its_end(stream: bool, first_token_s: float) -> None:
    spec = ModelSpec.model_validate({"model_name": "m", "params": {"model": "vllm/m"}, "start_timeout_s": 7.0})

    made = deadlines_of(LIMITS, Entry("m", spec, 0), stream=stream)

    assert (made.start_s, made.first_token_s, made.stall_s, made.total_s) == (7.0, first_token_s, 3.0, 5.0)
