"""Many effects at a time: the intents of a slice in one transaction, their results in another; otherwise as ``ledger.writing.effects`` has it.

One effect that is fenced, or under way elsewhere, is told by its own error and keeps no other from its turn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from ledger.database import Row, Tx
from ledger.ids import uuid7
from ledger.writing.effects import LedgerEffects, fence, taken_up
from workforce.effects import Effect, EffectRecord
from workforce.errors import HubError, NotFound, RetryLater
from workforce.states import EFFECT_TRANSITIONS, EffectState, require_transition

Ended = tuple[EffectState, str | None]
"""How a call ended: ``DONE``, ``UNKNOWN``, or ``INTENDED`` for one that did nothing; and why, where it was not done."""


class BulkEffects(LedgerEffects):
    """The effects of one tenant as seen by one runner, many at a time."""

    def begin_all(self, effects: Collection[Effect]) -> dict[Effect, EffectRecord | HubError]:
        """``begin`` for each, in one transaction: its record, or the error that ``begin`` would raise for it."""
        with self._database.transaction(self._tenant) as tx:
            fenced = self._fenced(tx, effects, starting=True)
            free = [effect for effect in effects if effect not in fenced]
            self._intend(tx, free)
            rows = self._rows(tx, free)
            fresh = {effect: rows[effect] for effect in free if EffectState(rows[effect]["state"]) is EffectState.INTENDED}
            self._start_all(tx, fresh)
            left = {effect: self._left(tx, effect, rows[effect]) for effect in free if effect not in fresh}
            return {**fenced, **{effect: _started(row) for effect, row in fresh.items()}, **left}

    def conclude_all(self, results: Mapping[Effect, Ended]) -> dict[Effect, HubError]:
        """Note how each call ended, in one transaction; whoever is not told of was noted, the others are fenced."""
        with self._database.transaction(self._tenant) as tx:
            fenced = self._fenced(tx, results, starting=False)
            rows = self._rows(tx, [effect for effect in results if effect not in fenced])
            taken = {effect: taken_up(effect) for effect, row in rows.items() if row["runner"] != self._runner}
            ours = {effect: row for effect, row in rows.items() if effect not in taken}
            self._end_all(tx, {e: row for e, row in ours.items() if EffectState(row["state"]) is not results[e][0]}, results)
            return {**fenced, **taken}

    def _fenced(self, tx: Tx, effects: Iterable[Effect], *, starting: bool) -> dict[Effect, HubError]:
        """FOR SHARE: whoever ends or takes over an engagement waits for us, or we see it."""
        wanted = list(effects)
        rows = tx.all(
            "SELECT id, epoch, tombstoned_at FROM engagements WHERE id = ANY(%(ids)s) ORDER BY id FOR SHARE",
            ids=list({effect.engagement_id for effect in wanted}),
        )
        known = {row["id"]: row for row in rows}
        found = {effect: fence(effect, known.get(effect.engagement_id), starting=starting) for effect in wanted}
        return {effect: error for effect, error in found.items() if error is not None}

    def _intend(self, tx: Tx, effects: Sequence[Effect]) -> None:
        tx.execute(
            """
            INSERT INTO effects (tenant, effect_id, key, engagement_id, target, kind, lifecycle, detail, epoch, state)
            SELECT %(tenant)s, effect_id, key, engagement_id, target, kind, lifecycle, detail, epoch, 'intended'
            FROM unnest(%(effect_ids)s::uuid[], %(keys)s::text[], %(engagement_ids)s::uuid[], %(targets)s::text[], %(kinds)s::text[],
                        %(lives)s::int[], %(details)s::text[], %(epochs)s::int[])
                AS new (effect_id, key, engagement_id, target, kind, lifecycle, detail, epoch)
            ORDER BY key
            ON CONFLICT (tenant, key) DO NOTHING
            """,
            tenant=self._tenant,
            effect_ids=[uuid7() for _ in effects],
            keys=[effect.key for effect in effects],
            engagement_ids=[effect.engagement_id for effect in effects],
            targets=[effect.target for effect in effects],
            kinds=[effect.kind.value for effect in effects],
            lives=[effect.lifecycle for effect in effects],
            details=[effect.detail for effect in effects],
            epochs=[effect.epoch for effect in effects],
        )

    def _rows(self, tx: Tx, effects: Iterable[Effect]) -> dict[Effect, Row]:
        """The effects' rows, locked until the commit; in the order of ``effects``. Raises ``NotFound`` for one that was never begun."""
        by_key = {effect.key: effect for effect in effects}
        rows = tx.all(
            """
            SELECT key, effect_id, state, attempt, vendor_id, started_at, lost, runner,
                   extract(epoch FROM clock_timestamp() - started_at)::float AS age_seconds,
                   extract(epoch FROM lease_until - clock_timestamp())::float AS lease_left
            FROM effects WHERE key = ANY(%(keys)s)
            ORDER BY key
            FOR UPDATE
            """,
            keys=list(by_key),
        )
        if len(rows) < len(by_key):
            raise NotFound(f"{len(by_key) - len(rows)} effects were never begun", cause="effect_not_begun")
        found = {row["key"]: row for row in rows}
        return {effect: found[key] for key, effect in by_key.items()}

    def _start_all(self, tx: Tx, rows: Mapping[Effect, Row]) -> None:
        for effect, row in rows.items():
            self._audit(tx, effect, row["effect_id"], EffectState.STARTED, attempt=row["attempt"] + 1)
        tx.execute(
            """
            UPDATE effects
            SET state = 'started', attempt = attempt + 1, runner = %(runner)s, epoch = begun.epoch, cause = NULL, message = NULL,
                started_at = clock_timestamp(), changed_at = clock_timestamp(),
                lease_until = clock_timestamp() + make_interval(secs => %(lease_seconds)s)
            FROM unnest(%(effect_ids)s::uuid[], %(epochs)s::int[]) AS begun (effect_id, epoch)
            WHERE effects.tenant = %(tenant)s AND effects.effect_id = begun.effect_id
            """,
            tenant=self._tenant,
            runner=self._runner,
            lease_seconds=self._lease_seconds,
            effect_ids=_ids(rows.values()),
            epochs=[effect.epoch for effect in rows],
        )

    def _left(self, tx: Tx, effect: Effect, row: Row) -> EffectRecord | HubError:
        """What becomes of an effect that was begun before: few of a slice, so each by itself."""
        state = EffectState(row["state"])
        if state is EffectState.STARTED:
            try:
                self._wait_for_lease(row)
            except RetryLater as error:
                return error
            return self._change(tx, effect, row, EffectState.UNKNOWN, "left_unfinished")
        if state is EffectState.UNKNOWN:
            self._own(tx, effect, row)
        return EffectRecord(row["effect_id"], state, row["attempt"], row["vendor_id"], row["started_at"], lost=row["lost"])

    def _end_all(self, tx: Tx, rows: Mapping[Effect, Row], results: Mapping[Effect, Ended]) -> None:
        for effect, row in rows.items():
            state, cause = results[effect]
            require_transition(EFFECT_TRANSITIONS, EffectState(row["state"]), state)
            self._audit(tx, effect, row["effect_id"], state, attempt=row["attempt"], cause=cause)
        tx.execute(
            """
            UPDATE effects
            SET state = ended.state, cause = ended.cause, message = NULL, epoch = ended.epoch,
                lost = lost + (ended.state = 'unknown')::int, lease_until = NULL, changed_at = clock_timestamp()
            FROM unnest(%(effect_ids)s::uuid[], %(states)s::text[], %(causes)s::text[], %(epochs)s::int[])
                AS ended (effect_id, state, cause, epoch)
            WHERE effects.tenant = %(tenant)s AND effects.effect_id = ended.effect_id
            """,
            tenant=self._tenant,
            effect_ids=_ids(rows.values()),
            states=[results[effect][0].value for effect in rows],
            causes=[results[effect][1] for effect in rows],
            epochs=[effect.epoch for effect in rows],
        )


def _started(row: Row) -> EffectRecord:
    return EffectRecord(row["effect_id"], EffectState.STARTED, row["attempt"] + 1, row["vendor_id"], lost=row["lost"])


def _ids(rows: Iterable[Row]) -> list[UUID]:
    return [row["effect_id"] for row in rows]
