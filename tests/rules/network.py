"""A pytest plugin that refuses every connection which leaves this machine, in the test process and its threads.

An audit hook sees what monkeypatching would miss (asyncio, C code that calls back into `socket`). It cannot be
taken off again, so it is put on once, and only in the process that runs tests.
"""

import ipaddress
import sys
from typing import Any

_WATCHED = {"socket.connect", "socket.sendto", "socket.getaddrinfo"}


def is_loopback(host: object) -> bool:
    """Tell whether *host*, a name or an address, means this machine; names other than localhost's do not."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "localhost")
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text == "localhost" or text.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise RuntimeError for a network event whose peer is another machine; an audit hook."""
    if event not in _WATCHED:
        return
    peer = arguments[0] if event == "socket.getaddrinfo" else arguments[-1]
    # Unix sockets are named by text or bytes, internet peers by a tuple that begins with the host.
    host = peer[0] if isinstance(peer, tuple) else peer if event == "socket.getaddrinfo" else None
    if not is_loopback(host):
        raise RuntimeError(f"{event} to {host!r}: tests speak to loopback addresses only")


def pytest_configure() -> None:
    """Put the hook on, once in a process, whatever number of pytest sessions it runs."""
    if not getattr(sys, "_lastgood_network_refused", False):
        sys.addaudithook(refuse_other_machines)
        sys._lastgood_network_refused = True  # type: ignore[attr-defined]
