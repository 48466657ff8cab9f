"""Invented contractors in the sandbox of the VMS, so that there is something to rehearse a change of a mapping on.

Nobody of them exists. Names come in several scripts, as they do in life, and the same number of people is always the same people.
"""

from __future__ import annotations

from itertools import islice, product

from cli.demo.world import ROLE, World

GIVEN_NAMES = (
    "Grace", "Katherine", "Alan", "Margaret", "Chinua", "Nguyễn Minh", "José", "Łukasz", "太郎", "ليلى", "Søren", "Zoë", "Ирина", "Ἀθηνᾶ",
    "Mary-Jane", "Dvora", "Anjali", "Björn", "Siobhán", "O\u0308zlem",
)  # fmt: skip
FAMILY_NAMES = (
    "Hopper", "Johnson", "Turing", "Hamilton", "Achebe", "Anh", "Núñez", "Wójcik", "山田", "حسن", "Kierkegaard", "O'Brien", "Петрова",
    "Παπαδοπούλου", "Watson", "van der Berg", "Rao", "Åkesson", "Ní Bhriain", "Çelik", "de la Cruz", "Müller-Lüdenscheidt", "Ng",
    "Smith", "Abdi",
)  # fmt: skip
UNITS = ("Analytics", "Payments", "Platform", "Research", "Retail")
SITES = ("New York", "Austin", "Denver", "Remote")
SUPPLIERS = (("BRIGHTWATER", "Brightwater Staffing"), ("NORDSTERN", "Nordstern Personal GmbH"), ("山手", "山手スタッフ"))
MOST = len(GIVEN_NAMES) * len(FAMILY_NAMES)


def engage(world: World, count: int) -> list[str]:
    """Work orders for ``count`` people, at most ``MOST``; their ids. All have the role that an access package is for."""
    people = islice(product(FAMILY_NAMES, GIVEN_NAMES), count)
    return [world.order(**_columns(number, given, family)) for number, (family, given) in enumerate(people)]


def sign(world: World, vms_id: str) -> tuple[bytes, dict[str, str]]:
    """Have the agreement about a work order signed; the body and headers of the delivery that says so."""
    order = world.fieldglass.work_orders[vms_id]
    name = f"{order['Worker First Name']} {order['Worker Last Name']}"
    delivery = world.docusign.complete(world.docusign.create_envelope(vms_id, name, order["Worker Email"]))
    return delivery.body, dict(delivery.headers)


def _columns(number: int, given: str, family: str) -> dict[str, str]:
    supplier_id, supplier = SUPPLIERS[number % len(SUPPLIERS)]
    return {
        "Worker First Name": given,
        "Worker Last Name": family,
        "Worker Email": f"contractor-{number + 1}@mail.example",
        "Worker Phone": "" if number % 3 else f"+1 555 {number:04}",
        "Role": ROLE,
        "Business Unit": UNITS[number % len(UNITS)],
        "Site": SITES[number % len(SITES)],
        "Supplier": supplier,
        "Supplier ID": supplier_id,
        "Pay Rate": f"{80 + number % 40}.00",
    }
