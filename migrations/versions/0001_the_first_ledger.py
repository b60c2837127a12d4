"""The first ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# SQLite numbers rows by itself only where the type is spelled INTEGER.
Identity = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", Identity, nullable=False),
        sa.Column("smtp_host", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("smtp_host", "username", name=op.f("uq_accounts_smtp_host_username")),
    )
    op.create_table(
        "installation",
        sa.Column("id", Identity, nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.Column("identity_key_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("anchor_wall", sa.BigInteger(), nullable=True),
        sa.Column("anchor_ledger", sa.BigInteger(), nullable=True),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_attempt", Identity, nullable=False),
        sa.Column("restored_at", sa.BigInteger(), nullable=True),
        sa.Column("held_until", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "suppressions",
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "holds",
        sa.Column("id", Identity, nullable=False),
        sa.Column("account_id", Identity, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_holds_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_account_id_until", "holds", ["account_id", "until"], unique=False)
    op.create_table(
        "kept_uses",
        sa.Column("id", Identity, nullable=False),
        sa.Column("account_id", Identity, nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_kept_uses_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_uses")),
    )
    op.create_index("ix_kept_uses_account_id_at", "kept_uses", ["account_id", "at"], unique=False)
    op.create_index("ix_kept_uses_domain_at", "kept_uses", ["domain", "at"], unique=False)
    op.create_table(
        "mailboxes",
        sa.Column("id", Identity, nullable=False),
        sa.Column("account_id", Identity, nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("address_key", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("ramp", sa.String(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=True),
        sa.Column("daily_limit", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("hours", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("smtp_host", sa.String(), nullable=False),
        sa.Column("smtp_port", sa.Integer(), nullable=False),
        sa.Column("smtp_security", sa.String(), nullable=False),
        sa.Column("imap_host", sa.String(), nullable=False),
        sa.Column("imap_port", sa.Integer(), nullable=False),
        sa.Column("imap_security", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("engage", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("junk_folder", sa.String(), nullable=True),
        sa.Column("sent_folder", sa.String(), nullable=True),
        sa.Column("trash_folder", sa.String(), nullable=True),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("problem_at", sa.BigInteger(), nullable=True),
        sa.Column("paused_by", sa.String(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_mailboxes_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailboxes")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mailboxes_domain", "mailboxes", ["domain"], unique=False)
    op.create_index(
        "uq_mailboxes_account_id",
        "mailboxes",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "uq_mailboxes_address_key",
        "mailboxes",
        ["address_key"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "credentials",
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_credentials_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("mailbox_id", "protocol", name=op.f("pk_credentials")),
    )
    op.create_table(
        "cursors",
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_cursors_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("mailbox_id", "folder", name=op.f("pk_cursors")),
    )
    op.create_table(
        "days",
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("ceiling", sa.Integer(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("capped_by", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_days_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("mailbox_id", "date", name=op.f("pk_days")),
    )
    op.create_table(
        "judge_cursors",
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("fresh", sa.Integer(), nullable=False),
        sa.Column("judged_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_judge_cursors_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_judge_cursors")),
    )
    op.create_index(
        "ix_judge_cursors_fresh",
        "judge_cursors",
        ["mailbox_id"],
        unique=False,
        sqlite_where=sa.text("fresh > 0"),
        postgresql_where=sa.text("fresh > 0"),
    )
    op.create_index("ix_judge_cursors_judged_at", "judge_cursors", ["judged_at"], unique=False)
    op.create_table(
        "lane_days",
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("ceiling", sa.Float(), nullable=False),
        sa.Column("factor", sa.Float(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_lane_days_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("mailbox_id", "date", "provider", name=op.f("pk_lane_days")),
    )
    op.create_table(
        "looks",
        sa.Column("id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_looks_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_looks")),
    )
    op.create_index("ix_looks_mailbox_id_at", "looks", ["mailbox_id", "at"], unique=False)
    op.create_table(
        "own_messages",
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("account_id", Identity, nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_own_messages_account_id_accounts")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_own_messages_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("mailbox_id", "folder", "uidvalidity", "uid", name=op.f("pk_own_messages")),
    )
    op.create_index("ix_own_messages_account_id_at", "own_messages", ["account_id", "at"], unique=False)
    op.create_index("ix_own_messages_domain_at", "own_messages", ["domain", "at"], unique=False)
    op.create_index("ix_own_messages_mailbox_id_at", "own_messages", ["mailbox_id", "at"], unique=False)
    op.create_table(
        "own_readings",
        sa.Column("id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_own_readings_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_own_readings")),
    )
    op.create_index("ix_own_readings_mailbox_id_at", "own_readings", ["mailbox_id", "at"], unique=False)
    op.create_table(
        "slots",
        sa.Column("id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("account_id", Identity, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("recipient_id", Identity, nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("thread_id", sa.String(), nullable=False),
        sa.Column("in_reply_to", Identity, nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("grammar", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("seed", sa.String(), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_slots_account_id_accounts")),
        sa.ForeignKeyConstraint(["in_reply_to"], ["slots.id"], name=op.f("fk_slots_in_reply_to_slots")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_slots_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(["recipient_id"], ["mailboxes.id"], name=op.f("fk_slots_recipient_id_mailboxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slots")),
        sa.UniqueConstraint("mailbox_id", "date", "number", name=op.f("uq_slots_mailbox_id_date_number")),
        sa.UniqueConstraint("message_id", name=op.f("uq_slots_message_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_slots_date", "slots", ["date"], unique=False)
    op.create_index(
        "ix_slots_in_reply_to",
        "slots",
        ["in_reply_to"],
        unique=False,
        sqlite_where=sa.text("in_reply_to IS NOT NULL"),
        postgresql_where=sa.text("in_reply_to IS NOT NULL"),
    )
    op.create_index("ix_slots_mailbox_id_due_at", "slots", ["mailbox_id", "due_at"], unique=False)
    op.create_index("ix_slots_recipient_id_date", "slots", ["recipient_id", "date"], unique=False)
    op.create_index("ix_slots_thread_id", "slots", ["thread_id"], unique=False)
    op.create_table(
        "standings",
        sa.Column("id", Identity, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("mailbox_id", Identity, nullable=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("standing", sa.String(), nullable=False),
        sa.Column("thin", sa.Boolean(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("n", sa.Float(), nullable=False),
        sa.Column("inbox_ratio", sa.Float(), nullable=True),
        sa.Column("lower_ratio", sa.Float(), nullable=True),
        sa.Column("upper_ratio", sa.Float(), nullable=True),
        sa.Column("factor", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_standings_mailbox_id_mailboxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standings")),
    )
    op.create_index("ix_standings_at", "standings", ["at"], unique=False)
    op.create_index(
        "ix_standings_subject_kind_subject_provider", "standings", ["subject_kind", "subject", "provider"], unique=False
    )
    op.create_table(
        "attempts",
        sa.Column("id", Identity, nullable=False),
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("account_id", Identity, nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_attempts_account_id_accounts")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_attempts_slot_id_slots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("slot_id", "ordinal", name=op.f("uq_attempts_slot_id_ordinal")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_attempts_claimed_at", "attempts", ["claimed_at"], unique=False)
    op.create_table(
        "due_slots",
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_due_slots_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_due_slots_slot_id_slots")),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_due_slots")),
    )
    op.create_index("ix_due_slots_due_at_mailbox_id", "due_slots", ["due_at", "mailbox_id"], unique=False)
    op.create_index("ix_due_slots_mailbox_id_due_at", "due_slots", ["mailbox_id", "due_at"], unique=False)
    op.create_table(
        "engagements",
        sa.Column("id", Identity, nullable=False),
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("intended_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_engagements_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_engagements_slot_id_slots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_engagements")),
        sa.UniqueConstraint("slot_id", "mailbox_id", "action", name=op.f("uq_engagements_slot_id_mailbox_id_action")),
    )
    op.create_index("ix_engagements_mailbox_id", "engagements", ["mailbox_id"], unique=False)
    op.create_table(
        "lapses",
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_lapses_slot_id_slots")),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_lapses")),
    )
    op.create_table(
        "sightings",
        sa.Column("id", Identity, nullable=False),
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("placement", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=True),
        sa.Column("uidvalidity", sa.BigInteger(), nullable=True),
        sa.Column("uid", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_sightings_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_sightings_slot_id_slots")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
        sa.UniqueConstraint("slot_id", "stage", name=op.f("uq_sightings_slot_id_stage")),
    )
    op.create_index("ix_sightings_at", "sightings", ["at"], unique=False)
    op.create_index(
        "ix_sightings_mailbox_id_date",
        "sightings",
        ["mailbox_id", "date", "provider", "stage", "placement", "slot_id"],
        unique=False,
    )
    op.create_table(
        "standing_heads",
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("standing_id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=True),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_standing_heads_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(
            ["standing_id"], ["standings.id"], name=op.f("fk_standing_heads_standing_id_standings")
        ),
        sa.PrimaryKeyConstraint("subject_kind", "subject", "provider", name=op.f("pk_standing_heads")),
    )
    op.create_index("ix_standing_heads_mailbox_id", "standing_heads", ["mailbox_id"], unique=False)
    op.create_table(
        "watches",
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("recipient_id", Identity, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("look_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["recipient_id"], ["mailboxes.id"], name=op.f("fk_watches_recipient_id_mailboxes")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_watches_slot_id_slots")),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("pk_watches")),
    )
    op.create_index("ix_watches_look_at_recipient_id", "watches", ["look_at", "recipient_id"], unique=False)
    op.create_index("ix_watches_recipient_id", "watches", ["recipient_id"], unique=False)
    op.create_table(
        "engagement_ends",
        sa.Column("engagement_id", Identity, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["engagement_id"], ["engagements.id"], name=op.f("fk_engagement_ends_engagement_id_engagements")
        ),
        sa.PrimaryKeyConstraint("engagement_id", name=op.f("pk_engagement_ends")),
    )
    op.create_table(
        "flights",
        sa.Column("attempt_id", Identity, nullable=False),
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("account_id", Identity, nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_flights_account_id_accounts")),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_flights_attempt_id_attempts")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_flights_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_flights_slot_id_slots")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_flights")),
        sa.UniqueConstraint("slot_id", name=op.f("uq_flights_slot_id")),
    )
    op.create_index("ix_flights_account_id", "flights", ["account_id"], unique=False)
    op.create_index("ix_flights_domain", "flights", ["domain"], unique=False)
    op.create_index("ix_flights_mailbox_id", "flights", ["mailbox_id"], unique=False)
    op.create_table(
        "outcomes",
        sa.Column("attempt_id", Identity, nullable=False),
        sa.Column("slot_id", Identity, nullable=False),
        sa.Column("mailbox_id", Identity, nullable=False),
        sa.Column("account_id", Identity, nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("reply_code", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("reply", sa.String(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_outcomes_account_id_accounts")),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_outcomes_attempt_id_attempts")),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name=op.f("fk_outcomes_mailbox_id_mailboxes")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_outcomes_slot_id_slots")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_outcomes")),
    )
    op.create_index("ix_outcomes_account_id_at_outcome", "outcomes", ["account_id", "at", "outcome"], unique=False)
    op.create_index("ix_outcomes_at", "outcomes", ["at"], unique=False)
    op.create_index("ix_outcomes_date", "outcomes", ["date"], unique=False)
    op.create_index("ix_outcomes_domain_at_outcome", "outcomes", ["domain", "at", "outcome"], unique=False)
    op.create_index(
        "ix_outcomes_mailbox_id_date",
        "outcomes",
        ["mailbox_id", "date", "provider", "outcome", "slot_id"],
        unique=False,
    )
    op.create_index("ix_outcomes_slot_id", "outcomes", ["slot_id"], unique=False)


def downgrade() -> None:
    op.drop_table("outcomes")
    op.drop_table("flights")
    op.drop_table("engagement_ends")
    op.drop_table("watches")
    op.drop_table("standing_heads")
    op.drop_table("sightings")
    op.drop_table("lapses")
    op.drop_table("engagements")
    op.drop_table("due_slots")
    op.drop_table("attempts")
    op.drop_table("standings")
    op.drop_table("slots")
    op.drop_table("own_readings")
    op.drop_table("own_messages")
    op.drop_table("looks")
    op.drop_table("lane_days")
    op.drop_table("judge_cursors")
    op.drop_table("days")
    op.drop_table("cursors")
    op.drop_table("credentials")
    op.drop_table("mailboxes")
    op.drop_table("kept_uses")
    op.drop_table("holds")
    op.drop_table("suppressions")
    op.drop_table("installation")
    op.drop_table("accounts")
