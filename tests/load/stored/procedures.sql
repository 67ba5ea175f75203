-- part: audit trail
INSERT INTO audit_records
  (id, at, principal, role, client_id, purpose, action, basis, subjects, fields, result, trace_id)
SELECT pg_temp.id(call.action, n), pg_temp.at(n), CASE call.moves WHEN 1 THEN pg_temp.person(n) ELSE like_this.principal END,
  like_this.role, like_this.client_id, like_this.purpose, call.action, like_this.basis, ARRAY[pg_temp.person(n)],
  like_this.fields, 'done', lpad(pg_temp.noise(call.action, n), 32, '0')
FROM generate_series(1, pg_temp.total()) AS n,
  (VALUES ('application.submit', 1), ('application.accept', 2), ('application.hand-over', 2),
          ('application.decide', 3), ('application.complete', 4)) AS call (action, moves),
  LATERAL (SELECT DISTINCT ON (action) * FROM audit_records ORDER BY action, at) AS like_this
WHERE like_this.action = call.action AND call.moves <= pg_temp.moves(n);

-- The canonical form of town_kit.audit.chain, said in SQL; the check of the whole chain proves that it is the same.
CREATE FUNCTION pg_temp.link(previous bytea, seq bigint, chained_at timestamptz, of_record bytea) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN
  IF previous IS NULL THEN
    SELECT hash INTO STRICT previous FROM audit_chain ORDER BY audit_chain.seq DESC LIMIT 1;
  END IF;
  RETURN sha256(previous || int8send(seq) || int8send((extract(epoch FROM chained_at) * 1000000)::bigint) || of_record);
END $$;

CREATE AGGREGATE pg_temp.chain(bigint, timestamptz, bytea) (sfunc = pg_temp.link, stype = bytea);

INSERT INTO audit_chain (seq, record_id, record_hash, hash, batch, chained_at)
SELECT seq, id, record_hash, pg_temp.chain(seq, at, record_hash) OVER (ROWS UNBOUNDED PRECEDING), batch, at
FROM (SELECT head.seq + row_number() OVER () AS seq, r.id, head.batch, r.at, sha256(convert_to(
        '{"action":' || to_json(action) || ',"at":"' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
        || '+00:00","basis":' || to_json(basis) || ',"client_id":' || to_json(client_id)
        || ',"fields":' || array_to_json(fields) || ',"id":"' || id || '","principal":"' || principal
        || '","purpose":' || to_json(purpose) || ',"result":' || to_json(result) || ',"role":' || to_json(role)
        || ',"subjects":' || array_to_json(subjects) || ',"trace_id":' || to_json(trace_id) || '}', 'UTF8')) AS record_hash
      FROM audit_records r, (SELECT max(seq) AS seq, max(batch) AS batch FROM audit_chain) AS head
      WHERE r.at <= pg_temp.at(pg_temp.total())) AS hashed;

-- part: applications
INSERT INTO applications
  (id, version, event_sequence, reference, procedure_code, procedure_version, business_id, decided_by, channel, source,
   state, status_sequence, received_at, recorded_at, due_on, filed_by, party_refs, answers, my_numbers, content_digest,
   revision, flags, receipt_fiscal_year, receipt_serial, receipt_number, decision,
   state_since, client_id)
SELECT pg_temp.id('application', n), pg_temp.moves(n), pg_temp.moves(n) + 1, pg_temp.reference(n),
  CASE WHEN n % 7 < 5 THEN like_this.procedure_code ELSE other.code END, like_this.procedure_version,
  like_this.business_id, like_this.decided_by, like_this.channel, like_this.source,
  (pg_temp.states())[pg_temp.moves(n)], pg_temp.moves(n), pg_temp.at(n), pg_temp.at(n),
  CAST(pg_temp.at(n) AS date) + 28, pg_temp.person(n),
  CAST('[{"role": "proxy", "person_id": "' || pg_temp.person(n)
    || '", "protected": false}, {"role": "subject", "person_id": null, "protected": false}]' AS jsonb),
  like_this.answers,
  CAST('[{"role": "insured_person", "pointer": "/insured_person/my_number", "reference": "'
    || pg_temp.id('number', n) || '"}]' AS jsonb),
  like_this.content_digest, 1, like_this.flags, like_this.receipt_fiscal_year, given.last_serial + n,
  format('%s-%s', split_part(like_this.receipt_number, '-', 1), given.last_serial + n),
  CASE WHEN pg_temp.moves(n) > 2 THEN 'approved' END, pg_temp.at(n) + pg_temp.moves(n) * interval '1 hour',
  like_this.client_id
FROM generate_series(1, pg_temp.total()) AS n,
  (SELECT * FROM applications WHERE state = 'completed' LIMIT 1) AS like_this,
  (SELECT code FROM published_procedures ORDER BY code LIMIT 1) AS other,
  (SELECT max(last_serial) AS last_serial FROM receipt_counters) AS given;

UPDATE receipt_counters SET last_serial = last_serial + pg_temp.total();

DELETE FROM queue_counts;

INSERT INTO queue_counts (procedure_code, state, count)
SELECT procedure_code, state, count(*) FROM applications GROUP BY procedure_code, state;

-- part: parties and moves
INSERT INTO application_parties (id, application_id, role, person_id, protected, received_at)
SELECT pg_temp.id('party' || k, n), pg_temp.id('application', n), CASE k WHEN 1 THEN 'proxy' ELSE 'subject' END,
  CASE k WHEN 1 THEN pg_temp.person(n) END, false, pg_temp.at(n)
FROM generate_series(1, pg_temp.total()) AS n, generate_series(1, 2) AS k;

INSERT INTO application_transitions
  (application_id, sequence, from_state, to_state, at, actor_role, actor_id, counted)
SELECT pg_temp.id('application', n), k, CASE WHEN k > 1 THEN (pg_temp.states())[k - 1] END, (pg_temp.states())[k],
  pg_temp.at(n) + k * interval '1 hour', CASE k WHEN 1 THEN 'resident' ELSE 'staff' END,
  CASE k WHEN 1 THEN pg_temp.person(n) ELSE pg_temp.officer() END, true
FROM generate_series(1, pg_temp.total()) AS n, generate_series(1, 4) AS k WHERE k <= pg_temp.moves(n);

-- part: events, stored answers and cursors
INSERT INTO outbox
  (event_id, topic, key, sequence, type, occurred_at, traceparent, data, published_at, log_partition, log_offset)
SELECT pg_temp.id('event' || k, n), 'procedures.applications', pg_temp.id('application', n), k,
  'town.procedures.application.' || pg_temp.fact(n, k) || '.v1', pg_temp.at(n), pg_temp.traceparent(n),
  pg_temp.body(n, k), pg_temp.at(n) + interval '1 second', n % 4, pg_temp.place(n, k)
FROM generate_series(pg_temp.first_event(), pg_temp.total()) AS n, generate_series(1, 5) AS k
WHERE k <= pg_temp.moves(n) + 1;

INSERT INTO idempotency_keys (scope_hash, principal, fingerprint, status, headers, body, stored_at, expires_at)
SELECT sha256(int8send(n) || int4send(k)), CASE k WHEN 1 THEN pg_temp.person(n) ELSE pg_temp.officer() END,
  like_this.fingerprint, 200, '{"etag": "\"3\"", "content-type": "application/json"}', like_this.body,
  pg_temp.at(n), pg_temp.at(n) + interval '7 days'
FROM generate_series(pg_temp.first_answer(), pg_temp.total()) AS n, generate_series(1, 4) AS k,
  (SELECT * FROM idempotency_keys WHERE status = 200 LIMIT 1) AS like_this;

INSERT INTO inbox (consumer, topic, key, sequence)
SELECT 'procedures.my-numbers', 'standardization.my-numbers', pg_temp.id('number', n), 1
FROM generate_series(1, pg_temp.total()) AS n
UNION ALL
SELECT 'procedures.decisions', 'standardization.records', pg_temp.id('record', n), 1
FROM generate_series(1, pg_temp.total()) AS n WHERE pg_temp.moves(n) > 1;
