from sbc.cli.table import clock_time, draw_table, span


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    rows = [("c1", None, True), ("a longer one", "", False)]
    assert draw_table(("call", "peer", "nat"), rows) == (
        "CALL          PEER  NAT\nc1            -     yes\na longer one  -     no\n"
    )


def test_a_table_without_rows_still_names_its_columns() -> None:
    assert draw_table(("call", "state"), []) == "CALL  STATE\n"


def test_a_cell_moves_no_cursor() -> None:
    assert "\x1b" not in draw_table(("x",), [("\x1b[2J\nnext",)])


def test_spans_and_times_are_for_people() -> None:
    assert span(3725.9) == "1:02:05"
    assert span(None) is None
    assert clock_time(None) is None
    assert len(clock_time(0.0) or "") == len("1970-01-01 00:00:00")
