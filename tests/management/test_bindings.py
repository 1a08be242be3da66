"""What is kept of bindings ends on the same second in the process after this one."""

import json

from sbc.management.bindings import BindingRecords, read_kept
from sbc.registrar.commands import BindingChanged
from tests.kit.registrar import Desk


class Kept:
    """What a store was asked to do, by clocks that stand still."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, str]] = {}
        self.forgotten: list[str] = []
        self.records = BindingRecords(
            self._put, self.forgotten.append, clock=lambda: 100.0, wall=lambda: 1.7e9
        )

    def _put(self, key: str, until: float, data: str) -> None:
        self.rows[key] = (until, data)


def test_a_binding_is_kept_with_the_second_it_ends() -> None:
    kept, desk = Kept(), Desk()
    desk.accept(expires=600)
    kept.records.binding_changed(BindingChanged("registered", desk.binding))
    ((until, text),) = kept.rows.values()
    assert until == 1.7e9 + 600
    heir = Desk(secret=b"of another process")
    heir.now = 7.0
    later_s = 30
    origin = heir.now - (1.7e9 + later_s)
    faults = read_kept([text], lambda data: heir.registrar.restore([data], heir.now, origin))
    assert list(faults) == []
    assert heir.binding.expires_at == heir.now + 600 - later_s
    assert heir.binding.token == desk.binding.token


def test_what_ended_is_forgotten_and_what_was_restored_is_there_already() -> None:
    kept, desk = Kept(), Desk()
    desk.accept()
    for what in ("unregistered", "expired", "replaced", "homeless", "restored"):
        kept.records.binding_changed(BindingChanged(what, desk.binding))
    assert kept.forgotten == [desk.binding.token] * 4
    assert kept.rows == {}


def test_a_row_that_cannot_be_read_costs_no_other() -> None:
    desk, heir = Desk(), Desk()
    desk.accept()
    good = json.dumps(desk.registrar.export(desk.now)[0])
    odd = ["", "[]", "{}", '{"nat": 3}', "[" * 100_000, good.replace("600.0", '"soon"'), good]
    faults = read_kept(odd, lambda data: heir.registrar.restore([data], heir.now))
    assert len(list(faults)) == len(odd) - 1
    assert heir.binding.token == desk.binding.token
