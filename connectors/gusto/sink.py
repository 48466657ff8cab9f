"""Keep the contractor's record in Gusto."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta

from connectors.gusto.client import GustoClient
from connectors.gusto.records import Contractor
from connectors.records.instants import utc_now
from connectors.records.nulls import refuse_nulls, without_nulls
from connectors.records.words import folded
from workforce.errors import NotFound, Refused, RetryLater
from workforce.ports import StoredRecord

NATURAL_KEY = ("email", "start_date", "last_name")
GRACE = timedelta(days=2)  # the day of a dismissal lasts longer in the west than in UTC, and takes effect behind it


class GustoSink:
    """Contractors (type Individual) of one company.

    Gusto has no field that could hold our marker. A lost reply is recognised by the work e-mail that the hub itself allotted, together
    with start date and family name; a contractor with the same e-mail but another name or date is a namesake. So a contractor who
    comes back under the same e-mail is shown to a person, not adopted.
    """

    def __init__(self, client: GustoClient, *, today: Callable[[], date] = lambda: utc_now().date()) -> None:
        self._client, self._today = client, today

    def find(self, marker: str, values: Mapping[str, object]) -> Sequence[StoredRecord]:
        """The contractors with the e-mail in ``values``. Those whose whole natural key agrees are given as carrying ``marker``.

        ``search_term`` looks at names only and would hide a namesake, so the list is read to its end. Raises ``Refused`` when
        ``values`` lacks a part of the key.
        """
        wanted = _natural_key(values)
        found = [one for one in self._client.contractors() if folded(one.email) == wanted["email"]]
        return [self._stored(one, marker if _key_of(one) == wanted else None) for one in found]

    def create(self, marker: str, values: Mapping[str, object]) -> str:
        """Create the contractor; its uuid. ``None`` values are left out; ``marker`` is kept nowhere.

        Raises ``Refused`` unless ``values`` hold the whole natural key of an Individual: Gusto ignores e-mail and family name of a
        Business, whose lost reply could not be recognised.
        """
        del marker
        if values.get("type", "Individual") != "Individual":
            raise Refused(
                "gusto: type must be Individual; a Business carries no natural key", cause="unrecognisable", field="type"
            )
        _natural_key(values)
        return self._client.create_contractor(without_nulls(values))

    def update(self, external_id: str, values: Mapping[str, object]) -> None:
        """Set ``values`` on the current version. ``None`` empties a field that takes null, and is refused of another.

        The start of a rehire that is scheduled is moved by scheduling it anew: Gusto still shows the old employment. Raises ``RetryLater``
        when somebody else keeps changing the contractor, and while he does not show: an update follows a creation, which Gusto may show
        late.
        """
        refuse_nulls("gusto", values)
        try:
            if rest := self._with_rehire_moved(external_id, values):
                self._client.update_contractor(external_id, rest)
        except NotFound:
            raise RetryLater(f"gusto: contractor {external_id} does not show yet", cause="lagging") from None

    def _with_rehire_moved(self, external_id: str, values: Mapping[str, object]) -> Mapping[str, object]:
        """What is left to be written of ``values``."""
        if "start_date" not in values or self._client.contractor(external_id).upcoming_employment is None:
            return values
        self._cancel_rehire(external_id)
        self._client.schedule_rehire(external_id, str(values["start_date"]))
        return {name: value for name, value in values.items() if name != "start_date"}

    def end(self, external_id: str, *, ended_at: datetime, ends_on: str) -> None:
        """End the contractor, unless that is done or a dismissal stands for ``ends_on`` or earlier.

        The Embedded edition dismisses as of ``ends_on``, also of a coming day; a later dismissal that is pending is cancelled first.
        App Integrations describes no dated termination: there the contractor is deactivated now, and Gusto itself sets
        ``dismissal_date`` (``is_active`` is read-only in answers but described in the body of PUT). There a dismissal that somebody
        scheduled for later makes Gusto refuse: it has to be cancelled in Gusto first.
        """
        del ended_at
        now = self._client.contractor(external_id)
        if now.upcoming_employment is not None:
            self._cancel_rehire(external_id)
        dismissed_on = self._dismissed_on(now)
        if not now.is_active or (dismissed_on is not None and dismissed_on <= ends_on):
            return
        if self._client.settings.edition != "embedded":
            self._client.update_contractor(external_id, {"is_active": False})
            return
        if dismissed_on is not None:
            self._client.cancel_termination(external_id)
        self._client.schedule_termination(external_id, ends_on)

    def rehire(self, external_id: str, *, starts_on: str) -> None:
        """Employ the contractor again. Raises ``NotFound``.

        The Embedded edition does so as of ``starts_on``, also of a coming day, and never before the day of the dismissal; one that is
        pending is taken back instead, because Gusto employs nobody again who is active. App Integrations describes no dated rehire: there
        the contractor is activated now, with ``starts_on`` in its ``start_date``, and a dismissal that is pending has to be cancelled in
        Gusto: raises ``Refused`` (cause ``dismissal_scheduled``).
        """
        now = self._client.contractor(external_id)
        if self._is_engaged(now):
            return
        if self._client.settings.edition != "embedded":
            if now.is_active:
                raise _by_hand("a dismissal is scheduled", "dismissal_scheduled", "dismissal_date")
            self._client.update_contractor(external_id, {"is_active": True, "start_date": starts_on})
        elif now.is_active:
            self._client.cancel_termination(external_id)
        else:
            self._client.schedule_rehire(external_id, max(starts_on, now.dismissal_date or starts_on))

    def _cancel_rehire(self, external_id: str) -> None:
        if self._client.settings.edition != "embedded":
            raise _by_hand("a rehire is scheduled", "rehire_scheduled", "upcoming_employment")
        self._client.cancel_rehire(external_id)

    def read(self, external_id: str) -> StoredRecord:
        """The contractor as it is now, without a marker. Raises ``NotFound``.

        ``active`` means that a rehire is scheduled, whose start is shown then, or else neither inactive nor with a dismissal.
        """
        return self._stored(self._client.contractor(external_id), None)

    def _dismissed_on(self, contractor: Contractor) -> str | None:
        """The day of the dismissal; nothing where the contractor is active and started later, or it is over: that one ended an earlier stint."""
        day = contractor.dismissal_date
        if not contractor.is_active or day is None:
            return day
        is_over = day < (self._today() - GRACE).isoformat() or day < (contractor.start_date or "")
        return None if is_over else day

    def _is_engaged(self, contractor: Contractor) -> bool:
        return contractor.upcoming_employment is not None or (contractor.is_active and self._dismissed_on(contractor) is None)

    def _stored(self, contractor: Contractor, marker: str | None) -> StoredRecord:
        values, coming = contractor.model_dump(exclude={"uuid", "version", "upcoming_employment"}), contractor.upcoming_employment
        shown = {**values, "start_date": coming.start_date} if coming else values
        ends_on = None if coming else self._dismissed_on(contractor)
        return StoredRecord(contractor.uuid, marker, self._is_engaged(contractor), shown, ends_on)


def _by_hand(what: str, cause: str, field: str) -> Refused:
    return Refused(f"gusto: {what}, which this edition cannot change; cancel it in Gusto, and replay", cause=cause, field=field)


def _natural_key(values: Mapping[str, object]) -> dict[str, str]:
    for name in NATURAL_KEY:
        if not values.get(name):
            raise Refused(
                f"gusto: {name} is missing; without it a lost reply could not be recognised",
                cause="missing_natural_key",
                field=name,
            )
    return {name: folded(str(values[name])) for name in NATURAL_KEY}


def _key_of(contractor: Contractor) -> dict[str, str]:
    return {name: folded(getattr(contractor, name)) for name in NATURAL_KEY}
