"""``sbc version`` and ``sbc check`` say which engine relays media here, and why."""

import errno
import json
from pathlib import Path

import pytest

from sbc.cli.main import main
from tests.kit.engines import need_engine
from tests.kit.forbidden import CLONE, CLONE3, IO_URING_SETUP, run_without

CONFIGURATION = """\
networks: {{inside: {{trust: trusted, bind: 127.0.0.1}}}}
peers: {{pbx: {{kind: pbx, network: inside, address: 127.0.0.1:5080}}}}
media: {{engine: {engine}, workers: 3}}
"""


FORBIDDEN = (
    "io_uring is forbidden here: by kernel.io_uring_disabled, or by a container's seccomp profile"
)
HIDDEN = "this kernel has no io_uring, or a container hides it"


def configured(directory: Path, engine: str = "native") -> Path:
    file = directory / "sbc.yaml"
    file.write_text(CONFIGURATION.format(engine=engine))
    return file


def check_without(calls: dict[int, int], file: Path) -> str:
    """What ``sbc check`` says of the engine where some system calls fail."""
    program = f"from sbc.cli.main import main\nmain(['check', {str(file)!r}])"
    (line,) = (line for line in run_without(calls, program) if line.startswith("media engine"))
    return line


@pytest.mark.parametrize(
    ("engine", "why"),
    [("native", "3 workers on "), ("python", "the engine in Python, as configured")],
)
def test_the_engine_that_is_configured_is_told(
    engine: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_engine(engine)
    assert main(["check", "--json", str(configured(tmp_path, engine))]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["engine"] == engine
    assert told["why"].startswith(why)


@pytest.mark.parametrize(("error", "why"), [(errno.EPERM, FORBIDDEN), (errno.ENOSYS, HIDDEN)])
def test_without_io_uring_epoll_does_it_and_the_reason_is_told(
    error: int, why: str, tmp_path: Path
) -> None:
    need_engine("native")
    told = check_without({IO_URING_SETUP: error}, configured(tmp_path))
    assert told == f"media engine: native (3 workers on epoll; {why})"


def test_without_threads_python_does_it_and_the_reason_is_told(tmp_path: Path) -> None:
    need_engine("native")
    calls = {CLONE: errno.EAGAIN, CLONE3: errno.EAGAIN}
    assert check_without(calls, configured(tmp_path)) == (
        "media engine: python (the engine in Python: the native one cannot start "
        "(no thread for a worker: Resource temporarily unavailable))"
    )
