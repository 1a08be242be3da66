"""Who owns which numbers, of several policy files as one."""

from collections.abc import Iterable, Mapping

from sbc.policy.call_facts import Owned, Owners
from sbc.policy.matchers import Numbers, is_set, numbers


def joined(owners: Iterable[Owners]) -> Owners:
    """The lists of several files as one: whoever is in two of them owns the numbers of both."""
    peers: dict[str, Owned] = {}
    users: dict[str, Owned] = {}
    for one in owners:
        _join(peers, one.peers)
        _join(users, one.users)
    return Owners(peers, users)


def _join(into: dict[str, Owned], more: Mapping[str, Owned]) -> None:
    for name, owned in more.items():
        before = into.get(name)
        into[name] = owned if before is None else _both(before, owned)


def _both(one: Owned, other: Owned) -> Owned:
    assert isinstance(one, Numbers)
    assert isinstance(other, Numbers)
    texts = (text for text in (*one.texts, *other.texts) if not is_set(text))
    return numbers(texts, (*one.sets, *other.sets))
