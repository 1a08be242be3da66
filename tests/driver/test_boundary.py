"""The boundary keeps every error of ours, and nothing that is not one."""

import pytest

from sbc.driver.boundary import contained


def test_work_that_goes_well_says_nothing():
    done = []
    assert contained(lambda: done.append(1)) is None
    assert done == [1]


@pytest.mark.parametrize("error", [ValueError, KeyError, AssertionError, RecursionError])
def test_an_error_comes_back_as_its_traceback(error):
    def work() -> None:
        raise error("on purpose")

    trace = contained(work)
    assert trace is not None
    assert trace.startswith("Traceback")
    assert error.__name__ in trace
    assert "in work" in trace


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_process_passes(end):
    def work() -> None:
        raise end

    with pytest.raises(end):
        contained(work)
