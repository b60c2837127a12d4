"""The level a day was planned at, what a ramp begins from, and when a mailbox's person works."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("days", sa.Column("level", sa.Integer(), nullable=True))
    op.add_column("mailboxes", sa.Column("first_level", sa.Integer(), nullable=True))
    op.add_column("mailboxes", sa.Column("holidays", sa.String(), nullable=True))
    op.add_column("mailboxes", sa.Column("profile", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("mailboxes", "profile")
    op.drop_column("mailboxes", "holidays")
    op.drop_column("mailboxes", "first_level")
    op.drop_column("days", "level")
