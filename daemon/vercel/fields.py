"""Kinds of values that keys of the configuration share, in whichever room their section lives."""

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def is_loopback(host: str) -> bool:
    """Return whether *host* can only be this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("is not an absolute path; write one that begins with /")
    return path


def _listening_host(host: str) -> str:
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("is not an address to listen on; write an IP address, such as 127.0.0.1") from None
    return host


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
ListeningHost = Annotated[str, AfterValidator(_listening_host)]
