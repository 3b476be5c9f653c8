"""Checks of Vercel's webhooks, where a receiver of them is configured."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from daemon.doctor.drains import secrets_line
from daemon.doctor.facts import General, NotAsked
from daemon.doctor.line import Line, Name, fail, ok, skip, warn
from daemon.doctor.remedies import remedy_of
from daemon.ports.errors import PortError, Refused
from daemon.vercel.subscriptions import Webhook
from daemon.vercel.webhooks import EVENTS_WANTED

NOT_CONFIGURED = "webhooks.secret_files names no file: no webhooks are received"
_NEEDED = frozenset(one for one in EVENTS_WANTED if one.startswith("deployment."))
"""Without these a move of production is learnt of by the next poll; the others tell of less."""


def webhook_secrets_are_readable(general: General) -> Line:
    """Whether the receiver has secrets to check signatures with."""
    if not general.settings.webhooks.secret_files:
        return skip(Name.WEBHOOK_SECRETS, NOT_CONFIGURED)
    return secrets_line(Name.WEBHOOK_SECRETS, general.webhook_secrets, key="webhooks.secret_files")


def webhook_exists(general: General) -> Line:
    """Whether Vercel has a webhook that ends at our path, with the events that wake a project, for every project."""
    match general.webhooks:
        case NotAsked(why):
            return skip(Name.WEBHOOK, why)
        case Refused(status=401 | 403 | 404) as error:
            return warn(Name.WEBHOOK, str(error), "this token may not list webhooks; look at their page at Vercel")
        case PortError() as error:
            return fail(Name.WEBHOOK, str(error), remedy_of(error))
        case listed:
            return _judge(choose_webhooks(listed, path=general.settings.webhooks.path), general)


def webhook_endpoint_checks_signatures(general: General) -> Line:
    """Whether the webhook's endpoint can be reached from here, takes what we sign, and refuses what we do not."""
    trial = general.webhook_trial
    if isinstance(trial, NotAsked):
        return skip(Name.WEBHOOK_ENDPOINT, trial.why)
    if isinstance(trial, PortError):
        return fail(Name.WEBHOOK_ENDPOINT, str(trial), remedy_of(trial))
    if error := trial.signed.error or trial.forged.error:
        remedy = "start lastgood run where the webhook points, and open the way there; then look again"
        return fail(Name.WEBHOOK_ENDPOINT, f"{trial.url}: {error}", remedy)
    if trial.signed.status != 200:
        found = f"a webhook signed with our secret was answered {trial.signed.status}: {trial.signed.text}"
        remedy = "let the webhook point at lastgood itself, with the same webhooks.secret_files"
        return fail(Name.WEBHOOK_ENDPOINT, found, remedy)
    if trial.forged.status != 403:
        found = f"a webhook with a wrong signature was answered {trial.forged.status} instead of 403"
        return fail(
            Name.WEBHOOK_ENDPOINT, found, "something else answers there: let the webhook point at lastgood itself"
        )
    return ok(Name.WEBHOOK_ENDPOINT, f"{trial.url}: ours is taken, a wrong signature gets 403")


def choose_webhooks(webhooks: Sequence[Webhook], *, path: str) -> Sequence[Webhook]:
    """Return the webhooks that end at *path*."""
    return [one for one in webhooks if urlsplit(one.url).path.endswith(path)]


def _judge(ours: Sequence[Webhook], general: General) -> Line:
    path = general.settings.webhooks.path
    if not ours:
        remedy = f"make one at Vercel for https://...{path}, and write its secret to webhooks.secret_files"
        return fail(Name.WEBHOOK, f"no webhook of the team ends in {path}", remedy)
    forgotten = [project for project in general.projects if not any(_holds(one, project) for one in ours)]
    if forgotten:
        return fail(Name.WEBHOOK, f"none holds {', '.join(forgotten)}", "let the webhook hold those projects, too")
    events = {event for one in ours for event in one.events}
    if missing := sorted(_NEEDED - events):
        return fail(Name.WEBHOOK, f"{ours[0].id} does not tell {', '.join(missing)}", "make it anew with those events")
    if missing := sorted(set(EVENTS_WANTED) - events):
        found = f"{ours[0].id} does not tell {', '.join(missing)}"
        return warn(Name.WEBHOOK, found, "make it anew with those events, or learn of them a poll later")
    return ok(Name.WEBHOOK, f"{ours[0].id}, to {ours[0].url}")


def _holds(webhook: Webhook, project: str) -> bool:
    return webhook.project_ids is None or project in webhook.project_ids
