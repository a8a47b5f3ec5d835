"""scim2-tester, the checker of RFC 7643 and RFC 7644 that others use, over a real socket."""

import asyncio

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from scim2_tester.utils import CheckResult

from tests.api.scim.conftest import Directory


def checked(url: str, headers: dict[str, str]) -> list[CheckResult]:
    with httpx2.Client(base_url=f"{url}/scim/v2", headers=headers, timeout=30) as http:
        return check_server(SyncSCIMClient(http))


async def test_scim2_tester_is_clean(directory: Directory) -> None:
    results = await asyncio.to_thread(checked, directory.app.origin, directory.headers)
    bad = [f"{each.resource_type} {each.title}: {each.reason}" for each in results if each.status is not Status.SUCCESS]
    assert bad == []
    assert len(results) > 50
