-- part: messages
INSERT INTO messages
  (id, version, event_sequence, person_id, source_event_id, recipient_key, kind, priority, language, template_version,
   title, body, reference, procedure_code, application_id, unreached, state, created_at, hand_over_at, valid_until,
   ended_at, list_name, list_reason, listed_on, listed_at, handled_at)
SELECT pg_temp.id('message' || k, n), 2, 1, pg_temp.person(n), pg_temp.id('event' || k, n),
  CAST(pg_temp.person(n) AS text), 'application.' || pg_temp.fact(n, k), 'ordinary', 'ja', like_this.template_version,
  like_this.title, like_this.body, pg_temp.reference(n), like_this.procedure_code, pg_temp.id('application', n),
  'letters', 'handed_to_staff', pg_temp.at(n), pg_temp.at(n) + interval '25 days', pg_temp.at(n) + interval '30 days',
  pg_temp.at(n), 'letters', 'no_channel', CAST(pg_temp.at(n) AS date), pg_temp.at(n),
  CASE WHEN pg_temp.moves(n) > 2 THEN pg_temp.at(n) + interval '1 day' END
FROM generate_series(1, pg_temp.total()) AS n, generate_series(1, 3) AS k,
  (SELECT * FROM messages WHERE kind = 'application.approved' LIMIT 1) AS like_this
WHERE k <= pg_temp.moves(n);

-- part: deliveries and cursors
INSERT INTO deliveries
  (id, message_id, person_id, channel, lane, state, tries, created_at, ended_at)
SELECT pg_temp.id('delivery' || k, n), pg_temp.id('message' || k, n), pg_temp.person(n), 'inbox', 'ordinary', 'sent',
  0, pg_temp.at(n), pg_temp.at(n)
FROM generate_series(1, pg_temp.total()) AS n, generate_series(1, 3) AS k WHERE k <= pg_temp.moves(n);

INSERT INTO inbox (consumer, topic, key, sequence)
SELECT 'notifications.messages', 'procedures.applications', pg_temp.id('application', n), pg_temp.moves(n) + 1
FROM generate_series(1, pg_temp.total()) AS n;
