"""PATCH as RFC 7644 has it, and as Okta and Entra ID send it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.scim.attributes import GROUPS, USERS
from api.scim.patch import MOST_OPERATIONS, patched
from configs.errors import BadRequest, InvalidPath, InvalidValue, MantaError, NoTarget, ReadOnlyAttribute

ADA: dict[str, Any] = {
    "userName": "ada@example.com",
    "displayName": "Ada",
    "active": True,
    "name": {"givenName": "Ada", "familyName": "L"},
    "emails": [
        {"type": "work", "value": "ada@example.com", "primary": True},
        {"type": "home", "value": "home@example.com"},
    ],
}
TEAM: dict[str, Any] = {"displayName": "Team", "members": [{"value": each, "type": "User"} for each in "abc"]}


def on(resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    shape = GROUPS if resource is TEAM else USERS
    return patched(shape, resource, {"schemas": [], "Operations": list(operations)})


def op(kind: str, path: str | None = None, value: Any = None) -> dict[str, Any]:
    made = {"op": kind}
    return made | ({"path": path} if path is not None else {}) | ({"value": value} if value is not None else {})


def values(resource: dict[str, Any]) -> list[str]:
    return [each["value"] for each in resource.get("members", resource.get("emails", []))]


def test_simple_attributes() -> None:
    assert on(ADA, op("replace", "displayName", "A"))["displayName"] == "A"
    assert on(ADA, op("add", "DISPLAYNAME", "A"))["displayName"] == "A"
    assert "displayName" not in on(ADA, op("remove", "displayName"))
    assert on(ADA, op("replace", "urn:ietf:params:scim:schemas:core:2.0:User:displayName", "A"))["displayName"] == "A"


def test_parts_of_an_object() -> None:
    assert on(ADA, op("replace", "name.givenName", "B"))["name"] == {"givenName": "B", "familyName": "L"}
    assert on(ADA, op("replace", "name", {"givenName": "B"}))["name"] == {"givenName": "B", "familyName": "L"}
    assert on(ADA, op("remove", "name.givenName"))["name"] == {"familyName": "L"}
    assert "name" not in on(ADA, op("remove", "name.givenName"), op("remove", "name.familyName"))


def test_many_values() -> None:
    new = {"value": "new@example.com"}
    assert values(on(ADA, op("add", "emails", [new]))) == ["ada@example.com", "home@example.com", "new@example.com"]
    assert values(on(ADA, op("add", "emails", [ADA["emails"][1]]))) == ["ada@example.com", "home@example.com"]
    assert values(on(ADA, op("replace", "emails", [new]))) == ["new@example.com"]
    assert "emails" not in on(ADA, op("remove", "emails"))
    assert values(on(ADA, op("remove", 'emails[type eq "home"]'))) == ["ada@example.com"]
    assert values(on(ADA, op("replace", 'emails[type eq "home"].value', "x@example.com")))[1] == "x@example.com"


def test_a_new_primary_value_takes_that_from_the_old_one() -> None:
    found = on(ADA, op("add", "emails", [{"value": "new@example.com", "primary": True}]))
    assert [each.get("primary") for each in found["emails"]] == [False, None, True]
    found = on(ADA, op("replace", 'emails[type eq "home"].primary', True))
    assert [each.get("primary") for each in found["emails"]] == [False, True]
    with pytest.raises(InvalidValue):
        on(ADA, op("replace", "emails", [{"value": "a", "primary": True}, {"value": "b", "primary": True}]))


def test_members_by_filter_as_okta_removes_them() -> None:
    assert values(on(TEAM, op("remove", 'members[value eq "b"]'))) == ["a", "c"]
    assert values(on(TEAM, op("remove", 'members[value eq "nobody"]'))) == ["a", "b", "c"]
    assert values(on(TEAM, op("add", "members", [{"value": "d", "display": "D"}]))) == ["a", "b", "c", "d"]
    found = on(TEAM, op("replace", None, {"id": "team_1", "displayName": "Other"}))
    assert (found["displayName"], values(found)) == ("Other", ["a", "b", "c"])


def test_members_by_value_as_entra_removes_them() -> None:
    assert values(on(TEAM, op("Remove", "members", [{"value": "a"}, {"value": "c"}]))) == ["b"]
    assert "members" not in on(TEAM, op("Remove", "members"))


def test_what_else_entra_sends() -> None:
    assert on(ADA, op("Replace", "active", "False"))["active"] is False
    assert on(ADA, op("Add", None, {"name.givenName": "B", "active": "true"}))["name"]["givenName"] == "B"
    empty = {key: value for key, value in ADA.items() if key != "emails"}
    assert on(empty, op("Add", 'emails[type eq "work"].value', "w@example.com"))["emails"] == [
        {"type": "work", "value": "w@example.com"}
    ]
    extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    assert on(ADA, op("Add", f"{extension}:department", "x"), op("Add", "title", "x"), op("Add", extension, {})) == ADA
    assert on(ADA, op("add", None, {extension: {"department": "x"}, "phoneNumbers": [{"value": "1"}]})) == ADA


def test_operations_follow_each_other_and_the_first_resource_stays() -> None:
    found = on(TEAM, op("add", "members", [{"value": "d"}]), op("remove", 'members[value eq "d"]'))
    assert values(found) == ["a", "b", "c"]
    assert len(TEAM["members"]) == 3


REFUSED: list[tuple[type[MantaError], dict[str, Any]]] = [
    (BadRequest, {"op": "move", "path": "active"}),
    (BadRequest, {}),
    (NoTarget, op("remove")),
    (InvalidValue, op("replace", None, "x")),
    (InvalidValue, op("replace", "active", "perhaps")),
    (InvalidValue, op("replace", "displayName", 3)),
    (InvalidValue, op("replace", "displayName", "x" * 1025)),
    (InvalidValue, op("replace", "name", "Ada")),
    (InvalidValue, op("remove", "active")),
    (InvalidValue, op("replace", "userName")),
    (InvalidValue, op("add", "displayName")),
    (ReadOnlyAttribute, op("replace", "id", "x")),
    (ReadOnlyAttribute, op("add", "groups", [{"value": "x"}])),
    (ReadOnlyAttribute, op("remove", "meta")),
    (NoTarget, op("replace", 'emails[value sw "zz"].type', "work")),
    (InvalidPath, op("replace", 'displayName[value eq "x"]', "x")),
    (InvalidPath, op("replace", "displayName.part", "x")),
    (InvalidPath, op("replace", "emails[", "x")),
    (InvalidPath, {"op": "replace", "path": 3, "value": "x"}),
    (InvalidPath, op("replace", "", "x")),
    (BadRequest, op("replace", "emails[type eq].value", "x")),
]


@pytest.mark.parametrize(("error", "operation"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(error: type[MantaError], operation: dict[str, Any]) -> None:
    with pytest.raises(error):
        on(ADA, operation)


@pytest.mark.parametrize("body", [None, [], {}, {"Operations": []}, {"Operations": "x"},
                                  {"Operations": [op("add", "active", True)] * (MOST_OPERATIONS + 1)}])  # fmt: skip
def test_a_body_without_operations(body: Any) -> None:
    with pytest.raises(BadRequest):
        patched(USERS, ADA, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "true", "value", "work"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "type", "primary", "name", "emails", "id", "x.y"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
PATHS = st.sampled_from(
    ["active", "emails", "emails.value", 'emails[type eq "work"]', 'emails[primary pr].type', "name", "name.givenName",
     "name.x", "x", "groups", 'emails[value eq "x"].x', "userName", "urn:x:y", "emails[]", "externalId"]
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["add", "replace", "remove"]), st.none() | PATHS, JSON), max_size=4))
def test_no_operation_breaks_it(operations: list[tuple[str, str | None, Any]]) -> None:
    try:
        found = on(ADA, *(op(*each) for each in operations))
    except BadRequest:
        return
    assert found["userName"]
    assert isinstance(found["active"], bool)
    assert all(isinstance(each, dict) and each for each in found.get("emails", []))


def test_many_additions_cost_what_they_add() -> None:
    """Identities are read once, not once per operation: counted, for a clock would prove nothing."""
    asked = 0

    class Id(str):
        __slots__ = ()

        def __hash__(self) -> int:
            nonlocal asked
            asked += 1
            return super().__hash__()

    many = [{"value": Id(f"user_{number}")} for number in range(2000)]
    adding = [op("add", "members", many), *(op("add", "members", [{"value": Id(f"x{n}")}]) for n in range(500))]
    patched(GROUPS, {"displayName": "t"}, {"Operations": adding})
    assert asked < 10 * (len(many) + len(adding))


def test_what_is_added_twice_is_there_once() -> None:
    once = on(TEAM, op("add", "members", [{"value": "d"}, {"value": "d"}]), op("add", "members", [{"value": "a"}]))
    assert values(once) == ["a", "b", "c", "d"]
    again = on(TEAM, op("add", "members", [{"value": "d"}]), op("remove", "members", [{"value": "d"}]),
               op("add", "members", [{"value": "d"}]))  # fmt: skip
    assert values(again) == ["a", "b", "c", "d"]
