"""What retention keeps of messages whose rows it deletes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Identity = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_COUNTS = ("sent", "inbox", "promotions", "spam", "other", "missing", "own")


def upgrade() -> None:
    op.create_table(
        "lane_totals",
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTS),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_lane_totals_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("mailbox_id", "date", "provider", name=op.f("pk_lane_totals")),
    )
    op.create_table(
        "bygones",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "mailbox_id", "provider", "word", name=op.f("pk_bygones")),
    )


def downgrade() -> None:
    op.drop_table("bygones")
    op.drop_table("lane_totals")
