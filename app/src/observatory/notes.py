"""Notes: the part of the application that keeps something."""

from datetime import UTC, datetime
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import BaseModel, StringConstraints

from observatory.database import engine, notes

LARGEST_ID = 2**63 - 1

router = APIRouter(prefix="/notes", tags=["notes"])
NoteId = Annotated[int, Path(ge=1, le=LARGEST_ID)]


class NoteText(BaseModel):
    """What a client says about a note."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")]


class Note(NoteText):
    """A note as it is kept; times are UTC."""

    id: int
    created: datetime
    updated: datetime


def _note(row: sa.Row) -> Note:
    # The database keeps UTC without saying so.
    return Note(
        id=row.id,
        text=row.text,
        created=row.created.replace(tzinfo=UTC),
        updated=row.updated.replace(tzinfo=UTC),
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _not_found(note_id: int) -> HTTPException:
    return HTTPException(404, f"there is no note {note_id}")


@router.post("", status_code=201)
def create_note(given: NoteText, response: Response) -> Note:
    """Keep a new note."""
    now = _now()
    statement = sa.insert(notes).values(text=given.text, created=now, updated=now).returning(notes)
    with engine().begin() as connection:
        note = _note(connection.execute(statement).one())
    response.headers["Location"] = f"/notes/{note.id}"
    return note


@router.get("")
def list_notes(
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int, Query(ge=1, le=LARGEST_ID)] = LARGEST_ID,
) -> list[Note]:
    """List notes, newest first; go on with `before` set to the last id."""
    statement = sa.select(notes).where(notes.c.id < before).order_by(notes.c.id.desc()).limit(limit)
    with engine().connect() as connection:
        return [_note(row) for row in connection.execute(statement)]


@router.get("/{note_id}")
def read_note(note_id: NoteId) -> Note:
    """Read one note."""
    with engine().connect() as connection:
        row = connection.execute(sa.select(notes).where(notes.c.id == note_id)).one_or_none()
    if row is None:
        raise _not_found(note_id)
    return _note(row)


@router.put("/{note_id}")
def replace_note(note_id: NoteId, given: NoteText) -> Note:
    """Replace the text of a note."""
    statement = (
        sa.update(notes).where(notes.c.id == note_id).values(text=given.text, updated=_now()).returning(notes)
    )
    with engine().begin() as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise _not_found(note_id)
    return _note(row)


@router.delete("/{note_id}", status_code=204)
def delete_note(note_id: NoteId) -> None:
    """Delete a note."""
    with engine().begin() as connection:
        deleted = connection.execute(sa.delete(notes).where(notes.c.id == note_id)).rowcount
    if not deleted:
        raise _not_found(note_id)
