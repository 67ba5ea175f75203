"""Who turned out to be whom (番号紐付): what is filed afterwards in a provisional person's name finds the other."""

from alembic import op

from town_kit.db.migrations import grant, row_security

revision = "0007"
down_revision = "0006"

# A resident reads no link, her application needs some: the function looks as the service does, for the ids it is given.
# The shared locks hold back the consumer that links one of them until the application is there to be re-pointed; each
# statement of a VOLATILE function has a snapshot of its own, so what a link committed before the lock is seen.
UP = (
    "CREATE TABLE person_links (from_person_id uuid PRIMARY KEY, to_person_id uuid NOT NULL)",
    "CREATE INDEX person_links_by_person ON person_links (to_person_id)",
    """CREATE FUNCTION town_person_links(ids uuid[]) RETURNS TABLE (from_person_id uuid, to_person_id uuid)
       LANGUAGE plpgsql VOLATILE AS $$
       DECLARE
         as_role text := current_setting('town.role', true);
       BEGIN
         PERFORM pg_advisory_xact_lock_shared(hashtextextended(one::text, 7463)) FROM unnest(ids) AS asked (one);
         PERFORM set_config('town.role', 'service', true);
         RETURN QUERY SELECT l.from_person_id, l.to_person_id FROM person_links l WHERE l.from_person_id = ANY (ids);
         PERFORM set_config('town.role', as_role, true);
       END $$""",
)


def upgrade() -> None:
    """Create the table, which residents and staff do not see, and the function that looks in it."""
    for statement in UP:
        op.execute(statement)
    row_security(op, "person_links", resident="false", staff="false")
    grant(op, "person_links", "SELECT, INSERT, UPDATE")


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP FUNCTION town_person_links(uuid[])")
    op.execute("DROP TABLE person_links")
