"""Figures out of the texts of /proc."""

from tests.bench.media.proc import slab_kb, stolen


def test_steal_is_of_one_core() -> None:
    stat = "cpu  9 9 9 9 9 9 9 900 0 0\ncpu0 9 9 9 9 9 9 9 500 0 0\ncpu1 9 9 9 9 9 9 9 400 0 0\n"
    assert stolen(stat, 0) == 1.25 * stolen(stat, 1) > 0


def test_a_slab_counts_objects_in_use() -> None:
    slabinfo = (
        "slabinfo - version: 2.1\n"
        "# name <active_objs> <num_objs> <objsize> <objperslab>\n"
        "UDPv6 66 66 1472 22 8\n"
        "UDP 100 156 1024 24 8\n"
        "filp 8 9 128 21 1\n"
    )
    assert slab_kb(slabinfo, {"UDP", "filp"}) == 101
