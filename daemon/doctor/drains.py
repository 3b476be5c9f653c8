"""Checks of the log drain of a project that counts by it: at Vercel, on the way, and at our receiver."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from daemon.doctor.facts import Examined, General, NotAsked, SecretsSeen
from daemon.doctor.line import Line, Name, fail, ok, skip, warn
from daemon.doctor.remedies import remedy_of
from daemon.ports.errors import PortError, Refused
from daemon.sources.log_drain import LogDrainSettings
from daemon.vercel.subscriptions import Drain, production_share, uncovered

_SHARE_TOLERANCE = 1e-6
_NO_DRAIN = "no drain of this project ends at our path"


def drain_secrets_are_readable(general: General) -> Line:
    """Whether the receiver has secrets to check signatures with."""
    if not general.is_drain_read:
        return skip(Name.DRAIN_SECRETS, "no source is a log_drain")
    return secrets_line(Name.DRAIN_SECRETS, general.drain_secrets, key="drain.secret_files")


def secrets_line(name: Name, secrets: SecretsSeen, *, key: str) -> Line:
    """Return the line on the secrets that *key* names."""
    if secrets.trouble:
        return fail(name, secrets.trouble, f"write the secret to the file, or correct {key}")
    if not secrets.count:
        return fail(name, f"{key} names no file", f"name the file of each secret in {key}")
    return ok(name, f"{secrets.count} readable")


def drain_exists(project: Examined) -> Line:
    """Whether Vercel has a drain that ends at our path, holds the project, and works."""
    match project.drains:
        case NotAsked(why):
            return skip(Name.DRAIN, why)
        case Refused(status=401 | 403 | 404) as error:
            return warn(Name.DRAIN, str(error), "this token may not list drains; look at the drain's page at Vercel")
        case PortError() as error:
            return fail(Name.DRAIN, str(error), remedy_of(error))
    if project.drain is None:
        found = f"none of the team's {len(project.drains)} drains ends in {project.drain_path} and holds this project"
        return fail(
            Name.DRAIN, found, f"make a drain of this project's logs at Vercel, to https://.../{_path(project)}"
        )
    drain = project.drain
    if drain.status != "enabled":
        why = f" ({drain.disabled_reason})" if drain.disabled_reason else ""
        found = f"{drain.id} is {drain.status}{why}"
        return fail(Name.DRAIN, found, "let its endpoint answer with 200, then enable the drain again at Vercel")
    return ok(Name.DRAIN, f"{drain.id} is enabled, to {drain.delivery.url}")


def drain_covers_production(project: Examined) -> Line:
    """Whether the drain lets all production traffic of the project through its filter."""
    if project.drain is None:
        return skip(Name.DRAIN_COVERAGE, _why(project))
    left_out = uncovered(project.drain, project=_id(project))
    if left_out is None:
        remedy = "make sure that it keeps production and every source of visitors' requests"
        return warn(Name.DRAIN_COVERAGE, "its filter is an expression, which is not read here", remedy)
    if left_out:
        remedy = "let the drain hold production and the sources edge, external, lambda, redirect and static"
        return fail(Name.DRAIN_COVERAGE, left_out, remedy)
    return ok(Name.DRAIN_COVERAGE, "production, from every source")


def drain_samples_as_configured(project: Examined) -> Line:
    """Whether the share that the drain keeps is the one that the source's settings name."""
    if project.drain is None:
        return skip(Name.DRAIN_SAMPLING, _why(project))
    configured = sampling_rate(project)
    share = production_share(project.drain)
    if share is None:
        remedy = "counts of one path are not those of the site: let the first rule hold every path of production"
        return warn(Name.DRAIN_SAMPLING, "the share of production depends on the path", remedy)
    if abs(share - configured) > _SHARE_TOLERANCE:
        found = f"the drain keeps {share:g} of production, and sampling_rate says {configured:g}"
        return fail(Name.DRAIN_SAMPLING, found, f"write sampling_rate: {share:g}, or correct the drain's rules")
    return ok(Name.DRAIN_SAMPLING, f"{share:g} of production, as configured")


def drain_endpoint_answers(project: Examined) -> Line:
    """Whether the drain's endpoint can be reached from here, and proves to be ours."""
    trial = project.drain_trial
    if isinstance(trial, NotAsked):
        return skip(Name.DRAIN_ENDPOINT, trial.why)
    if isinstance(trial, PortError):
        return fail(Name.DRAIN_ENDPOINT, str(trial), remedy_of(trial))
    shown = trial.shown
    assert shown is not None, "a drain's endpoint is looked at before it is posted to"
    if shown.error or shown.status != 200:
        found = f"{trial.url}: {shown.error or f'answered {shown.status} to GET'}"
        remedy = (
            "start lastgood run (or lastgood drain) where the drain points, and open the way there; then look again"
        )
        return fail(Name.DRAIN_ENDPOINT, found, remedy)
    if shown.verify is None or shown.verify != (project.verify_code or shown.verify):
        found = f"{trial.url} answers {'with another' if shown.verify else 'without an'} x-vercel-verify"
        return fail(Name.DRAIN_ENDPOINT, found, "write the code that Vercel shows for the drain to drain.verify_code")
    return ok(Name.DRAIN_ENDPOINT, f"{trial.url} answers, with x-vercel-verify")


def drain_signatures_are_checked(project: Examined) -> Line:
    """Whether the endpoint takes what we sign, nothing else, and Vercel signs with a secret of ours."""
    trial = project.drain_trial
    if isinstance(trial, NotAsked | PortError):
        return skip(Name.DRAIN_SIGNATURE, "the endpoint was not tried")
    if trial.signed.error or trial.forged.error or (trial.shown and trial.shown.status != 200):
        return skip(Name.DRAIN_SIGNATURE, "the endpoint does not answer")
    if trial.signed.status != 200:
        found = f"a batch signed with our secret was answered {trial.signed.status}: {trial.signed.text}"
        return fail(
            Name.DRAIN_SIGNATURE, found, "the receiver there has other secrets: give it drain.secret_files of ours"
        )
    if trial.forged.status != 403:
        found = f"a batch with a wrong signature was answered {trial.forged.status} instead of 403"
        return fail(Name.DRAIN_SIGNATURE, found, "something else answers there: let the drain point at lastgood itself")
    told = project.drain.delivery.secret if project.drain else None
    if told is not None and told.get_secret_value().encode() not in project.secrets:
        found = "Vercel signs this drain with a secret that is in none of our files"
        return fail(Name.DRAIN_SIGNATURE, found, "write the drain's secret to a file of drain.secret_files")
    return ok(Name.DRAIN_SIGNATURE, "ours is taken, a wrong one gets 403")


def choose_drain(drains: Sequence[Drain], *, project: str, path: str) -> Drain | None:
    """Return the drain that ends at *path* and holds *project*, an enabled one first; None when there is none."""
    ours = [
        drain
        for drain in drains
        if drain.delivery.url is not None
        and urlsplit(drain.delivery.url).path.endswith(path)
        and (drain.project_ids is None or project in drain.project_ids)
    ]
    return min(ours, key=lambda drain: drain.status != "enabled", default=None)


def sampling_rate(project: Examined) -> float:
    """Return what the settings of the project's `log_drain` say; 1 where it has none."""
    rates = [one.sampling_rate for one in project.settings.sources if isinstance(one, LogDrainSettings)]
    return rates[0] if rates else 1.0


def _why(project: Examined) -> str:
    if isinstance(project.drains, NotAsked):
        return project.drains.why
    return "the drains could not be listed" if isinstance(project.drains, PortError) else _NO_DRAIN


def _id(project: Examined) -> str:
    assert not isinstance(project.identity, NotAsked | PortError), "a drain is looked for by the project's id"
    return project.identity.id


def _path(project: Examined) -> str:
    return project.drain_path.removeprefix("/")
