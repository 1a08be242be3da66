"""``sbc alarms``: what the running process warned of lately."""

from argparse import Namespace

from sbc.cli.answers import mapping, rows
from sbc.cli.ladder import ascii_only
from sbc.cli.operate import OK, control_socket, show_json
from sbc.cli.table import clock_time, span
from sbc.management.control import ask


def alarms(arguments: Namespace) -> int:
    """``sbc alarms``: the newest of each kind, oldest first."""
    found = rows(ask(control_socket(arguments), "alarms"))
    if arguments.json:
        show_json(found)
        return OK
    for alarm in found:
        print(f"{clock_time(alarm.get('at'))}  {alarm.get('level')}  {alarm.get('event')}")
        for name, value in mapping(alarm.get("fields")).items():
            print(f"    {_field(name, value)}")
    if not found:
        print("no alarms")
    return OK


def _field(name: str, value: object) -> str:
    if name == "s":
        return f"{'lasts':12}  {span(value)}"
    return f"{ascii_only(name):12}  {ascii_only(str(value))}"
