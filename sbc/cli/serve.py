"""Commands that become the process: run and demo."""

from argparse import Namespace

from sbc.cli.files import configuration_file
from sbc.cli.operate import PROBLEM


def run(arguments: Namespace) -> int:
    """``sbc run``: serve until stopped."""
    path = configuration_file(arguments.file)
    if path is None:
        return PROBLEM
    # The other commands answer in a blink, so only this one waits for the whole SBC to load.
    from sbc import app  # noqa: PLC0415
    from sbc.management.log import Level  # noqa: PLC0415

    return app.run(path, json_lines=arguments.log_json, level=Level[arguments.log_level.upper()])


def demo(arguments: Namespace) -> int:
    """``sbc demo``: the SBC with a built-in PBX and phone."""
    from sbc.cli.demo import run as run_demo  # noqa: PLC0415 - as above

    return run_demo(once=arguments.once, engine=arguments.engine)
