"""Certificates that were renewed while we run: read again, the rest of the settings untouched.

A file that cannot work changes nothing: what was read from it before goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sbc.config.certificates import Complaint, Use, read_certificate, read_trust
from sbc.config.tls import uncovered
from sbc.document.problem import Problem, Severity
from sbc.routing.model import Settings
from sbc.routing.tls import Certificate, NetworkTls, PeerTls, Trust


def files_of(settings: Settings) -> tuple[Path, ...]:
    """Every certificate, key and authority file that settings were made from, each once."""
    found: list[str] = []
    for certificate in certificates_of(settings):
        found += [certificate.file, certificate.key_file]
    for trust in _trusts(settings):
        if trust.authorities:
            found.append(trust.file)
    return tuple(Path(file) for file in dict.fromkeys(found))


def certificates_of(settings: Settings) -> list[Certificate]:
    """Every certificate of ours."""
    found = [
        certificate
        for network in settings.networks
        if network.tls is not None
        for certificate in network.tls.certificates
    ]
    found += [
        peer.tls.certificate
        for peer in settings.peers
        if peer.tls is not None and peer.tls.certificate is not None
    ]
    return found


def renewed(settings: Settings, now: float) -> tuple[Settings, tuple[Problem, ...]]:
    """The settings with what stands in the files now, and what is wrong with those files.

    Reads files: inside a running loop, call it from a thread.

    Args:
        now: seconds since 1970.
    """
    reader = _Reader(now)
    networks = tuple(
        one if one.tls is None else replace(one, tls=reader.network(one.tls))
        for one in settings.networks
    )
    peers = tuple(
        one if one.tls is None else replace(one, tls=reader.peer(one.tls)) for one in settings.peers
    )
    return replace(settings, networks=networks, peers=peers), tuple(reader.problems)


class _Reader:
    __slots__ = ("_now", "problems")

    def __init__(self, now: float) -> None:
        self._now = now
        self.problems: list[Problem] = []

    def network(self, rules: NetworkTls) -> NetworkTls:
        new = replace(
            rules,
            certificates=tuple(self._certificate(one, "server") for one in rules.certificates),
            trust=self._trust(rules.trust),
        )
        complaints = uncovered(new)
        file = new.certificates[0].file
        self._tell(complaints, lambda _: file)
        return rules if _broken(complaints) else new

    def peer(self, rules: PeerTls) -> PeerTls:
        certificate, trust = rules.certificate, rules.trust
        return replace(
            rules,
            certificate=None if certificate is None else self._certificate(certificate, "client"),
            trust=None if trust is None else self._trust(trust),
        )

    def _certificate(self, old: Certificate, use: Use) -> Certificate:
        new, complaints = read_certificate(
            Path(old.file), Path(old.key_file), use, self._now, old.where
        )
        self._tell(complaints, lambda one: old.key_file if one.what == "key" else old.file)
        return old if new is None else new

    def _trust(self, old: Trust) -> Trust:
        if not old.authorities:
            return old
        new, complaints = read_trust(Path(old.file), self._now)
        self._tell(complaints, lambda _: old.file)
        return old if new is None else new

    def _tell(self, complaints: Sequence[Complaint], file_of: Callable[[Complaint], str]) -> None:
        self.problems += [
            Problem(one.severity, file_of(one), 1, 1, "", one.message, one.hint)
            for one in complaints
        ]


def _broken(complaints: Sequence[Complaint]) -> bool:
    return any(one.severity is Severity.ERROR for one in complaints)


def _trusts(settings: Settings) -> list[Trust]:
    found = [network.tls.trust for network in settings.networks if network.tls is not None]
    found += [
        peer.tls.trust
        for peer in settings.peers
        if peer.tls is not None and peer.tls.trust is not None
    ]
    return found
