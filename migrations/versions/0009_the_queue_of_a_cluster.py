"""The queue that the nodes of a cluster share: Procrastinate's own tables, on PostgreSQL alone."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).with_name("0009_procrastinate.sql")

FORGET = """
DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers CASCADE;
DO $$
DECLARE each regprocedure;
BEGIN
    FOR each IN SELECT oid FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = to_regnamespace(current_schema())
    LOOP EXECUTE format('DROP FUNCTION %s CASCADE', each); END LOOP;
END;
$$;
DROP TYPE procrastinate_job_to_defer_v1, procrastinate_job_status, procrastinate_job_event_type;
"""


def upgrade() -> None:
    run_many(SCHEMA.read_text(encoding="utf-8"))


def downgrade() -> None:
    run_many(FORGET)


def run_many(statements: str) -> None:
    """Several statements with percent signs in them, as the driver alone takes them."""
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        bind.connection.cursor().execute(statements)
