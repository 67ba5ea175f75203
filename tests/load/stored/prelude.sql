-- what an application is made of: everything follows from its number, so that each database says the same of it
CREATE FUNCTION pg_temp.total() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT {total}::bigint $$;

CREATE FUNCTION pg_temp.ms(n bigint) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT {last_ms}::bigint - ({total} - n) * {step_ms} $$;

CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT to_timestamp(pg_temp.ms(n) / 1000.0::float8) $$;

CREATE FUNCTION pg_temp.noise(kind text, n bigint) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT lpad(to_hex(hashtextextended(kind, n) & 1152921504606846975), 15, '0') $$;

CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT (lpad(to_hex(pg_temp.ms(n)), 12, '0') || '70008' || pg_temp.noise(kind, n))::uuid $$;

CREATE FUNCTION pg_temp.person(n bigint) RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT ('{people}'::uuid[])[n % {persons} + 1] $$;

CREATE FUNCTION pg_temp.officer() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT '{officer}'::uuid $$;

-- one in twenty is open: half of those wait for their acceptance, half for the decision
CREATE FUNCTION pg_temp.moves(n bigint) RETURNS int LANGUAGE sql STABLE AS
$$ SELECT CASE WHEN n % 20 <> 0 THEN 4 WHEN n % 40 = 0 THEN 1 ELSE 2 END $$;

CREATE FUNCTION pg_temp.states() RETURNS text[] LANGUAGE sql STABLE AS
$$ SELECT '{{submitted,accepted,approved,completed}}'::text[] $$;

-- what the k-th event tells: each move, and at last the number
CREATE FUNCTION pg_temp.fact(n bigint, k int) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT CASE WHEN k > pg_temp.moves(n) THEN 'numbered' ELSE (pg_temp.states())[k] END $$;

-- an odd factor keeps them apart; Z never is a check character, so none is anybody's
CREATE FUNCTION pg_temp.reference(n bigint) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT overlay(upper(lpad(to_hex(n * 2654435761 % 4294967296), 8, '0')) PLACING '-' FROM 5 FOR 0) || '-Z' $$;

CREATE FUNCTION pg_temp.traceparent(n bigint) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT '00-' || lpad(pg_temp.noise('trace', n), 32, '0') || '-01fe7d81990ae600-01' $$;

-- what is published is kept for 14 days, an answer for 7
CREATE FUNCTION pg_temp.first_event() RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT greatest(1, {total} - 14 * 86400000::bigint / {step_ms}) $$;

CREATE FUNCTION pg_temp.first_answer() RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT greatest(1, {total} - 7 * 86400000::bigint / {step_ms}) $$;

CREATE FUNCTION pg_temp.place(n bigint, k int) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT {next_offset}::bigint + (n - pg_temp.first_event()) / 4 * 5 + k $$;

CREATE FUNCTION pg_temp.body(n bigint, k int) RETURNS bytea LANGUAGE sql STABLE AS
$$ SELECT convert_to('{{"application_id":"' || pg_temp.id('application', n) || '","reference":"' || pg_temp.reference(n)
     || '","procedure_code":"LC-01","procedure_version":"2026.1","business_id":"023","channel":"app","receipt_no":null,'
     || '"state":"' || pg_temp.fact(n, k) || '","status_sequence":' || k || ',"received_at":"' || pg_temp.at(n)
     || '","due_on":"2026-12-22","parties":[{{"role":"proxy","person_id":"' || pg_temp.person(n)
     || '"}},{{"role":"subject","person_id":null}}]}}', 'UTF8') $$;
