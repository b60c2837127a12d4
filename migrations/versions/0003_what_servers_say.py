"""What servers say later, or beside their replies."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


# SQLite numbers rows by itself only where the type is spelled INTEGER.
Identity = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("holds") as holds:
        holds.add_column(sa.Column("provider", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "reports",
        sa.Column("id", Identity, nullable=False),
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("reply_code", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("reply", sa.String(), nullable=False),
        sa.Column("feedback_type", sa.String(), nullable=True),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_reports_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_reports_slot_id_slots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint("slot_id", "kind", "action", name=op.f("uq_reports_slot_id_kind_action")),
    )
    op.create_index("ix_reports_mailbox_id_date", "reports", ["mailbox_id", "date"], unique=False)
    op.create_index("ix_reports_kind", "reports", ["kind"], unique=False)
    op.create_table(
        "authentications",
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("spf", sa.String(), nullable=True),
        sa.Column("dkim", sa.String(), nullable=True),
        sa.Column("dmarc", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_authentications_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_authentications_slot_id_slots")),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_authentications")),
    )
    op.create_index("ix_authentications_mailbox_id_date", "authentications", ["mailbox_id", "date"], unique=False)
    op.create_table(
        "login_refusals",
        sa.Column("id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_login_refusals_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_refusals")),
    )
    op.create_index("ix_login_refusals_mailbox_id_protocol", "login_refusals", ["mailbox_id", "protocol"], unique=False)
    op.create_table(
        "listens",
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("look_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_listens_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_listens")),
    )
    op.create_index("ix_listens_look_at", "listens", ["look_at"], unique=False)


def downgrade() -> None:
    for table in ("listens", "login_refusals", "authentications", "reports"):
        op.drop_table(table)
    # A lane's hold would become its whole account's.
    op.execute(sa.text("DELETE FROM holds WHERE provider != ''"))
    with op.batch_alter_table("holds") as holds:
        holds.drop_column("provider")
