"""Deployment Protection: which sites ask a visitor to log in, and what opens them to a program."""

from collections.abc import Mapping

from daemon.emulator.identifiers import base62
from daemon.emulator.model import BypassSecret, Project
from daemon.emulator.world import World

BYPASS_NAME = "x-vercel-protection-bypass"
"""The header, or the query parameter, that holds a secret. Source: Vercel docs, Protection Bypass for Automation."""

LOGIN_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Authentication Required</title>"
    "<p>This page requires Vercel authentication.</p></html>\n"
)


def is_protected(project: Project, host: str) -> bool:
    """Tell whether *host* asks for a login; "standard" leaves production domains open.

    Source: Vercel docs, Deployment Protection, "Standard Protection".
    """
    match project.spec.protection:
        case "none":
            return False
        case "standard":
            return host not in project.domains
        case "all":
            return True


def may_enter(world: World, project: Project, *, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """Tell whether a request brings a secret of *project* that has spread already (the knob bypass_delay_seconds)."""
    brought = headers.get(BYPASS_NAME) or query.get(BYPASS_NAME)
    secret = project.bypasses.get(brought or "")
    delay_ms = world.knobs.bypass_delay_seconds * 1000
    return secret is not None and world.now_ms >= secret.created_at_ms + delay_ms


def add_secret(world: World, project: Project, *, secret: str | None = None, note: str | None = None) -> BypassSecret:
    """Give *project* another secret, *secret* None lets the emulator choose one, and return it."""
    chosen = secret or base62("bypass", project.id, world.now_ms, *project.bypasses, length=32)
    added = BypassSecret(chosen, world.now_ms, note)
    project.bypasses = {**project.bypasses, chosen: added}
    return added


def revoke_secret(project: Project, secret: str) -> bool:
    """Take *secret* from *project* at once; tell whether it had it."""
    had_it = secret in project.bypasses
    project.bypasses = {key: item for key, item in project.bypasses.items() if key != secret}
    return had_it
