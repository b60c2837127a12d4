"""Seeds and grammars that are left out for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


# SQLite numbers rows by itself only where the type is spelled INTEGER.
Identity = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "retirements",
        sa.Column("id", Identity, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("mailbox_id", Identity, nullable=True),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_retirements_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retirements")),
    )
    op.create_index("ix_retirements_kind_name", "retirements", ["kind", "name"], unique=False)


def downgrade() -> None:
    op.drop_table("retirements")
