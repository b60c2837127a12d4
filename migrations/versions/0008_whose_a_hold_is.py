"""A hold may be that of a whole domain, or of all who hand their mail to one server."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("holds", sa.Column("domain", sa.String(), nullable=False, server_default=""))
    op.add_column("holds", sa.Column("server", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_holds_until", "holds", ["until"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_holds_until", "holds")
    # What was said of a domain or a server would come to be the account's, which heard it: it stays held.
    op.drop_column("holds", "server")
    op.drop_column("holds", "domain")
