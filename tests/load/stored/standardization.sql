-- part: hand-overs and cursors
INSERT INTO hand_overs
  (id, version, event_sequence, business_id, procedure_code, reference, state, revision, attempts, due_at, accepted_at,
   traceparent, wrong)
SELECT pg_temp.id('application', n), 1, 1, like_this.business_id, like_this.procedure_code, pg_temp.reference(n),
  'done', 1, 1, pg_temp.at(n), pg_temp.at(n), pg_temp.traceparent(n), '[]'
FROM generate_series(1, pg_temp.total()) AS n, (SELECT * FROM hand_overs WHERE state = 'done' LIMIT 1) AS like_this
WHERE pg_temp.moves(n) > 1;

INSERT INTO inbox (consumer, topic, key, sequence)
SELECT 'standardization.applications', 'procedures.applications', pg_temp.id('application', n), pg_temp.moves(n) + 1
FROM generate_series(1, pg_temp.total()) AS n;

-- part: records
INSERT INTO record_exports (id, business_id, serial, begun_at, written_at)
SELECT pg_temp.id('export', 1), '023', -1, pg_temp.at(1), pg_temp.at(1);

INSERT INTO records
  (id, version, event_sequence, business_id, key, history_number, application_id, decided_by, subjects, content,
   operated_at, acknowledged_at, export_id)
SELECT pg_temp.id('record', n), 1, 1, like_this.business_id, pg_temp.reference(n), 1, pg_temp.id('application', n),
  like_this.decided_by, like_this.subjects, like_this.content, pg_temp.at(n), pg_temp.at(n), pg_temp.id('export', 1)
FROM generate_series(1, pg_temp.total()) AS n, (SELECT * FROM records LIMIT 1) AS like_this
WHERE pg_temp.moves(n) > 1;
