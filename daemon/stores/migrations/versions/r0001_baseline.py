"""The first tables: project states, journal, outbox, lease, operator requests and who took them.

Frozen: a released revision is never edited. A change of `schema.py` comes as a revision of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIMESTAMP = sa.String(32)


def upgrade() -> None:
    """Create every table; there is none to convert."""
    _create_projects()
    _create_journal()
    _create_outbox()
    _create_leases()
    _create_operator_requests()


def downgrade() -> None:
    """Refuse: an older program would lose the record of what was done. Restore a backup instead."""
    raise NotImplementedError("a lastgood store is not downgraded; restore a backup made before the upgrade")


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("saved_at", _TIMESTAMP, nullable=False),
        sa.Column("saved_elapsed", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("project", name="pk_projects"),
    )


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("sequence", _ROW_NUMBER, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("incident", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("sentence", sa.Text, nullable=False),
        sa.Column("at", _TIMESTAMP, nullable=False),
        sa.Column("elapsed", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_journal"),
        sa.ForeignKeyConstraint(["project"], ["projects.project"], name="fk_journal_project"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_project_sequence", "journal", ["project", "sequence"])
    op.create_index("ix_journal_project_incident_sequence", "journal", ["project", "incident", "sequence"])
    op.create_index("ix_journal_at", "journal", ["at"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _ROW_NUMBER, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("committed_at", _TIMESTAMP, nullable=False),
        sa.Column("is_done", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.ForeignKeyConstraint(["project"], ["projects.project"], name="fk_outbox_project"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_project_is_done_id", "outbox", ["project", "is_done", "id"])
    op.create_index("ix_outbox_committed_at", "outbox", ["committed_at"])


def _create_leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("expires_at", _TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _create_operator_requests() -> None:
    op.create_table(
        "operator_requests",
        sa.Column("id", _ROW_NUMBER, nullable=False),
        sa.Column("project", sa.Text),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("requested_at", _TIMESTAMP, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operator_requests"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "operator_requests_taken",
        sa.Column("request", _ROW_NUMBER, autoincrement=False, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("request", "project", name="pk_operator_requests_taken"),
        sa.ForeignKeyConstraint(["request"], ["operator_requests.id"], name="fk_operator_requests_taken_request"),
        sa.ForeignKeyConstraint(["project"], ["projects.project"], name="fk_operator_requests_taken_project"),
    )
