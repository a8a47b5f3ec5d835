"""Where a page may lead on to."""

import pytest

from api import addresses
from api.fetch import NotFetched, next_hop

ANYWHERE = "https://example.com/x"


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:8000/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "http://example.com/",
        "//user@example.com/",
        None,
    ],
)
def test_a_page_leads_on_to_no_address_that_could_not_be_asked_itself(location: str | None) -> None:
    with pytest.raises(NotFetched, match="leads on"):
        next_hop(addresses.parse(ANYWHERE), location, local=False)


def test_a_page_may_lead_on() -> None:
    at = addresses.parse(ANYWHERE)
    for location in ("/y?a=1#part", "//example.com/y?a=1", "https://example.com/y?a=1"):
        assert str(next_hop(at, location, local=False)) == "https://example.com/y?a=1"
    assert next_hop(at, "http://localhost:1/", local=True).port == 1
