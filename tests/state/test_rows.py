from sbc.state.rows import COLUMNS, record_of, row_of
from tests.state.records import a_record, in_progress


def test_a_record_survives_its_row() -> None:
    for record in (a_record(), in_progress(), a_record(answered_at=None)):
        assert record_of(row_of(record)) == record


def test_a_row_has_a_value_for_every_column() -> None:
    assert len(row_of(a_record())) == len(COLUMNS)


def test_a_duration_counts_from_the_answer() -> None:
    assert a_record().duration_s == 60.0
    assert a_record(answered_at=None).duration_s == 0.0
    assert in_progress().duration_s == 0.0
    assert a_record(ended_at=1.0).duration_s == 0.0, "a clock set back is no negative call"
