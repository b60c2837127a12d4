"""How fast a lane may grow, as it was judged."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("standings", sa.Column("growth", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("standings", "growth")
