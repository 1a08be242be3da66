"""Finding bindings: by token, flow, user and source."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sbc.registrar.binding import Binding, NatEvidence
from sbc.registrar.bindings import Bindings
from sbc.sip.flow import Flow


def a_binding(token: str, user: str = "alice", host: str = "198.51.100.7") -> Binding:
    flow = Flow("outside", "udp", ("0.0.0.0", 5060), (host, 40000))
    return Binding(
        token, f"sip:{user}@x", user, "x", f"sip:{token}@10.0.0.1", flow, "phones", "pbx", 1.0,
        NatEvidence(False, False, False),
    )  # fmt: skip


def test_a_binding_is_found_every_way():
    bindings, one = Bindings(), a_binding("t")
    bindings.add(one)
    assert bindings.by_key("t") is one
    assert bindings.of_token("t") == [one]
    assert bindings.on_flow(one.flow) == bindings.of_user("alice") == list(bindings) == [one]
    assert bindings.has_source(one.flow)
    assert "t" in bindings
    assert len(bindings) == 1


def test_users_compare_with_case():
    bindings = Bindings()
    bindings.add(a_binding("t", "Alice"))
    assert bindings.of_user("alice") == []


def test_a_refreshed_binding_is_the_newest_of_its_user():
    bindings = Bindings()
    for token in ("t1", "t2", "t1"):
        bindings.add(a_binding(token))
    assert [binding.token for binding in bindings.of_user("alice")] == ["t2", "t1"]


def test_the_last_binding_of_a_source_ends_it():
    bindings = Bindings()
    first, second = a_binding("t1"), a_binding("t2", "bob")
    bindings.add(first)
    bindings.add(second)
    bindings.remove("t1")
    assert bindings.has_source(first.flow)
    bindings.remove("t2")
    assert not bindings.has_source(first.flow)


def test_sources_are_counted_as_admission_counts_them():
    bindings = Bindings()
    bindings.add(a_binding("t", host="2001:db8:1:2::7"))
    neighbour = a_binding("u", host="2001:db8:1:2:ffff::1").flow
    assert bindings.has_source(neighbour)
    assert not bindings.has_source(neighbour._replace(network="inside"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.sampled_from(["alice", "bob"]),
            st.sampled_from(["198.51.100.7", "198.51.100.8"]),
            st.booleans(),
        )
    )
)
def test_all_ways_agree_whatever_comes_and_goes(steps):
    bindings, model = Bindings(), dict[str, Binding]()
    for token, user, host, comes in steps:
        if comes:
            model.pop(token, None)
            model[token] = a_binding(token, user, host)
            bindings.add(replace(model[token]))
        else:
            assert bindings.remove(token) == model.pop(token, None)
    everything = list(model.values())
    assert list(bindings) == everything
    for user in ("alice", "bob"):
        assert bindings.of_user(user) == [b for b in everything if b.user == user]
    for host in ("198.51.100.7", "198.51.100.8"):
        flow = a_binding("x", host=host).flow
        assert bindings.on_flow(flow) == [b for b in everything if b.flow == flow]
        assert bindings.has_source(flow) == bool(bindings.on_flow(flow))
