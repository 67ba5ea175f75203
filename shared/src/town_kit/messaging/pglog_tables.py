"""Tables and functions of the log in PostgreSQL; every statement can run again."""

CHANNEL = "town_log"

DDL = (
    """CREATE TABLE IF NOT EXISTS log_topics (
         id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         name text NOT NULL UNIQUE,
         partitions int NOT NULL CHECK (partitions BETWEEN 1 AND 64),
         retention interval NOT NULL,
         next_offsets bigint[] NOT NULL,
         created_at timestamptz NOT NULL DEFAULT now())""",
    """CREATE TABLE IF NOT EXISTS log_records (
         topic_id int NOT NULL REFERENCES log_topics ON DELETE CASCADE,
         partition int NOT NULL, record_offset bigint NOT NULL,
         appended_at timestamptz NOT NULL DEFAULT now(),
         key bytea, headers bytea NOT NULL, value bytea NOT NULL,
         PRIMARY KEY (topic_id, partition, record_offset))""",
    "CREATE INDEX IF NOT EXISTS log_records_age ON log_records USING brin (appended_at)",
    """CREATE TABLE IF NOT EXISTS log_groups (
         group_name text NOT NULL, topic_id int NOT NULL REFERENCES log_topics ON DELETE CASCADE,
         partition int NOT NULL, next_offset bigint NOT NULL,
         PRIMARY KEY (group_name, topic_id, partition))""",
    """CREATE OR REPLACE FUNCTION log_create_topic(wanted text, count int, kept interval)
       RETURNS void LANGUAGE sql AS $$
         INSERT INTO log_topics (name, partitions, retention, next_offsets)
         VALUES (wanted, count, kept, array_fill(0::bigint, ARRAY[count])) ON CONFLICT (name) DO NOTHING $$""",
    # The counter row is locked until the commit: offsets become visible in their order.
    """CREATE OR REPLACE FUNCTION log_append(wanted text, places int[], keys bytea[], heads bytea[], bodies bytea[])
       RETURNS bigint[] LANGUAGE plpgsql AS $$
       DECLARE topic int; counter bigint[]; given bigint[] := '{}'; place int;
       BEGIN
         SELECT id, next_offsets INTO topic, counter FROM log_topics WHERE name = wanted FOR UPDATE;
         IF NOT FOUND THEN RAISE EXCEPTION 'no such topic' USING ERRCODE = 'undefined_object'; END IF;
         FOREACH place IN ARRAY places LOOP
           given := given || counter[place + 1];
           counter[place + 1] := counter[place + 1] + 1;
         END LOOP;
         INSERT INTO log_records (topic_id, partition, record_offset, key, headers, value)
           SELECT topic, p, o, k, h, b FROM unnest(places, given, keys, heads, bodies) AS u(p, o, k, h, b);
         UPDATE log_topics SET next_offsets = counter WHERE id = topic;
         RETURN given;
       END $$""",
    """CREATE OR REPLACE FUNCTION log_prune(names text[], most int) RETURNS int LANGUAGE plpgsql AS $$
       DECLARE removed int;
       BEGIN
         DELETE FROM log_records WHERE ctid = ANY (ARRAY(
           SELECT r.ctid FROM log_records r JOIN log_topics t ON t.id = r.topic_id
           WHERE t.name = ANY (names) AND r.appended_at < now() - t.retention LIMIT most));
         GET DIAGNOSTICS removed = ROW_COUNT;
         RETURN removed;
       END $$""",
)

_TO_APP = """DO $$ DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
  IF app <> current_user AND EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
    EXECUTE format('GRANT {rights} ON {table} TO %I', app);
  END IF;
END $$"""

GRANTS = tuple(
    _TO_APP.format(rights=rights, table=table)
    for table, rights in {
        "log_topics": "SELECT, INSERT, UPDATE, DELETE",
        "log_records": "SELECT, INSERT, DELETE",
        "log_groups": "SELECT, INSERT, UPDATE, DELETE",
    }.items()
)
