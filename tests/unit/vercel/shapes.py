"""Answers in the shapes that the real clients were recorded with."""

from collections.abc import Mapping

from tests.unit.vercel.fakes import PROJECT, TEAM

GOOD, BAD, STAGED = (
    "dpl_06AAAAAAAAAAAAAAAAAAAAAAAAAA",
    "dpl_07AAAAAAAAAAAAAAAAAAAAAAAAAA",
    "dpl_08AAAAAAAAAAAAAAAAAAAAAAAAAA",
)
META = {
    "githubCommitSha": "0707070707070707070707070707070707070707",
    "githubCommitMessage": "commit 7\n\nbody",
    "githubCommitRef": "main",
    "githubCommitAuthorName": "Ada",
    "githubCommitAuthorLogin": "ada",
    "githubOrg": "acme",
    "githubRepo": "web",
    "githubDeployment": "1",
}


def a_deployment_body(id_: str = BAD, **changes: object) -> dict[str, object]:
    """A whole deployment, as inside a project."""
    return {
        "id": id_,
        "uid": id_,
        "version": 2,
        "name": "web",
        "url": "web-07abcdefg-acme.vercel.app",
        "projectId": PROJECT,
        "ownerId": TEAM,
        "createdAt": 1795288759983,
        "created": 1795288759983,
        "ready": 1795288819983,
        "readyState": "READY",
        "status": "READY",
        "readySubstate": "PROMOTED",
        "target": "production",
        "meta": META,
        "creator": {"uid": "usr1234567890abcdefghijkl", "username": "bot"},
        "alias": ["web-acme.vercel.app", "www.example.com"],
        "aliasAssigned": True,
        "aliasError": None,
        "routes": None,
        "type": "LAMBDAS",
        "source": "git",
    } | changes


def a_row(id_: str = GOOD, **changes: object) -> dict[str, object]:
    """A deployment as a list row: a rollback candidate."""
    return a_deployment_body(id_) | {"aliasAssigned": 1795285220983, "isRollbackCandidate": True} | changes


def an_alias_request(**changes: object) -> dict[str, object]:
    return {
        "fromDeploymentId": BAD,
        "toDeploymentId": GOOD,
        "fromRollingReleaseId": None,
        "jobStatus": "in-progress",
        "requestedAt": 1795292459000,
        "type": "rollback",
    } | changes


def a_project_body(**changes: object) -> dict[str, object]:
    return {
        "id": PROJECT,
        "name": "web",
        "accountId": TEAM,
        "autoAssignCustomDomains": True,
        "nodeVersion": "22.x",
        "targets": {"production": a_deployment_body()},
        "latestDeployments": [],
        "lastAliasRequest": None,
        "lastRollbackTarget": None,
        "rollingRelease": None,
        "protectionBypass": {"a-secret": {"scope": "automation-bypass"}},
    } | changes


def without(body: Mapping[str, object], path: str) -> dict[str, object]:
    """*body* without the field at the dotted *path*."""
    head, _, rest = path.partition(".")
    if not rest:
        return {key: value for key, value in body.items() if key != head}
    return {**body, head: without(body[head], rest)}


def with_field(body: Mapping[str, object], path: str, value: object) -> dict[str, object]:
    """*body* with *value* at the dotted *path*."""
    head, _, rest = path.partition(".")
    return {**body, head: with_field(body[head], rest, value) if rest else value}
