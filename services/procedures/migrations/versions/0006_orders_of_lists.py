"""Indexes in the order of each list, so that a page costs what it shows and not what is stored."""

from alembic import op

revision = "0006"
down_revision = "0005"

OPEN = "state NOT IN ('completed', 'withdrawn')"
UP = (
    "DROP INDEX application_parties_of_person",
    "ALTER TABLE application_parties ADD COLUMN received_at timestamptz",
    """UPDATE application_parties p SET received_at = a.received_at
         FROM applications a WHERE a.id = p.application_id""",
    "ALTER TABLE application_parties ALTER COLUMN received_at SET NOT NULL",
    """CREATE INDEX application_parties_by_arrival
         ON application_parties (person_id, received_at DESC, application_id DESC)""",
    f"CREATE INDEX applications_open ON applications (received_at DESC, id DESC) WHERE {OPEN}",
    f"""CREATE INDEX applications_open_of_procedure ON applications (procedure_code, received_at DESC, id DESC)
          WHERE {OPEN}""",
    "CREATE INDEX applications_of_procedure ON applications (procedure_code, received_at DESC, id DESC)",
    """CREATE INDEX applications_to_accept ON applications (procedure_code, recorded_at, id)
         WHERE state = 'submitted' AND channel = 'mynaportal' AND decided_by = 'core'""",
)
DOWN = (
    "DROP INDEX applications_to_accept, applications_of_procedure, applications_open_of_procedure, applications_open",
    "CREATE INDEX application_parties_of_person ON application_parties (person_id, application_id)",
    "ALTER TABLE application_parties DROP COLUMN received_at",  # and with it the index that holds it
)


def upgrade() -> None:
    """Repeat the arrival in the parties, and make the indexes."""
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take both away."""
    for statement in DOWN:
        op.execute(statement)
