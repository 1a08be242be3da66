"""A process that is killed at every line that writes a version, and started again each time.

Run as a program, since it forks: `python -m tests.state.versions.power_cut DIRECTORY STORY`.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from sbc.config.files import Files
from sbc.config.load import load_file
from sbc.config.start import begin, read_of
from sbc.state.versions import disk
from sbc.state.versions.history import Change, History
from sbc.state.versions.store import VersionStore
from sbc.state.versions.version import Read
from tests.config.files import GOOD, FakeMachine

NOW = 1.7e9
WATCHED = {disk.write_whole.__code__, disk.settle_directory.__code__}
"""All that ever changes a file."""

Story = Callable[[Path], None]


def files_of(number: int) -> dict[str, str]:
    """A configuration of two files that only belong together when they say the same number."""
    rule = f"{{name: of {number}, when: {{registered: true}}, then: allow}}"
    feed = "{kind: networks, file: feed.txt, expires: 9999999}"
    return {
        "sbc.yaml": GOOD + f"timers: {{no_answer: {number}}}\nstate_dir: state\n",
        "edge.yaml": f"sets: {{bad: {feed}}}\nrules: [{rule}]\n",
    }


FEED = "192.0.2.0/24\n"
RENEWED = "198.51.100.0/24\n"
"""What others wrote into the list of bad addresses since."""


def write(directory: Path, number: int) -> None:
    for name, text in files_of(number).items():
        (directory / name).write_text(text)
    (directory / "feed.txt").write_text(FEED)


def start(directory: Path) -> tuple[int, int, int]:
    """What a start has: what its sbc.yaml, its policy, and the files on disk say."""
    started = begin(directory / "sbc.yaml", NOW + 1, "root", FakeMachine(), {})
    configuration, history = started.result.configuration, started.history
    assert configuration is not None, started.result.problems
    assert history is not None
    assert not history.standing.is_pending
    assert history.standing.written
    history.store.close()
    rule = configuration.policies.rules[0].name
    on_disk = [
        number
        for number in (11, 22, 33)
        if all((directory / name).read_text() == text for name, text in files_of(number).items())
    ]
    return (
        int(configuration.settings.timers.no_answer_s),
        int(rule.removeprefix("of ")),
        *on_disk,
    )


def change(directory: Path, number: int, how: Change) -> None:
    """Put a configuration from elsewhere in force, as the process does."""
    history = History(VersionStore(directory / "state" / "versions"))
    main = directory / "sbc.yaml"
    given = {
        str((directory / name).absolute()): text.encode()
        for name, text in {**files_of(number), "feed.txt": FEED}.items()
    }
    files = Files(given, only=True)
    configuration = load_file(main, FakeMachine(), {}, files).configuration
    assert configuration is not None
    history.begin(read_of(configuration, files), how, NOW)
    history.finish()
    history.store.close()


def apply(directory: Path) -> None:
    """`sbc apply FILE`, or `sbc rollback`."""
    change(directory, 22, Change("root", "for good", writes=True))


def try_out(directory: Path) -> None:
    """`sbc apply FILE --confirm 5m`, and nobody confirms."""
    change(directory, 22, Change("root", "try", confirm_s=300, writes=True))


def confirmed(directory: Path) -> None:
    """`sbc confirm`."""
    history = History(VersionStore(directory / "state" / "versions"))
    history.confirm()
    history.store.close()


def applied(directory: Path) -> None:
    """A version more, and then the feed is renewed."""
    apply(directory)
    (directory / "feed.txt").write_text(RENEWED)


def roll_back(directory: Path) -> None:
    """`sbc rollback 1`."""
    history = History(VersionStore(directory / "state" / "versions"))
    first = history.store.versions[0]
    read = Read(first.main, history.store.files(first), first.referred, first.feeds)
    history.begin(read, Change("root", "back", writes=True), NOW)
    history.finish()
    history.store.close()
    assert (directory / "feed.txt").read_text() == RENEWED


def restart(directory: Path) -> None:
    """A start itself, which has to go back."""
    start(directory)


STORIES: dict[str, tuple[tuple[Story, ...], Story]] = {
    "apply": ((), apply),
    "try_out": ((), try_out),
    "confirm": ((try_out,), confirmed),
    "restart": ((try_out,), restart),
    "roll_back": ((applied,), roll_back),
}


def killed_at(line: int, story: Story, directory: Path) -> bool:
    """Do a story in a process of its own, and kill it there; whether it came so far."""
    child = os.fork()
    if child == 0:
        lines = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal lines
            if frame.f_code not in WATCHED:
                return None
            if event == "line":
                lines += 1
                if lines == line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        story(directory)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def run(directory: Path, before: tuple[Story, ...], story: Story) -> list[tuple[int, ...]]:
    """What a start has after each kill."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    write(directory, 11)
    start(directory)
    for earlier in before:
        earlier(directory)
    as_it_was = directory.with_name("as-it-was")
    shutil.copytree(directory, as_it_was)
    found: list[tuple[int, ...]] = []
    line, killed = 0, True
    while killed:
        line += 1
        shutil.rmtree(directory)
        shutil.copytree(as_it_was, directory)
        feed = (directory / "feed.txt").read_text()
        killed = killed_at(line, story, directory)
        found.append(start(directory))
        assert (directory / "feed.txt").read_text() == feed, line
    return found


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), *STORIES[sys.argv[2]])))
