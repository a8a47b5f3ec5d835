"""What a directory may keep here: users and groups in the attributes that Manta has a use for.

The rest of RFC 7643 (addresses, telephone numbers, certificates) is accepted and forgotten: data that nobody keeps
cannot leak. These shapes are also what `/Schemas` tells, so a directory can know beforehand.
"""

from typing import Annotated, Any

from pydantic import Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    Context,
    ETag,
    Filter,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

ROOT = "/scim/v2"
MAX_RESULTS = 500
USER, GROUP = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"


class Name(ComplexAttribute):
    """The parts of a person's name."""

    formatted: str | None = None
    family_name: str | None = None
    given_name: str | None = None


class Email(ComplexAttribute):
    """One address; the primary one is for signing in."""

    value: str | None = None
    type: str | None = Field(None, examples=["work", "home", "other"])
    primary: bool | None = None


class GroupMembership(ComplexAttribute):
    """A team that a person is in; changed in the team only."""

    value: Annotated[str | None, Mutability.read_only, CaseExact.true] = None
    ref: Annotated[Reference["Group"] | None, Mutability.read_only] = Field(None, serialization_alias="$ref")
    display: Annotated[str | None, Mutability.read_only] = None


class User(Resource[Any]):
    """A member of the organization."""

    __schema__ = URN(USER)

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: Name | None = None
    display_name: str | None = None
    active: Annotated[bool | None, Required.true] = None
    emails: list[Email] | None = None
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None


class GroupMember(ComplexAttribute):
    """A person in a team."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(None, serialization_alias="$ref")
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])


class Group(Resource[Any]):
    """A team."""

    __schema__ = URN(GROUP)

    display_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    members: list[GroupMember] | None = None


def told(resource: Resource[Any], kind: str, path: str, base: str) -> dict[str, Any]:
    """A resource about the service itself."""
    body: dict[str, Any] = resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    return {**body, "meta": {"resourceType": kind, "location": f"{base}{path}"}}


def schemas(base: str) -> dict[str, dict[str, Any]]:
    """The schemas by their URN; `base` is the address of `/scim/v2`."""
    return {
        urn: told(shape.to_schema(), "Schema", f"/Schemas/{urn}", base) for urn, shape in ((USER, User), (GROUP, Group))
    }


def resource_types(base: str) -> dict[str, dict[str, Any]]:
    """The two kinds of resource by name."""
    return {
        shape.__name__: told(
            ResourceType.from_resource(shape), "ResourceType", f"/ResourceTypes/{shape.__name__}", base
        )
        for shape in (User, Group)
    }


def service_provider_config(base: str) -> dict[str, Any]:
    """What is supported here."""
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MAX_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=False),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="API key",
                description="An API key of the organization with the permission `scim`, as a bearer token",
                primary=True,
            )
        ],
    )
    return told(config, "ServiceProviderConfig", "/ServiceProviderConfig", base)
