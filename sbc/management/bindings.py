"""What is kept of bindings for the process after this one, and how that one takes it over.

A binding's times are spans on the loop's clock; on disk they are seconds since 1970, so that they
go on while nobody counts.
"""

import json
from collections.abc import Callable, Iterable, Mapping

from sbc.driver.switchboard import Switchboard
from sbc.management.log import Log
from sbc.registrar.commands import GONE, BindingChanged
from sbc.state.bindings import BindingStore


class BindingRecords:
    """Writes down every change of a binding."""

    def __init__(
        self,
        put: Callable[[str, float, str], None],
        forget: Callable[[str], None],
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """What the store offers, the loop's clock, and seconds since 1970."""
        self._put = put
        self._forget = forget
        self._clock = clock
        self._wall = wall

    @property
    def epoch(self) -> float:
        """1970 on the loop's clock: what kept times count from."""
        return self._clock() - self._wall()

    def binding_changed(self, change: BindingChanged) -> None:
        """Keep what a binding is now, or that it is no more."""
        binding = change.binding
        if change.what in GONE:
            self._forget(binding.key)
            return
        if change.what == "restored":
            return
        epoch = self.epoch
        kept = json.dumps(binding.to_data(epoch), separators=(",", ":"))
        self._put(binding.key, binding.expires_at - epoch, kept)


def take_over(
    store: BindingStore, records: BindingRecords, switchboard: Switchboard, now: float, log: Log
) -> None:
    """Have the phones of the process before this one, so that they can be called at once."""
    switchboard.registrar.use_secret(store.secret)
    origin = records.epoch
    unread = list(
        read_kept(store.take_found(), lambda data: switchboard.restore([data], now, origin))
    )
    if unread:
        log.warning("registrations", unreadable=len(unread), first=unread[0])
    taken = len(switchboard.registrar.bindings)
    if taken:
        log.info("registrations", taken_over=taken)


def read_kept(
    found: Iterable[str], restore: Callable[[Mapping[str, object]], None]
) -> Iterable[str]:
    """Hand over each kept binding; what cannot be read is told, one text for each."""
    for text in found:
        try:
            restore(json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            yield str(error)
