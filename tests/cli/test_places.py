from pathlib import Path

import pytest

from sbc.cli.places import find_configuration
from sbc.config.model import SbcFile
from sbc.config.places import Places, find_places
from sbc.state.places import CONTROL_SOCKET, STATE_DIR


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sbc.yaml"
    path.write_text(text)
    return path


def test_without_a_configuration_state_is_where_services_have_it() -> None:
    assert find_places(None) == Places(
        Path("/var/lib/sbc/control.sock"),
        Path("/var/lib/sbc/cdr.sqlite"),
        Path("/var/lib/sbc/versions"),
    )


def test_state_dir_is_relative_to_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "state_dir: run\n")
    run = tmp_path / "run"
    assert find_places(path) == Places(run / "control.sock", run / "cdr.sqlite", run / "versions")


def test_a_control_socket_may_be_elsewhere(tmp_path: Path) -> None:
    path = written(tmp_path, "control_socket: ${WHERE}/c.sock\n")
    found = find_places(path, {"WHERE": "/run/sbc"})
    assert found.control_socket == Path("/run/sbc/c.sock")
    assert found.call_records == Path("/var/lib/sbc/cdr.sqlite")


@pytest.mark.parametrize(
    "text",
    ["state_dir: run\npeers: {pbx: {address: '${NOT_SET}'}}\n", "state_dir: run\nnonsense: 1\n"],
)
def test_a_configuration_with_errors_still_says_where_the_process_is(
    tmp_path: Path, text: str
) -> None:
    path = written(tmp_path, text)
    assert find_places(path, {}).control_socket == tmp_path / "run/control.sock"


@pytest.mark.parametrize("text", ["[", "state_dir: [1]\n", "- x\n", ""])
def test_what_says_nothing_leaves_the_defaults(tmp_path: Path, text: str) -> None:
    assert find_places(written(tmp_path, text), {}).call_records.name == "cdr.sqlite"


def test_the_environment_names_the_configuration_before_any_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_configuration({}) is None or find_configuration({}) == Path("/etc/sbc/sbc.yaml")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "sbc.yaml").touch()
    assert find_configuration({}) == Path("deploy/sbc.yaml")
    (tmp_path / "sbc.yaml").touch()
    assert find_configuration({}) == Path("sbc.yaml")
    assert find_configuration({"SBC_CONFIG": "other.yaml"}) == Path("other.yaml")


def test_the_defaults_are_those_of_the_configuration() -> None:
    default = SbcFile.model_fields["state_dir"].default
    assert Path(default) == STATE_DIR
    assert find_places(None).control_socket == STATE_DIR / CONTROL_SOCKET
