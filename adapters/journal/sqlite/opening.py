"""Puts a store on SQLite together."""

from pathlib import Path

from ....projections.views import ReadModel
from ..journal import EventJournal
from ..mapper import StructMapper
from .datastore import refuse_foreign
from .files import make_private
from .reads import SQLiteReads
from .recorder import Datastore, SQLiteRecorder, database_name


def open_sqlite(path: Path, durability: str = "power") -> tuple[EventJournal, ReadModel]:
    """The journal and the read models of the store in a file, made if it is not there.

    Raises `StoreError`.
    """
    make_private(path)
    refuse_foreign(path)
    recorder = SQLiteRecorder(Datastore(database_name(path), durability=durability))
    recorder.create_table()
    mapper = StructMapper()
    return EventJournal(recorder, mapper), SQLiteReads(recorder, mapper)
