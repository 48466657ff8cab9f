"""The folders between us and the people. What lies there is all that is known; nothing is kept anywhere else.

A ticket appears by one rename and stays until it has an answer, and then it is put among the closed ones, with its answers. Where each file
lies is a matter of order alone: cases are read from all of them, so that a crash between two moves changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

import structlog

from connectors.protocols.desks.answers import NOT_YET, Answer, Rules
from connectors.protocols.desks.cases import EARLIEST, Case, Number, Status
from connectors.protocols.desks.settings import DeskSettings
from connectors.protocols.desks.sheets import MAX_BYTES, PATTERN, is_sheet, read_sheet, write_sheet
from connectors.protocols.drops import MAX_NAME_BYTES, Drop, Order, digest
from connectors.protocols.folders import Entry, Folders
from connectors.records.instants import instant, utc_now
from workforce.errors import HubError, UnusableContent

log = structlog.get_logger(__name__)

T = TypeVar("T")
KEPT_SHEETS = 5_000
_ANSWER = ".answer-"
_COMPLAINT = (
    "This is no evidence yet, and nothing was closed.\n\n{fault}\n\nCorrect the file beside this one and leave it here again.\n"
)


class Filed(NamedTuple):
    """A file and where it lies."""

    folder: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file holds: fields, or what is wrong with it."""

    fields: Mapping[str, str]
    digest: str
    fault: str = ""

    @property
    def number(self) -> Number | None:
        """The ticket that it answers, if that is a number."""
        return Number.read(self.fields.get("ticket", "").strip())


@dataclass(frozen=True, slots=True)
class View:
    """What one look showed: every ticket of ours and the answers to it by their files, and what has arrived."""

    tickets: Mapping[Number, Sequence[Filed]]
    answers: Mapping[Number, Sequence[Filed]]
    arrived: Sequence[tuple[Filed, Sheet]]

    @property
    def markers(self) -> list[str]:
        """Of everybody whom a ticket is about, sorted."""
        return sorted({number.marker for number in self.tickets})


class Desk(Generic[T]):
    """The folders of one instance. Thread-safe: a file's content is read once and never changes under its name, size and time.

    ``read`` makes out of a ticket's fields what it asks for, or raises ``ValueError`` where they are not as we wrote them. ``stays_open``
    are the actions that a refusal does not end.
    """

    def __init__(
        self,
        settings: DeskSettings,
        folders: Folders,
        read: Callable[[Number, Mapping[str, str]], T],
        stays_open: Collection[str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings, self._folders, self._clock = settings, folders, clock
        self._asked, self._stays_open = read, frozenset(stays_open)
        self._drop = Drop(
            folders,
            inbox=settings.evidence,
            archive=None,
            pattern=PATTERN,
            order=Order.NAME,
            ready_suffix=None,
            settle_seconds=settings.settle_seconds,
            sleep=sleep,
        )
        self._sheets: dict[Entry, Sheet] = {}

    def now(self) -> datetime:
        """Our time."""
        return self._clock()

    def look(self) -> View:
        """What lies there, and put it in order.

        Answers are listed before the tickets, and each folder before the one into which its files are moved: nothing is overlooked on its way.
        """
        settings = self._settings
        arrived = [Filed(settings.evidence, export.entry) for export in self._drop.settled()]
        tickets: dict[Number, list[Filed]] = {}
        answers: dict[Number, list[Filed]] = {}
        for folder in filter(None, (settings.tickets, settings.taken, settings.set_aside, settings.closed)):
            for entry in self._folders.entries(folder):
                number = Number.read(entry.name.partition(".")[0])
                if number is not None and number.prefix == settings.prefix and is_sheet(entry.name):
                    kind = answers if _ANSWER in entry.name else tickets
                    kind.setdefault(number, []).append(Filed(folder, entry))
        view = View(tickets, answers, [(filed, self._sheet(filed)) for filed in arrived if is_sheet(filed.entry.name)])
        self._tidy(view)
        return view

    def cases(self, view: View, marker: str) -> list[Case[T]]:
        """Every ticket about one."""
        return [self._case(view, number) for number in sorted(view.tickets) if number.marker == marker]

    def open(self, number: Number, fields: Mapping[str, str]) -> None:
        """Open a ticket; one of its number is replaced by the same. Raises ``Refused`` naming what cannot be written, ``OutcomeUnknown``.

        ``fields`` are all but its number and the time.
        """
        told = {"ticket": str(number), **fields, "opened_at": self.now().isoformat()}
        form = self._settings.form
        self._folders.put(self._settings.tickets, f"{number}.{form}", write_sheet(told, form))
        log.info("ticket.opened", ticket=str(number))

    def withdraw(self, view: View, cases: Iterable[Case[T]]) -> None:
        """Take tickets from the people without an answer. Done in part, it is done again by the next call."""
        for case in cases:
            self._put_away(view, case.number)

    def _case(self, view: View, number: Number) -> Case[T]:
        filed = view.tickets[number]
        asked, opened_at = self._ticket(number, filed[-1])
        told = [self._sheet(one) for one in view.answers.get(number, ())]
        told += [sheet for _, sheet in view.arrived if sheet.number == number]
        answers = [answer for sheet in told if (answer := self._answer(sheet, opened_at))]
        is_put_away = any(one.folder == self._settings.closed for one in filed)
        return Case(number, asked, opened_at, answers, is_put_away, number.action in self._stays_open)

    def _ticket(self, number: Number, filed: Filed) -> tuple[T | None, datetime]:
        """What a ticket asks for and when it was opened, as far as its file can be believed."""
        fields = self._sheet(filed).fields
        try:
            if fields.get("ticket") == str(number):
                return self._asked(number, fields), instant(fields["opened_at"])
        except (KeyError, ValueError):
            pass
        return None, EARLIEST

    def _answer(self, sheet: Sheet, opened_at: datetime) -> Answer | None:
        try:
            return self._checked(sheet, opened_at)
        except UnusableContent:
            return None

    def _checked(self, sheet: Sheet, opened_at: datetime) -> Answer:
        if sheet.fault:
            raise UnusableContent(sheet.fault)
        return Rules(self.now(), self._settings.zone).answer(sheet.fields, opened_at)

    def _sheet(self, filed: Filed) -> Sheet:
        if (known := self._sheets.get(filed.entry)) is not None:
            return known
        sheet = self._read(filed)
        self._sheets[filed.entry] = sheet
        while len(self._sheets) > KEPT_SHEETS:
            self._sheets.pop(next(iter(self._sheets)), None)
        return sheet

    def _read(self, filed: Filed) -> Sheet:
        name = filed.entry.name
        content = b"" if filed.entry.size > MAX_BYTES else self._folders.read(filed.folder, name)
        try:
            return Sheet(read_sheet(name, content if filed.entry.size <= MAX_BYTES else b" " * (MAX_BYTES + 1)), digest(content))
        except UnusableContent as error:
            return Sheet({}, digest(content), str(error))

    # Order on the desk. What cannot be put in order is read all the same.

    def _tidy(self, view: View) -> None:
        try:
            for filed, sheet in view.arrived:
                self._sort(view, filed, sheet)
            for number in self._answered(view):
                self._put_away(view, number)
        except HubError as error:
            log.warning("tickets.not_in_order", cause=error.cause)

    def _answered(self, view: View) -> Iterator[Number]:
        """The tickets before the people that are done with, by their answers or because they lie among the closed ones as well."""
        arrived = {sheet.number for _, sheet in view.arrived}
        for number, filed in view.tickets.items():
            if all(one.folder == self._settings.closed for one in filed) or not (
                number in view.answers or number in arrived or len(filed) > 1
            ):
                continue
            if self._case(view, number).status is not Status.OPEN:
                yield number

    def _sort(self, view: View, filed: Filed, sheet: Sheet) -> None:
        """Put an answer where it belongs, or say what is wrong with it."""
        number = sheet.number
        if number is not None and number.prefix != self._settings.prefix:
            return  # of another instance, which shares the folder
        if sheet.fault or not sheet.fields.get("ticket", "").strip():
            self._complain(filed, sheet.fault or "ticket: say which ticket it answers")
        elif number is None or number not in view.tickets:
            log.warning("evidence.set_aside", file=filed.entry.name)
            self._complain(filed, "ticket: there is none of this number; the file was set aside")
            self._file(filed, sheet, self._settings.set_aside, str(number or "unknown"))
        else:
            try:
                self._checked(sheet, self._ticket(number, view.tickets[number][-1])[1])
            except UnusableContent as error:
                if error.cause != NOT_YET:
                    self._complain(filed, str(error))
            else:
                self._file(filed, sheet, self._settings.closed, str(number))

    def _file(self, filed: Filed, sheet: Sheet, folder: str, of: str) -> None:
        suffix = filed.entry.name.rpartition(".")[2].lower()
        self._folders.move(filed.folder, filed.entry.name, folder, f"{of}{_ANSWER}{sheet.digest}.{suffix}")

    def _complain(self, filed: Filed, fault: str) -> None:
        """Once for each content of the file."""
        name = f"{filed.entry.name}.refused.txt"
        if len(name.encode()) > MAX_NAME_BYTES:
            name = f"{digest(name.encode())}.refused.txt"
        said = {entry.name: entry.modified_us for entry in self._folders.entries(filed.folder)}
        if said.get(name, -1) < filed.entry.modified_us:
            self._folders.put(filed.folder, name, _COMPLAINT.format(fault=fault).encode())

    def _put_away(self, view: View, number: Number) -> None:
        for filed in view.tickets[number]:
            if filed.folder != self._settings.closed:
                self._folders.move(filed.folder, filed.entry.name, self._settings.closed, filed.entry.name)
