"""The terms of a contract as it shows them, nested as they were created with; and what of them an amendment changes.

Source: names and types of the vendor's description. An amendment changes more than this, such as when is paid, but what a contract does
not show would be asked for anew each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, TypeAlias

from connectors.deel.client import number
from connectors.deel.records import Contract
from connectors.records.nulls import cannot_be_emptied
from workforce.errors import Refused

Names: TypeAlias = tuple[str, ...]

PAY, END = "compensation_details", "termination_date"
NUMBERS = frozenset({"amount", "cycle_end", "payment_due_days", "first_payment", "notice_period"})
_PAID = ("amount", "scale", "currency_code", "frequency", "cycle_end", "cycle_end_type", "first_payment", "first_payment_date")
AMENDED_AS: Mapping[Names, str] = {
    ("start_date",): "start_date",
    ("job_title", "name"): "job_title_name",
    ("seniority", "id"): "seniority_id",
    ("scope_of_work",): "scope_of_work",
    ("special_clause",): "special_clause",
    **{(PAY, name): name for name in _PAID},
}
"""What an amendment changes and a contract shows, and how an amendment calls it."""
_OF_THE_HUB = {"id", "updated_at", "status", "external_id"}


class _Unshown(Enum):
    UNSHOWN = "unshown"


_UNSHOWN = _Unshown.UNSHOWN


def terms(contract: Contract) -> dict[str, Any]:
    """What ``contract`` shows of its terms. What it does not show is not in it; what it shows to be empty is ``None``."""
    shown = contract.model_dump(exclude_unset=True, exclude=_OF_THE_HUB)
    days = {"start_date": contract.starts_on, END: contract.ends_on}
    shown |= {name: day for name, day in days.items() if name in shown}
    if "job_title" in shown:
        shown["job_title"] = {"name": shown["job_title"]}
    if "contract_template" in shown:
        shown["contract_template_id"] = (shown.pop("contract_template") or {}).get("id")
    if shown.get("client"):  # a part that is null is not shown: no contract is without a legal entity
        shown["client"] = {name: part for name, part in shown["client"].items() if part}
    return {name: value for name, value in shown.items() if value is not None or name not in {"client", "worker"}}


def changes(contract: Contract, values: Mapping[str, object]) -> dict[Names, object]:
    """Those of ``values`` (nested) that ``contract`` does not say, by name, as Deel writes them. Its end is among them.

    Raises ``Refused`` naming the first that cannot be changed: ``cannot_be_emptied``, ``no_number``, or ``not_amendable``, also for one
    that the contract does not show.
    """
    shown = terms(contract)
    wanted = {names: _written(names, value) for names, value in _leaves(values)}
    changed = {names: value for names, value in wanted.items() if not _is_same(names, _at(shown, names), value)}
    for names, value in changed.items():
        name = ".".join(names)
        if value is None:
            raise cannot_be_emptied("deel", name)
        if _at(shown, names) is _UNSHOWN:
            message = f"deel: a contract does not show {name}, so its change could not be told from what is; change it in Deel"
            raise Refused(f"{message}, and make its rule weak", cause="not_amendable", field=name)
        if names not in AMENDED_AS and names != (END,):
            raise Refused(f"deel: {name} cannot be changed on a contract; change it in Deel", cause="not_amendable", field=name)
    return changed


def _leaves(values: Mapping[str, object], above: Names = ()) -> Iterator[tuple[Names, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _at(shown: Mapping[str, object], names: Names) -> object:
    """What is shown at ``names``. A part of what is shown to be empty is empty."""
    node: object = shown
    for name in names:
        if node is None:
            return None
        if not isinstance(node, Mapping) or name not in node:
            return _UNSHOWN
        node = node[name]
    return node


def _written(names: Names, value: object) -> object:
    if value is None:
        return None
    if names == (END,):
        return str(value)[:10]
    return number(names[-1], value) if names[-1] in NUMBERS else value


def _is_same(names: Names, shown: object, wanted: object) -> bool:
    """Whether what is shown is what is wanted. Ids may be numbers here and texts there."""
    if shown is _UNSHOWN:
        return False
    if shown in (None, "") or wanted in (None, ""):
        return shown in (None, "") and wanted in (None, "")
    if names[-1] in NUMBERS:
        return number(names[-1], shown) == wanted
    return str(shown) == str(wanted)
