"""Checks of one project's production: what serves, what moves it, and where a rollback would go."""

from daemon.core.facts import AliasJobStatus, Production
from daemon.core.guardrail import Posture
from daemon.core.target import NoTarget, choose_rollback_target
from daemon.doctor.facts import Examined, NotAsked
from daemon.doctor.line import Line, Name, fail, ok, skip, warn
from daemon.doctor.remedies import remedy_of
from daemon.ports.errors import Misconfigured, PortError, Refused

NOT_READ = "production could not be read"


def project_is_visible(project: Examined) -> Line:
    """Whether the token to read sees the project, and the configured team owns it."""
    match project.identity:
        case NotAsked(why):
            return skip(Name.PROJECT, why)
        case Misconfigured() as error:
            return fail(Name.PROJECT, str(error), "keep one entry for each project; the daemon does not start with two")
        case Refused() as error:
            remedy = "correct the project's id and vercel.team, or give the token's user access to the project"
            return fail(Name.PROJECT, str(error), remedy)
        case PortError() as error:
            return fail(Name.PROJECT, str(error), remedy_of(error))
        case found:
            return ok(Name.PROJECT, f"{found.id} of {found.account_id}")


def something_serves(project: Examined) -> Line:
    """Which deployment serves production."""
    match project.production:
        case NotAsked(why):
            return skip(Name.PRODUCTION, why)
        case PortError() as error:
            return fail(Name.PRODUCTION, str(error), remedy_of(error))
        case Production(deployment=None):
            return fail(Name.PRODUCTION, "nothing serves production", "deploy to production once, then look again")
        case found:
            assert found.deployment is not None
            return ok(Name.PRODUCTION, f"{found.deployment.id} of {found.deployment.created_at:%Y-%m-%d %H:%M} UTC")


def new_builds_go_live(project: Examined) -> Line:
    """Whether new builds get the production domains: not so after a rollback, until someone promotes."""
    production = project.production
    if not isinstance(production, Production):
        return skip(Name.DOMAINS, _why(project))
    if production.auto_assigns_domains is None:
        remedy = "nobody may act on an answer without it; a newer lastgood, or report it"
        return fail(Name.DOMAINS, "Vercel does not say whether new builds get the production domains", remedy)
    if not production.auto_assigns_domains:
        found = "pinned: new builds do not get the production domains (rolled back, or switched off)"
        return warn(Name.DOMAINS, found, "promote a good deployment, which ends a rollback; nothing, if it is meant so")
    return ok(Name.DOMAINS, "new builds get the production domains")


def no_move_hangs(project: Examined) -> Line:
    """Whether the newest move of the production domains has ended well."""
    production = project.production
    if not isinstance(production, Production):
        return skip(Name.ALIAS_JOB, _why(project))
    job = production.alias_job
    if job is None:
        return ok(Name.ALIAS_JOB, "no move of the production domains on record")
    age = project.now - job.requested_at
    found = f"{job.type} to {job.to_deployment}, asked {age.total_seconds():.0f} s ago: {job.status}"
    if job.status.is_running and age > project.settings.alias_job_stale_after:
        return fail(Name.ALIAS_JOB, f"{found}; it is stuck", "promote or roll back once more by hand, or ask Vercel")
    if job.status.is_running:
        return warn(Name.ALIAS_JOB, found, "wait until it has ended, then look again")
    if job.status is AliasJobStatus.FAILED:
        left = f"; left behind: {', '.join(job.failed_aliases)}" if job.failed_aliases else ""
        return fail(
            Name.ALIAS_JOB, f"{found}{left}", "repeat the move by hand, so that all domains show one deployment"
        )
    return ok(Name.ALIAS_JOB, found)


def no_release_is_rolling(project: Examined) -> Line:
    """Whether two deployments share production."""
    production = project.production
    if not isinstance(production, Production):
        return skip(Name.ROLLING_RELEASE, _why(project))
    if production.is_rolling_release_active:
        found = "a rolling release is active"
        return warn(Name.ROLLING_RELEASE, found, "complete or abort it; until then rollbacks are held")
    return ok(Name.ROLLING_RELEASE, "none is active")


def there_is_a_way_back(project: Examined) -> Line:
    """What a rollback would go to now, chosen as the core chooses, with all that the store remembers."""
    production, candidates = project.production, project.candidates
    if not isinstance(production, Production):
        return skip(Name.TARGET, _why(project))
    if production.deployment is None:
        return skip(Name.TARGET, "nothing serves production")
    match candidates:
        case NotAsked(why):
            return skip(Name.TARGET, why)
        case PortError() as error:
            return fail(Name.TARGET, str(error), remedy_of(error))
    target = choose_rollback_target(
        candidates,
        suspect=production.deployment,
        serving=production.deployment.id,
        activations=project.remembered.activations if project.remembered else (),
        known_bad=project.remembered.known_bad if project.remembered else (),
        alias_job=production.alias_job,
    )
    if isinstance(target, NoTarget):
        remedy = "nothing can be rolled back to; promote an older good build once, or deploy a second time"
        return fail(Name.TARGET, target.sentence, remedy)
    return ok(Name.TARGET, f"{target.id} of {target.created_at:%Y-%m-%d %H:%M} UTC")


def posture_fits_the_token(project: Examined) -> Line:
    """Whether what the daemon is allowed to do is what its tokens can do."""
    posture = project.settings.posture
    if posture is Posture.OBSERVE:
        return ok(Name.POSTURE, "observe: nothing is ever changed")
    match project.acts_on:
        case NotAsked(why):
            return skip(Name.POSTURE, why)
        case PortError() as error:
            found = f"{posture}, and the token to act cannot see the project: {error}"
            return fail(Name.POSTURE, found, "give that token's user access to the project, or write posture: observe")
    if posture is Posture.AUTOMATIC and not project.has_act_token:
        found = "automatic, with the token to read: whoever reads it may move production"
        return warn(Name.POSTURE, found, "make a second token for vercel.act_token_file")
    return ok(Name.POSTURE, f"{posture}: the token to act sees the project")


def _why(project: Examined) -> str:
    return project.production.why if isinstance(project.production, NotAsked) else NOT_READ
