"""Every check, in the order of the report. A new one is a function and its line here."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from daemon.doctor import drains, production, tokens, webhooks
from daemon.doctor.facts import Examined, General
from daemon.doctor.line import Line
from daemon.doctor.signals import source_answers

GENERAL_CHECKS: tuple[Callable[[General], Line], ...] = (
    tokens.store_is_usable,
    tokens.vercel_answers,
    tokens.read_token_is_valid,
    tokens.read_token_lives,
    tokens.read_token_reaches_the_team,
    tokens.act_token_is_valid,
    tokens.act_token_lives,
    tokens.act_token_reaches_the_team,
    drains.drain_secrets_are_readable,
    webhooks.webhook_secrets_are_readable,
    webhooks.webhook_exists,
    webhooks.webhook_endpoint_checks_signatures,
)

PROJECT_CHECKS: tuple[Callable[[Examined], Line], ...] = (
    production.project_is_visible,
    production.something_serves,
    production.new_builds_go_live,
    production.no_move_hangs,
    production.no_release_is_rolling,
    production.there_is_a_way_back,
    production.posture_fits_the_token,
)

DRAIN_CHECKS: tuple[Callable[[Examined], Line], ...] = (
    drains.drain_exists,
    drains.drain_covers_production,
    drains.drain_samples_as_configured,
    drains.drain_endpoint_answers,
    drains.drain_signatures_are_checked,
)
"""For projects that count by a drain."""


def judge_general(general: General) -> Iterator[Line]:
    """Yield the lines on what is about no project in particular."""
    for check in GENERAL_CHECKS:
        yield check(general)


def judge_project(project: Examined) -> Iterator[Line]:
    """Yield the lines on one project, each source with one of its own."""
    group = project.settings.label
    kinds = [one.kind for one in project.settings.sources]
    for check in PROJECT_CHECKS:
        yield replace(check(project), group=group)
    for kind in kinds:
        yield replace(source_answers(project, kind), group=group)
    for check in DRAIN_CHECKS if "log_drain" in kinds else ():
        yield replace(check(project), group=group)
