"""Tables for what a receiver of log drains hands over: counts, receivers, what was heard, gaps.

Frozen: a released revision is never edited. A change of `schema.py` comes as a revision of its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIMESTAMP = sa.String(32)


def upgrade() -> None:
    """Create the tables; there is nothing to convert."""
    op.create_table(
        "drain_counts",
        sa.Column("start_at", _TIMESTAMP, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("status_class", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("start_at", "project", "deployment", "route", "status_class", name="pk_drain_counts"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "drain_receivers",
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("began_at", _TIMESTAMP, nullable=False),
        sa.Column("alive_at", _TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("receiver", name="pk_drain_receivers"),
    )
    op.create_table(
        "drain_heard",
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("newest_at", _TIMESTAMP, nullable=False),
        sa.Column("heard_at", _TIMESTAMP, nullable=False),
        sa.Column("delay_seconds", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("stream", "project", name="pk_drain_heard"),
    )
    op.create_table(
        "drain_gaps",
        sa.Column("start_at", _TIMESTAMP, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("end_at", _TIMESTAMP, nullable=False),
        sa.PrimaryKeyConstraint("start_at", "reason", "project", name="pk_drain_gaps"),
    )


def downgrade() -> None:
    """Refuse: an older program would lose the record of what was done. Restore a backup instead."""
    raise NotImplementedError("a lastgood store is not downgraded; restore a backup made before the upgrade")
