"""Every statement of the SQL store, built once; values are bound at each use."""

from sqlalchemy import bindparam, case, delete, exists, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from daemon.stores.schema import (
    ACTOR_LEASE,
    journal,
    leases,
    operator_requests,
    operator_requests_taken,
    outbox,
    projects,
)

_offer = upsert(leases).values(
    name=ACTOR_LEASE, holder=bindparam("holder"), token=1, expires_at=bindparam("expires_at")
)
# A released lease has no holder; comparing with it is neither true nor false, so the token grows.
TAKE_LEASE = _offer.on_conflict_do_update(
    index_elements=[leases.c.name],
    set_={
        "holder": _offer.excluded.holder,
        "token": case((leases.c.holder == _offer.excluded.holder, leases.c.token), else_=leases.c.token + 1),
        "expires_at": _offer.excluded.expires_at,
    },
    where=or_(
        leases.c.holder.is_(None),
        leases.c.holder == _offer.excluded.holder,
        leases.c.expires_at <= bindparam("now", type_=leases.c.expires_at.type),
    ),
).returning(leases.c.holder, leases.c.token, leases.c.expires_at)

RELEASE_LEASE = (
    update(leases)
    .where(
        leases.c.name == ACTOR_LEASE,
        leases.c.holder == bindparam("held_by"),
        leases.c.token == bindparam("held_token"),
    )
    .values(holder=bindparam("holder"))
)

LOAD = select(projects).where(projects.c.project == bindparam("project"))
LOAD_ALL = select(projects)
NEWEST_MOMENT = (
    select(projects.c.saved_at, projects.c.saved_elapsed)
    .order_by(projects.c.saved_elapsed.desc(), projects.c.saved_at.desc())
    .limit(1)
)

# What a commit must find unchanged, in one row: NULL where there is no lease or no such project.
_lease = select(leases.c.holder, leases.c.token).where(leases.c.name == ACTOR_LEASE).subquery()
STANDING = select(
    select(_lease.c.holder).scalar_subquery().label("holder"),
    select(_lease.c.token).scalar_subquery().label("token"),
    select(projects.c.version).where(projects.c.project == bindparam("project")).scalar_subquery().label("version"),
)
CREATE_PROJECT = insert(projects)
UPDATE_PROJECT = (
    update(projects)
    .where(projects.c.project == bindparam("key"), projects.c.version == bindparam("expected_version"))
    .values({name: bindparam(name) for name in ("version", "state", "saved_at", "saved_elapsed")})
)
WRITE_JOURNAL = insert(journal)
WRITE_OUTBOX = insert(outbox).returning(outbox.c.id, sort_by_parameter_order=True)

FINISH_COMMAND = update(outbox).where(outbox.c.id == bindparam("command")).values(is_done=bindparam("is_done"))
UNFINISHED_COMMANDS = (
    select(outbox.c.id, outbox.c.document)
    .where(outbox.c.project == bindparam("project"), outbox.c.is_done.is_(False))
    .order_by(outbox.c.id)
)

JOURNAL = (
    select(journal)
    .where(journal.c.project == bindparam("project"))
    .order_by(journal.c.sequence.desc())
    .limit(bindparam("limit"))
)
JOURNAL_OF_INCIDENT = JOURNAL.where(journal.c.incident == bindparam("incident"))
JOURNAL_PAGE = (
    select(journal)
    .where(
        journal.c.project == bindparam("project"),
        journal.c.sequence > bindparam("after"),
        journal.c.at >= bindparam("since", type_=journal.c.at.type),
    )
    .order_by(journal.c.sequence)
    .limit(bindparam("limit"))
)

ASK = insert(operator_requests).returning(operator_requests.c.id)
_is_meant_for_project = or_(operator_requests.c.project.is_(None), operator_requests.c.project == bindparam("project"))
_is_taken = exists().where(
    operator_requests_taken.c.request == operator_requests.c.id,
    operator_requests_taken.c.project == bindparam("project"),
)
PENDING_REQUESTS = select(operator_requests).where(_is_meant_for_project, ~_is_taken).order_by(operator_requests.c.id)
TAKE_REQUESTS = insert(operator_requests_taken).from_select(
    ["request", "project"],
    select(operator_requests.c.id, bindparam("project", type_=operator_requests.c.project.type)).where(
        operator_requests.c.id.in_(bindparam("requests", expanding=True)), _is_meant_for_project, ~_is_taken
    ),
)

_before = bindparam("before", type_=journal.c.at.type)
PRUNE_JOURNAL = delete(journal).where(
    journal.c.sequence.in_(select(journal.c.sequence).where(journal.c.at < _before).limit(bindparam("limit")))
)
PRUNE_OUTBOX = delete(outbox).where(
    outbox.c.id.in_(
        select(outbox.c.id).where(outbox.c.is_done.is_(True), outbox.c.committed_at < _before).limit(bindparam("limit"))
    )
)
