"""From what was seen to bans: scores, thresholds, and whom nothing may be done to.

What a forged datagram can cause is bounded by what it proves, which is nothing: at most that one
address and port, from which perhaps nobody ever sent anything, is not heard for half a minute. A
source is banned for what it did over a connection, or with a nonce that it can only have been sent.
What is done to whom at the threshold:

===========  ===========================  ==================================
standing     without proof                with proof
===========  ===========================  ==================================
stranger     its flow is muted            its source is banned
neighbour    its flow is muted            its flow is muted
registered   nothing                      its flow is throttled
protected    nothing                      its flow is throttled
spared       nothing                      nothing
===========  ===========================  ==================================

Spec: RFC 5853 §3.1.1; RFC 3261 §26.3.2.4 (denial of service).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from sbc.policy.ban_rules import BanRules
from sbc.policy.bans import OPERATOR, Ban, Bans, Mute, NetworkFlow, network_flow, source_of
from sbc.policy.offences import (
    ENUMERATED,
    Evidence,
    Known,
    Observation,
    Offence,
    Standing,
)
from sbc.policy.scores import Score, Scores, remember
from sbc.prefixes import IpNetwork, PrefixMap, source_key

MOST_SCORES: Final = 16_384
"""Sources, flows that proved where they are, and flows that did not: each of them at one time."""

AGAIN: Final = 4
"""How many times longer each further ban of a source is."""

LONGEST_MUTE_S: Final = 3600.0
SAME_USER_SHARE: Final = 0.1
"""What a wrong password counts against the source, of the user that it was wrong for before: a
phone with an old password tries for ever, and must not have its whole NAT banned."""

GUESSES: Final = 10
"""How many users or numbers a source may fail with before each further one counts on top."""

SEVERAL: Final = 3
"""Sources that guess one password before that is told: what fewer do is told of each of them."""

UNMET: Final = 20
"""For how many users a source may be challenged in vain before each further one counts."""


_THROTTLED: Final = frozenset({Standing.REGISTERED, Standing.PROTECTED})
"""Whose flows are still heard now and then, if it must be."""


class Banned(NamedTuple):
    """A source is shut out from now on."""

    ban: Ban


class Muted(NamedTuple):
    """A flow is not heard for a while, or only now and then."""

    flow: NetworkFlow
    seconds: float
    why: str
    evidence: tuple[Evidence, ...]
    throttled: bool
    shadow: bool


class Lifted(NamedTuple):
    """A ban is over."""

    ban: Ban
    why: str


class Attacked(NamedTuple):
    """Somebody guesses the password of a user, perhaps from many sources; nobody is locked out."""

    user: str
    sources: int
    evidence: tuple[Evidence, ...]


Measure = Banned | Muted | Lifted | Attacked


class Refused(ValueError):
    """A ban that an operator wants cannot be; the text says why."""


class Guard:
    """Holds against sources what they did, and shuts them out for it.

    Args:
        rules: what a policy says; None only counts.
        known: the standing of who sends on a flow.
        protects: why nobody in a prefix may be banned; empty when they may.
        wall: seconds since 1970.
    """

    __slots__ = (
        "_flows", "_forged", "_known", "_protects", "_repeats", "_rules", "_sources", "_wall",
        "bans", "counters", "spared", "users",
    )  # fmt: skip

    def __init__(
        self,
        rules: BanRules | None,
        *,
        known: Callable[[Observation], Known],
        protects: Callable[[IpNetwork], str],
        wall: Callable[[], float],
        most: int = MOST_SCORES,
    ) -> None:
        self._rules = rules
        self._known = known
        self._protects = protects
        self._wall = wall
        self.bans = Bans()
        self.counters: Counter[Offence] = Counter()
        self.spared = 0
        """Of what was counted, what whoever is never banned did."""
        self._sources: Scores[str] = Scores(most)
        self._flows: Scores[NetworkFlow] = Scores(most)
        self._forged: Scores[NetworkFlow] = Scores(most)
        """Flows of datagrams that prove nothing."""
        self.users: Scores[str] = Scores(most)
        """Users whose passwords were guessed wrongly, by whomever."""
        self._repeats: dict[IpNetwork, tuple[int, float]] = {}
        """How many bans each source had lately, and until when that counts."""

    @property
    def rules(self) -> BanRules | None:
        """What is in force."""
        return self._rules

    # -- what is seen -----------------------------------------------------------------------

    def observe(self, seen: Observation, now: float) -> list[Measure]:
        """Hold something against whoever did it."""
        self.counters[seen.offence] += 1
        rules = self._rules
        if rules is None:
            return []
        known = self._known(seen)
        if known.standing is Standing.SPARED:
            self.spared += 1
            return []
        if known.standing in _THROTTLED and not seen.proof.holds:
            return []
        key = network_flow(seen.flow)
        flow = (self._flows if seen.proof.holds else self._forged).of(key, now)
        new = remember(flow.subjects, seen.subject)
        points = self._points(seen, flow, new, rules)
        flow.add(points, now, rules.half_life_s)
        flow.blame(seen.subject, points)
        self._note(flow, seen)
        out = self._about_user(seen, rules, now) if seen.proof.holds else []
        if seen.proof.holds and known.standing is Standing.STRANGER:
            banned = self._against_source(seen, rules, now)
            if banned:
                flow.points = 0.0
                return out + banned
        if flow.points >= rules.threshold:
            out += self._mute(key, flow, seen, known, rules, now)
        return out

    def _about_user(self, seen: Observation, rules: BanRules, now: float) -> list[Measure]:
        """Count a wrong password for the user it was tried for, whoever tried it."""
        if seen.offence is not Offence.WRONG_PASSWORD or not seen.subject:
            return []
        score = self.users.of(seen.subject, now)
        remember(score.subjects, source_key(seen.flow.remote[0]))
        score.add(rules.weights[seen.offence], now, rules.half_life_s)
        self._note(score, seen)
        if score.points < rules.threshold or len(score.subjects) < SEVERAL:
            return []
        score.points = 0.0
        return [Attacked(seen.subject, len(score.subjects), tuple(score.evidence))]

    def challenged(self, seen: Observation, now: float) -> list[Measure]:
        """Somebody was asked for the password of a user, which is no offence.

        Args:
            seen: what it is if there are too many users who do not answer.
        """
        if self._rules is None:
            return []
        score = self._forged.of(network_flow(seen.flow), now)
        if remember(score.asked, seen.subject) and len(score.asked) > UNMET:
            return self.observe(seen, now)
        return []

    def succeeded(self, key: NetworkFlow, user: str) -> None:
        """Somebody proved to be a user: what went before was no guessing."""
        source = self._sources.find(source_key(key[1]))
        for score in (self._forged.find(key), self._flows.find(key), source):
            if score is not None:
                score.excuse(user)

    def _points(self, seen: Observation, score: Score, new: bool, rules: BanRules) -> float:
        """What an observation counts, with what it is besides when it is done to many."""
        points = rules.weights[seen.offence]
        many = ENUMERATED.get(seen.offence)
        if many is not None and new and len(score.subjects) > GUESSES:
            self.counters[many] += 1
            points += rules.weights[many]
        return points

    def _note(self, score: Score, seen: Observation) -> None:
        flow = seen.flow
        source = f"{flow.remote[0]}:{flow.remote[1]}/{flow.transport}"
        score.evidence.append(
            Evidence(
                self._wall(), seen.offence, seen.what, seen.call_id, source, seen.proof,
                round(score.points, 1),
            )
        )  # fmt: skip

    # -- what is done -----------------------------------------------------------------------

    def _against_source(self, seen: Observation, rules: BanRules, now: float) -> list[Measure]:
        host = seen.flow.remote[0]
        score = self._sources.of(source_key(host), now)
        new = remember(score.subjects, seen.subject)
        points = self._points(seen, score, new, rules)
        if seen.offence is Offence.WRONG_PASSWORD and not new:
            points *= SAME_USER_SHARE
        score.add(points, now, rules.half_life_s)
        score.blame(seen.subject, points)
        self._note(score, seen)
        if score.points < rules.threshold or self.bans.holds(host, now):
            return []
        source = source_of(host)
        why = f"{seen.offence.value}: {seen.what}"
        evidence, points = tuple(score.evidence), score.points
        self._sources.forget(source_key(host))
        number = self._repeats.get(source, (0, 0.0))[0] + 1
        seconds = min(rules.longest_s, rules.ban_s * AGAIN ** (number - 1))
        ban = Ban(
            source, why, seen.offence.value, self._wall(), seconds, now + seconds,
            round(points, 1), evidence, rules.shadow, number,
        )  # fmt: skip
        self._count_repeat(source, number, now + seconds + rules.longest_s)
        return self._place(ban)

    def _place(self, ban: Ban) -> list[Measure]:
        over = self.bans.put(ban)
        return [Banned(ban), *(Lifted(one, "its place was needed for another") for one in over)]

    def _count_repeat(self, source: IpNetwork, number: int, until: float) -> None:
        self._repeats.pop(source, None)
        self._repeats[source] = (number, until)
        if len(self._repeats) > MOST_SCORES:
            del self._repeats[next(iter(self._repeats))]

    def _mute(
        self,
        key: NetworkFlow,
        flow: Score,
        seen: Observation,
        known: Known,
        rules: BanRules,
        now: float,
    ) -> list[Measure]:
        evidence = tuple(flow.evidence)
        flow.points = 0.0
        seconds = rules.mute_s
        if seen.proof.holds:
            # What proves nothing is never held against anybody for longer than the first time.
            seconds = min(LONGEST_MUTE_S, rules.mute_s * 2.0**flow.mutes)
            flow.mutes = min(flow.mutes + 1, 16)
        throttled = known.standing in _THROTTLED
        why = f"{seen.offence.value}: {seen.what}"
        if not rules.shadow:
            self.bans.mute(key, Mute(now + seconds, why, throttled=throttled))
        return [Muted(key, seconds, why, evidence, throttled, rules.shadow)]

    # -- operator and configuration ---------------------------------------------------------

    def configure(self, rules: BanRules | None, exempt: Iterable[str]) -> list[Measure]:
        """Judge by other rules, and lift what they would not have banned."""
        self._rules = rules
        self.bans.network_exempt = frozenset(exempt)
        out: list[Measure] = []
        for ban in self.bans:
            why = self._protects(ban.source)
            if rules is None and ban.by != OPERATOR:
                why = "the policies say nothing of bans any more"
            if why:
                self.bans.remove(ban)
                out.append(Lifted(ban, why))
            elif rules is not None and ban.by != OPERATOR:
                ban.shadow = rules.shadow
        return out

    def add(self, source: IpNetwork, seconds: float, why: str, now: float) -> list[Measure]:
        """Ban a source because an operator says so.

        Raises:
            Refused: it is never banned, overlaps another ban, or there are too many.
        """
        protected = self._protects(source)
        if protected:
            raise Refused(f"{source} is never banned: {protected}")
        same = self.bans.find_by_source(source)
        for ban in self.bans:
            if ban is not same and ban.source.overlaps(source):
                raise Refused(
                    f"{source} overlaps the ban of {ban.source}; lift that first: "
                    f"sbc bans --lift {ban.source}"
                )
        if same is None and not self.bans.has_room_for_prefix:
            raise Refused("there are too many bans by hand; lift some")
        return self._place(Ban(source, why, OPERATOR, self._wall(), seconds, now + seconds))

    def restore(self, bans: Iterable[Ban], now: float) -> None:
        """Go on with the bans of the process before this one, as far as they would still be."""
        for ban in bans:
            if ban.until > now and not self._protects(ban.source):
                self.bans.put(ban)
                if ban.by != OPERATOR and self._rules is not None:
                    self._count_repeat(ban.source, ban.number, ban.until + self._rules.longest_s)

    def lift(self, source: IpNetwork, why: str) -> list[Measure]:
        """Let everybody in a prefix in again, and hold nothing against them any more."""
        out: list[Measure] = []
        for ban in self.bans:
            if ban.source.overlaps(source):
                self.bans.remove(ban)
                self._sources.forget(source_key(str(ban.source.network_address)))
                self._repeats.pop(ban.source, None)
                out.append(Lifted(ban, why))
        self.bans.unmute_within(source)
        self._sources.forget(source_key(str(source.network_address)))
        within = PrefixMap([(source, True)])
        for flows in (self._flows, self._forged):
            flows.forget_all(lambda key: within.find(key[1]) is not None)
        return out

    def expire(self, now: float) -> list[Measure]:
        """Let in again whose time is over."""
        for source in [one for one, (_, until) in self._repeats.items() if until <= now]:
            del self._repeats[source]
        return [Lifted(ban, "its time is over") for ban in self.bans.expire(now)]
