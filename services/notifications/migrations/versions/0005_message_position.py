"""The order in which messages were written: a clock that was wrong must not turn a person's inbox around."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Number the messages there are by their time, and let the database number what comes."""
    op.execute("ALTER TABLE messages NO FORCE ROW LEVEL SECURITY")  # the owner numbers everybody's
    op.execute("ALTER TABLE messages ADD COLUMN position bigint")
    op.execute(
        """UPDATE messages SET position = numbered.position
             FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) AS position FROM messages) AS numbered
             WHERE messages.id = numbered.id"""
    )
    op.execute("ALTER TABLE messages ALTER COLUMN position SET NOT NULL")
    op.execute("ALTER TABLE messages ALTER COLUMN position ADD GENERATED ALWAYS AS IDENTITY")
    op.execute(
        """SELECT setval(pg_get_serial_sequence('messages', 'position'), coalesce(max(position), 0) + 1, false)
             FROM messages"""
    )
    op.execute("ALTER TABLE messages FORCE ROW LEVEL SECURITY")
    op.execute("DROP INDEX messages_inbox")
    op.execute("CREATE UNIQUE INDEX messages_inbox ON messages (person_id, position DESC)")


def downgrade() -> None:
    """Order them by their time again."""
    op.execute("DROP INDEX messages_inbox")
    op.execute("ALTER TABLE messages DROP COLUMN position")
    op.execute("CREATE INDEX messages_inbox ON messages (person_id, created_at DESC, id DESC)")
