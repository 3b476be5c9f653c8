"""The answers of Vercel's API that we read, as models: strict about what we rely on, blind to everything else."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from daemon.core.facts import ReadyState, ReadySubstate
from daemon.ports.errors import Unintelligible

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that a datetime holds."""

TROUBLES_SHOWN_MAX = 3
PLATFORM_CODE = "INTERNAL_"
"""How the error codes of Vercel's own failures begin. Source: Vercel docs, "Error Codes"."""


def read_milliseconds(value: object) -> datetime:
    """Return the aware datetime of epoch milliseconds. Raises ValueError for anything but an integer in range."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MILLISECONDS_MAX:
        raise ValueError("not a time in integer milliseconds")
    return EPOCH + timedelta(milliseconds=value)


def to_milliseconds(moment: datetime) -> int:
    """Return epoch milliseconds, fractions cut off."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def floor_millisecond(moment: datetime) -> datetime:
    """Return *moment* in UTC without the part of a millisecond that Vercel's times cannot carry."""
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def read_iso(value: object) -> datetime:
    """Return the aware datetime of an ISO 8601 text with an offset. Raises ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError("not a time as ISO 8601 text")  # noqa: TRY004 - pydantic collects ValueError only
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without offset")
    return moment.astimezone(UTC)


def to_iso(moment: datetime) -> str:
    """Return the text that Vercel's own clients send: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read_alias_assigned(value: object) -> datetime | None:
    # Vercel answers with the time in list rows, and with a bare true or false in whole deployments.
    return None if value is None or isinstance(value, bool) else read_milliseconds(value)


Milliseconds = Annotated[datetime, BeforeValidator(read_milliseconds)]
IsoTime = Annotated[datetime, BeforeValidator(read_iso)]
Name = Annotated[StrictStr, StringConstraints(min_length=1, max_length=512)]


class WireModel(BaseModel):
    """A part of an answer. Keys that we do not read are ignored: Vercel adds some every month."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class DeploymentRow(WireModel):
    """A deployment, as a list row or inside a project. Source: Vercel OpenAPI, getDeployments and getProject."""

    id: Name = Field(validation_alias=AliasChoices("id", "uid"))
    url: StrictStr
    created_at: Milliseconds = Field(alias="createdAt")
    ready_state: ReadyState = Field(alias="readyState")
    ready_substate: ReadySubstate | None = Field(None, alias="readySubstate")
    project_id: StrictStr | None = Field(None, alias="projectId")
    target: StrictStr | None = None
    is_rollback_candidate: StrictBool | None = Field(None, alias="isRollbackCandidate")
    alias_assigned: Annotated[datetime | None, BeforeValidator(_read_alias_assigned)] = Field(
        None, alias="aliasAssigned"
    )
    meta: Mapping[str, Any] | None = None


def _read_rows(value: object, read_all: ValidatorFunctionWrapHandler) -> Sequence[DeploymentRow]:
    """Leave out rows that we do not understand, such as one in a new state; when that is all of them, raise."""
    try:
        rows: Sequence[DeploymentRow] = read_all(value)
    except ValidationError:
        rows = [row for one in value for row in _read_row(one)] if isinstance(value, list) else []
        if not rows:
            raise
    return rows


def _read_row(value: object) -> Sequence[DeploymentRow]:
    try:
        return [DeploymentRow.model_validate(value)]
    except ValidationError:
        return []


def _with_id(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(row.get("id"), str):
        raise ValueError("a project without an id")  # noqa: TRY004 - pydantic collects ValueError only
    return row


class Pagination(WireModel):
    """The timestamp cursor: `next` is sent back as `until`, exclusive; None on the last page."""

    next: Annotated[int, Field(strict=True, ge=0)] | None = None


class DeploymentPage(WireModel):
    """One page of deployments, newest first, without those that we do not understand: nobody goes back to them.

    Source: Vercel OpenAPI, getDeployments.
    """

    deployments: Annotated[list[DeploymentRow], WrapValidator(_read_rows)]
    pagination: Pagination | None = None


class LastAliasRequest(WireModel):
    """The newest alias job. `status` and `type` are texts, since new ones must not make production unreadable.

    Source: Vercel OpenAPI, getProject `lastAliasRequest`.
    """

    status: StrictStr = Field(alias="jobStatus")
    type: StrictStr
    from_deployment: Name | None = Field(None, alias="fromDeploymentId")
    to_deployment: Name = Field(alias="toDeploymentId")
    requested_at: Milliseconds = Field(alias="requestedAt")


class Targets(WireModel):
    """Which deployment serves each target; None when nothing serves production."""

    production: DeploymentRow | None = None


class ProjectAnswer(WireModel):
    """A project, read with `rollbackInfo=true`. `targets` must be there, for its absence does not mean an empty one.

    `rolling_release` holds the release's state, or only its configuration (without `state`), or None.
    Source: Vercel OpenAPI, getProject; Vercel CLI 64.0.2 (`rollbackInfo`).
    """

    id: Name
    account_id: Name = Field(alias="accountId")
    targets: Targets
    last_alias_request: LastAliasRequest | None = Field(None, alias="lastAliasRequest")
    auto_assigns_domains: StrictBool | None = Field(None, alias="autoAssignCustomDomains")
    rolling_release: Mapping[str, Any] | None = Field(None, alias="rollingRelease")


class PagePosition(WireModel):
    """Where a listing of projects goes on: a time in milliseconds or a continuation token; None on the last page.

    Source: Vercel OpenAPI, getProjects, both forms of `pagination`.
    """

    next: StrictStr | Annotated[int, Field(strict=True, ge=0)] | None = None


class ProjectPage(WireModel):
    """One page of a team's projects, each still unread but for its id. Source: Vercel OpenAPI, getProjects.

    A row without an id spoils the page: it cannot be told whose it is.
    """

    projects: list[Annotated[Mapping[str, Any], AfterValidator(_with_id)]]
    pagination: PagePosition


class ProjectIdentity(WireModel):
    """The two ids of a project: its own, and its owner's (a team, or a user)."""

    id: Name
    account_id: Name = Field(alias="accountId")


class ListedProject(ProjectIdentity):
    """A project of a list: whose it is, and its name."""

    name: Name


class RollingReleaseState(StrEnum):
    """Source: Vercel OpenAPI, getRollingRelease `state`."""

    ACTIVE = "ACTIVE"
    COMPLETE = "COMPLETE"
    ABORTED = "ABORTED"


class RollingRelease(WireModel):
    """A rolling release, as far as we read it."""

    state: RollingReleaseState


class RollingReleaseAnswer(WireModel):
    """The answer about a project's rolling release; None inside when there is none."""

    rolling_release: RollingRelease | None = Field(alias="rollingRelease")


class AliasName(WireModel):
    """An alias in the nested form that the CLI reads."""

    alias: Name


class AliasRow(WireModel):
    """One domain of an alias job: nested (Vercel CLI 64.0.2) or flat (Vercel OpenAPI); nobody knows which is sent."""

    alias: AliasName | Name
    status: StrictStr

    @property
    def name(self) -> str:
        """The domain."""
        return self.alias.alias if isinstance(self.alias, AliasName) else self.alias


class AliasPage(WireModel):
    """One page of an alias job's domains."""

    aliases: list[AliasRow]
    pagination: Pagination | None = None


class User(WireModel):
    """The token's user."""

    username: StrictStr = ""
    email: StrictStr = ""


class UserAnswer(WireModel):
    """The answer of `GET /v2/user`."""

    user: User


Model = TypeVar("Model", bound=WireModel)


def understand(model: type[Model], answer: object, *, what: str) -> Model:
    """Return *answer* as *model*. Raises Unintelligible, which names the fields that cannot be trusted."""
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise Unintelligible(f"{what}: {_troubles(error)}; taken as no answer") from error


def _troubles(error: ValidationError) -> str:
    """Return field paths and complaints, never the values: an answer may hold secrets of the project."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    texts = [f"{'.'.join(map(str, trouble['loc'])) or 'the answer'}: {trouble['msg']}" for trouble in found]
    more = len(texts) - TROUBLES_SHOWN_MAX
    return "; ".join(texts[:TROUBLES_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
