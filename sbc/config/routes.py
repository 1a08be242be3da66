"""Routes: names that exist, peers that can be reached, and rules that can match."""

from sbc.config.balancing import check_balance, ranks_of, sharing_of
from sbc.config.model import RouteSection, SbcFile
from sbc.document.problem import Path, Severity, did_you_mean
from sbc.document.text import Document
from sbc.routing.did import DidTable
from sbc.routing.model import Peer, Route
from sbc.routing.patterns import (
    Exact,
    Prefix,
    domain_covers,
    literal_start,
    number_covers,
    parse_number_pattern,
)


def build_routes(
    document: Document, model: SbcFile, peers: tuple[Peer, ...], dids: tuple[DidTable, ...]
) -> tuple[Route, ...]:
    """The routes; what is wrong with them is reported in the document."""
    builder = _RouteBuilder(document, model, peers, dids)
    routes = tuple(builder.route(number, section) for number, section in enumerate(model.routes))
    if not routes:
        document.report(
            ("routes",),
            "there are no routes, so no request goes anywhere",
            "for example: routes: [{from: phones, to: pbx}, {from: pbx, to: phones}]",
            severity=Severity.WARNING,
        )
    builder.find_shadowed(routes)
    for name in model.dids:
        if all(route.dids != name for route in routes):
            document.report(
                ("dids", name),
                "no route uses this table",
                f"for example: routes: [{{from: trunk, dids: {name}}}]",
                severity=Severity.WARNING,
                key=True,
            )
    return routes


class _RouteBuilder:
    __slots__ = ("_dids", "_document", "_doubtful", "_model", "_names", "_peers")

    def __init__(
        self,
        document: Document,
        model: SbcFile,
        peers: tuple[Peer, ...],
        dids: tuple[DidTable, ...],
    ) -> None:
        self._document = document
        self._model = model
        self._peers = {peer.name: peer for peer in peers}
        self._dids = {table.name: table for table in dids}
        self._names: dict[str, int] = {}
        self._doubtful: set[int] = set()
        """Routes from somebody unknown, of which nobody knows what they match."""

    def route(self, number: int, section: RouteSection) -> Route:
        path: Path = ("routes", number)
        name = section.name or f"routes[{number}]"
        self._check_name(name, number)
        self._check_from(section, path)
        to = tuple(share.peer for share in section.to)
        self._check_to(to, path)
        self._check_dids(section, path)
        ranks = ranks_of(section.to)
        check_balance(self._document, path, section, ranks, "to")
        return Route(
            name=name,
            to=to,
            ranks=ranks,
            balance=sharing_of(section),
            failover=section.failover.rule(),
            from_peers=tuple(one for one in section.from_ if one in self._peers),
            from_networks=tuple(one for one in section.from_ if one in self._model.networks),
            methods=section.method,
            numbers=section.number,
            domains=section.domain,
            dids=section.dids or "",
            where=self._document.place(path).where,
        )

    def _check_name(self, name: str, number: int) -> None:
        first = self._names.setdefault(name, number)
        if first != number:
            line = self._document.place(("routes", first)).line
            self._document.report(
                ("routes", number, "name"),
                f"the name {name!r} is taken",
                f"by the route in line {line}; logs need names that differ",
            )

    def _check_from(self, section: RouteSection, path: Path) -> None:
        known = (*self._peers, *self._model.networks)
        for number, name in enumerate(section.from_):
            if name not in known:
                self._doubtful.update(part for part in path if isinstance(part, int))
                self._document.report(
                    self._entry((*path, "from"), number),
                    f"there is no peer or network {name!r}",
                    did_you_mean(name, known, "peers and networks"),
                )

    def _check_dids(self, section: RouteSection, path: Path) -> None:
        if section.dids is None:
            if not section.to:
                place = (*path, "to")
                message, hint = "the key 'to' is missing", "for example: pbx"
                self._document.report(place, message, hint, key=True)
            return
        if section.balance != "order":
            self._document.report(
                (*path, "balance"),
                "what a DID table says is tried in its order",
                "leave balance out, or give the table's peers a balance of their own",
                key=True,
            )
        table = self._dids.get(section.dids)
        if table is None:
            self._document.report(
                (*path, "dids"),
                f"there is no DID table {section.dids!r}",
                did_you_mean(section.dids, self._dids, "tables"),
            )
        elif not section.to:
            nowhere = next((row for row in table.rows if not row.peers), None)
            if nowhere is not None:
                self._document.report(
                    (*path, "dids"),
                    f"{nowhere.number} ({nowhere.where}) names no peer, and the route neither",
                    "give the row a peer, or the route a `to`",
                )

    def _check_to(self, to: tuple[str, ...], path: Path) -> None:
        for number, name in enumerate(to):
            place = self._entry((*path, "to"), number)
            peer = self._peers.get(name)
            if peer is None:
                hint = did_you_mean(name, self._peers, "peers")
                if name in self._model.networks:
                    hint = f"{name!r} is a network; requests go to a peer. {hint}"
                self._document.report(place, f"there is no peer {name!r}", hint)
            elif peer.kind != "endpoints" and not peer.targets:
                line = self._document.place(("peers", name), key=True).line
                self._document.report(
                    place,
                    f"peer {name!r} (line {line}) has no address to send to",
                    "give it an address",
                )
            if name in to[:number]:
                self._document.report(place, f"peer {name!r} is repeated", "remove it")

    def _entry(self, path: Path, number: int) -> Path:
        return (*path, number) if (*path, number) in self._document.values else path

    def find_shadowed(self, routes: tuple[Route, ...]) -> None:
        """Warn of each route that an earlier one leaves nothing."""
        before = _Earlier()
        for number, route in enumerate(routes):
            if number in self._doubtful:
                continue
            for earlier in before.candidates(route):
                if self._covers(routes[earlier], route):
                    line = self._document.place(("routes", earlier)).line
                    self._document.report(
                        ("routes", number),
                        f"{route.name!r} can never match: {routes[earlier].name!r} in line {line} "
                        "takes all of it",
                        "put the narrower one first",
                        severity=Severity.WARNING,
                    )
                    break
            before.add(number, route)

    def _covers(self, wide: Route, narrow: Route) -> bool:
        """Whether everything that `narrow` matches surely is matched by `wide`."""
        if wide.methods and not (narrow.methods and set(narrow.methods) <= set(wide.methods)):
            return False
        if not self._covers_callers(wide, narrow) or wide.dids not in ("", narrow.dids):
            return False
        if wide.domains and not (
            narrow.domains
            and all(any(domain_covers(w, n) for w in wide.domains) for n in narrow.domains)
        ):
            return False
        if not wide.numbers:
            return True
        patterns = [parse_number_pattern(text) for text in wide.numbers]
        return bool(narrow.numbers) and all(
            any(number_covers(pattern, parse_number_pattern(text)) for pattern in patterns)
            for text in narrow.numbers
        )

    def _covers_callers(self, wide: Route, narrow: Route) -> bool:
        if not wide.from_peers and not wide.from_networks:
            return True
        if not narrow.from_peers and not narrow.from_networks:
            return False
        return set(narrow.from_networks) <= set(wide.from_networks) and all(
            name in wide.from_peers or self._peers[name].network in wide.from_networks
            for name in narrow.from_peers
        )


class _Earlier:
    """Earlier routes by number, so that a long list is not compared each with each."""

    __slots__ = ("_by_text", "_others")

    def __init__(self) -> None:
        self._by_text: dict[tuple[type[Exact | Prefix], str], list[int]] = {}
        self._others: list[int] = []

    def add(self, number: int, route: Route) -> None:
        """Remember a route; positions come in ascending order."""
        for text in route.numbers:
            pattern = parse_number_pattern(text)
            if isinstance(pattern, (Exact, Prefix)):
                self._by_text.setdefault((type(pattern), pattern.text), []).append(number)
            else:
                self._others.append(number)
        if not route.numbers:
            self._others.append(number)

    def candidates(self, route: Route) -> list[int]:
        """Those that could hold the first number of a route, and with it perhaps all of it."""
        found = list(self._others)
        if route.numbers:
            start, exact = literal_start(parse_number_pattern(route.numbers[0]))
            if exact:
                found += self._by_text.get((Exact, start), ())
            for length in range(len(start) + 1):
                found += self._by_text.get((Prefix, start[:length]), ())
        return sorted(found)
