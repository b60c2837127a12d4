"""Relays that take mail without a password: how a mailbox signs in over SMTP."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default is for the rows that are there: they all have a password.
    op.add_column("mailboxes", sa.Column("smtp_auth", sa.String(), nullable=False, server_default="password"))


def downgrade() -> None:
    op.drop_column("mailboxes", "smtp_auth")
