"""Queries on the table of served models."""

import logging
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import ServedModel
from configs.specs import ModelSpec

log = logging.getLogger(__name__)

CHANNEL = "manta_models"


async def all_rows(session: AsyncSession) -> list[tuple[ModelSpec, datetime]]:
    """Every model with the time it was added, by name."""
    rows = await session.scalars(select(ServedModel).order_by(ServedModel.name))
    return [(spec, row.created_at) for row in rows for spec in _read(row)]


async def origins(session: AsyncSession) -> dict[str, str]:
    """Each model's origin: `file` or `api`."""
    rows = await session.execute(select(ServedModel.name, ServedModel.origin))
    return {name: origin for name, origin in rows}  # noqa: C416  a Row is no pair to mypy


async def added(session: AsyncSession) -> list[ModelSpec]:
    """The models that were added by API, by name."""
    query = select(ServedModel).where(ServedModel.origin == "api").order_by(ServedModel.name)
    return [spec for row in await session.scalars(query) for spec in _read(row)]


async def add(session: AsyncSession, spec: ModelSpec) -> bool:
    """Add a model by API; False when the name is taken."""
    query = insert(ServedModel).values(name=spec.model_name, spec=_stored(spec), origin="api").on_conflict_do_nothing()
    return (await session.scalars(query.returning(ServedModel.name))).one_or_none() is not None


async def remove(session: AsyncSession, name: str) -> bool:
    """Remove a model; False when there is none of that name."""
    query = delete(ServedModel).where(ServedModel.name == name).returning(ServedModel.name)
    return (await session.scalars(query)).one_or_none() is not None


async def remove_added(session: AsyncSession, name: str) -> bool:
    """Remove a model that was added by API; False when there is none of that name."""
    query = delete(ServedModel).where(ServedModel.name == name, ServedModel.origin == "api")
    return (await session.scalars(query.returning(ServedModel.name))).one_or_none() is not None


async def seed(session: AsyncSession, specs: list[ModelSpec]) -> None:
    """Make the rows of origin `file` equal to the YAML; rows added by API stay, also under a name the YAML has too."""
    names = [spec.model_name for spec in specs]
    await session.execute(delete(ServedModel).where(ServedModel.origin == "file", ServedModel.name.not_in(names)))
    for spec in specs:
        row = insert(ServedModel).values(name=spec.model_name, spec=_stored(spec), origin="file")
        update = row.on_conflict_do_update(
            index_elements=["name"], set_={"spec": row.excluded.spec}, where=ServedModel.origin == "file"
        )
        await session.execute(update)


def _read(row: ServedModel) -> list[ModelSpec]:
    """The row's model; none when this version of Manta no longer understands it, so that the others are served."""
    try:
        return [ModelSpec.model_validate(row.spec)]
    except ValidationError as error:
        log.error("the model %r is left out: %d fields of its row are not understood", row.name, error.error_count())  # noqa: TRY400  the values stay out of the log
        return []


def _stored(spec: ModelSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude_defaults=True)
